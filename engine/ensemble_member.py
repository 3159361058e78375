"""The runs of an ensemble, one by one: what each consists of, and a trainer that continues any of them."""

import math
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, fields, is_dataclass, replace
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from engine.chance import SharedSeed, stream
from engine.initializers import INITIALIZERS, Initializer
from engine.losses import LOSSES
from engine.measures import weight_norms
from engine.network import Data, Network
from engine.optimizers import OPTIMIZERS, Optimizer
from engine.options import choose
from engine.schedules import SCHEDULES, Schedule
from engine.training import Checkpoint, Epochs, Training

NUMBERS = ("loss", "accuracy", "validation_loss", "validation_accuracy")
SERIES = (*NUMBERS, "gradient_norms", "weight_norms")
"""What is recorded of every run."""

FAMILIES = {"optimizer": OPTIMIZERS, "initializer": INITIALIZERS, "schedule": SCHEDULES}
DUTIES = {"optimizer": "step", "initializer": "__call__", "schedule": "factor"}
"""The method by which a member of a family is known."""

HOT = 8
"""How many trainings keep their buffers."""


@dataclass(frozen=True)
class Replica:
    """All that makes one run but for the architecture; `data` is a position among the datasets."""

    data: int
    seed: int
    activation: str | tuple[str, ...]
    initializer: Initializer
    skip: bool
    bias: float
    bias_std: float
    has_biases: bool
    loss: str | None
    optimizer: Optimizer
    batch_size: int | None
    l1: float
    l2: float
    schedule: Schedule | None
    parametrization: str
    output_scale: float
    layer_rates: tuple[float, ...]
    batch_seed: int | None

    @property
    def kind(self) -> tuple[Any, ...]:
        """Runs of a kind can take turns in one training."""
        scale = self.has_biases, self.parametrization, self.output_scale
        return self.data, self.activation, self.skip, *scale, self.loss, self.batch_size

    @property
    def drawn_from(self) -> int:
        """The seed of the order of its minibatches."""
        return self.seed if self.batch_seed is None else self.batch_seed


CHOICES = tuple(choice.name for choice in fields(Replica))


class Job(NamedTuple):
    """A run to be taken a little further."""

    run: Replica
    checkpoint: Checkpoint
    epochs: int
    every: int


@dataclass
class Part:
    """What came of a job.

    Attributes:
        checkpoint: Where the run is now; where it has ended, at the last epoch that counts.
        blocks: The recorded epochs, as columns.
        newest: The numbers of the newest epoch that counts; if there is none, of the untrained network.
        ending: "stopped", "diverged" or nothing.
    """

    checkpoint: Checkpoint
    blocks: list[dict[str, np.ndarray]] = field(default_factory=list)
    newest: dict[str, np.ndarray] = field(default_factory=dict)
    least_loss: float = math.inf
    best_accuracy: float = -math.inf
    ending: str = ""

    def extend(self, epochs: Epochs, every: int, sizes: tuple[int, ...]) -> None:
        """Add epochs that count."""
        rows = _multiples(epochs.index, every)
        self.blocks.append({"index": epochs.index[rows], **_measured(epochs.rows(rows), sizes)})
        self.newest = _newest(epochs, -1, sizes)
        self.least_loss = min(self.least_loss, float(epochs.loss.min()))
        self.best_accuracy = max(self.best_accuracy, float(epochs.accuracy.max()))


class Trainer:
    """Trains any of the runs; it keeps buffers, but nothing of the runs themselves."""

    def __init__(
        self, sizes: Sequence[int], output: str, datasets: tuple[Any, ...], validation: Data | None, stop_loss: float
    ) -> None:
        self.sizes, self._output, self._datasets = tuple(sizes), output, datasets
        self._validation, self._stop_loss = validation, stop_loss
        self._hot: dict[tuple[Any, ...], Training] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_hot": {}}

    def starts(self, runs: list[Replica]) -> list[Checkpoint]:
        """Where each run starts. Raises ValueError for the first that cannot."""
        for run in {run.kind: run for run in runs}.values():
            self._training(run)
        networks = [self.network(run) for run in runs]
        for l1, l2 in {(run.l1, run.l2) for run in runs}:
            networks[0].penalty(l1, l2)
        for optimizer in {type(run.optimizer): run.optimizer for run in runs}.values():
            optimizer.start(networks[0].parameters)
        for degree, rates in {(run.optimizer.degree, run.layer_rates) for run in runs}:
            networks[0].rates(degree, rates)
        states = [stream(run.drawn_from, "minibatches").bit_generator.state for run in runs]
        return [Checkpoint(-1, network.parameters, {}, state) for network, state in zip(networks, states, strict=True)]

    def network(self, run: Replica) -> Network:
        """The untrained network."""
        return Network(
            self.sizes,
            run.activation,
            self._output,
            run.initializer,
            run.seed,
            run.skip,
            run.bias,
            run.bias_std,
            run.has_biases,
            run.parametrization,
            run.output_scale,
        )

    def training(self, run: Replica) -> Training:
        """A training from the start."""
        return Training(
            self.network(run),
            self._datasets[run.data],
            run.loss,
            copy(run.optimizer),
            run.batch_size,
            run.drawn_from,
            run.l1,
            run.l2,
            self._validation,
            run.schedule,
            run.layer_rates,
        )

    def advance(self, job: Job) -> Part:
        """The run's next epochs: as many as asked for, or until it ends."""
        training, part = self._training(job.run), Part(job.checkpoint)
        training.restore(job.checkpoint)
        for size in _portions(job.epochs, len(job.checkpoint.parameters)):
            epochs = training.advance(size)
            count, part.ending = self._end(epochs)
            if count:
                part.extend(epochs.rows(slice(count)), job.every, self.sizes)
            elif epochs.index[0] == 0:
                part.newest = _newest(epochs, 0, self.sizes)
            if part.ending:
                part.checkpoint = _frozen(part.checkpoint, epochs, count)
                break
            part.checkpoint = training.checkpoint()
        return part

    def _training(self, run: Replica) -> Training:
        """A training with hot buffers, set to this run's numbers, at any parameters."""
        training = self._hot.pop(run.kind, None) or self.training(run)
        self._hot[run.kind] = training
        if len(self._hot) > HOT:
            del self._hot[next(iter(self._hot))]
        training.optimizer, training.schedule = run.optimizer, run.schedule
        training.l1, training.l2, training.layer_rates = run.l1, run.l2, run.layer_rates
        return training

    def _end(self, epochs: Epochs) -> tuple[int, str]:
        """How many of these epochs count, and why there are no more."""
        diverged = ~epochs.finite
        ends = diverged | (epochs.loss <= self._stop_loss)
        if not ends.any():
            return len(epochs), ""
        first = int(ends.argmax())
        return (first, "diverged") if diverged[first] else (first + 1, "stopped")


