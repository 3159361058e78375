"""The size of the weighted sums of each layer, as predicted and as measured."""

import math
from collections.abc import Hashable

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART
from engine.activations import Activation
from engine.datasets import Dataset
from engine.network import Network

MAX_DISTINCT_BIASES = 8
LOWEST, HIGHEST = 1e-30, 1e30
NODES, QUADRATURE_WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
QUADRATURE_WEIGHTS = QUADRATURE_WEIGHTS / QUADRATURE_WEIGHTS.sum()
"""Nodes of a standard normal variable, and the weight of each."""


class SignalPropagation(Instrument):
    """The root mean square of each layer's pre-activations, beside what the size of the weights predicts.

    The prediction takes the weighted sums of a layer, example by example, as normally distributed around the biases
    (Poole et al. 2016, equation 3), which they are in the limit of wide layers with weights drawn independently around
    0. Narrow layers scatter around it: a single draw of few weights is no average.
    """

    title = "Signal by layer"
    question = "Does the signal keep its size on the way forward?"
    reading = (
        "The root mean square of what comes into each layer's units, over units and examples. The dashed line is "
        "predicted from the biases and the size of the weights at epoch 0 alone, as if all layers were wide; narrow "
        "ones scatter around it. The rings are what was measured then, the discs are now. He keeps a ReLU network's "
        "line level; too small weights let it fall, too large ones climb."
    )

    def begin(self, frame: Frame) -> None:
        start = frame.setup.network.copy()
        start.parameters[:] = frame.history.at(0).parameters
        self._network, self._places = start.copy(), np.arange(len(start.weights))
        self._expected = expected_sizes(start, frame.setup.train)
        self._first = measured_sizes(start, frame.setup.train)

    def outline(self, frame: Frame) -> Hashable:
        return len(self._places)

    def picture(self, frame: Frame) -> hv.Overlay:
        layers = len(self._places)
        names = [(i, "output" if i == layers - 1 else str(i + 1)) for i in range(layers)]
        expected = hv.Curve([], "layer", "size", label="expected").opts(
            color=style.GHOST, line_width=2, line_dash="dashed"
        )
        first = hv.Points([], ["layer", "size"], label="epoch 0").opts(
            color=style.GHOST, fill_alpha=0, size=11, line_width=2
        )
        line = hv.Curve([], "layer", "size", label="line").opts(color=style.TRAIN, line_width=2)
        now = hv.Points([], ["layer", "size"], label="now").opts(
            color=style.TRAIN, size=8, tools=["hover"], hover_tooltips=[("root mean square", "@size{measured}")]
        )
        return hv.Overlay([expected, first, line, now]).opts(
            logy=True,
            xlim=(-0.4, max(layers - 0.6, 0.4)),
            ylim=(0.1, 10),
            xticks=names if layers <= 12 else [names[0], names[layers // 2], names[-1]],
            yticks=style.DECADES,
            yformatter="%.0e",
            xlabel="layer",
            ylabel="size of z",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._network.parameters[:] = frame.epoch.parameters
        self._now = measured_sizes(self._network, frame.setup.train)
        now = {"layer": self._places, "size": _drawable(self._now)}
        fixed = {
            "expected": {"layer": self._places, "size": _drawable(self._expected)},
            "epoch 0": {"layer": self._places, "size": _drawable(self._first)},
        }
        return {"now": now, "line": now, **(fixed if after < 0 else {})}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        sizes = _drawable(np.concatenate([self._expected, self._first, self._now]))
        fine = np.log10(sizes[np.isfinite(sizes)])
        if not fine.size:
            return {"y": (0.1, 10.0)}
        low, high = math.floor(fine.min() - 0.05), math.ceil(fine.max() + 0.05)
        return {"y": (10.0**low, 10.0**high)}

    def describe(self, frame: Frame) -> str:
        ends = [f"{digits(sizes[0], 2)} → {digits(sizes[-1], 2)}" for sizes in (self._now, self._first, self._expected)]
        return f"now {ends[0]}{APART}at epoch 0 {ends[1]}, predicted {ends[2]}"


def measured_sizes(network: Network, data: Dataset) -> np.ndarray:
    """(layers,) the root mean square of each layer's pre-activations, over units and examples."""
    trace = network.trace(data.x)
    with np.errstate(all="ignore"):
        return np.array([np.sqrt((z**2).mean()) for z in (*trace.pre_activations, trace.logits)])


def expected_sizes(network: Network, data: Dataset) -> np.ndarray:
    """(layers,) their limit in wide layers, given the size of the weights and the biases alone."""
    # Of every example: the mean square and the mean of what goes into a layer, over its units.
    square, mean, sizes = (data.x**2).mean(axis=1), data.x.mean(axis=1), []
    functions, skips = [*network.functions, None], [*network.skips, False]
    with np.errstate(all="ignore"):
        for w, b, activation, skip in zip(network.weights, network.biases, functions, skips, strict=False):
            variance = len(w) * (w**2).mean() * square
            sizes.append(math.sqrt(variance.mean() + (b**2).mean()))
            if activation is not None:
                first, second = _moments(activation, variance, b)
                added = (square + 2 * first * mean, mean) if skip else (0.0, 0.0)
                square, mean = second + added[0], first + added[1]
    return np.array(sizes)


def _moments(activation: Activation, variance: np.ndarray, biases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) the mean activation, and its mean square, of z normally distributed around each of the biases.

    Of many biases, only their mean and variance count, as in the limit, where they are normally distributed.
    """
    around, counts = np.unique(biases, return_counts=True)
    if len(around) > MAX_DISTINCT_BIASES:
        around, counts, variance = np.array([biases.mean()]), [1], variance + biases.var()
    z = around[:, None, None] + np.sqrt(variance)[:, None] * NODES
    a = activation.function(z)
    return tuple(np.average(power @ QUADRATURE_WEIGHTS, axis=0, weights=counts) for power in (a, a**2))


def _drawable(sizes: np.ndarray) -> np.ndarray:
    """Sizes that a logarithmic axis can show; nan where there is none, so that no floor is drawn for a 0."""
    return np.where((sizes >= LOWEST) & (sizes <= HIGHEST), sizes, np.nan)
