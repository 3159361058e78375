"""Measurements on a network that say how it learns.

Most are pure functions of arrays that were recorded or traced, one row per example, one column per unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from engine.activations import ACTIVATIONS, Activation
from engine.backpropagation import Backpropagation
from engine.network import Data, Network, Trace
from engine.options import choose
from engine.training import Epochs

DIM = 1e-3
FLAT = 0.01
HUGE = 1e100
FATES = ("dead", "dim", "saturated", "alive")
FATE = np.dtype("<U9")


def gradient_norms(weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> np.ndarray:
    """How strongly each layer is pulled: the L2 norm of its gradient, weights and biases together.

    Compare layers on a logarithmic axis, and look at the norms before their ratios: ratios are near one, too, where
    all layers are stuck.

    Takes one array per layer, as in `Gradient.weights` and `Gradient.biases`. Returns (layers,).
    """
    return np.array([np.hypot(_norm(w), _norm(b)) for w, b in zip(weights, biases, strict=True)])


def weight_norms(parameters: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """How large each layer's weights are: their L2 norm, biases left out.

    parameters (..., n_parameters), laid out like `Network.parameters` of a network of these sizes.
    Returns (..., layers).
    """
    squares = np.square(parameters)
    ends = np.cumsum([0, *((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))])
    weights = [(start, stop - fan_out) for (start, stop), fan_out in zip(pairwise(ends), sizes[1:], strict=True)]
    return np.sqrt(np.stack([squares[..., start:stop].sum(axis=-1) for start, stop in weights], axis=-1))


def update_ratios(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> np.ndarray:
    """How far each layer moved, as a share of its size: |after - before| / |before|.

    About 1e-3 per update is healthy; far below, a layer stands still, far above, it forgets what it was.

    Takes one array per layer, such as `Network.weights` at two epochs. Returns (layers,); a layer of zeros has infinite
    ratio once it moves, nan as long as it does not.
    """
    moved = np.array([_norm(new - old) for old, new in zip(before, after, strict=True)])
    with np.errstate(divide="ignore", invalid="ignore"):
        return moved / np.array([_norm(old) for old in before])


def gradient_to_weight_ratios(gradients: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> np.ndarray:
    """How strongly each layer is pulled, as a share of its size: |gradient| / |weights|.

    Times the learning rate it is the update ratio of plain gradient descent; other optimizers rescale it.

    Takes one array per layer, such as `Gradient.weights` and `Network.weights`. Returns (layers,); a layer of zeros has
    infinite ratio if it is pulled at all, else nan.
    """
    pulled = np.array([_norm(g) for g, _ in zip(gradients, weights, strict=True)])
    with np.errstate(divide="ignore", invalid="ignore"):
        return pulled / np.array([_norm(w) for w in weights])


def cosines(path: np.ndarray) -> np.ndarray:
    """Whether a path goes straight on: the cosine between each step and the next.

    1 is straight on, 0 a right angle, -1 straight back, as in a zigzag across a narrow valley. In hundreds of
    dimensions two steps that have nothing to do with each other are nearly at right angles.

    path (k, n_parameters). Returns (k - 2,), nothing of a shorter path; nan where a step has no length.
    """
    steps = np.diff(np.asarray(path, dtype=np.float64), axis=0)
    # Each step as a share of its largest entry: squares of tiny steps would all be 0.
    with np.errstate(all="ignore"):
        steps = steps / np.abs(steps).max(axis=1, keepdims=True, initial=0.0)
        steps = steps / np.linalg.norm(steps, axis=1, keepdims=True)
        return np.clip((steps[1:] * steps[:-1]).sum(axis=1), -1.0, 1.0)


def example_gradient_norms(network: Network, data: Data, loss: str | None = None) -> np.ndarray:
    """How strongly each example pulls at each layer: the L2 norm of its own gradient, weights and biases together.

    An example's gradient is that of its own cost; their mean is the gradient of the loss. None of them is formed: in a
    layer it is an outer product, whose norm is the product of two. Penalties pull at all examples alike and are left
    out.

    Returns (n, layers); the norm over all layers is the root of the sum of squares.
    Source: Goodfellow 2015, "Efficient per-example gradient computations".
    """
    passes, n, one = Backpropagation(network, data, loss), len(data.x), float(network.has_biases)
    with np.errstate(all="ignore"):
        norms = [
            np.sqrt(one + (passes[f"a{i - 1}"] ** 2).sum(axis=1)) * np.linalg.norm(n * passes[f"dz{i}"], axis=1)
            for i in range(1, len(network.sizes))
        ]
    return np.stack(norms, axis=1)


def gradient_noise_scale(
    network: Network, data: Data, loss: str | None = None, l1: float = 0.0, l2: float = 0.0
) -> float:
    """The batch size at which a minibatch's gradient is as much noise as signal: tr(Sigma) / |G|^2.

    Sigma is the covariance of the examples' gradients, G the gradient of the loss. Much smaller batches pull mostly at
    random, much larger ones say little more than this size does. It grows as training converges: at a minimum G is 0.
    The data stand for all there is; for examples drawn from elsewhere it is a little too small.

    Other arguments are those of `Network.loss`. Returns nan where no example pulls, infinity where all cancel out.
    Source: McCandlish et al. 2018, equation 2.9, the simple noise scale.
    """
    norms = example_gradient_norms(network, data, loss)
    mean, whole = network.gradient(data, loss).flat, network.gradient(data, loss, l1, l2).flat
    with np.errstate(all="ignore"):
        squares = (norms**2).sum(axis=1).mean()
        return float(np.maximum(squares - mean @ mean, 0.0) / (whole @ whole))


@dataclass(frozen=True, eq=False)
class PreActivations:
    """The distribution of one layer's pre-activations z over units and examples.

    Attributes:
        counts: (bins,) how many lie in each bin.
        edges: (bins + 1,).
        outside: The share that lies beyond the edges, is infinite or not a number.
        flat: The share at which the activation's slope is below 0.01.
        saturated: The share of the units that are saturated, as in `saturated_units`.
    """

    counts: np.ndarray
    edges: np.ndarray
    outside: float
    flat: float
    saturated: float


def pre_activation_histograms(
    trace: Trace, activations: Sequence[str], bins: int = 40, bounds: tuple[float, float] | None = None
) -> list[PreActivations]:
    """Where each hidden layer's pre-activations lie, to be drawn over its activation's curve.

    A layer works where the curve bends; where the curve is flat, no gradient comes through. A flat stretch is not
    always a fault: half of a healthy ReLU layer lies on one.

    activations are the hidden layers' names, `Network.activations`; without bounds each layer's own are taken.
    Returns one `PreActivations` per hidden layer.
    Raises ValueError for bins or bounds that hold nothing.
    """
    if bins < 1:
        raise ValueError(f"{bins} bins hold nothing; choose 1 or more")
    if bounds is not None and not bounds[0] < bounds[1]:
        raise ValueError(f"bounds {bounds} hold nothing; the first number must be less than the second")
    layers = zip(trace.pre_activations, activations, strict=True)
    return [_pre_activations(z, choose(ACTIVATIONS, name, "activation"), bins, bounds) for z, name in layers]


def dead_units(activations: np.ndarray) -> np.ndarray:
    """Which units never fire: their activation is exactly 0 for every example.

    No gradient passes through a dead ReLU, so only a change in the layers below can wake it. Whether a unit is dead
    depends on the examples; a leaky unit is never dead.

    activations (n, units), of the whole training data. Returns (units,) bool.
    """
    return (activations == 0).all(axis=0)


class OwnMeans:
    """The mean activation of every unit itself, from recorded ones, which hold what skip connections add.

    Attributes:
        network: Any with the same layers; its parameters do not matter.
        x: The examples that were recorded.
    """

    def __init__(self, network: Network, x: np.ndarray) -> None:
        self._network, self._x = network.copy(), np.asarray(x, dtype=np.float64)
        with np.errstate(all="ignore"):
            self._below = self._x.mean(axis=0)
        self._skips, self._widths = network.skips, network.widths

    def of(self, mean_activations: np.ndarray) -> np.ndarray:
        """(..., units), up to the rounding of what was added; mean_activations alike, hidden layers side by side."""
        if not any(self._skips):
            return mean_activations
        layers = np.split(mean_activations, np.cumsum(self._widths)[:-1], axis=-1)
        below = [np.broadcast_to(self._below, (*mean_activations.shape[:-1], len(self._below))), *layers]
        with np.errstate(all="ignore"):
            own = [a - b if skip else a for a, b, skip in zip(layers, below, self._skips, strict=False)]
        return np.concatenate(own, axis=-1)

    def zero(self, epochs: Epochs) -> np.ndarray:
        """(k, units) where a mean is exactly 0: a unit whose activation has one sign then fires on no example.

        Where a skip connection leaves rounding, the passes forward are made again.
        """
        means, own = epochs.mean_activations, self.of(epochs.mean_activations)
        if own is means:
            return means == 0
        with np.errstate(all="ignore"):
            near = np.abs(own) <= 1e-9 * (1 + np.abs(means))
        zero = np.zeros(near.shape, bool)
        for row in np.flatnonzero(near.any(axis=1)):
            self._network.parameters[:] = epochs.parameters[row]
            zero[row] = near[row] & self._dead()
        return zero

    def _dead(self) -> np.ndarray:
        network = self._network
        with np.errstate(all="ignore"):
            trace = network.trace(self._x)
            layers = zip(network.functions, trace.pre_activations, strict=True)
            return np.concatenate([dead_units(f.function(z)) for f, z in layers])


def dim_units(mean_activations: np.ndarray, threshold: float = DIM) -> np.ndarray:
    """Which units say next to nothing: the mean size of their activation is below the threshold.

    Dead units are dim, but most dim units are alive: they fire, and learn, only faintly.

    mean_activations (..., units): the mean of |activation| over the examples. Recorded mean activations do, as long as
    an activation has one sign, as ReLU and sigmoid have: a tanh unit may shout plus and minus one and average to zero.
    Returns bool, shaped alike.
    """
    return np.abs(mean_activations) < threshold


def saturated_units(
    activations: np.ndarray, slopes: np.ndarray, threshold: float = FLAT, share: float = 0.9
) -> np.ndarray:
    """Which units are pressed against a bound: they give something, but no longer react to what they get.

    That is so for an example if the activation's slope is below the threshold and the activation is not 0. A unit is
    saturated if it is so for the given share of the examples; what it has learned is frozen in.

    activations and slopes (n, units), slopes being `Activation.slope` of the pre-activations. Returns (units,) bool.
    """
    pressed = (np.abs(slopes) < threshold) & (activations != 0)
    return pressed.mean(axis=0) >= share


def unit_fates(trace: Trace, activations: Sequence[str]) -> list[np.ndarray]:
    """What became of every unit: "dead", else "dim", else "saturated", else "alive".

    A unit is judged by its own output, without what a skip connection adds to it. "dim" here counts those units only
    that are not dead, so that every unit has one fate.

    activations are the hidden layers' names, `Network.activations`. Returns per hidden layer (units,) of names.
    """
    return [_fates(z, name) for z, name in zip(trace.pre_activations, activations, strict=True)]


class Fates:
    """What became of every unit, and since when, told epoch by epoch; it remembers one epoch, not the history.

    Epochs that are left out are not looked at: a fate is as old as the first look that saw it.

    Attributes:
        now: (units,) every unit's latest fate, all hidden layers side by side.
        since: (units,) the epoch in which it was first seen with that fate, which it has had ever since.
        revivals: (units,) how often it has come back from the dead.
        index: The latest epoch, None before the first.
    """

    def __init__(self) -> None:
        self.index: int | None = None
        self.now, self.since, self.revivals = np.empty(0, FATE), np.empty(0, np.int64), np.empty(0, np.int64)

    def update(self, index: int, fates: Sequence[np.ndarray]) -> None:
        """Take note of an epoch's fates, one array per hidden layer, as `unit_fates` gives them.

        Raises:
            ValueError: If the epoch is not later than the latest, or the number of units is another.
        """
        now = np.concatenate([np.empty(0, FATE), *map(np.atleast_1d, fates)])
        if self.index is None:
            self.since, self.revivals = np.full(now.shape, index), np.zeros(now.shape, np.int64)
        else:
            self._compare(index, now, self.index)
        self.index, self.now = index, now

    @property
    def deaths(self) -> np.ndarray:
        """(units,) the epoch of death of the units that are dead now, nan for the others."""
        return np.where(self.now == "dead", self.since, np.nan)

    def counts(self) -> dict[str, int]:
        """How many units have each fate now."""
        return {fate: int(np.count_nonzero(self.now == fate)) for fate in FATES}

    def _compare(self, index: int, fates: np.ndarray, latest: int) -> None:
        if not index > latest:
            raise ValueError(f"epoch {index} is not later than {latest}; tell epochs in their order")
        if fates.shape != self.now.shape:
            raise ValueError(f"{len(fates)} fates do not go with {len(self.now)} units; begin new Fates for a new run")
        changed = fates != self.now
        self.revivals = self.revivals + (changed & (self.now == "dead"))
        self.since = np.where(changed, index, self.since)


def _fates(z: np.ndarray, name: str) -> np.ndarray:
    activation = ACTIVATIONS[name]
    a = activation.function(z)
    fates = {
        "dead": dead_units(a),
        "dim": dim_units(np.abs(a).mean(axis=0)),
        "saturated": saturated_units(a, activation.slope(z)),
    }
    return np.select(list(fates.values()), list(fates), "alive")


def _pre_activations(
    z: np.ndarray, activation: Activation, bins: int, bounds: tuple[float, float] | None
) -> PreActivations:
    finite = z[np.abs(z) < HUGE]
    counts, edges = np.histogram(finite, bins, bounds or _bounds(finite))
    with np.errstate(all="ignore"):
        a, slopes = activation.function(z), activation.slope(z)
    outside = 1 - counts.sum() / z.size
    flat = (np.abs(slopes) < FLAT).mean()
    return PreActivations(counts, edges, float(outside), float(flat), float(saturated_units(a, slopes).mean()))


def _bounds(z: np.ndarray) -> tuple[float, float]:
    """From the smallest to the largest, or a little further where they are too close for bins in between."""
    low, high = z.min(initial=HUGE), z.max(initial=-HUGE)
    if low > high:
        return 0.0, 1.0
    closest = 1e-9 * max(abs(low), abs(high), 1e-9)
    return (low, high) if high - low > closest else (low - closest, high + closest)


def _norm(array: np.ndarray) -> float:
    """The L2 norm of all the numbers in an array."""
    return float(np.linalg.norm(array.reshape(-1)))
