"""An animation stores how values change from frame to frame, compactly, to be played in a browser.

An animation has tracks. A track is one value, such as a column of a picture's source, and stores only the frames at
which the value changes; arrays are stored as their difference from earlier ones. Everything together is compressed.
"""

import gzip
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bokeh.core.serialization import Buffer, Serializer

ALL = -1
"""The whole of the array before is used, with single bits changed."""

Name = tuple[str | int, ...]


@dataclass(frozen=True)
class Piece:
    """The bytes of an array.

    Attributes:
        before: Number of the piece that it builds upon; -1 for none.
        kept: How many of that one's first bytes precede the new ones; or ALL, to be combined by xor.
    """

    new: bytes
    before: int = -1
    kept: int = 0


@dataclass
class Track:
    """One value through all frames.

    Attributes:
        at: The frames at which it changes.
        values: Its value from each of them on, as JSON.
        latest: The newest value without its arrays, these, and their pieces.
    """

    at: list[int] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    latest: tuple[str, list[bytes], list[int]] = ("", [], [])


class Animation:
    """The tracks of all captured frames; `size` is the number of bytes of its arrays."""

    def __init__(self) -> None:
        self.frames, self.size = 0, 0
        self._history: dict[Name, Track] = {}
        self._pieces: list[Piece] = []

    def begin(self, name: Name, model: Any) -> None:
        """Set the value that a new track had from the first frame on."""
        if name not in self._history:
            encoded = Serializer().serialize(model)
            self._add(name, encoded.content, encoded.buffers, frame=0)

    def capture(self, models: Mapping[Name, Any], words: Mapping[Name, Any]) -> None:
        """Add a frame: all values that may differ from the frame before, by the names of their tracks.

        Args:
            models: Values that Bokeh encodes, with arrays.
            words: Values that JSON can represent.
        """
        for name, value in models.items():
            encoded = Serializer().serialize(value)
            self._add(name, encoded.content, encoded.buffers, self.frames)
        for name, value in words.items():
            self._add(name, value, [], self.frames)
        self.frames += 1

    def packed(self) -> bytes:
        """The animation, compressed: the length of a text, the text (JSON), and the bytes of all pieces."""
        tracks = ",".join(map(_in_json, self._history, self._history.values()))
        pieces = json.dumps([[piece.before, piece.kept, len(piece.new)] for piece in self._pieces])
        text = f'{{"frames":{self.frames},"tracks":[{tracks}],"pieces":{pieces}}}'.encode()
        parts = [struct.pack("<I", len(text)), text, *(piece.new for piece in self._pieces)]
        return gzip.compress(b"".join(parts), 6, mtime=0)

    def _add(self, name: Name, value: Any, buffers: Sequence[Buffer], frame: int) -> None:
        track = self._history.setdefault(name, Track())
        text, arrays = _dumped(value, {}), [buffer.to_bytes() for buffer in buffers]
        text_before, arrays_before, places_before = track.latest
        if text == text_before and arrays == arrays_before:
            return
        fitting = len(arrays) == len(arrays_before)
        before = zip(arrays_before, places_before, strict=True) if fitting else [(b"", -1)] * len(arrays)
        places = [self._store(array, *other) for array, other in zip(arrays, before, strict=True)]
        track.at.append(frame)
        track.values.append(_dumped(value, {buffer.id: i for buffer, i in zip(buffers, places, strict=True)}))
        track.latest = text, arrays, places

    def _store(self, array: bytes, before: bytes, place: int) -> int:
        """The number of a new piece for an array, or of the one before if it is the same."""
        if array == before and place >= 0:
            return place
        self._pieces.append(_difference(array, before, place))
        self.size += len(array)
        return len(self._pieces) - 1


def _difference(array: bytes, before: bytes, place: int) -> Piece:
    """An array as its difference from another, whose number is given; unchanged where they have little in common."""
    new, old = np.frombuffer(array, np.uint8), np.frombuffer(before, np.uint8)
    if len(new) == len(old):
        return Piece((new ^ old).tobytes(), place, ALL)
    shared = min(len(new), len(old))
    different = np.flatnonzero(new[:shared] != old[:shared])
    kept = int(different[0]) if len(different) else shared
    return Piece(array[kept:], place, kept) if kept else Piece(array)


def _dumped(value: Any, numbers: Mapping[str, int]) -> str:
    """A value as JSON, in which buffers are replaced by their numbers."""
    return json.dumps(
        value, default=lambda buffer: {"id": str(numbers.get(buffer.id, ""))}, allow_nan=False, separators=(",", ":")
    )


def _in_json(name: Name, track: Track) -> str:
    return f'{{"name":{_dumped(name, {})},"at":{_dumped(track.at, {})},"values":[{",".join(track.values)}]}}'
