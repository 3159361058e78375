"""The largest eigenvalue of the Hessian over the epochs, and the edge of stability."""

from collections.abc import Hashable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.foreseen import Foreseen
from dashboard.instruments.instrument import Columns, Instrument, hyperparameters_of
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
        "edge. Over rate × epoch, runs of all learning rates lie on one curve until each meets its edge. While the run "
        "plays fast the curve stays behind, says where it has come to, and catches up at a pause. Click to look at an "
        "epoch."
    )
    growing = ("edge",)
    points = 256
    controls = ("eigenvalues", "by_distance", "log")
    foreseen = "sharpness"
    _measured: tuple[object, ...] = ()

    eigenvalues = param.Selector(
        default=1,
        objects={"the largest": 1, "the 2 largest": 2, "the 4 largest": 4, "the 8 largest": 8},
        label="Eigenvalues",
        doc="How many of the Hessian's largest eigenvalues are measured and drawn.",
    )
    by_distance = param.Boolean(
        default=False,
        label="Rate × epoch",
        doc="Draw the sharpness over learning rate times epoch: all rates lie on one curve until each meets its edge.",
    )
    log = param.Boolean(default=False, label="Log", doc="Draw the sharpness on a logarithmic axis.")

    def begin(self, frame: Frame) -> None:
        super().begin(frame)
        measured = self.run, frame.setup, self.eigenvalues
        if any(one is not other for one, other in zip_longest(measured, self._measured)):
            self._sharpness = DrawnSharpness(*measured)
        self._measured = measured
        self._sent: object = self
        self._travelled, self._tuned = np.zeros(1), list[Any]()
        self.heavy = takes_long(frame.setup)

    def outline(self, frame: Frame) -> Hashable:
        return self.log, self.by_distance

    @property
    def _x(self) -> str:
        """The column along the axis."""
        return "distance" if self.by_distance else "epoch"

    def picture(self, frame: Frame) -> hv.Overlay:
        x = self._x
        edge = hv.Curve([], x, "sharpness", label="edge").opts(
            color=style.GHOST, line_width=1.5, interpolation="steps-post"
        )
        ahead = hv.Segments([(0, 1, 1, 1)], label="ahead").opts(
            color=style.GHOST, line_width=2, line_dash="dashed", alpha=1
        )
        words = hv.Labels([(1.0, 1.0, "")], [x, "sharpness"], "text", label="words").opts(
            text_color=style.GHOST, text_font_size=style.FONT, text_align="right", text_baseline="bottom"
        )
        line = hv.Curve([], x, "sharpness", label="line").opts(color=style.TRAIN, line_width=1, alpha=0.5)
        dots = hv.Points([], [x, "sharpness"], ["epoch"] if self.by_distance else [], label="dots").opts(
            color=style.TRAIN,
            size=4,
            line_alpha=0,
            tools=["hover"],
            hover_tooltips=[("epoch", "@epoch"), ("sharpness", "@sharpness{measured}")],
        )
        others = hv.Points([], [x, "sharpness"], label="others").opts(
            color=style.TRAIN, size=3, line_alpha=0, alpha=0.35
        )
        now = hv.Points([], [x, "sharpness"], label="now").opts(
            color=style.CURSOR, size=9, line_color="white", line_width=1.5
        )
        scale = {"logy": True, "yticks": style.FINE_DECADES, "yformatter": "%.3g"} if self.log else {}
        guides = [guide.redim(epoch=x) for guide in self.guides()]
        return hv.Overlay([*guides, edge, ahead, others, line, dots, now, words]).opts(
            **scale,
            xlim=(0, 20),
            ylim=(0.1, 1),
            xlabel="learning rate × epoch" if self.by_distance else "epoch",
            ylabel="sharpness",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        rows, edge = self.rows(frame, after), frame.edge
        here = frame.epoch.index
        start, end = self._places(frame, [here, self._right(frame)]).tolist()
        line = [edge] if np.isfinite(edge) else []
        layers = {
            "edge": {self._x: self._places(frame, rows.index), "sharpness": frame.edges(rows.index)},
            "ahead": {"x0": [start] * len(line), "x1": [end] * len(line), "y0": line, "y1": line},
            "words": {self._x: [end] * len(line), "sharpness": line, "text": [_named(edge)] * len(line)},
            "now": self._dots(frame, [here]),
        }
        found, stride = self._sharpness.found, self.stride(frame)
        shown = len(found), stride, min(here, max(found, default=0))
        if after < 0 or shown != self._sent:
            self._sent = shown
            layers["dots"] = layers["line"] = self._dots(frame, range(0, here + 1, stride))
            layers["others"] = self._others(frame, range(0, here + 1, stride))
        flows = self.flows(frame, after)
        return layers | {name: self._along(frame, columns["epoch"], columns) for name, columns in flows.items()}

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
        return {"x": (0, self._places(frame, [self._right(frame)])[0]), "y": (low, high * (1.5 if self.log else 1.2))}

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
        newest = self.run.history[-1].index
        if not self.by_distance:
            self.run.look_at(min(max(0, round(x)), newest))
            return
        places = self._places(self.run.frame(), range(newest + 1))
        self.run.look_at(int(np.argmin(np.abs(places - x))))

    @param.depends("log", "eigenvalues", "by_distance", watch=True)
    def _change_axis(self) -> None:
        self.redraw()

    def _dots(self, frame: Frame, epochs: range | list[int]) -> Columns:
        known = self._sharpness.found
        found = [(epoch, known[epoch]) for epoch in epochs if epoch in known]
        drawn = [epoch for epoch, _ in found]
        return self._along(frame, drawn, {"epoch": drawn, "sharpness": np.array([value for _, value in found])})

    def _others(self, frame: Frame, epochs: range) -> Columns:
        """The eigenvalues after the largest one."""
        known = self._sharpness.leading
        rows = [(epoch, value) for epoch in epochs if epoch in known for value in known[epoch][1:].tolist()]
        drawn = [epoch for epoch, _ in rows]
        return self._along(frame, drawn, {"epoch": drawn, "sharpness": np.array([value for _, value in rows])})

    def _along(self, frame: Frame, epochs: Sequence[int], columns: Columns) -> Columns:
        """Columns with the places of their epochs on the axis."""
        return {**columns, self._x: self._places(frame, epochs)} if self.by_distance else columns

    def _places(self, frame: Frame, epochs: Sequence[int]) -> np.ndarray:
        """(k,) where epochs are on the axis: their numbers, or the sum of the learning rates on the way to each.

        That of epochs to come is the sum at the rate that the next update has.
        """
        epochs = np.asarray(epochs, int)
        log = frame.hyperparameter_log
        if not self.by_distance or log is None:
            return epochs
        last, tuned = int(epochs.max(initial=0)), hyperparameters_of(frame)
        if last >= len(self._travelled) or tuned != self._tuned:
            if frame.newest is frame:
                log = log.then(frame.epoch.index, frame.hyperparameters)
            self._travelled, self._tuned = log.travelled(np.arange(2 * last + 2)), tuned
        return self._travelled[epochs]

    def _right(self, frame: Frame) -> int:
        return max(20, round(1.12 * frame.epoch.index), self.last_foreseen(frame))


def without_edge(optimizer: str) -> str:
    """Why no edge is drawn for an optimizer, as the end of a sentence."""
    return f"no line: {optimizer} divides by the Hessian itself"


def _named(edge: float) -> str:
    return f"edge of stability {edge:.4g}"
