"""Many runs of one architecture as one object, for what holds over seeds and not only for a single run.

Each kind of run (data, activation, loss, batch size) has one training with hot buffers, and the runs are swapped into
it by their checkpoints; a swap costs as much as two or three epochs. On several cores, work is shared out as a few runs
times a block of epochs, so that all runs grow together.
"""

import hashlib
import math
import pickle
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import partial
from itertools import product
from numbers import Integral
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from engine.ensemble_member import SERIES, Job, Part, Trainer, replica, threshold, whole
from engine.ensemble_records import Records
from engine.initializers import Initializer
from engine.network import Data, Network
from engine.optimizers import Optimizer
from engine.options import choose
from engine.schedules import Schedule
from engine.training import Training
from engine.worker_pool import processes

GROUPS = 32
"""Into how many groups the runs are shared out."""

FIRST_BLOCK, LONGEST_BLOCK = 16, 512
TASK_SECONDS = 0.2
"""Blocks of epochs grow until a task takes about so long."""


@dataclass(frozen=True)
class Progress:
    """How far a call has come.

    Attributes:
        runs: How many runs are still going.
        epoch: The newest epoch that all of them have reached.
        done, total: Epochs trained and to be trained by this call, summed over the runs; a run that ends needs no more.
    """

    runs: int
    epoch: int
    done: int
    total: int

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return self.done / self.total if self.total else 1.0


