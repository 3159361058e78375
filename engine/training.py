"""A network, its data and an optimizer, advanced epoch by epoch, and what is measured on the way."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice, repeat
from typing import Any

import numpy as np

from engine.aligned_arrays import buffer
from engine.chance import stream
from engine.curvature_kernel import CurvatureKernel
from engine.kernel import Batch, Kernel, Ring, split
from engine.losses import Loss, Penalty, matching_loss
from engine.network import Data, Network
from engine.optimizers import OVERWRITTEN, SGD, Optimizer, State
from engine.schedules import Schedule

NUMBERS = ("loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate")


@dataclass(slots=True)
class Epoch:
    """One recorded epoch: what was measured at `parameters`, before the update that follows it.

    Attributes:
        index: Number of passes over the data behind these parameters; 0 is the untrained network.
        loss: The objective on the whole training data, penalties included.
        accuracy: Share of the training data classified rightly, nan for a regression.
        validation_loss: The data's part of the objective plus the penalties, on the validation data, nan without any.
        validation_accuracy: Likewise.
        learning_rate: Of the next update.
        gradient_norms: (layers,) L2 norm of each layer's gradient, weights and biases together.
        mean_activations: Per hidden layer (units,): each unit's output averaged over the training data.
        parameters: (n_parameters,) laid out like `Network.parameters`.
        block: That it is a row of, if any: whoever takes many epochs takes columns faster.
    """

    index: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    gradient_norms: np.ndarray
    mean_activations: list[np.ndarray]
    parameters: np.ndarray
    block: "Epochs | None" = field(default=None, repr=False, compare=False)


@dataclass(eq=False)
class Epochs:
    """A block of k consecutive epochs as columns; as a sequence, its rows are `Epoch`s.

    The columns are those of `Epoch` with a leading axis k; `mean_activations` holds all hidden layers side by side,
    (k, sum of widths). They are fresh arrays in every block, so what was seen stays true.
    """

    index: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    validation_loss: np.ndarray
    validation_accuracy: np.ndarray
    learning_rate: np.ndarray
    gradient_norms: np.ndarray
    mean_activations: np.ndarray
    parameters: np.ndarray
    widths: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> Epoch:
        if not -len(self) <= i < len(self):
            raise IndexError(f"epoch {i} of a block of {len(self)}; positions go from {-len(self)} to {len(self) - 1}")
        return next(self._epochs(slice(i, i + 1 or None)))

    def __iter__(self) -> Iterator[Epoch]:
        return self._epochs(slice(None))

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The columns by name."""
        return {name: getattr(self, name) for name in COLUMNS}

    def rows(self, selection: slice | np.ndarray) -> "Epochs":
        """The epochs at these positions, a slice, a mask or an array of them, as a block of their own."""
        return Epochs(**{name: column[selection] for name, column in self.columns.items()}, widths=self.widths)

    def then(self, *others: "Epochs") -> "Epochs":
        """These epochs and, after them, those of other blocks of the same network, as a block of their own."""
        columns = {name: np.concatenate([getattr(block, name) for block in (self, *others)]) for name in COLUMNS}
        return Epochs(**columns, widths=self.widths)

    @property
    def finite(self) -> np.ndarray:
        """(k,) False where the loss or a gradient is infinite or not a number: the training has diverged."""
        return np.isfinite(self.loss) & np.isfinite(self.gradient_norms).all(axis=1)

    def _epochs(self, rows: slice) -> Iterator[Epoch]:
        numbers = (getattr(self, name) for name in ("index", *NUMBERS))
        return map(
            Epoch,
            *(column[rows].tolist() for column in numbers),
            self.gradient_norms[rows],
            (split(units, self.widths) for units in self.mean_activations[rows]),
            self.parameters[rows],
            repeat(self),
        )


