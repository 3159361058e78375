"""An activation function and its slope, over the pre-activations that the live network feeds it."""

from collections.abc import Hashable

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns, Instrument, OfHiddenLayers
from dashboard.instruments.study_picture import in_digits
from dashboard.state.run import Frame
from dashboard.state.settings import MAX_HIDDEN_LAYERS
from dashboard.state.store import Shown
from dashboard.state.view import View
from dashboard.widgets import style
from dashboard.widgets.plain_text import dot, phrase
from engine.activations import ACTIVATIONS
from engine.measures import FLAT
from engine.network import Trace

POINTS = 401
BINS = 40
NEARLY_ALL = 0.999
LEAST, MOST = 5.0, 1e6
LOWEST, HIGHEST = -1.5, 2.0
"""Range of an unbounded function, small enough to leave its bends visible."""

BAR_HEIGHT_FRACTION = 0.55
"""Fraction of the height that the fullest bar takes."""


class LayerView(View):
    """A view of pages on which a hidden layer is picked."""

    layer = param.Integer(
        default=1,
        bounds=(1, MAX_HIDDEN_LAYERS),
        label="Layer",
        doc="The hidden layer that is picked, counted from the input; beyond the last one it is the last.",
    )


class ActivationCurve(OfHiddenLayers, Instrument):
    """A layer's activation and its derivative, over the histogram of the layer's pre-activations."""

    title = "The function and what it is fed"
    question = "Does the layer work where its activation bends?"
    reading = (
        "The bars are the pre-activations z of the picked layer, over all its units and examples. The green curve is "
        "the factor by which a gradient at that z is multiplied; where the ground is gray it is below 0.01. The dot "
        "is at their mean, red dots are those of the picked example."
    )

    def begin(self, frame: Frame) -> None:
        self._network = frame.setup.network.copy()
        self._reach = 0.0

    def outline(self, frame: Frame) -> Hashable:
        return None

    def picture(self, frame: Frame) -> hv.Overlay:
        flat = hv.Rectangles([(0, 0, 1, 1)], label="flat").opts(color=style.GHOST, fill_alpha=0.16, line_alpha=0)
        bars = hv.Rectangles([(0, 0, 1, 1, 0)], vdims="share", label="bars").opts(
            color=style.TRAIN,
            fill_alpha=0.4,
            line_alpha=0,
            tools=["hover"],
            hover_tooltips=[("z from", "@left{0.00}"), ("to", "@right{0.00}"), ("share", "@share{0.0%}")],
        )
        function = hv.Curve([], "z", "f", label="function").opts(color=style.FUNCTION, line_width=2.5)
        slope = hv.Curve([], "z", "f", label="slope").opts(color=style.SLOPE, line_width=2.5)
        mean = hv.Points([], ["z", "f"], label="mean").opts(
            color=style.SLOPE, size=9, line_color="white", line_width=1.5
        )
        example = hv.Points([], ["z", "f"], label="example").opts(color=style.CURSOR, size=6)
        return hv.Overlay([flat, bars, function, slope, mean, example]).opts(
            xlim=(-LEAST, LEAST),
            ylim=(0, 1),
            xlabel="pre-activation z",
            ylabel="f(z) and f′(z)",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._network.parameters[:] = frame.epoch.parameters
        trace = self._network.trace(frame.setup.train.x)
        layer, reach = layer_of(self.run, frame), reach_of(trace)
        name, z = self._network.activations[layer], trace.pre_activations[layer]
        static = after < 0 or (name, reach) != (self._name, self._reach)
        self._layer, self._name, self._reach = layer, name, reach
        self._flat = float(np.mean(np.abs(_quiet(ACTIVATIONS[name].slope, z)) < FLAT))
        return {
            **(self._curves() if static else {}),
            "bars": self._bars(z),
            "mean": self._mean(z),
            "example": self._example(z),
        }

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return {"x": (-self._reach, self._reach), "y": self._heights}

    def describe(self, frame: Frame) -> str:
        top = steepest(self._name)
        return phrase(
            dot(style.FUNCTION),
            self._name,
            dot(style.SLOPE),
            f"slope ≤ {top:.3g}",
            dot(style.TRAIN),
            f"z in layer {self._layer + 1}, epoch {frame.epoch.index:,}: {self._flat:.0%} flat",
        )

    def _curves(self) -> dict[str, Columns]:
        activation, z = ACTIVATIONS[self._name], np.linspace(-self._reach, self._reach, POINTS)
        f, slope = activation.function(z), activation.slope(z)
        both = np.concatenate([f, slope]).clip(LOWEST, HIGHEST)
        margin = 0.05 * np.ptp(both)
        self._heights = float(both.min() - margin), float(both.max() + margin)
        left, right = flat_zones(self._name, self._reach)
        ground = {"bottom": np.full(len(left), -1e9), "top": np.full(len(left), 1e9)}
        return {
            "function": {"z": z, "f": f},
            "slope": {"z": z, "f": slope},
            "flat": {"left": left, "right": right, **ground},
        }

    def _bars(self, z: np.ndarray) -> Columns:
        counts, edges = np.histogram(z[np.isfinite(z)], BINS, (-self._reach, self._reach))
        bottom, top = self._heights
        heights = BAR_HEIGHT_FRACTION * (top - bottom) * counts / max(1, counts.max())
        share = counts / z.size
        return {
            "left": in_digits(edges[:-1]),
            "right": in_digits(edges[1:]),
            "bottom": in_digits(np.full(BINS, bottom)),
            "top": in_digits(bottom + heights),
            "share": in_digits(share),
        }

    def _mean(self, z: np.ndarray) -> Columns:
        mean = np.array([np.clip(np.nan_to_num(z), -MOST, MOST).mean()])
        return {"z": mean, "f": ACTIVATIONS[self._name].slope(mean)}

    def _example(self, z: np.ndarray) -> Columns:
        picked = self.run.view.example
        mine = z[picked] if picked is not None and picked < len(z) else np.empty(0)
        return {"z": mine, "f": _quiet(ACTIVATIONS[self._name].function, mine)}


def layer_of(run: Shown, frame: Frame) -> int:
    """The picked hidden layer, counted from 0."""
    return min(LayerView.of(run.view).layer, len(frame.setup.network.widths)) - 1


def pick_layer(run: Shown, layer: int) -> None:
    """Make all pictures show a hidden layer, counted from 0."""
    if 0 <= layer < MAX_HIDDEN_LAYERS:
        run.view.pick(layer=layer + 1)


def reach_of(trace: Trace) -> float:
    """How far from 0 nearly all pre-activations of all layers lie: 5, 10, 20, 50 and so on."""
    sizes = np.abs(np.concatenate([z.ravel() for z in trace.pre_activations]))
    sizes = sizes[np.isfinite(sizes)]
    most = float(np.quantile(sizes, NEARLY_ALL)) if len(sizes) else LEAST
    return round_up(min(max(most, LEAST), MOST))


def round_up(size: float) -> float:
    """The next number of the series 1, 2, 5, 10, 20, 50, ..."""
    decade = 10.0 ** np.floor(np.log10(size))
    return float(next(digit * decade for digit in (1, 2, 5, 10) if digit * decade >= size * (1 - 1e-9)))


def flat_zones(name: str, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Where, from -reach to reach, an activation's slope is below 0.01: the left and the right ends."""
    z = np.linspace(-reach, reach, 2 * POINTS)
    flat = np.concatenate([[False], np.abs(ACTIVATIONS[name].slope(z)) < FLAT, [False]])
    turns = np.flatnonzero(flat[1:] != flat[:-1])
    return z[turns[::2]], z[turns[1::2] - 1]


def steepest(name: str) -> float:
    """The largest slope an activation has."""
    return float(np.abs(ACTIVATIONS[name].slope(np.linspace(-LEAST, LEAST, 10 * (POINTS - 1) + 1))).max())


def _quiet(function: object, z: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return function(z)
