"""An animation gives back, at every frame, exactly what was captured."""

import gzip
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dashboard.export.animation import Animation

Values = dict[tuple, Any]


def played(packed: bytes) -> list[Values]:
    """Every frame of an animation, decoded as in the player: by the name of the track its value."""
    content = gzip.decompress(packed)
    (size,) = struct.unpack("<I", content[:4])
    about, start, pieces = json.loads(content[4 : 4 + size]), 4 + size, []
    for before, kept, length in about["pieces"]:
        new, start = content[start : start + length], start + length
        if before >= 0 and kept < 0:
            new = bytes(a ^ b for a, b in zip(new, pieces[before], strict=True))
        elif before >= 0:
            new = pieces[before][:kept] + new
        pieces.append(new)
    assert start == len(content)
    return [
        {
            tuple(track["name"]): _decoded(value, pieces)
            for track in about["tracks"]
            for at, value in zip(track["at"], track["values"], strict=True)
            if at <= frame
        }
        for frame in range(about["frames"])
    ]


def _decoded(value: Any, pieces: list[bytes]) -> Any:
    if isinstance(value, list):
        return [_decoded(one, pieces) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "number":
        return float(value["value"])
    if value.get("type") != "ndarray":
        return {name: _decoded(one, pieces) for name, one in value.items()}
    if value["dtype"] == "object":
        return np.array(value["array"], object).reshape(value["shape"])
    data = pieces[int(value["array"]["data"]["id"])]
    return np.frombuffer(data, value["dtype"].replace("bool", "uint8")).reshape(value["shape"])


def same(one: Any, other: Any) -> bool:
    """Equal, bit for bit where they are numbers in arrays; 64-bit integers come back as what a browser has."""
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray) and one.dtype.kind == "f":
        return one.shape == other.shape and one.tobytes() == other.tobytes()
    return np.array_equal(one, other, equal_nan=isinstance(one, float))


numbers = arrays(np.float64, st.integers(0, 9)) | arrays(np.int64, st.integers(0, 9), elements=st.integers(-99, 99))
images = arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 4))).map(lambda image: [image])
lists = st.lists(st.floats() | st.text(max_size=3), max_size=4)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), numbers | images | lists), min_size=1, max_size=8))
def test_every_frame_comes_back_bit_for_bit(frames):
    animation, now, expected = Animation(), {}, []
    for frame in frames:
        animation.capture({("column", name): value for name, value in frame.items()}, {("words",): sorted(frame)})
        now |= {("column", name): value for name, value in frame.items()}
        expected.append({**now, ("words",): sorted(frame)})
    for found, wanted in zip(played(animation.packed()), expected, strict=True):
        assert found.keys() == wanted.keys()
        assert all(same(value, found[name]) for name, value in wanted.items())


def test_a_value_that_first_appears_late_can_have_been_something_before():
    animation = Animation()
    animation.capture({}, {})
    animation.begin(("a",), [1.0])
    animation.capture({("a",): [2.0]}, {})
    animation.begin(("a",), [3.0])
    assert played(animation.packed()) == [{("a",): [1.0]}, {("a",): [2.0]}]


def test_what_grows_or_changes_little_takes_little():
    rng, lengths = np.random.default_rng(0), range(1, 400)
    column, image = rng.normal(size=400), rng.integers(0, 255, (64, 64), np.uint8)
    animation, sizes = Animation(), 0
    for length in lengths:
        image = image.copy()
        image[length % 64] = length % 255
        animation.capture({("column",): column[:length], ("image",): [image]}, {})
        sizes += 8 * length + image.size
    assert animation.size == sizes
    assert len(animation.packed()) < sizes / 20


@pytest.mark.parametrize("again", [np.arange(3.0), [[1, 2], ["a"]], "text"])
def test_what_stays_is_kept_once(again):
    animation = Animation()
    for _ in range(5):
        animation.capture({("a",): again}, {("b",): "caption"})
    content = gzip.decompress(animation.packed())
    assert content.count(b"caption") == 1
    assert content.count(b'"at":[0]') == 2