COLUMNS = tuple(column.name for column in fields(Epochs) if column.name != "widths")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that a training needs to go on from where it was: on the same kind of processor, bit for bit.

    Attributes:
        index: Of the epoch measured last, -1 before the first.
        parameters: (n_parameters,) at that epoch.
        optimizer_state: The optimizer's arrays, empty before the first epoch.
        rng_state: Of the generator that shuffles minibatches.
    """

    index: int
    parameters: np.ndarray
    optimizer_state: State
    rng_state: Mapping[str, Any]


class Training:
    """A network in training on data: `advance(k)` gives the next k epochs.

    `optimizer` and its numbers, `batch_size`, `l1`, `l2`, `schedule` and `layer_rates` may be written at any time
    between two calls of `advance`; they take hold at the next update. The network itself may not: the next update's
    gradient is known already. The path does not depend on how the epochs are divided into calls.
    A training that diverges goes on, silently, with infinities and nans: see `Epochs.finite`.
    Raises ValueError when loss, data, batch size or penalties do not fit.

    Attributes:
        network, data: The network is trained in place; after `advance` it holds the parameters of the last epoch given.
        loss: A name, or None for the output's own.
        optimizer: An instance, or None for gradient descent with a learning rate of 0.1.
        batch_size: Examples per update; None for all of them, which makes one update per epoch.
        seed: Of the order in which minibatches are drawn, a new one every epoch.
        l1, l2: Strengths of the penalties on the weights.
        validation: Data that is measured but not learned from.
        schedule: An instance that multiplies the learning rate, or None.
        layer_rates: What the learning rate is multiplied by in each layer, the output's last; None for 1 in all. The
            network's parametrization comes on top.
    """

    def __init__(
        self,
        network: Network,
        data: Data,
        loss: str | None = None,
        optimizer: Optimizer | None = None,
        batch_size: int | None = None,
        seed: int = 0,
        l1: float = 0.0,
        l2: float = 0.0,
        validation: Data | None = None,
        schedule: Schedule | None = None,
        layer_rates: Sequence[float] | None = None,
    ) -> None:
        self.network, self.data, self.loss, self._loss = network, data, loss, matching_loss(loss, network.output)
        self.optimizer = SGD() if optimizer is None else optimizer
        self.batch_size, self.l1, self.l2, self.schedule = batch_size, l1, l2, schedule
        self.layer_rates = layer_rates
        self._rates_known: tuple[int, tuple[float, ...]] | None = None
        self._learn_rates()
        self._rng = stream(seed, "minibatches")
        self._index = -1
        self._data = network.batch(data, self._loss)
        self._kernel = Kernel(network, self._loss, self._data.n)
        self._ring = Ring(self._kernel, self._data.targets, _depth(self._kernel))
        self._validation = None if validation is None else _Validation(network, validation, self._loss, self._ring)
        self._in_use: Optimizer | None = None
        self._penalty: Penalty = network.penalty(l1, l2)
        self._minibatches = _Minibatches(network, self._data, self._loss, batch_size)
        self._curvatures: dict[int, CurvatureKernel] = {}

    def advance(self, k: int = 1) -> Epochs:
        """Train until k more epochs have been measured; the first ever is epoch 0, the untrained network.

        Raises:
            ValueError: If k is less than 1, or when an attribute was given a value that does not fit.
        """
        (epochs,) = (block for block in self.pieces(k, updates=None) if block is not None)
        return epochs

    def pieces(self, k: int = 1, updates: int | None = 64) -> Iterator[Epochs | None]:
        """What `advance` does, in pieces of at most so many updates: yields None after each, and the epochs in the end.

        For sharing a thread with others: an epoch in small batches may be long. Take the last piece before asking for
        anything else of this training.
        """
        if k < 1:
            raise ValueError(f"{k} epochs cannot be trained; choose 1 or more")
        epochs = _blank(k, self.network)
        work = self._work(epochs)
        while self._some(work, updates):
            yield None
        yield epochs

    def checkpoint(self) -> Checkpoint:
        """Where the training is now, as copies."""
        kept = {name: array for name, array in self._state.items() if name not in OVERWRITTEN} if self._in_use else {}
        state = _copied(kept)
        return Checkpoint(self._index, self.network.parameters.copy(), state, self._rng.bit_generator.state)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of this training, or of another one with the same arguments.

        The optimizer is the present one, so it must be of the kind that the checkpoint's was.
        Raises ValueError when the checkpoint is of another network.
        """
        self.network.parameters = checkpoint.parameters
        self._index = checkpoint.index
        self._rng.bit_generator.state = checkpoint.rng_state
        self._begin()
        self._state |= _copied(checkpoint.optimizer_state)
        self._retune()
        with np.errstate(all="ignore"):
            self._measure()

    def _some(self, work: Iterator[None], updates: int | None) -> bool:
        """Do that many updates, or all; whether there may be more to do."""
        with np.errstate(all="ignore"):
            return sum(1 for _ in islice(work, updates)) == updates

    def _begin(self) -> None:
        """Take up the optimizer, with the state before its first step."""
        self._in_use, self._state = self.optimizer, self.optimizer.start(self.network.parameters)
        if "is_bias" in self._state:
            self._state["is_bias"][...] = 1.0 - self._penalty.is_weight

    def _retune(self) -> None:
        """Take up what was written to the attributes since the last call."""
        if self.optimizer is not self._in_use:
            self._begin()
        self._learn_rates()
        if self.batch_size != self._minibatches.size:
            self._minibatches = _Minibatches(self.network, self._data, self._loss, self.batch_size)
        if (self.l1, self.l2) != (self._penalty.l1, self._penalty.l2):
            self._penalty = self.network.penalty(self.l1, self.l2)
            self._measure()

    @property
    def rates(self) -> np.ndarray | None:
        """(n_parameters,) what the learning rate is multiplied by for each parameter; None where that is 1 for all."""
        return self.network.rates(self.optimizer.degree, self.layer_rates)

    @property
    def preconditioner(self) -> np.ndarray | None:
        """(n_parameters,) by what the update after the epoch measured last divides, with all data as its batch.

        None for an optimizer that divides by nothing, and before the first epoch.
        """
        if self._in_use is None:
            return None
        return self.optimizer.preconditioner(self._state, self._kernel.gradient)

    def _learn_rates(self) -> None:
        """Work out what the learning rate is multiplied by for each parameter, where that is not known yet."""
        wanted = self.optimizer.degree, tuple(self.layer_rates or ())
        if wanted != self._rates_known:
            self._multipliers, self._rates_known = self.network.rates(*wanted), wanted

    def _work(self, epochs: Epochs) -> Iterator[None]:
        """Train and record as many epochs as there are rows; yields after every update."""
        self._retune()
        k, depth = len(epochs), self._ring.depth
        for start in range(0, k, depth):
            yield from self._fill(epochs, range(start, min(start + depth, k)))

    def _fill(self, epochs: Epochs, rows: range) -> Iterator[None]:
        """Train and record as many epochs as there are rows, at most the ring's depth, then reduce them at once."""
        kernel, store, parameters = self._kernel, self._ring.store, self.network.parameters
        for slot, row in enumerate(rows):
            if self._index >= 0:
                yield from self._updates()
            self._index += 1
            self._measure()
            kernel.average()
            store(slot)
            epochs.parameters[row] = parameters
        self._reduce(epochs, slice(rows.start, rows.stop))

    def _measure(self) -> None:
        """The whole data's logits and the objective's gradient at the present parameters."""
        self._kernel.gradient_of(self._data, self._penalty)

    def _updates(self) -> Iterator[None]:
        """From the epoch last measured to the next, update by update."""
        parameters, rate, curved = self.network.parameters, self._rate(self._index), self.optimizer.second_order
        if self._multipliers is not None:
            rate = rate * self._multipliers
        if not self._minibatches.parts:
            if curved:
                self._write_hessian(self._data)
            self.optimizer.step(parameters, self._kernel.gradient, self._state, rate)
            yield
            return
        for kernel, batch in self._minibatches.shuffled(self._rng):
            kernel.gradient_of(batch, self._penalty)
            if curved:
                self._write_hessian(batch)
            self.optimizer.step(parameters, kernel.gradient, self._state, rate)
            yield

    def _write_hessian(self, batch: Batch) -> None:
        """The objective's Hessian on this batch, to where a second-order optimizer looks for it."""
        if batch.n not in self._curvatures:
            self._curvatures[batch.n] = CurvatureKernel(self.network, self._loss, batch.n)
        kernel = self._curvatures[batch.n]
        kernel.linearize(batch)
        kernel.hessian(self._penalty, self._state["hessian"])

    def _rate(self, index: int) -> float:
        factor = 1.0 if self.schedule is None else self.schedule.factor(index)
        return self.optimizer.learning_rate * factor

    def _rates(self, index: range) -> float | list[float]:
        """The learning rate at each of these epochs; one number where it is the same at all."""
        return self.optimizer.learning_rate if self.schedule is None else [self._rate(i) for i in index]

    def _reduce(self, epochs: Epochs, rows: slice) -> None:
        count = rows.stop - rows.start
        index = range(self._index - count + 1, self._index + 1)
        epochs.index[rows] = index
        epochs.learning_rate[rows] = self._rates(index)
        penalty = self._penalty.value(epochs.parameters[rows])
        epochs.loss[rows] = self._ring.losses(count) + penalty
        epochs.accuracy[rows] = self._ring.accuracies(count)
        epochs.gradient_norms[rows] = self._ring.gradient_norms(count)
        epochs.mean_activations[rows] = self._ring.mean_activations(count)
        if self._validation is not None:
            self._validation.measure(epochs.parameters[rows])
            epochs.validation_loss[rows] = self._validation.ring.losses(count) + penalty
            epochs.validation_accuracy[rows] = self._validation.ring.accuracies(count)


