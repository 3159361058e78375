"""The largest eigenvalue of each layer's own block of the Hessian, beside that of the whole."""

from collections.abc import Hashable, Iterator

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.state.analyses.layer_sharpness import LayerSharpness, LayerValues
from dashboard.state.analyses.sharpness import takes_long
from dashboard.state.run import Frame
from dashboard.widgets import style

HALF = 0.36
"""Half the width of a bar."""

FAR = 8
"""An edge so many times above all bars is not worth flattening them for."""

MOST_NAMED = 12
"""So many layers have room for their numbers."""

BARS = ("left", "bottom", "right", "top", "color", "sharpness", "layer")


class LayerCurvature(Instrument):
    """One bar for each layer, of its sharpness while the others stand still, and one for the whole network."""

    title = "Curvature by layer"
    question = "Which layer makes the loss sharp, or do they do it together?"
    reading = (
        "Each bar is the largest eigenvalue of one layer's block of the Hessian, weights and biases: the sharpness if "
        "the other layers stood still. The last bar is that of the whole network. It is at least as high as any other, "
        "and what it is higher by comes of layers that move together. The dashed line is the edge of stability. Adam "
        "and its kin divide every step by a preconditioner P: bars and edge are those of P⁻¹H."
    )

    @property
    def measured(self) -> LayerValues | None:
        """What is drawn; None before there is something."""
        return self._analysis.newest

    def begin(self, frame: Frame) -> None:
        self._analysis = LayerSharpness(self.run)
        self._sent: object = self
        self._layers = len(frame.setup.network.weights)
        self._names = [*(str(i + 1) for i in range(self._layers - 1)), "output", "whole"]
        self._colors = [*(style.layer_color(i, self._layers) for i in range(self._layers)), style.TRAIN]
        self.heavy = takes_long(frame.setup)

    def outline(self, frame: Frame) -> Hashable:
        return self._layers

    def picture(self, frame: Frame) -> hv.Overlay:
        rows = [(i - HALF, 0, i + HALF, 1, color, 1, "") for i, color in enumerate(self._colors)]
        bars = hv.Rectangles(rows, vdims=["color", "sharpness", "layer"], label="bars").opts(
            color="color",
            line_alpha=0,
            fill_alpha=0.85,
            tools=["hover"],
            hover_tooltips=[("layer", "@layer"), ("sharpness", "@sharpness{measured}")],
        )
        edge = hv.HLines([1.0], label="edge").opts(color=style.GHOST, line_width=2, line_dash="dashed")
        moment = hv.Labels([(1.0, 1.0, "")], ["x", "y"], "text", label="moment").opts(
            text_color=style.GHOST, text_font_size=style.FONT, text_align="left", text_baseline="top"
        )
        names, last = list(enumerate(self._names)), self._layers
        return hv.Overlay([bars, edge, moment]).opts(
            xlim=(-0.6, last + 0.6),
            ylim=(0, 1),
            xticks=names if last <= MOST_NAMED else [names[0], names[last // 2], names[last]],
            xlabel="layer",
            ylabel="sharpness",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        edge = frame.edge
        layers = {"edge": {"y": [edge] if np.isfinite(edge) else []}, "moment": self._moment(frame)}
        if after < 0 or self.measured is not self._sent:
            self._sent = self.measured
            layers["bars"] = self._bars()
        return layers

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        values, edge = self._values(), frame.edge
        high, low = float(values.max(initial=0.0)), float(values.min(initial=0.0))
        if np.isfinite(edge) and (high == low or edge < FAR * max(high, -low)):
            high = max(high, edge)
        room = 0.15 * ((high - low) or 1.0)
        return {"y": (low - room if low else 0.0, high + room)}

    def describe(self, frame: Frame) -> str:
        found = self.measured
        if found is None:
            return "measuring…"
        if not np.isfinite([*found.layers, found.whole]).all():
            return "the Hessian is not finite"
        sharpest = int(np.argmax(found.layers))
        kind = "P⁻¹H: " if found.is_preconditioned else ""
        name = "the output layer" if sharpest == self._layers - 1 else f"layer {sharpest + 1}"
        together = f"{name} alone {digits(found.layers[sharpest])}" if self._layers > 1 else "its only layer"
        return f"{kind}whole network {digits(found.whole)}, {together}"

    def work(self, frame: Frame) -> Iterator[object] | None:
        return self._analysis.work(frame)

    def _values(self) -> np.ndarray:
        """(layers + 1,) the heights of the bars, those that are finite."""
        values = np.array([*self.measured.layers, self.measured.whole]) if self.measured else np.empty(0)
        return values[np.isfinite(values)]

    def _bars(self) -> Columns:
        values = self._values()
        if len(values) <= self._layers:
            return {name: [] for name in BARS}
        places = np.arange(len(values))
        ends = np.minimum(values, 0.0), np.maximum(values, 0.0)
        columns = places - HALF, ends[0], places + HALF, ends[1], self._colors, values, self._names
        return dict(zip(BARS, columns, strict=True))

    def _moment(self, frame: Frame) -> Columns:
        """The epoch that is shown, which is behind the run while it plays."""
        if not self.measured:
            return {"x": [], "y": [], "text": []}
        return {"x": [-0.5], "y": [self.ranges(frame)["y"][1]], "text": [f"epoch {self.measured.epoch:,}"]}
