"""The pre-activations of every layer, one below the other."""

from collections.abc import Hashable

import holoviews as hv
import numpy as np

from dashboard.instruments.activation_curve import flat_zones, layer_of, pick_layer, reach_of
from dashboard.instruments.instrument import Columns, Instrument, OfHiddenLayers
from dashboard.state.run import Frame
from dashboard.widgets import style
from engine.measures import pre_activation_histograms

BINS = 80
RAMP = [f"{style.TRAIN}{round(255 * (i / 255) ** 0.6):02x}" for i in range(256)]
FOR_WORDS = 0.62
"""Width reserved for words, as a fraction of the reach."""


class PreActivationMap(OfHiddenLayers, Instrument):
    """The distribution of each layer's pre-activations, and how much of it lies where the activation is flat."""

    title = "All layers"
    question = "Which layers are saturated?"
    reading = (
        "One row a layer, input on top; darker where more of its pre-activations lie. On gray ground the slope is "
        "below 0.01: “flat” is the share there, “stuck” the share of the units that are saturated, which for 90 % of "
        "the examples give something and no longer react. A click picks the layer."
    )

    def begin(self, frame: Frame) -> None:
        self._network = frame.setup.network.copy()
        self._depth = len(self._network.widths)
        self._reach = 0.0

    def outline(self, frame: Frame) -> Hashable:
        return self._depth

    def picture(self, frame: Frame) -> hv.Overlay:
        names = [(self._depth - i - 0.5, str(i + 1)) for i in range(self._depth)]
        flat = hv.Rectangles([(0, 0, 1, 1)], label="flat").opts(color=style.GHOST, fill_alpha=0.16, line_alpha=0)
        density = hv.Image(np.zeros((2, 2)), label="density").opts(cmap=RAMP, clim=(0, 255))
        layer = hv.Rectangles([(0, 0, 1, 1)], label="layer").opts(fill_alpha=0, line_color=style.CURSOR, line_width=1.5)
        words = hv.Labels([(0.0, 0.0, "")], ["x", "y"], "text", label="words").opts(
            text_color=style.GHOST, text_font_size=style.FONT, text_align="right"
        )
        return hv.Overlay([flat, density, layer, words]).opts(
            xlim=(-1, 1),
            ylim=(0, self._depth + self._header),
            yticks=names if self._depth <= 12 else [names[0], names[self._depth // 2], names[-1]],
            xlabel="pre-activation z",
            ylabel="layer",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._network.parameters[:] = frame.epoch.parameters
        trace = self._network.trace(frame.setup.train.x)
        reach = reach_of(trace)
        self._layers = pre_activation_histograms(trace, self._network.activations, BINS, (-reach, reach))
        counts = np.array([layer.counts for layer in self._layers])[::-1]
        shades = np.uint8(np.round(255 * counts / np.maximum(1, counts.max(axis=1, keepdims=True))))
        place = {"x": -reach, "y": 0, "dw": 2 * reach, "dh": self._depth}
        row = self._depth - 1 - layer_of(self.run, frame)
        frames = {"left": [-reach], "right": [reach], "bottom": [row], "top": [row + 1]}
        static = after < 0 or reach != self._reach
        self._reach = reach
        moving = {"density": {"image": shades, **place}, "layer": frames, "words": self._words()}
        return {**moving, "flat": self._flat()} if static else moving

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return {"x": (-self._reach, (1 + FOR_WORDS) * self._reach)}

    def describe(self, frame: Frame) -> str:
        flattest = max(range(self._depth), key=lambda i: self._layers[i].flat)
        stuck = sum(round(one.saturated * width) for one, width in zip(self._layers, self._network.widths, strict=True))
        return (
            f"epoch {frame.epoch.index:,}: layer {flattest + 1} flattest, {self._layers[flattest].flat:.0%}; "
            f"{stuck} of {sum(self._network.widths)} units saturated"
        )

    def tapped(self, x: float, y: float) -> None:
        """Pick the layer that was clicked."""
        pick_layer(self.run, self._depth - 1 - int(y // 1))

    @property
    def _header(self) -> float:
        """How high, in rows, the line of words above the first row is."""
        return max(0.4, self._depth / 10)

    def _words(self) -> Columns:
        rows = [(self._depth + self._header / 2, "flat, stuck")]
        rows += [
            (self._depth - i - 0.5, f"{layer.flat:.0%}, {layer.saturated:.0%}") for i, layer in enumerate(self._layers)
        ]
        end = self._reach * (1 + 0.96 * FOR_WORDS)
        return {"x": [end] * len(rows), "y": [y for y, _ in rows], "text": [text for _, text in rows]}

    def _flat(self) -> Columns:
        """Where each layer's own activation is flat."""
        zones = [(i, flat_zones(name, self._reach)) for i, name in enumerate(self._network.activations)]
        rows = [(a, b, self._depth - 1 - i) for i, (left, right) in zones for a, b in zip(left, right, strict=True)]
        return {
            "left": [a for a, _, _ in rows],
            "right": [b for _, b, _ in rows],
            "bottom": [row for _, _, row in rows],
            "top": [row + 1 for _, _, row in rows],
        }
