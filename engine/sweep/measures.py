"""What a map may show of every run: one number, at one epoch.

A measure is a dataclass; its fields are its options. It is called at each mark that a run reaches, and asked for
`after_divergence` at those that lie behind the run's end.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from engine.curvature import Curvature, preconditioned
from engine.measures import dead_units
from engine.options import Range, choose
from engine.training import Epoch, Training

LATE = 20
"""Over how many epochs the loss is averaged to call a run trained."""

HIGHEST = 1e6
"""What a loss counts for at most, as a multiple of the first."""


@dataclass(frozen=True)
class Measure(ABC):
    """One number of a run at an epoch.

    Attributes:
        label: What it is, for a color bar or an axis.
        unit: Of its values, empty for a pure number.
        log: Its values are positive and best seen on a logarithmic scale.
        categories: The names of its values 0, 1, ..., empty where it is no category.
        diverged: What a run is given that has diverged.
    """

    label: ClassVar[str]
    unit: ClassVar[str] = ""
    log: ClassVar[bool] = False
    categories: ClassVar[tuple[str, ...]] = ()
    diverged: ClassVar[float] = math.inf

    @abstractmethod
    def value(self, training: Training, epoch: Epoch, losses: np.ndarray) -> float:
        """The number at an epoch.

        Args:
            training: It stands at that epoch, and must be left as it is.
            epoch: What was recorded of it.
            losses: (epoch.index + 1,) of all epochs so far.
        """

    def after_divergence(self, losses: np.ndarray) -> float:
        """The number of a run that has diverged; the losses are infinite from then on."""
        return self.diverged


@dataclass(frozen=True)
class Loss(Measure):
    """The objective on the training data; infinite after a divergence."""

    label: ClassVar[str] = "Loss"
    log: ClassVar[bool] = True

    def value(self, training: Training, epoch: Epoch, losses: np.ndarray) -> float:
        return epoch.loss


@dataclass(frozen=True)
class Trained(Measure):
    """1 if the run has come down: the mean of its last 20 losses, as shares of the first, is below 1, else 0.

    A loss counts for a million times the first at most, so that a run which diverges at the end is not trained, however
    far it had come.
    Source: Sohl-Dickstein 2024, "The boundary of neural network trainability is fractal".
    """

    label: ClassVar[str] = "Trained"
    categories: ClassVar[tuple[str, ...]] = ("not trained", "trained")
    diverged: ClassVar[float] = 0.0

    def value(self, training: Training, epoch: Epoch, losses: np.ndarray) -> float:
        late = losses[max(1, len(losses) - LATE) :] if len(losses) > 1 else losses
        return float(np.minimum(late / losses[0], HIGHEST).mean() < 1)


@dataclass(frozen=True)
class EpochsToLoss(Measure):
    """The first epoch whose loss is the target or less; infinite for a run that has not come so far."""

    label: ClassVar[str] = "Epochs to the target loss"
    unit: ClassVar[str] = "epochs"
    log: ClassVar[bool] = True
    target: Annotated[float, Range(1e-6, 10.0, log=True, doc="The loss that a run has to reach.")] = 0.1

    def value(self, training: Training, epoch: Epoch, losses: np.ndarray) -> float:
        return self.after_divergence(losses)

    def after_divergence(self, losses: np.ndarray) -> float:
        reached = losses <= self.target
        return float(reached.argmax()) if reached.any() else math.inf


@dataclass(frozen=True)
class Accuracy(Measure):
    """The share of the training data classified rightly: nan for a regression, 0 after a divergence."""

    label: ClassVar[str] = "Accuracy"
    diverged: ClassVar[float] = 0.0

    def value(self, training: Training, epoch: Epoch, losses: np.ndarray) -> float:
        return epoch.accuracy


@dataclass(frozen=True)
class ValidationGap(Measure):
    """The validation loss minus the training loss: nan without validation data, infinite after a divergence."""

    label: ClassVar[str] = "Validation loss minus training loss"

    def value(self, training: Training, epoch: Epoch, losses: np.ndarray) -> float:
        return epoch.validation_loss - epoch.loss


@dataclass(frozen=True)
class DeadShare(Measure):
    """The share of the hidden units that are 0 on all training data; nan without hidden units or after a divergence."""

    label: ClassVar[str] = "Dead units"
    diverged: ClassVar[float] = math.nan

    def value(self, training: Training, epoch: Epoch, losses: np.ndarray) -> float:
        network = training.network
        if not network.widths:
            return math.nan
        layers = zip(network.functions, network.trace(training.data.x).pre_activations, strict=True)
        return float(np.concatenate([dead_units(f.function(z)) for f, z in layers]).mean())


@dataclass(frozen=True)
class GradientRatio(Measure):
    """The first layer's gradient norm over the last layer's: far below 1 it vanishes on its way down, above, it grows.

    nan after a divergence, and where neither layer has a gradient.
    """

    label: ClassVar[str] = "First layer's gradient over the last one's"
    log: ClassVar[bool] = True
    diverged: ClassVar[float] = math.nan

    def value(self, training: Training, epoch: Epoch, losses: np.ndarray) -> float:
        return float(np.divide(epoch.gradient_norms[0], epoch.gradient_norms[-1]))


@dataclass(frozen=True)
class EdgeShare(Measure):
    """The sharpness as a share of the optimizer's edge of stability: with gradient descent, sharpness x rate / 2.

    Where parameters have rates of their own, it is the sharpness in parameters that all learn at one rate, and with
    Adam and its kin, the preconditioned sharpness. nan for Newton's method, infinite after a divergence.
    Source: Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge of stability".
    """

    label: ClassVar[str] = "Sharpness over the edge of stability"

    def value(self, training: Training, epoch: Epoch, losses: np.ndarray) -> float:
        edge = training.optimizer.edge_of_stability(epoch.learning_rate)
        if np.isnan(edge):
            return math.nan
        network, penalties = training.network, (training.l1, training.l2)
        rates = preconditioned(training.rates, training.preconditioner)
        found = Curvature(network, training.data, training.loss, *penalties, rates).sharpness()
        return float(np.divide(found.value, edge))


MEASURES: dict[str, type[Measure]] = {
    "loss": Loss,
    "trained": Trained,
    "epochs to loss": EpochsToLoss,
    "accuracy": Accuracy,
    "validation gap": ValidationGap,
    "dead share": DeadShare,
    "gradient ratio": GradientRatio,
    "sharpness": EdgeShare,
}


def measures_by_name(chosen: object) -> dict[str, Measure]:
    """Measures by their names, from names, instances, or a mapping from names of one's own to either.

    Raises:
        ValueError: For a name that is unknown, or when there is none.
    """
    if isinstance(chosen, str | Measure):
        chosen = (chosen,)
    pairs = chosen.items() if isinstance(chosen, dict) else ((_name(one), one) for one in chosen)  # pyright: ignore
    found = {name: choose(MEASURES, one, "measure")() if isinstance(one, str) else one for name, one in pairs}
    if not found:
        raise ValueError(f"a map without measures shows nothing; choose some of {', '.join(MEASURES)}")
    for one in found.values():
        if not isinstance(one, Measure):
            raise ValueError(f"measure {one!r} is none; give a Measure, or one of {', '.join(MEASURES)}")
    return found


def _name(one: object) -> str:
    """What a measure is called: its name in the registry, or that of its class."""
    if isinstance(one, str):
        return one
    return next((name for name, kind in MEASURES.items() if type(one) is kind), type(one).__name__)
