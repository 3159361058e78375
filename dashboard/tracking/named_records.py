"""Records of a run log whose columns have names that the program chose: metrics, layer statistics, moments, notes.

    M  metrics     TABLE with {"names": [...]}; a column for each name
    S  statistics  TABLE with {"layers": [...], "quantities": [...]}; for each quantity a column for each layer, nan
                   where it was not measured. Without "layers" they are those of the last such record
    W  moments     TABLE with {}; one column, the seconds since the run began
    A  notes       JSON: the epoch, the words, their kind ("note" or "alert"), and the seconds since the run began

A TABLE is the length u4 of some JSON, the JSON, SHAPE (rows, columns, 0), index i8 (rows) and values f8 (rows,
columns). None of these records depends on a layout. Of a metric that was logged twice for an epoch the later value
counts. Moments are written with what is flushed, so that epochs in between lie between two of them.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.tracking.run_log import MAX_TEXT_BYTES, SHAPE, read_json, text

METRICS, STATISTICS, MOMENTS, NOTES = b"M", b"S", b"W", b"A"
"""Kinds of records."""

KINDS = METRICS, STATISTICS, MOMENTS, NOTES
NOTE, ALERT = "note", "alert"
LENGTH = struct.Struct("<I")

MAX_METRICS = 200
"""Most names of metrics in a run."""

MAX_NAME = 100
MAX_NOTE = 300
MAX_STATISTIC_LAYERS = 5000
"""Most layers whose statistics are written."""

QUANTITIES = ("gradient", "update", "mean", "spread", "dead", "low", "lower", "middle", "upper", "high")
"""What may be measured of a layer: its gradient's norm; the update's norm over that of the weights, of one step; of its
output the mean, the standard deviation, the share of units that are zero for all examples, and five quantiles."""

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The quantiles that are measured, in the order of their names in `QUANTITIES`."""


@dataclass(frozen=True)
class Note:
    """Words about an epoch: the program's own, or an alert.

    Attributes:
        seconds: Since the run began.
    """

    epoch: int
    words: str
    kind: str = NOTE
    seconds: float = 0.0


def packed_table(about: Mapping[str, Any], index: Sequence[int], values: np.ndarray) -> bytes:
    """The payload of a table: what it is, its epochs (k,), and its values (k, columns)."""
    said = json.dumps(about).encode()
    values = np.asarray(values, "<f8").reshape(len(index), -1)
    shape = SHAPE.pack(*values.shape, 0)
    return b"".join([LENGTH.pack(len(said)), said, shape, np.asarray(index, "<i8").tobytes(), values.tobytes()])


def unpacked_table(payload: bytes) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Read what a table is, its epochs (k,), and its values (k, columns).

    Raises:
        ValueError: If the payload is something else.
    """
    (length,) = LENGTH.unpack_from(payload)
    if length > MAX_TEXT_BYTES:
        raise ValueError("the names of a table are too long")
    about = read_json(payload[LENGTH.size : LENGTH.size + length])
    start = LENGTH.size + length
    rows, columns, _ = SHAPE.unpack_from(payload, start)
    start += SHAPE.size
    if not rows or len(payload) != start + 8 * rows * (1 + columns):
        raise ValueError("a table has not the length it should have")
    index = np.frombuffer(payload, "<i8", rows, start).astype(np.int64)
    if index.min() < 0:
        raise ValueError(f"epoch {index.min()} is impossible")
    values = np.frombuffer(payload, "<f8", rows * columns, start + 8 * rows).astype(np.float64)
    return about, index, values.reshape(rows, columns)


def names_in(about: Mapping[str, Any], key: str, most: int) -> tuple[str, ...]:
    """The names under a key of a table. Raises ValueError where there are too many."""
    names = about[key]
    if not isinstance(names, list) or len(names) > most:
        raise ValueError(f"a table has no list of at most {most:,} {key}")
    return tuple(text(name, MAX_NAME) for name in names)


def packed_metrics(entries: Sequence[tuple[int, str, float]]) -> list[bytes]:
    """The payloads of metrics, given as epoch, name and value: names that share their epochs share a table."""
    columns: dict[str, tuple[list[int], list[float]]] = {}
    for index, name, value in entries:
        at, values = columns.setdefault(name, ([], []))
        at.append(index)
        values.append(value)
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, (at, _) in columns.items():
        groups.setdefault(tuple(at), []).append(name)
    return [
        packed_table({"names": names}, at, np.array([columns[name][1] for name in names]).T)
        for at, names in groups.items()
    ]


def packed_statistics(
    index: int, layers: Sequence[str], quantities: Sequence[str], table: np.ndarray, is_known: bool = False
) -> bytes:
    """The payload of statistics (quantities, layers) at an epoch; `is_known` leaves out the names of the layers.

    Raises:
        ValueError: If the names are too long for a record.
    """
    about: dict[str, Any] = {"quantities": list(quantities)} | ({} if is_known else {"layers": list(layers)})
    if not is_known and len(json.dumps(about)) > MAX_TEXT_BYTES:
        raise ValueError(f"the names of {len(layers):,} layers are too long to be written")
    return packed_table(about, [index], np.asarray(table).reshape(1, -1))


def packed_note(note: Note) -> bytes:
    """The payload of a note."""
    about = {"epoch": note.epoch, "text": note.words[:MAX_NOTE], "kind": note.kind, "seconds": note.seconds}
    return json.dumps(about).encode()


def unpacked_note(payload: bytes) -> Note:
    """Read a note. Raises ValueError, KeyError or TypeError where it is none."""
    stored = read_json(payload)
    kind = ALERT if stored["kind"] == ALERT else NOTE
    epoch, seconds = stored["epoch"], float(stored["seconds"])
    if type(epoch) is not int or not 0 <= epoch < 2**53:
        raise ValueError(f"epoch {epoch!r} is impossible")
    return Note(epoch, text(stored["text"], MAX_NOTE), kind, seconds if 0 <= seconds < 1e12 else 0.0)
