"""One parameter is moved up, down and back, and the change of the loss is magnified."""

from collections.abc import Hashable

import holoviews as hv
import numpy as np
import panel as pn
import param
from markupsafe import Markup

from dashboard.instruments.audit_picture import AuditPicture
from dashboard.instruments.instrument import Columns, Instrument, stacked
from dashboard.instruments.numerals import digits, powers
from dashboard.state.analyses.gradient_audit import Subject, passed
from dashboard.state.run import Frame
from dashboard.state.store import Shown
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, bold, dot, element, phrase, sheet, write
from engine.gradient_check import Walk
from engine.landscape import Survey

REACH, POINTS = 1.6, 49
"""How many epsilons to each side are shown, and at how many places the loss is computed."""

TABLE = """
:host { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 12px; font-variant-numeric: tabular-nums; }
td, th { text-align: right; padding: 1px 0 1px 8px; white-space: nowrap; }
th { font-weight: 500; opacity: .68; }
td:first-child, th:first-child { text-align: left; padding-left: 0; }
td { border-top: 1px solid color-mix(in srgb, currentColor 13%, transparent); }
"""
TALL = 142
"""Pixels of the height that the table takes."""

STEPS = ("start", "add ε", "subtract 2 ε", "restore")


class ParameterWalk(AuditPicture, Instrument):
    """The loss around one value of one parameter, with the tangent of backpropagation and the chord of the check."""

    title = "One parameter"
    question = "What does the loss look like within ε?"
    reading = (
        "Axes are in units of ε, so that a slope is a gradient. Blue is the loss; the green tangent has the slope of "
        "backpropagation, the orange chord joins the losses at w + ε and w − ε. They agree if the check passes. Zoomed "
        "in, the tangent is taken away, and what makes it fail is left: a bend, a corner, the stairs of rounding, or a "
        "bug. w is not taken back by arithmetic but restored, since w + ε − 2ε + ε need not be w."
    )
    controls = ("rest",)
    height = 330
    below = TALL + 2

    rest = param.Boolean(default=False, label="Zoom", doc="Take the tangent away and enlarge what is left of the loss.")

    def __init__(self, run: Shown, **params: object) -> None:
        super().__init__(run, **params)
        self._table = sheet(stylesheets=[TABLE], sizing_mode="stretch_width", margin=(2, 0, 0, 0), height=TALL)

    def __panel__(self) -> pn.viewable.Viewable:
        table = pn.pane.Bokeh(self._table, margin=0, sizing_mode="stretch_width", height=TALL + 2)
        return stacked(self.pane, table)

    def outline(self, frame: Frame) -> Hashable:
        return self.rest

    def picture(self, frame: Frame) -> hv.Overlay:
        loss = hv.Curve([], "t", "rise", label="loss").opts(color=style.TRAIN, line_width=3)
        tangent = hv.Curve([], "t", "rise", label="tangent").opts(color=style.SLOPE, line_width=2)
        chord = hv.Curve([], "t", "rise", label="chord").opts(color=style.VALIDATION, line_width=2, line_dash="dashed")
        steps = hv.Points([], ["t", "rise"], label="steps").opts(
            color=style.VALIDATION, size=9, line_color="white", line_width=1.5
        )
        here = hv.Points([], ["t", "rise"], label="here").opts(
            color=style.CURSOR, size=9, line_color="white", line_width=1.5
        )
        return hv.Overlay([loss, tangent, chord, steps, here]).opts(
            xlim=(-REACH, REACH),
            ylim=(-1, 1),
            xticks=[(-1, "w − ε"), (0, "w"), (1, "w + ε")],
            xlabel="",
            ylabel="(L − L(w)) / ε" + (" − slope" if self.rest else ""),
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        subject, epsilon = self.subject(frame), self.epsilon
        self._walk = walked = subject.walk(self.parameter(subject), epsilon)
        t, rises = _profile(subject, self.parameter(subject), epsilon, walked.losses[0])
        ends = np.array([-REACH, REACH])
        taken = walked.analytic if self.rest else 0.0
        high, low = (walked.losses[1:3] - walked.losses[0]) / epsilon
        chord = (high + low) / 2 + walked.numeric * ends
        curves = [rises - taken * t, (walked.analytic - taken) * ends, chord - taken * ends]
        self._range = _around(np.concatenate(curves))
        names, places = ("loss", "tangent", "chord"), (t, ends, ends)
        write(self._table, _steps(walked))
        layers = {
            **{name: {"t": x, "rise": y} for name, x, y in zip(names, places, curves, strict=True)},
            "steps": {"t": [1.0, -1.0], "rise": [high - taken, low + taken]},
            "here": {"t": [0.0], "rise": [0.0]},
        }
        return self.news(layers, after)

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return {"y": self._range}

    def describe(self, frame: Frame) -> str:
        walked = self._walk
        color = style.GHOST if walked.kink else style.PASSED if passed(walked.relative_error) else style.FAILED
        kink = ", at a kink" if walked.kink else ""
        slopes = phrase(
            dot(style.SLOPE), f"{digits(walked.analytic, 6)}", dot(style.VALIDATION), f"{digits(walked.numeric, 6)}"
        )
        error = phrase(bold(f"error {powers(walked.relative_error)}", color), kink, between="")
        return phrase(slopes, error, between=APART)

    def table(self) -> dict[str, Columns]:
        """What is drawn, and the table below it."""
        steps = {"step": STEPS, "w": self._walk.values, "loss": self._walk.losses}
        return {**super().table(), self._walk.name: steps}

    @param.depends("rest", watch=True)
    def _change(self) -> None:
        self.redraw()


def _profile(subject: Subject, i: int, epsilon: float, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions in units of epsilon, and how far the loss has risen there, in the same units."""
    t = np.linspace(-REACH, REACH, POINTS)
    points = np.tile(subject.network.parameters, (POINTS, 1))
    points[:, i] += t * epsilon
    losses = Survey(subject.network, subject.data, subject.loss, subject.l1, subject.l2).losses(points)
    with np.errstate(all="ignore"):
        return t, (losses - start) / epsilon


def _around(values: np.ndarray) -> tuple[float, float]:
    """A range that holds them and rarely changes: its ends are multiples of a quarter of a power of two."""
    fine = values[np.isfinite(values)]
    low, high = (float(fine.min()), float(fine.max())) if fine.size else (-1.0, 1.0)
    step = 2.0 ** np.floor(np.log2(max(high - low, 1e-30))) / 4
    return float(step * (np.floor(low / step) - 0.5)), float(step * (np.ceil(high / step) + 0.5))


def _steps(walked: Walk) -> Markup:
    """The four steps as a table, with what going back by arithmetic would have missed."""
    rows = (
        element("tr", element("td", step), element("td", f"{value:.12g}"), element("td", f"{loss:.12g}"))
        for step, value, loss in zip(STEPS, walked.values, walked.losses, strict=True)
    )
    drift = f"{abs(walked.drift):.0e}" if walked.drift else "nothing"
    heads = element("tr", *(element("th", head) for head in (walked.name, "w", "loss")))
    slope = Markup('<tr><td>slope</td><td colspan="2">difference / 2 ε = {:.13g}</td></tr>').format(walked.numeric)
    foot = Markup('<tr><td colspan="3">w + ε − 2 ε + ε would have been off by {}</td></tr>').format(drift)
    return element("table", heads, *rows, slope, foot)
