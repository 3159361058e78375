"""Measures: what a look into a network says about how it learns.

Each measure is a pure function of arrays that were recorded or traced, one row per example, one column per unit.
"""

from collections.abc import Sequence

import numpy as np

from engine.activations import ACTIVATIONS
from engine.network import Trace

DIM = 1e-3
FLAT = 0.01


def gradient_norms(weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> np.ndarray:
    """How strongly each layer is pulled: the L2 norm of its gradient, weights and biases together.

    Compare layers on a logarithmic axis, and look at the norms before their ratios: ratios are near one, too, where
    all layers are stuck.

    Takes one array per layer, as in `Gradient.weights` and `Gradient.biases`. Returns (layers,).
    """
    return np.array([np.hypot(_norm(w), _norm(b)) for w, b in zip(weights, biases, strict=True)])


def update_ratios(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> np.ndarray:
    """How far each layer moved, as a share of its size: |after - before| / |before|.

    About 1e-3 per update is healthy; far below, a layer stands still, far above, it forgets what it was.

    Takes one array per layer, such as `Network.weights` at two epochs. Returns (layers,); a layer of zeros has infinite
    ratio once it moves, nan as long as it does not.
    """
    moved = np.array([_norm(new - old) for old, new in zip(before, after, strict=True)])
    with np.errstate(divide="ignore", invalid="ignore"):
        return moved / np.array([_norm(old) for old in before])


def dead_units(activations: np.ndarray) -> np.ndarray:
    """Which units never fire: their activation is exactly 0 for every example.

    No gradient passes through a dead ReLU, so only a change in the layers below can wake it. Whether a unit is dead
    depends on the examples; a leaky unit is never dead.

    activations (n, units), of the whole training data. Returns (units,) bool.
    """
    return (activations == 0).all(axis=0)


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


def _fates(z: np.ndarray, name: str) -> np.ndarray:
    activation = ACTIVATIONS[name]
    a = activation.function(z)
    fates = {
        "dead": dead_units(a),
        "dim": dim_units(np.abs(a).mean(axis=0)),
        "saturated": saturated_units(a, activation.slope(z)),
    }
    return np.select(list(fates.values()), list(fates), "alive")


def _norm(array: np.ndarray) -> float:
    """The L2 norm of all the numbers in an array."""
    return np.linalg.norm(array.reshape(-1))
