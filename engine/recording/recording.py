"""A run to archive, with everything needed to go on from its end."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.chance import stream
from engine.recording.history import SHIFT, History, bytes_per_row
from engine.training import Checkpoint, Epochs

TABLES = ("gradient_norms", "mean_activations", "parameters")
"""The columns with several numbers per epoch."""

LIMIT = 512 * 2**20
"""The most bytes of a file, and of a history in memory. That of 80,000 parameters takes 120 MiB at most."""

DEPTH = 64
"""How deeply settings and notes may be nested: far from where Python's own recursion ends."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A run to keep: what was to be done, what was seen of it, and how to go on from there.

    Attributes:
        epochs: All that are kept, one or more, in the order of their indices.
        settings: What was trained, on what and how: anything that JSON can say; tuples become lists.
        seeds: By what each is for, such as {"data": 0, "network": 0, "training": 0}.
        checkpoint: Of the last epoch, to go on exactly, or None.
        notes: Anything else that JSON can say.
        name: A title, and `created` a time, both in the words of whoever writes them.
        extras: Whatever else whoever records wants to keep: arrays of float64, int64 or uint8, by name.
        capacity: With `recent` and `stride`, what the history was that the epochs come from.

    Raises:
        ValueError: For epochs without order or with columns of another shape or type than `Training` gives them, for a
            checkpoint of another epoch, and for what JSON cannot say.
    """

    epochs: Epochs
    settings: dict[str, Any] = field(default_factory=dict)
    seeds: dict[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    created: str = ""
    extras: dict[str, np.ndarray] = field(default_factory=dict)
    capacity: int = 1024
    recent: int = 200
    stride: int = 1

    def __post_init__(self) -> None:
        for name in ("settings", "seeds", "notes"):
            object.__setattr__(self, name, plain_dict(name, getattr(self, name)))
        for name in ("name", "created"):
            check(isinstance(getattr(self, name), str), f"{name} {getattr(self, name)!r} is not a text")
        for name in ("capacity", "recent", "stride"):
            _check_count(name, getattr(self, name))
        _check_epochs(self.epochs)
        for name, array in self.extras.items():
            _check_extra(name, array)
        if self.checkpoint is not None:
            _check_checkpoint(self.checkpoint, self.epochs)

    @classmethod
    def of(cls, history: History, **about: Any) -> "Recording":
        """A recording of all epochs that are in a history; `about` are the fields that are not the history's.

        Raises:
            IndexError: If nothing has been recorded, ValueError when `about` does not fit.
        """
        return cls(**history.contents(), **about)

    @property
    def digest(self) -> str:
        """The SHA-256 of the final weights' bytes, in hexadecimal: the same for two runs only if they ended alike."""
        return hashlib.sha256(self.epochs.parameters[-1].tobytes()).hexdigest()

    def history(self) -> History:
        """The history that these epochs come from, to look at and to extend.

        Raises:
            ValueError: If the network is so large that its history would take more than 512 MiB.
        """
        size = (self.recent + SHIFT) * bytes_per_row(self.epochs)
        check(size <= LIMIT, f"a history of {self.recent} recent epochs would take {mebibytes(size)}; read `epochs`")
        history = History(self.capacity, self.recent)
        history.stride = self.stride
        history.extend(self.epochs)
        return history


def check(fine: object, otherwise: str) -> None:
    """Raise ValueError with these words unless it is fine."""
    if not fine:
        raise ValueError(otherwise)


def _check_count(name: str, value: int) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    check(whole and 1 <= value < 2**63, f"{name} {value!r} is impossible; choose a whole number of 1 or more")


def mebibytes(size: int) -> str:
    """A size in bytes, as one reads it."""
    return f"{size / 2**20:,.0f} MiB"


def _check_epochs(epochs: Epochs) -> None:
    index, widths = np.asarray(epochs.index), epochs.widths
    check(index.size, "a recording without epochs is impossible; record one or more")
    for name, column in epochs.columns.items():
        _check_column(name, column, index.size)
    check(index[0] >= 0 and (np.diff(index) > 0).all(), f"the epochs {index} are not in order; sort them by index")
    for width in widths:
        _check_count("width", width)
    units = epochs.mean_activations.shape[1]
    check(units == sum(widths), f"there are mean activations of {units} units; hidden layers {widths} have others")


def _check_column(name: str, column: np.ndarray, k: int) -> None:
    dtype, axes = np.dtype(np.int64 if name == "index" else np.float64), 1 + (name in TABLES)
    check(
        isinstance(column, np.ndarray) and column.dtype == dtype and column.ndim == axes and len(column) == k,
        f"the column {name} is {_described(column)}; expected {dtype} with {'one axis' if axes == 1 else 'two axes'}, "
        f"{k} long as the index is",
    )


def _check_extra(name: str, array: object) -> None:
    fine = isinstance(array, np.ndarray) and array.dtype in (np.float64, np.int64, np.uint8)
    check(name.isidentifier(), f"the name {name!r} of an extra is none that Python's variables can have")
    check(fine, f"the extra {name} is {_described(array)}; expected an array of float64, int64 or uint8")


def _described(array: object) -> str:
    return f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else repr(array)


def _check_checkpoint(checkpoint: Checkpoint, epochs: Epochs) -> None:
    last = epochs[-1]
    check(
        checkpoint.index == last.index and checkpoint.parameters.tobytes() == last.parameters.tobytes(),
        f"the checkpoint of epoch {checkpoint.index} is not that of the last epoch, {last.index}; take it right after",
    )
    for name, array in checkpoint.optimizer_state.items():
        check(
            name.isidentifier() and array.dtype == np.float64 and {*array.shape} <= {last.parameters.size},
            f"the optimizer's {name} is {_described(array)}; expected float64, as long as the parameters",
        )
    _check_rng_state(checkpoint.rng_state)


def _check_rng_state(state: Mapping[str, Any]) -> None:
    generator = stream(0, "minibatches").bit_generator
    try:
        generator.state = state
        understood = generator.state == state
    except (TypeError, ValueError, KeyError, OverflowError):
        understood = False
    check(understood, f"{state!r} is not the state of a generator like NumPy's default_rng")


def plain_dict(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """A copy of the dict of that name, as JSON would give it back. Raises ValueError for what JSON cannot say."""
    check(isinstance(value, dict), f"{name} {value!r} are not a dict")
    return _plain(value, name)


def _plain(value: Any, where: str, depth: int = 0) -> Any:
    """A copy of the value as JSON would give it back."""
    check(depth <= DEPTH, f"{where[:40]}... is nested more than {DEPTH} deep")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        for key in value:
            check(isinstance(key, str), f"the key {key!r} of {where} is not a text")
        return {key: _plain(item, f"{where}[{key!r}]", depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    sayable = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    check(sayable, f"{where} is {value!r}; JSON can say finite numbers, texts, true, false, null, lists and dicts")
    return value