def train(
    network: Network,
    data: Data,
    loss: str | None = None,
    optimizer: Optimizer | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    l1: float = 0.0,
    l2: float = 0.0,
    validation: Data | None = None,
    schedule: Schedule | None = None,
    block: int = 64,
    layer_rates: Sequence[float] | None = None,
) -> Generator[Epoch, None, None]:
    """Every epoch from 0, the untrained network, on: an iterator without end.

    The arguments are those of `Training`. Epochs are trained ahead in blocks that grow to `block`, on which the path
    does not depend: the network mirrors the epoch in hand, and numbers written to the optimizer take hold at the next
    block. Raises ValueError, at the first epoch, when the arguments do not fit.
    """
    if block < 1:
        raise ValueError(f"a block of {block} epochs is impossible; choose 1 or more")
    training = Training(
        network.copy(), data, loss, optimizer, batch_size, seed, l1, l2, validation, schedule, layer_rates
    )
    ahead = 1
    while True:
        for epoch in training.advance(ahead):
            network.parameters = epoch.parameters
            yield epoch
        ahead = min(2 * ahead, block)


class _Minibatches:
    """The data cut into batches of `size`, the last one smaller if need be; no parts if one batch holds all of it."""

    def __init__(self, network: Network, data: Batch, loss: Loss, size: int | None) -> None:
        if size is not None and (int(size) != size or size < 1):
            raise ValueError(f"batch size {size} is impossible; choose a whole number of 1 or more, or None for all")
        self.size, self._data = size, data
        self.parts = [] if size is None or size >= data.n else self._cut(network, loss, int(size))

    def shuffled(self, rng: np.random.Generator) -> list[tuple[Kernel, Batch]]:
        """All batches in a new order of the examples, each with the kernel for its size."""
        self._data.take(rng.permutation(self._data.n), out=self._order)
        return self.parts

    def _cut(self, network: Network, loss: Loss, size: int) -> list[tuple[Kernel, Batch]]:
        self._order = Batch(*(buffer(array.shape) for array in self._data))
        n = self._data.n
        batches = [self._order.part(start, min(start + size, n)) for start in range(0, n, size)]
        kernels = {n: Kernel(network, loss, n) for n in {batch.n for batch in batches}}
        return [(kernels[batch.n], batch) for batch in batches]


