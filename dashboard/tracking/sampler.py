"""The sampler reduces gradients, activations and parameters to the numbers that are logged, within a time budget."""

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dashboard.tracking.endings import let_pass
from dashboard.tracking.named_records import LEVELS, QUANTITIES
from dashboard.tracking.run_log import MAX_LAYERS, Layout

TIME_FRACTION = 0.005
"""Fraction of a training's time that may go into measuring its arrays; cold caches cost as much again."""

CREDIT = 0.002
"""Seconds that may be spent at once after a period in which less was: short trainings are logged in full."""

REST = 0.1
"""Least seconds between two measurements of arrays, where not all can be measured: nobody sees more."""

MAX_OUTPUTS = 2048
"""Most numbers of an output, evenly spaced, of which spread and quantiles are taken."""

MAX_UNITS = 2048
MAX_PARAMETERS = 4096
"""Most parameters that are logged of a network that is not the engine's; of more, an evenly spaced sample."""

MAX_OWN_PARAMETERS = 25_000
"""Parameters up to which a network of the engine is logged as a whole."""

LETTERS = 56
"""Longest name: with all names of a layout this long, the JSON still fits a record of text."""

MAX_LAYOUT_CHANGES = 8
"""How often a part may change its size before it is left out: its pictures start afresh each time."""

clock = time.thread_time if os.name == "posix" else time.perf_counter
"""CPU seconds of this thread: what other programs take meanwhile costs the training nothing."""

EMPTY = np.empty(0)
NAN = float("nan")


class UnmeasurableError(Exception):
    """Why something cannot be measured, in words that follow its name and a colon."""


@dataclass(slots=True)
class Numbers:
    """What was measured on arrays, in the columns of `layout`; None where nothing was given.

    Attributes:
        gradient_norms: (layers,) float64, a copy, like the arrays below.
        means: (units,) the mean activations.
        parameters: (n,) the sample of parameters.
        known_layers: (layers,) which of the norms were measured.
        known_units: (units,) which of the means were measured.
        batches: Over how many batches gradients and activations are averaged; 0 where nobody counted.
        statistics: By quantity of `named_records.QUANTITIES`, a number for each name.
    """

    layout: Layout
    gradient_norms: np.ndarray | None = None
    known_layers: np.ndarray | None = None
    means: np.ndarray | None = None
    known_units: np.ndarray | None = None
    parameters: np.ndarray | None = None
    batches: tuple[int, int] = (0, 0)
    statistics: dict[str, dict[str, float]] = field(default_factory=dict)