def _portions(epochs: int, n_parameters: int) -> Iterator[int]:
    """So many epochs in blocks whose recorded parameters stay within 2 MiB."""
    most = int(np.clip(2**18 // n_parameters, 1, 256))
    return (min(most, epochs - start) for start in range(0, epochs, most))


def _frozen(before: Checkpoint, epochs: Epochs, count: int) -> Checkpoint:
    """Where a run ended: at the last of the epochs that count, or where it was before."""
    if not count:
        return before
    return Checkpoint(int(epochs.index[count - 1]), epochs.parameters[count - 1].copy(), {}, before.rng_state)


def _multiples(index: np.ndarray, every: int) -> slice:
    """Where in a block of consecutive epochs the multiples of `every` are."""
    return slice(-int(index[0]) % every, None, every)


def _measured(epochs: Epochs, sizes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The recorded series of some epochs."""
    recorded = {name: getattr(epochs, name) for name in SERIES if name != "weight_norms"}
    with np.errstate(over="ignore"):
        return {**recorded, "weight_norms": weight_norms(epochs.parameters, sizes)}


def _newest(epochs: Epochs, row: int, sizes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Those of one epoch."""
    return {name: column[0] for name, column in _measured(epochs.rows(np.array([row])), sizes).items()}


def replica(chosen: dict[str, Any]) -> Replica:
    """The run with these choices, and with these numbers of its optimizer, initializer or schedule."""
    arguments = {name: _checked(name, chosen[name]) for name in CHOICES}
    for name in [name for name in chosen if name not in CHOICES]:
        family = next((family for family in FAMILIES if name in _numbers(arguments[family])), None)
        if family is None:
            numbers = [number for family in FAMILIES for number in _numbers(arguments[family])]
            raise ValueError(f"axis {name!r} is unknown; choose one of {', '.join([*CHOICES, *numbers])}")
        arguments[family] = replace(arguments[family], **{name: _number(name, chosen[name])})
    return Replica(**arguments)


def _checked(name: str, value: Any) -> Any:
    """A run's choice of this name. Raises ValueError for what Network and Training would not judge themselves."""
    if name in FAMILIES:
        return _member(name, value)
    if name == "activation":
        return value if isinstance(value, str) else tuple(value)
    if name in ("bias", "bias_std", "l1", "l2", "output_scale"):
        return _number(name, value)
    if name == "layer_rates":
        return tuple(_number(name, rate) for rate in value or ())
    if name == "seed" or (name == "batch_seed" and value is not None):
        seed = whole(name, value, least=0)
        return SharedSeed(seed) if isinstance(value, SharedSeed) else seed
    if name == "batch_size":
        return None if value is None else _number(name, value)
    if name == "loss" and value is not None:
        choose(LOSSES, value, name)
    return value


def _member(family: str, value: Any) -> Any:
    """A member of a family of its own, from its name or another instance; the schedule may be None."""
    if isinstance(value, str):
        return choose(FAMILIES[family], value, family)()
    if (value is None and family != "schedule") or isinstance(value, type) or not _has_duty(family, value):
        raise ValueError(f"{family} {value!r} is none; give an instance, or one of {', '.join(FAMILIES[family])}")
    return copy(value)


def _has_duty(family: str, value: Any) -> bool:
    return value is None or hasattr(value, DUTIES[family])


def _numbers(member: Any) -> list[str]:
    """The names of the numbers of an optimizer, initializer or schedule."""
    return [number.name for number in fields(member)] if is_dataclass(member) else []


def _number(name: str, value: Any) -> Any:
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name} {value!r} is not a number that runs can have; choose a finite one")
    return value


def whole(name: str, value: Any, least: int = 1) -> int:
    """A whole number. Raises ValueError for what is none, or less than the least."""
    if not isinstance(value, Real) or value != value // 1 or value < least:
        raise ValueError(f"{name} {value!r} is impossible; choose a whole number of {least} or more")
    return int(value)  # pyright: ignore[reportArgumentType] (typeshed's Real has no __int__)


def threshold(stop_loss: float | None) -> float:
    """The loss at which a run stops: without one, a loss that none has."""
    return -math.inf if stop_loss is None else _number("stop_loss", stop_loss)
