"""The largest eigenvalue of the Hessian over the epochs, and the edge of stability."""

from collections.abc import Iterator

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.foreseen import Foreseen
from dashboard.instruments.instrument import Columns, Instrument
from dashboard.state.analyses.sharpness import DrawnSharpness, takes_long
from dashboard.state.run import Frame
from dashboard.widgets import style

HIGHEST_FORESEEN = 2.5
"""Multiple of the edge up to which the axis shows what is foreseen."""

HIGHEST = 4
"""Multiple of its edge up to which a linear axis shows a preconditioned sharpness, which is huge at the first steps."""

FAR = 8
"""An edge so many times above all that was measured is not worth flattening a linear axis for."""


class SharpnessCurve(Foreseen, Instrument):
    """The sharpness at evenly spaced epochs, with the one above which a quadratic makes the optimizer overshoot."""

    title = "Sharpness"
    question = "Where does the steepest curvature stop growing?"
    reading = (
        "The blue dots are the largest eigenvalue of the Hessian. The dashed line is where a step overshoots: on a "
        "quadratic sharper than 2 / learning rate gradient descent diverges; momentum has an edge of its own. Adam and "
        "its kin divide every step by a preconditioner P, so the dots are the largest eigenvalue of P⁻¹H, whose edge "
        "is 38 / learning rate for Adam with β₁ = 0.9; at the first steps P knows few gradients. The line moves with "
        "the slider, at once. More eigenvalues, the next largest, are paler: one after the other they come to the "
        "edge. While the run plays fast the curve stays behind, says where it has come to, and catches up at a pause. "
        "Click to look at an epoch."
    )
    growing = ("edge",)
    points = 256
    controls = ("eigenvalues", "log")
    foreseen = "sharpness"

    eigenvalues = param.Selector(
        default=1,
        objects={"the largest": 1, "the 2 largest": 2, "the 4 largest": 4, "the 8 largest": 8},
        label="Eigenvalues",
        doc="How many of the Hessian's largest eigenvalues are measured and drawn.",
    )
    log = param.Boolean(default=False, label="Log", doc="Draw the sharpness on a logarithmic axis.")

    def begin(self, frame: Frame) -> None:
        super().begin(frame)
        self._sharpness = DrawnSharpness(self.run, frame.setup, self.eigenvalues)
        self._sent: object = self
        self.heavy = takes_long(frame.setup)

    def outline(self, frame: Frame) -> bool:
        return self.log

    def picture(self, frame: Frame) -> hv.Overlay:
        edge = hv.Curve([], "epoch", "sharpness", label="edge").opts(
            color=style.GHOST, line_width=1.5, interpolation="steps-post"
        )
        ahead = hv.Segments([(0, 1, 1, 1)], label="ahead").opts(
            color=style.GHOST, line_width=2, line_dash="dashed", alpha=1
        )
        words = hv.Labels([(1.0, 1.0, "")], ["epoch", "sharpness"], "text", label="words").opts(
            text_color=style.GHOST, text_font_size=style.FONT, text_align="right", text_baseline="bottom"
        )
        line = hv.Curve([], "epoch", "sharpness", label="line").opts(color=style.TRAIN, line_width=1, alpha=0.5)
        dots = hv.Points([], ["epoch", "sharpness"], label="dots").opts(
            color=style.TRAIN,
            size=4,
            line_alpha=0,
            tools=["hover"],
            hover_tooltips=[("epoch", "@epoch"), ("sharpness", "@sharpness{measured}")],
        )
        others = hv.Points([], ["epoch", "sharpness"], label="others").opts(
            color=style.TRAIN, size=3, line_alpha=0, alpha=0.35
        )
        now = hv.Points([], ["epoch", "sharpness"], label="now").opts(
            color=style.CURSOR, size=9, line_color="white", line_width=1.5
        )
        scale = {"logy": True, "yticks": style.FINE_DECADES, "yformatter": "%.3g"} if self.log else {}
        return hv.Overlay([*self.guides(), edge, ahead, others, line, dots, now, words]).opts(
            **scale,
            xlim=(0, 20),
            ylim=(0.1, 1),
            xlabel="epoch",
            ylabel="sharpness",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        rows, right, edge = self.rows(frame, after), self._right(frame), frame.edge
        here = frame.epoch.index
        line = [edge] if np.isfinite(edge) else []
        layers = {
            "edge": {"epoch": rows.index, "sharpness": frame.edges(rows.index)},
            "ahead": {"x0": [here] * len(line), "x1": [right] * len(line), "y0": line, "y1": line},
            "words": {"epoch": [right] * len(line), "sharpness": line, "text": [_named(edge)] * len(line)},
            "now": self._dots([here]),
        }
        found, stride = self._sharpness.found, self.stride(frame)
        shown = len(found), stride, min(here, max(found, default=0))
        if after < 0 or shown != self._sent:
            self._sent = shown
            layers["dots"] = layers["line"] = self._dots(range(0, here + 1, stride))
            layers["others"] = self._others(range(0, here + 1, stride))
        return layers | self.flows(frame, after)

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        seen, edge = self._sharpness.until(frame), frame.edge
        high = float(seen.max(initial=0.0))
        if frame.preconditioned and not self.log:
            high = min(high, HIGHEST * edge)
        if np.isfinite(edge) and (self.log or not high or edge < FAR * high):
            high = max(high, edge)
        most = HIGHEST_FORESEEN * edge if np.isfinite(edge) else np.inf
        high = max([high, *(min(value, most) for value in self.heights(frame))]) or 1.0
        low = float(seen.min(initial=high)) / 1.5 if self.log else 0.0
        return {"x": (0, self._right(frame)), "y": (low, high * (1.5 if self.log else 1.2))}

    def describe(self, frame: Frame) -> str:
        epoch, edge, optimizer = self._sharpness.newest(frame), frame.edge, self.run.settings.optimizer
        if epoch is None:
            return "measuring…"
        value, kind = self._sharpness.found[epoch], "preconditioned, " if frame.preconditioned else ""
        share = f"{value / edge:.2f} of the edge" if np.isfinite(edge) else without_edge(optimizer)
        behind = self._sharpness.behind(frame, self.rows(frame, -1).index)
        rest = "" if behind is None else f"; the curve has come to epoch {behind:,}"
        return f"{kind}{value:.4g} at epoch {epoch:,}, {share}{rest}"

    def work(self, frame: Frame) -> Iterator[object] | None:
        return self._sharpness.work(frame, self.rows(frame, -1), self.stride(frame))

    def tapped(self, x: float, y: float) -> None:
        """Look at the epoch that was clicked."""
        self.run.look_at(min(max(0, round(x)), self.run.history[-1].index))

    @param.depends("log", "eigenvalues", watch=True)
    def _change_axis(self) -> None:
        self.redraw()

    def _dots(self, epochs: range | list[int]) -> Columns:
        known = self._sharpness.found
        found = [(epoch, known[epoch]) for epoch in epochs if epoch in known]
        return {"epoch": [epoch for epoch, _ in found], "sharpness": np.array([value for _, value in found])}

    def _others(self, epochs: range) -> Columns:
        """The eigenvalues after the largest one."""
        known = self._sharpness.leading
        rows = [(epoch, value) for epoch in epochs if epoch in known for value in known[epoch][1:].tolist()]
        return {"epoch": [epoch for epoch, _ in rows], "sharpness": np.array([value for _, value in rows])}

    def _right(self, frame: Frame) -> int:
        return max(20, round(1.12 * frame.epoch.index), self.last_foreseen(frame))


def without_edge(optimizer: str) -> str:
    """Why no edge is drawn for an optimizer, as the end of a sentence."""
    return f"no line: {optimizer} divides by the Hessian itself"


def _named(edge: float) -> str:
    return f"edge of stability {edge:.4g}"