@dataclass(frozen=True, eq=False)
class Success:
    """The share of runs that succeed, with Wilson's 95 % interval for the probability behind it.

    The interval stays within 0 and 1, and says something even where all runs succeed or none. All three are arrays
    over the remaining axes.
    Source: Wilson 1927.
    """

    probability: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Ensemble:
    """Many runs of one architecture, trained side by side.

    The other arguments are those of `Network` and `Training`. Run k goes the way of that single training, bit for bit,
    whatever the others do. (Products so large that BLAS shares them out may differ in the last bit where one of the two
    has fewer BLAS threads.)

    A run that diverges is frozen at its last finite epoch. After its end a run's series carry on: with its last value
    if it stopped, with the worst there is if it diverged, infinite loss and gradients and an accuracy of 0. So medians
    stay defined, and failures count.

    An ensemble is indexed like an array of its shape: `ensemble[:10]` and `ensemble[:, 0]` are ensembles of their own,
    with copies of what has been trained so far. One thread may train an ensemble while others read from it; those take
    `ensemble[:]` first where two things, such as `index` and `loss`, have to belong together.
    Raises ValueError, before any training, for an axis or a value that does not fit.

    Attributes:
        sizes: Units per layer, the same in all runs.
        data: What they learn; None where it is an axis.
        axes: Name -> values. The runs are all combinations of these, the last axis changing fastest. An axis is `data`,
            `seed`, `activation`, `initializer`, `skip`, `bias`, `bias_std`, `has_biases`, `loss`, `optimizer`,
            `batch_size`, `l1`, `l2`, `schedule`, or a number of the optimizer, initializer or schedule:
            `learning_rate`, `std`, ...; also `parametrization`, `output_scale`, `layer_rates` and `batch_seed`.
        seed: Of a run's weights, and of the order of its minibatches unless that has a `batch_seed`.
        optimizer, initializer, schedule: A name, or an instance.
        stop_loss: A run stops at the first epoch whose loss is this or less; None for never.
        every: Record the epochs that are multiples of this, and the newest; doubles whenever the records, thinned then,
            would exceed 64 MiB.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        data: Data | None,
        axes: Mapping[str, Sequence[Any]] | None = None,
        activation: str | Sequence[str] = "relu",
        output: str = "sigmoid",
        initializer: str | Initializer = "he",
        seed: int = 0,
        skip: bool = False,
        bias: float = 0.0,
        loss: str | None = None,
        optimizer: str | Optimizer | None = None,
        batch_size: int | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        validation: Data | None = None,
        schedule: str | Schedule | None = None,
        stop_loss: float | None = None,
        every: int = 1,
        bias_std: float = 0.0,
        has_biases: bool = True,
        parametrization: str = "standard",
        output_scale: float = 1.0,
        layer_rates: Sequence[float] | None = None,
        batch_seed: int | None = None,
    ) -> None:
        self.axes = {name: _values(name, values) for name, values in (axes or {}).items()}
        fixed = {
            "data": 0,
            "seed": seed,
            "activation": activation,
            "initializer": initializer,
            "skip": skip,
            "bias": bias,
            "bias_std": bias_std,
            "has_biases": has_biases,
            "loss": loss,
            "optimizer": "sgd" if optimizer is None else optimizer,
            "batch_size": batch_size,
            "l1": l1,
            "l2": l2,
            "schedule": schedule,
            "parametrization": parametrization,
            "output_scale": output_scale,
            "layer_rates": layer_rates,
            "batch_seed": batch_seed,
        }
        datasets = self.axes.get("data", (data,))
        if any(dataset is None for dataset in datasets):
            raise ValueError("data None is no data; give a dataset, or an axis of them")
        self._settled: dict[str, Any] = {}
        self._trainer = Trainer(sizes, output, datasets, validation, threshold(stop_loss))
        self._runs = [replica(fixed | choices) for choices in _combinations(self.axes)]
        self._checkpoints = self._trainer.starts(self._runs)
        self._records = Records(len(self), len(sizes) - 1, whole("every", every), validation is not None)
        self._lock = threading.RLock()

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has; run k is the one at `np.unravel_index(k, shape)`."""
        return tuple(map(len, self.axes.values()))

    def __len__(self) -> int:
        return len(self._runs)

    def __repr__(self) -> str:
        axes = " x ".join(f"{name} ({len(values)})" for name, values in self.axes.items()) or "one run"
        sizes = "-".join(map(str, self._trainer.sizes))
        going, diverged = int(self.going.sum()), int(self.diverged.sum())
        state = f"{going} going, {len(self) - going - diverged} stopped, {diverged} diverged"
        return f"<Ensemble {sizes}: {axes}; epoch {self.epoch}, {state}>"

    def __getitem__(self, key: int | slice | tuple[int | slice, ...]) -> "Ensemble":
        keys = key if isinstance(key, tuple) else (key,)
        keys += (slice(None),) * (len(self.axes) - len(keys))
        if len(keys) > len(self.axes) or not all(isinstance(part, slice | Integral) for part in keys):
            raise IndexError(f"{key!r} does not fit the axes {', '.join(self.axes)}; give a number or a slice for each")
        chosen = {name: values[part] for (name, values), part in zip(self.axes.items(), keys, strict=True)}
        rows = np.arange(len(self)).reshape(self.shape)[keys].ravel()
        if not rows.size:
            raise IndexError(f"{key!r} leaves no run; the shape is {self.shape}")
        with self._lock:
            return self._part(rows, chosen, [isinstance(part, slice) for part in keys])

    def choices(self, k: int) -> dict[str, Any]:
        """What run k has on each axis: name -> value."""
        place = np.unravel_index(k, self.shape)
        return self._settled | {name: values[i] for (name, values), i in zip(self.axes.items(), place, strict=True)}

    def training(self, k: int) -> Training:
        """Run k alone, from its start, to be watched by itself."""
        return self._trainer.training(self._runs[k])

    def network(self, k: int) -> Network:
        """A network with the newest parameters of run k."""
        network = self._trainer.network(self._runs[k])
        network.parameters = self._checkpoints[k].parameters
        return network

    # What was recorded

    @property
    def epoch(self) -> int:
        """The newest epoch that all runs still going have reached, -1 before the first."""
        return self._records.epoch

    @property
    def every(self) -> int:
        """The multiples of this are the epochs that are recorded."""
        return self._records.every

    @property
    def index(self) -> np.ndarray:
        """(k,) the recorded epochs: the multiples of `every`, and the newest if all runs have come to it."""
        with self._lock:
            return self._records.index

    @property
    def loss(self) -> np.ndarray:
        """(runs, k) the objective on the training data."""
        return self.series("loss")

    @property
    def accuracy(self) -> np.ndarray:
        """(runs, k) nan for a regression."""
        return self.series("accuracy")

    @property
    def validation_loss(self) -> np.ndarray:
        """(runs, k) nan without validation data."""
        return self.series("validation_loss")

    @property
    def validation_accuracy(self) -> np.ndarray:
        """(runs, k) nan without validation data."""
        return self.series("validation_accuracy")

    @property
    def gradient_norms(self) -> np.ndarray:
        """(runs, k, layers) the L2 norm of each layer's gradient."""
        return self.series("gradient_norms")

    @property
    def weight_norms(self) -> np.ndarray:
        """(runs, k, layers) the L2 norm of each layer's weights."""
        return self.series("weight_norms")

    def series(self, name: str) -> np.ndarray:
        """What was recorded under this name of every run, (runs, k) or (runs, k, layers), as a copy.

        Raises:
            ValueError: For another name than those of the properties.
        """
        if name not in SERIES:
            raise ValueError(f"series {name!r} is unknown; choose one of {', '.join(SERIES)}")
        with self._lock:
            return self._records.series(name)

    @property
    def parameters(self) -> np.ndarray:
        """(runs, n_parameters) each run's, at its newest epoch."""
        return np.array([checkpoint.parameters for checkpoint in self._checkpoints])

    @property
    def going(self) -> np.ndarray:
        """(runs,) which have neither stopped nor diverged."""
        return self._records.going.copy()

    @property
    def diverged(self) -> np.ndarray:
        """(runs,) whose loss or gradient has become infinite or not a number."""
        return self._records.diverged.copy()

    @property
    def stopped_at(self) -> np.ndarray:
        """(runs,) the last epoch that counts, of a run that has stopped or diverged; -1 while it is going.

        A run that is not finite to begin with has diverged at epoch 0.
        """
        with self._lock:
            return np.where(self._records.going, -1, np.maximum(self._records.last, 0))

    # What holds over many

    def median(self, name: str = "loss", over: str | Sequence[str] | None = None) -> np.ndarray:
        """The median over one axis: the lower of the two in the middle where the runs are even in number."""
        return self.quantiles(0.5, name, over)

    def band(
        self, name: str = "loss", over: str | Sequence[str] | None = None, share: float = 0.5
    ) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest of the middle share of the runs: by default, the quartiles."""
        low, high = self.quantiles(((1 - share) / 2, (1 + share) / 2), name, over)
        return low, high

    def quantiles(
        self, q: float | Sequence[float], name: str = "loss", over: str | Sequence[str] | None = None
    ) -> np.ndarray:
        """The quantiles of a series over one axis, or over several: values of runs, never of something in between.

        A share of q of the runs, or more, has this value or less. It is the value of the run at that rank, so infinite
        losses are ranked, too, and spoil nothing.

        over: one of the axes or a sequence of them; without, `seed` where there is one, and all axes elsewhere.
        Returns (remaining axes..., k), and (..., k, layers) for gradient norms; where q is a sequence, one for each.
        Raises ValueError for a name, an axis or a share that does not fit.
        """
        values = self._ahead(self.series(name), over)
        ranked = np.sort(values, axis=0)
        return ranked[np.vectorize(partial(_rank, n=len(values)), otypes=[int])(q)]

    def success(
        self, loss: float | None = None, accuracy: float | None = None, over: str | Sequence[str] | None = None
    ) -> Success:
        """How probable it is that a run has once had a loss of at most this, or an accuracy of at least this.

        Every epoch counts, recorded or not. With both, a run must have had both, though not at once. `over` is that of
        `quantiles`; the results have the remaining axes.
        Raises ValueError when neither is given, or for an axis that does not fit.
        """
        if loss is None and accuracy is None:
            raise ValueError("success at what? Give a loss, an accuracy, or both")
        with self._lock:
            succeeded = np.ones(len(self), bool)
            if loss is not None:
                succeeded &= self._records.least_loss <= loss
            if accuracy is not None:
                succeeded &= self._records.best_accuracy >= accuracy
        return _wilson(self._ahead(succeeded, over))

    # Training

    def advance(self, epochs: int = 1) -> None:
        """Train every run that is still going by so many epochs; the first ever is epoch 0, the untrained network.

        Raises:
            ValueError: If epochs is less than 1.
        """
        for _ in self.pieces(epochs):
            pass

    def pieces(self, epochs: int = 1) -> Iterator[Progress]:
        """What `advance` does, run by run: yields after each, for sharing a thread with others.

        Whoever stops asking leaves the other runs behind; the next call brings all to the same epoch.
        """
        goal = self.epoch + whole("epochs", epochs)
        return self._pieces(goal)

    def train(
        self, epochs: int, executor: Executor | None = None, block: int | None = None
    ) -> Generator[Progress, None, None]:
        """What `advance` does, on all cores, all runs together: yields whenever a part of it has come back.

        Closing the generator cancels: waiting tasks are dropped, those that run end with their block and are forgotten,
        and what has come back stays. Results are those of `advance`, bit for bit.
        Raises ValueError when epochs or block is less than 1, and RuntimeError when a worker fails.

        Args:
            epochs: Number of epochs.
            executor: Any of `concurrent.futures`, which stays open; None for as many processes as there are cores, on
                one BLAS thread each, which end with the generator.
            block: How many epochs of a few runs make a task; None for blocks that grow until they take 0.2 s.
        """
        goal = self.epoch + whole("epochs", epochs)
        return self._train(goal, executor, None if block is None else whole("block", block))

    def _pieces(self, goal: int) -> Iterator[Progress]:
        total = self._left(goal)
        for k in self._behind(goal):
            self._add(k, self._trainer.advance(self._job(k, goal, goal + 1)))
            yield self._progress(goal, total)

    def _train(self, goal: int, executor: Executor | None, block: int | None) -> Generator[Progress, None, None]:
        cargo = _Cargo.of(self._trainer)
        if executor is not None:
            yield from self._shared(goal, block, executor, cargo)
            return
        with processes(_keep, cargo) as pool:
            yield from self._shared(goal, block, pool, cargo._replace(trainer=b""))

    def _shared(
        self, goal: int, block: int | None, executor: Executor, cargo: "_Cargo"
    ) -> Generator[Progress, None, None]:
        """Each group of runs has one task under way at a time; executors take tasks in turn, so groups stay abreast."""
        total = self._left(goal)
        futures: dict[Future[Any], _Group] = {}
        try:
            for group in self._groups(goal, block or FIRST_BLOCK):
                futures[self._submit(executor, cargo, group, goal)] = group
            while futures:
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    group = futures.pop(future)
                    rest = self._gather(future, group, goal, block)
                    if rest.runs:
                        futures[self._submit(executor, cargo, rest, goal)] = rest
                yield self._progress(goal, total)
        finally:
            for future in futures:
                future.cancel()

    def _groups(self, goal: int, block: int) -> list["_Group"]:
        runs = self._behind(goal)
        size = max(1, math.ceil(len(runs) / GROUPS))
        return [_Group(runs[start : start + size], block) for start in range(0, len(runs), size)]

    def _submit(self, executor: Executor, cargo: "_Cargo", group: "_Group", goal: int) -> Future[Any]:
        jobs = [self._job(k, goal, group.block) for k in group.runs]
        with _explained(group):
            return executor.submit(_work, cargo, jobs)

    def _gather(self, future: Future[Any], group: "_Group", goal: int, block: int | None) -> "_Group":
        """Take in what a task has brought; what is left to do for its runs."""
        with _explained(group):
            parts, seconds = future.result()
        for k, part in zip(group.runs, parts, strict=True):
            self._add(k, part)
        behind = [k for k in group.runs if self._records.behind(k, goal)]
        return _Group(behind, block or group.paced(seconds))

    def _job(self, k: int, goal: int, block: int) -> "Job":
        checkpoint = self._checkpoints[k]
        return Job(self._runs[k], checkpoint, min(block, goal - checkpoint.index), self.every)

    def _add(self, k: int, part: "Part") -> None:
        with self._lock:
            if self._records.add(k, part):
                self._checkpoints[k] = part.checkpoint

    def _behind(self, goal: int) -> list[int]:
        """The runs that have epochs to go, the same kinds together."""
        kinds = {kind: i for i, kind in enumerate(dict.fromkeys(run.kind for run in self._runs))}
        behind = [k for k in range(len(self)) if self._records.behind(k, goal)]
        return sorted(behind, key=lambda k: kinds[self._runs[k].kind])

    def _left(self, goal: int) -> int:
        """How many epochs there are to go, all runs together."""
        return int(np.maximum(goal - self._records.last, 0)[self._records.going].sum())

    def _progress(self, goal: int, total: int) -> Progress:
        return Progress(int(self._records.going.sum()), self.epoch, total - self._left(goal), total)

    def _part(self, rows: np.ndarray, chosen: dict[str, Any], kept: list[bool]) -> "Ensemble":
        part = copy(self)
        part.axes = {name: values for (name, values), keep in zip(chosen.items(), kept, strict=True) if keep}
        part._settled = self._settled | {name: value for name, value in chosen.items() if name not in part.axes}
        part._runs, part._checkpoints = [self._runs[k] for k in rows], [self._checkpoints[k] for k in rows]
        part._records, part._trainer, part._lock = self._records.rows(rows), copy(self._trainer), threading.RLock()
        return part

    def _ahead(self, values: np.ndarray, over: str | Sequence[str] | None) -> np.ndarray:
        """Values (runs, ...) as (runs along these axes, remaining axes..., ...)."""
        names = self._averaged(over)
        places = [i for i, name in enumerate(self.axes) if name in names]
        array = np.moveaxis(values.reshape(self.shape + values.shape[1:]), places, range(len(places)))
        return array.reshape(-1, *array.shape[len(places) :])

    def _averaged(self, over: str | Sequence[str] | None) -> tuple[str, ...]:
        if over is None:
            return ("seed",) if "seed" in self.axes else tuple(self.axes)
        names = (over,) if isinstance(over, str) else tuple(over)
        for name in names:
            choose(self.axes, name, "axis")
        return names


class _Group(NamedTuple):
    """Runs that travel together, and how many epochs they are trained at a time."""

    runs: list[int]
    block: int

    def paced(self, seconds: float) -> int:
        """The next block, after this one has taken so long: up to four times as long, down to half."""
        return int(np.clip(self.block * np.clip(TASK_SECONDS / seconds, 0.5, 4.0), 1, LONGEST_BLOCK))


class _Cargo(NamedTuple):
    """A trainer on its way to the workers; without it, its mark, where it has been left before."""

    mark: str
    trainer: bytes

    @classmethod
    def of(cls, trainer: Trainer) -> "_Cargo":
        packed = pickle.dumps(trainer)
        return cls(hashlib.sha256(packed).hexdigest(), packed)


class _Unpacked(threading.local):
    """The trainer this thread has unpacked last: buffers belong to one thread."""

    mark = ""
    trainer: Trainer


_UNPACKED = _Unpacked()
_LEFT: dict[str, bytes] = {}


def _work(cargo: _Cargo, jobs: list[Job]) -> tuple[list[Part], float]:
    """One task, in a worker: what came of the jobs, and how many seconds it took."""
    start = time.perf_counter()
    if _UNPACKED.mark != cargo.mark:
        _UNPACKED.trainer, _UNPACKED.mark = pickle.loads(cargo.trainer or _LEFT[cargo.mark]), cargo.mark
    parts = [_UNPACKED.trainer.advance(job) for job in jobs]
    return parts, time.perf_counter() - start


def _keep(cargo: _Cargo) -> None:
    """Prepare a new worker process: keep the trainer."""
    _LEFT[cargo.mark] = cargo.trainer


@contextmanager
def _explained(group: _Group) -> Iterator[None]:
    """What went wrong in a worker, as a RuntimeError that says with which runs."""
    first, last = group.runs[0], group.runs[-1]
    runs = f"run {first}" if first == last else f"runs {first} to {last}"
    try:
        yield
    except BrokenExecutor as error:
        raise RuntimeError(f"a worker died over {runs}, perhaps for want of memory; what came back is kept") from error
    except Exception as error:
        raise RuntimeError(f"a worker failed at {runs}: {type(error).__name__}: {error}") from error


def _combinations(axes: dict[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """What the runs choose, in order; of the data, its position."""
    places = axes | {"data": range(len(axes["data"]))} if "data" in axes else axes | {}
    return (dict(zip(axes, values, strict=True)) for values in product(*places.values()))


def _values(name: str, values: Any) -> tuple[Any, ...]:
    """The values of an axis, at least one."""
    items = tuple(values) if hasattr(values, "__iter__") and not isinstance(values, str) else ()
    if not items:
        raise ValueError(f"axis {name!r} has the values {values!r}; give a sequence of one or more")
    return items


def _rank(q: float, n: int) -> int:
    """Where the q-quantile stands among n in order, from 0; rounded, since 0.07 * 100 is a little more than 7."""
    if not 0 <= q <= 1:
        raise ValueError(f"quantile {q} is out of bounds; choose a share from 0 to 1")
    return max(0, math.ceil(round(q * n, 9)) - 1)


def _wilson(succeeded: np.ndarray) -> Success:
    """Of (runs, ...) bool."""
    n, z = len(succeeded), NormalDist().inv_cdf(0.975)
    p = succeeded.mean(axis=0)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Success(p, np.maximum(middle - reach, 0.0), np.minimum(middle + reach, 1.0))
