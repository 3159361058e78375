"""How strongly each example pulls at the output, rightly or wrongly predicted."""

from collections.abc import Hashable

import holoviews as hv
import numpy as np

from dashboard.instruments.activation_curve import round_up
from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.state.run import Frame
from dashboard.widgets import style
from engine.activations import ACTIVATIONS, sigmoid_slope
from engine.losses import OUTPUTS, matching_loss

POINTS = 161
LEAST, MOST = 5.0, 1e3
MAX_EXAMPLES = 400
"""Most examples that are drawn, evenly chosen."""


class ErrorSignal(Instrument):
    """The size of dL/dz at the output for every example, over the two formulas it may follow."""

    title = "What a mistake is worth"
    question = "Is a confident mistake corrected, or ignored?"
    reading = (
        "To the left of 0 the answer is wrong, and the further the surer; at 0, where p = 1/2, it is class 1. With "
        "cross-entropy the slope of the output's sigmoid cancels and the signal is |p − y|: a confident mistake pulls "
        "with full strength. Squared error keeps the slope as a factor, so that the signal dies. One layer down there "
        "is no loss to cancel anything: each hidden sigmoid multiplies by its slope. A click picks the example."
    )
    missing = "the output is not one probability."

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return frame.setup.network.output == "sigmoid"

    def begin(self, frame: Frame) -> None:
        train = frame.setup.train
        self._examples = np.unique(np.linspace(0, len(train.x) - 1, min(MAX_EXAMPLES, len(train.x))).astype(int))
        self._network = frame.setup.network.copy()
        self._loss, self._labels = matching_loss(frame.setup.loss, "sigmoid"), train.y.ravel()
        self._reach = 0.0

    def outline(self, frame: Frame) -> Hashable:
        return None

    def picture(self, frame: Frame) -> hv.Overlay:
        lines = [
            hv.Curve([], "margin", "signal", label=label).opts(color=style.GHOST, line_width=2, line_dash=dash)
            for label, dash in (("cross-entropy", "dashed"), ("squared error", "dotted"))
        ]
        middle = hv.Segments([(0, -1, 0, 5)], label="middle").opts(color=style.GHOST, line_width=1)
        dots = [
            hv.Points([], ["margin", "signal"], label=f"class {i}").opts(
                color=style.CLASSES[i],
                size=6,
                alpha=0.75,
                tools=["hover"],
                hover_tooltips=[
                    ("class", str(i)),
                    ("logit toward it", "@margin{measured}"),
                    ("|dL/dz|", "@signal{measured}"),
                ],
            )
            for i in (0, 1)
        ]
        picked = hv.Points([], ["margin", "signal"], label="picked").opts(
            color=style.CURSOR, fill_alpha=0, size=13, line_width=2.5
        )
        names = hv.Labels([(0.0, 0.0, "")], ["margin", "signal"], "text", label="names").opts(
            text_color=style.GHOST, text_font_size=style.FONT, text_align="left"
        )
        return hv.Overlay([middle, *lines, *dots, picked, names]).opts(
            xlim=(-LEAST, LEAST),
            ylim=(-0.04, 1.12),
            xlabel="logit toward the right answer",
            ylabel="|dL/dz| of an example",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._network.parameters[:] = frame.epoch.parameters
        logits = self._network.logits(frame.setup.train.x)[:, 0]
        self._margins, self._signals = signals(logits, self._labels, self._loss)
        self._wrong = OUTPUTS["sigmoid"].answers(logits[None]) != self._labels
        sizes = np.abs(self._margins[np.isfinite(self._margins)])
        reach = round_up(min(max(LEAST, float(sizes.max(initial=0.0))), MOST))
        moving = {f"class {i}": self._dots(self._examples[self._labels[self._examples] == i]) for i in (0, 1)}
        moving["picked"] = self._dots(self._picked())
        static = after < 0 or reach != self._reach
        self._reach = reach
        return {**moving, **formulas(reach)} if static else moving

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return {"x": (-1.04 * self._reach, 1.04 * self._reach)}

    def describe(self, frame: Frame) -> str:
        wrong, signals = self._wrong, np.nan_to_num(self._signals)
        if not wrong.any():
            return f"no mistakes; the mean signal is {digits(signals.mean())}"
        worst = int(np.argmin(np.nan_to_num(self._margins)))
        if wrong.sum() == 1:
            return f"1 mistake, error signal {digits(signals[worst])}"
        return (
            f"{wrong.sum()} mistakes, mean error signal {digits(signals[wrong].mean())}, "
            f"of the surest {digits(signals[worst])}"
        )

    def tapped(self, x: float, y: float) -> None:
        """Pick the example whose dot is nearest."""
        away = np.hypot((self._margins[self._examples] - x) / self._reach, self._signals[self._examples] - y)
        self.run.view.example = int(self._examples[int(np.nanargmin(away))])

    def _dots(self, examples: np.ndarray) -> Columns:
        return {"margin": self._margins[examples], "signal": self._signals[examples]}

    def _picked(self) -> np.ndarray:
        example = self.run.view.example
        return np.array([example] if example is not None and example < len(self._labels) else [], dtype=int)


def signals(logits: np.ndarray, labels: np.ndarray, loss: object) -> tuple[np.ndarray, np.ndarray]:
    """For every example the logit toward its own class, and the absolute derivative of its cost in the logit."""
    output, z = OUTPUTS["sigmoid"], logits[None]
    with np.errstate(all="ignore"):
        targets, slopes = loss.labels(output).targets(labels, 1), np.empty(z.shape)
        loss.slope(np.ascontiguousarray(z), output.function(z), targets, output, slopes)
        return np.where(labels == 1, logits, -logits), np.abs(slopes[0])


def formulas(reach: float) -> dict[str, Columns]:
    """|p - y| of cross-entropy and 2 |p - y| p (1 - p) of squared error, by the logit toward the right answer."""
    margins = np.linspace(-reach, reach, POINTS)
    missing = ACTIVATIONS["sigmoid"].function(-margins)
    return {
        "cross-entropy": {"margin": margins, "signal": missing},
        "squared error": {"margin": margins, "signal": 2 * missing * sigmoid_slope(margins)},
        "names": {"margin": [-reach] * 2, "signal": [1.05, 0.1], "text": ["cross-entropy: |p − y|", "squared error"]},
    }
