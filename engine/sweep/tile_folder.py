"""The finished tiles of a map, one whole file each, in a folder that several processes may share.

A tile's file is NumPy's own .npy of float64, a row per pixel: its flat index, then its values, mark by mark. Its name
is the digest of its content, so a file that is damaged does not go by its name and is not read.
"""

import hashlib
import io
import os
from pathlib import Path

import numpy as np

from engine import atomic_write

SUFFIX = ".npy"
HEADER = 128
"""The bytes in front of the numbers."""

READ_AT_ONCE = 64
"""How many files are read in one call, so that no caller waits long."""


class TileFolder:
    """A map's own folder within the one that was named; it is made with the first tile.

    Attributes:
        map_digest: Of the map, which names the folder.
        size: How many pixels the map has.
        columns: How many values a pixel has.
    """

    def __init__(self, folder: str | os.PathLike[str], map_digest: str, size: int, columns: int) -> None:
        self.path = Path(folder) / map_digest
        self._digest, self._size, self._columns = map_digest, size, columns
        self._seen: set[str] = set()

    def save(self, pixels: np.ndarray, values: np.ndarray) -> None:
        """Write a tile: flat indices (k,) and values (k, columns). Raises OSError where that cannot be."""
        content = io.BytesIO()
        np.save(content, np.column_stack([pixels.astype(float), values]).astype("<f8", order="C"), allow_pickle=False)
        name = self._name(content.getvalue())
        self.path.mkdir(parents=True, exist_ok=True)
        atomic_write.write(self.path / name, content.getvalue())
        self._seen.add(name)

    def news(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Tiles that have not been read yet, a few at a time: (flat indices, values) each; none once all are read."""
        try:
            names = sorted({entry.name for entry in os.scandir(self.path) if entry.name.endswith(SUFFIX)} - self._seen)
        except OSError:
            return []
        names = names[:READ_AT_ONCE]
        self._seen.update(names)
        return [tile for name in names if (tile := self._read(name)) is not None]

    def _read(self, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """A tile, or None where the file is none of this map."""
        limit = 1024 + 8 * self._size * (1 + self._columns)
        try:
            with (self.path / name).open("rb") as file:
                content = file.read(limit + 1)
        except OSError:
            return None
        if len(content) > limit or name != self._name(content):
            return None
        return self._tile(content)

    def _tile(self, content: bytes) -> tuple[np.ndarray, np.ndarray] | None:
        rows = _rows(content, 1 + self._columns)
        pixels = rows[:, 0]
        if not (len(rows) and ((pixels >= 0) & (pixels < self._size) & (pixels == np.floor(pixels))).all()):
            return None
        return pixels.astype(np.int64), rows[:, 1:]

    def _name(self, content: bytes) -> str:
        return hashlib.sha256(self._digest.encode() + content).hexdigest()[:24] + SUFFIX


def _rows(content: bytes, columns: int) -> np.ndarray:
    """The array (k, columns) of an .npy file; no rows unless it holds exactly that.

    The header is not read but compared with the one that there should be: NumPy's reader believes what a header says.
    """
    header = io.BytesIO()
    count = max(0, len(content) - HEADER) // (8 * columns)
    expected = {"descr": "<f8", "fortran_order": False, "shape": (count, columns)}
    np.lib.format.write_array_header_1_0(header, expected)
    body = content[HEADER:]
    if content[:HEADER] != header.getvalue() or len(body) != 8 * count * columns:
        return np.empty((0, columns))
    return np.frombuffer(body, "<f8").reshape(count, columns)