class Sampler:
    """Measures norms, means and samples of arrays; `layout` says to what each column belongs.

    Columns belong to names: a name that is missing in one call is unknown there, and keeps its column. What cannot be
    measured is left out, each part by itself. Where measuring at every call would take more than half a percent of the
    time, the sampler rests for a while.
    """

    def __init__(self, leave_out: Callable[[str, str], None] = lambda name, why: None, density: float = 1.0) -> None:
        """Set up an empty layout.

        Args:
            leave_out: Called with the name of what cannot be measured, and the reason.
            density: Multiple of the usual time that measuring may take.
        """
        self._density = density
        self.layout = Layout()
        self._leave_out = leave_out
        self._known: dict[tuple, tuple[Layout, tuple]] = {}
        self._changes: dict[tuple[str, str], int] = {}
        self._credit, self._seen, self._began, self.rest_until = CREDIT, time.perf_counter(), clock(), 0.0

    def begin(self) -> None:
        """Start to measure; `rest_until`, in seconds of `time.perf_counter`, is when the next measurement is due."""
        now = time.perf_counter()
        self._credit = min(CREDIT, self._credit + self._density * TIME_FRACTION * (now - self._seen))
        self._seen, self._began = now, clock()

    def read(self, gradients: Any, activations: Any, parameters: Any, most: int = MAX_PARAMETERS) -> Numbers:
        """Measure norms of the gradients, means of the activations, and at most so many parameters."""
        with np.errstate(all="ignore"):
            norms = self._measured(gradients, "gradient", norm)
            means = self._measured(activations, "activations", mean_of)
            weights = self._measured(parameters, "parameters", flat_of)
            numbers = self._in_columns(norms, _fewer(means, MAX_UNITS), _fewer(weights, most))
            numbers.statistics = self._statistics(norms, activations if means is not None else None)
        self._credit -= clock() - self._began
        if self._credit < 0:
            self.rest_until = time.perf_counter() + max(REST, -self._credit / (self._density * TIME_FRACTION))
        return numbers

    def _measured(self, parts: Any, kind: str, measure: Callable[[Any], Any]) -> dict[str, Any] | None:
        """What is measured of every part, by name; None for unknown parts, and for everything if nothing was given."""
        try:
            found = named(parts)
        except Exception as error:
            let_pass(error)
            self._leave_out(kind, reason(error))
            return None
        if found is None:
            return None
        if len(found) > MAX_LAYERS:
            self._leave_out(f"{kind} {MAX_LAYERS + 1} to {len(found)}", f"the most are {MAX_LAYERS:,}")
            found = dict(list(found.items())[:MAX_LAYERS])
        measured: dict[str, Any] = {}
        for name in distinct(list(found), self._leave_out):
            value = found[name]
            try:
                measured[name] = None if value is None else measure(value)
            except Exception as error:
                let_pass(error)
                self._leave_out(name, f"{kind} cannot be measured: {reason(error)}")
                measured[name] = None
        return measured if any(one is not None for one in measured.values()) or not measured else None

    def _statistics(self, norms: dict[str, float | None] | None, activations: Any) -> dict[str, dict[str, float]]:
        """Norms of gradients by name, and statistics of those activations that are outputs of several examples."""
        found: dict[str, dict[str, float]] = {}
        if norms is not None:
            found["gradient"] = {name: one for name, one in norms.items() if one is not None}
        for name, value in list((named(activations) or {}).items())[:MAX_LAYERS]:
            try:
                numbers = {} if value is None else spread_of(value)
            except Exception as error:
                let_pass(error)
                continue
            for quantity, number in numbers.items():
                found.setdefault(quantity, {})[name] = number
        return found

    def _in_columns(
        self,
        norms: dict[str, float | None] | None,
        means: dict[str, np.ndarray | None] | None,
        weights: dict[str, np.ndarray | None] | None,
    ) -> Numbers:
        """The numbers in their names' columns, after new names have been given some."""
        sizes = [
            None if part is None else tuple((name, None if one is None else len(one)) for name, one in part.items())
            for part in (means, weights)
        ]
        key = self.layout, None if norms is None else tuple(norms), *sizes
        if key not in self._known:
            if len(self._known) > 100:
                self._known.clear()
            self._known[key] = self._laid_out(key[1], *sizes)
        self.layout, (layers, units, entries) = self._known[key]
        numbers = Numbers(self.layout)
        if norms is not None:
            values = [NAN if one is None else one for one in norms.values()]
            numbers.gradient_norms, numbers.known_layers = _placed(
                values, [one is not None for one in norms.values()], layers, len(self.layout.layers)
            )
        if means is not None:
            known = [one for one in means.values() if one is not None]
            numbers.means, numbers.known_units = _placed(
                np.concatenate([*known, EMPTY]), None, units, self.layout.sizes[1]
            )
        if weights is not None:
            known = [one for one in weights.values() if one is not None]
            numbers.parameters, _ = _placed(np.concatenate([*known, EMPTY]), None, entries, self.layout.sizes[2])
        return numbers

    def _laid_out(
        self, layers: tuple[str, ...] | None, units: tuple | None, weights: tuple | None
    ) -> tuple[Layout, tuple]:
        """The layout extended by new names, and the column of each number; -1 where it has none."""
        before = self.layout
        names = list(before.layers)
        names += [name for name in map(fit, layers or ()) if name not in names]
        names = names[:MAX_LAYERS]
        layout = Layout(
            tuple(names),
            self._grown("activations", before.units, units, 2 * MAX_UNITS),
            self._grown("parameters", before.weights, weights, 2**20),
        )
        place = {name: i for i, name in enumerate(names)}
        columns = np.array([place.get(fit(name), -1) for name in layers or ()], np.int64)
        found = columns, _columns(layout.units, units), _columns(layout.weights, weights)
        return layout, tuple(
            None if len(one) == size and (one == np.arange(size)).all() else one
            for one, size in zip(found, layout.sizes, strict=True)
        )

    def _grown(self, kind: str, before: tuple, parts: tuple | None, most: int) -> tuple:
        """Names and sizes, including new names and changed sizes, as far as there is room for them."""
        sizes = dict(before)
        for name, size in parts or ():
            key = fit(name)
            if size is None or sizes.get(key) == size:
                continue
            if key in sizes:
                self._changes[kind, key] = self._changes.get((kind, key), 0) + 1
            if self._changes.get((kind, key), 0) > MAX_LAYOUT_CHANGES:
                self._leave_out(name, f"{kind} change their number again and again; the first sizes are shown")
            elif len(sizes | {key: size}) <= MAX_LAYERS and sum((sizes | {key: size}).values()) <= most:
                sizes[key] = size
            else:
                self._leave_out(name, f"there are more {kind} than can be shown")
        return tuple(sizes.items())