class _Validation:
    """Data that is measured at parameters of the past."""

    def __init__(self, network: Network, data: Data, loss: Loss, trained: Ring) -> None:
        self._network = network.copy()
        self._batch = self._network.batch(data, loss)
        self._kernel = Kernel(self._network, loss, self._batch.n)
        self.ring = Ring(self._kernel, self._batch.targets, trained.depth)

    def measure(self, rows: np.ndarray) -> None:
        """Fill the ring with the logits at each row of parameters, (at most depth, n_parameters)."""
        for slot, parameters in enumerate(rows):
            self._network.parameters = parameters
            self._kernel.forward(self._batch.x)
            self.ring.store(slot)


def _copied(state: State) -> State:
    return {name: array.copy() for name, array in state.items()}


def _depth(kernel: Kernel) -> int:
    """How many epochs to keep raw: up to 64, as long as they take no more than 256 KiB, a quarter of a core's cache."""
    return int(np.clip(2**18 // kernel.outcome.nbytes, 1, 64))


def _blank(k: int, network: Network) -> Epochs:
    numbers = {name: np.full(k, np.nan) for name in NUMBERS}
    return Epochs(
        index=np.empty(k, dtype=np.int64),
        **numbers,
        gradient_norms=np.empty((k, len(network.sizes) - 1)),
        mean_activations=np.empty((k, sum(network.widths))),
        parameters=np.empty((k, network.n_parameters)),
        widths=network.widths,
    )
