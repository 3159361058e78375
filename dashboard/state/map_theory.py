"""The lines of theory that lie over a map: where, before any run is trained, its border is expected."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.state.map_axes import DEPTH
from engine.activations import ACTIVATIONS
from engine.curvature import Curvature
from engine.sweep import Sweep
from engine.theory.mean_field import MeanField

RATE, SIGMA_W = "learning_rate", "sigma_w"
SAMPLES = 12
"""Values of the other axis at which a line is computed."""

LAYERS_PER_DEPTH = 6
"""Networks train down to about six correlation depths (Schoenholz et al. 2017)."""


@dataclass(frozen=True)
class TheoryLine:
    """A line over a map.

    Attributes:
        label: What it is, in signs that fit beside it.
        x, y: (k,) values on the axes of the map.
    """

    label: str
    x: np.ndarray
    y: np.ndarray


def theory_lines(sweep: Sweep) -> list[TheoryLine]:
    """The lines that there are for a map's axes, of its first axis and its second."""
    names = [axis.name for axis in sweep.axes]
    found: list[TheoryLine] = []
    if RATE in names:
        found += _edges(sweep, names.index(RATE))
    if names in ([SIGMA_W, DEPTH], [DEPTH, SIGMA_W]):
        found += _correlation_depths(sweep, names.index(SIGMA_W))
    return found


def _edges(sweep: Sweep, place: int) -> Iterator[TheoryLine]:
    """The learning rates whose edge of stability is the sharpness of the untrained networks."""
    others = (sweep.x, sweep.y)[1 - place]
    samples = np.unique(np.linspace(0, len(others) - 1, SAMPLES).round().astype(int)).tolist()
    pixels = [(0, sample) if place == 0 else (sample, 0) for sample in samples]
    rates = np.array([_rate_at_the_edge(sweep, *pixel) for pixel in pixels])
    if np.isfinite(rates).any():
        yield TheoryLine("edge at epoch 0", *((rates, others[samples]) if place == 0 else (others[samples], rates)))


def _rate_at_the_edge(sweep: Sweep, column: int, row: int) -> float:
    """The learning rate whose edge is the sharpness at the start of a pixel's run; nan where there is none."""
    try:
        training = sweep.training(column, row)
    except ValueError:
        return math.nan
    if training.batch_size is not None and training.batch_size < len(training.data.x):
        return math.nan  # batches have an edge of their own
    if training.optimizer.preconditioned:
        return math.nan  # the edge is one of what they divide by, which the first step alone decides at epoch 0
    penalties = training.l1, training.l2
    seen = Curvature(training.network, training.data, training.loss, *penalties, rates=training.rates)
    found = seen.sharpness().value
    rate = training.optimizer.learning_rate
    return float(rate * training.optimizer.edge_of_stability(rate) / found) if found > 0 else math.nan


def _correlation_depths(sweep: Sweep, place: int) -> Iterator[TheoryLine]:
    """The depth that signals reach, of a network without skip connections whose activation has no kink."""
    settings: Mapping[str, Any] = sweep.settings
    name = settings["activation"]
    if settings["skip"] or not ACTIVATIONS[name].curved:
        return
    axis = sweep.axes[place]
    weights = axis.at(np.linspace(0, 1, 100))
    fields = [MeanField(float(std) ** 2, settings["bias_std"] ** 2, name) for std in weights]
    depths = LAYERS_PER_DEPTH * np.array([field.correlation_depth() for field in fields])
    yield TheoryLine("6 ξ", *((weights, depths) if place == 0 else (depths, weights)))