def _columns(layout: tuple, parts: tuple | None) -> np.ndarray:
    """The place in a row of each number of the known parts; -1 where it has none."""
    places, start = {}, 0
    for name, size in layout:
        places[name] = np.arange(start, start + size)
        start += size
    found = [EMPTY]
    for name, size in parts or ():
        if size is not None:
            there = places.get(fit(name), EMPTY)
            found.append(there if len(there) == size else np.full(size, -1))
    return np.concatenate(found).astype(np.int64)


def _placed(
    values: Any, known: list[bool] | None, columns: np.ndarray | None, size: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """A row with the values in their columns, None meaning all in order, and which of its columns are known."""
    if columns is None:
        return np.asarray(values, np.float64), None if known is None or all(known) else np.array(known)
    row, found = np.full(size, NAN), np.zeros(size, bool)
    has = columns >= 0
    row[columns[has]] = np.asarray(values, np.float64)[has]
    found[columns[has]] = True if known is None else np.asarray(known, bool)[has]
    return row, found


MAX_LOOKED_AT = 16
"""First items of a list among which arrays are looked for, which tell a branch of a tree from a list of numbers."""

HEAD_LETTERS = 12
"""How many of a long name's letters are taken from its beginning: paths of modules differ at their ends."""


def fit(name: str) -> str:
    """A name cut to the longest that fits: both of its ends."""
    return name if len(name) <= LETTERS else f"{name[:HEAD_LETTERS]}…{name[HEAD_LETTERS + 1 - LETTERS :]}"


def distinct(names: Sequence[str], leave_out: Callable[[str, str], None]) -> list[str]:
    """The names that are still different when they are cut; of those that are not, the first."""
    kept: dict[str, str] = {}
    for name in names:
        if kept.setdefault(fit(name), name) != name:
            leave_out(name, "its name is too long to be told from another")
    return list(kept.values())


def reason(error: BaseException) -> str:
    """An error in words, on one line, even where its own text fails."""
    if isinstance(error, UnmeasurableError):
        return str(error)
    try:
        text = " ".join(str(error).split())[:120]
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def norm(gradient: Any) -> float:
    """The length of a gradient, in float64 and without overflow or underflow; a single number is a length already."""
    if isinstance(gradient, float | int):
        return abs(float(gradient))
    array = as_array(gradient)
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag])
    flat = np.asarray(array, np.float64).ravel()
    with np.errstate(over="ignore", under="ignore"):
        square = float(flat @ flat)
    if 1e-200 < square < 1e200 or not flat.size:
        return square**0.5
    largest = float(np.abs(flat).max())
    if not 0 < largest < np.inf:
        return largest
    return largest * float(np.linalg.norm(flat / largest))


def mean_of(activations: Any) -> np.ndarray:
    """(units,) the mean of every unit, given means (units,) or outputs (examples, units, ...)."""
    array = as_array(activations)
    if array.dtype.kind == "c":
        raise UnmeasurableError("they are complex; log their absolute values")
    if array.ndim <= 1:
        return np.array(array, np.float64).reshape(-1)
    if not array.size:
        raise UnmeasurableError(f"there are no examples in an array of shape {array.shape}")
    return array.mean(axis=(0, *range(2, array.ndim)), dtype=np.float64)


def spread_of(activations: Any) -> dict[str, float]:
    """Mean, spread, share of dead units and quantiles of outputs (examples, units, ...); nothing of bare means."""
    array = as_array(activations)
    if array.ndim < 2 or not array.size or array.dtype.kind == "c":
        return {}
    flat = array.reshape(-1)
    sample = np.array(flat[:: max(1, flat.size // MAX_OUTPUTS)], np.float64)
    found = {"mean": float(sample.mean()), "spread": float(sample.std())}
    if np.isfinite(sample).all():
        found |= dict(zip(QUANTITIES[-len(LEVELS) :], np.quantile(sample, LEVELS).tolist(), strict=True))
    dead = ~array.astype(bool).any(axis=(0, *range(2, array.ndim)))
    return found | {"dead": float(dead.mean())}


def flat_of(parameters: Any) -> np.ndarray:
    """(n,) all entries; for complex ones the real parts followed by the imaginary ones. Not always a copy."""
    array = as_array(parameters)
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag])
    if array.dtype.kind not in "fiub":
        raise UnmeasurableError(f"entries of type {array.dtype} are no numbers")
    return array.reshape(-1)


def named(parts: Any) -> dict[str, Any] | None:
    """Values by name, given a dict, a list, or a tree of these, such as JAX's; one array counts as a list of one."""
    if parts is None:
        return None
    if not isinstance(parts, Iterable) or hasattr(parts, "ndim"):
        parts = [parts]
    found: dict[str, Any] = {}
    for name, value in _children(parts):
        inner = named(value) if _is_branch(value) else None
        found |= {name: value} if inner is None else {f"{name}.{key}": one for key, one in inner.items()}
    return found


def _children(parts: Iterable) -> Iterable[tuple[str, Any]]:
    """What a part of a tree holds, by name: the fields of a named tuple have names, the items of a list numbers."""
    if isinstance(parts, Mapping):
        return [(str(name), value) for name, value in parts.items()]
    fields = getattr(parts, "__match_args__", ()) if isinstance(parts, tuple) else ()
    return [(fields[place - 1] if fields else str(place), value) for place, value in enumerate(parts, 1)]


def _is_branch(value: Any) -> bool:
    """Whether a value is no leaf of a tree: a list of numbers is one, as an array is."""
    if isinstance(value, Mapping):
        return True
    if not isinstance(value, list | tuple):
        return False
    return not value or any(_is_branch(one) or getattr(one, "ndim", 0) for one in value[:MAX_LOOKED_AT])


def _fewer(parts: dict[str, np.ndarray | None] | None, most: int) -> dict[str, np.ndarray | None] | None:
    """Copy of the parts as float64; of more numbers than that, an evenly spaced sample of every part."""
    if parts is None:
        return None
    stride = max(1, -(-sum(len(one) for one in parts.values() if one is not None) // most))
    return {name: None if one is None else np.array(one[::stride], np.float64) for name, one in parts.items()}


def number(value: Any) -> float:
    """Convert a number of any library to Python's own. Raises UnmeasurableError where it is not a number."""
    if isinstance(value, float):
        return float(value)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise UnmeasurableError("it is masked")
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except Exception as error:
        let_pass(error)
        array = as_array(value)
        if array.size != 1 or array.dtype.kind not in "fiub":
            raise UnmeasurableError(f"{short(value)} is no number") from error
        return float(array.reshape(-1)[0])


def short(value: Any) -> str:
    """A value in a few words, even where its own text fails."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def as_array(value: Any) -> np.ndarray:
    """Convert to what NumPy can take, PyTorch's tensors too. Raises UnmeasurableError where that is impossible."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise UnmeasurableError("some of it is masked")
    if isinstance(value, np.ndarray):
        array = value
    elif hasattr(value, "detach"):
        array = _of_a_tensor(value)
    else:
        try:
            array = np.asarray(value)
        except Exception as error:
            let_pass(error)
            raise UnmeasurableError(f"{short(value)} is no array: {reason(error)}") from error
    if array.dtype.kind == "O":
        try:
            array = array.astype(np.float64)
        except Exception as error:
            let_pass(error)
            raise UnmeasurableError(f"{short(value)} is no array of numbers") from error
    if array.dtype.kind not in "fiubc":
        raise UnmeasurableError(f"{short(value)} is no array of numbers")
    return array


def _of_a_tensor(tensor: Any) -> np.ndarray:
    """Entries of a PyTorch tensor: of a sparse one those that are stored, of types that NumPy lacks as float64."""
    if getattr(type(tensor), "__module__", "").startswith("torch.distributed"):
        raise UnmeasurableError("it is spread over several processes")
    tensor = tensor.detach()
    if getattr(tensor, "is_sparse", False):
        tensor = tensor.coalesce().values()
    elif str(getattr(tensor, "layout", "torch.strided")) != "torch.strided":
        tensor = tensor.to_dense()
    tensor = tensor.cpu()
    if hasattr(tensor, "resolve_conj"):
        tensor = tensor.resolve_conj().resolve_neg()
    try:
        return tensor.numpy()
    except (TypeError, RuntimeError):
        return tensor.double().numpy()
