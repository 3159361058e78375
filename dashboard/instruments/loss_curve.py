"""Loss curve: the loss over the epochs."""

import math
from collections.abc import Hashable

import holoviews as hv
import numpy as np
import param

from dashboard import style
from dashboard.instruments.instrument import Columns, Instrument
from dashboard.run import Frame

TINY = 1e-12
EXPLODED = 20
"""How many times the loss of epoch 0 a linear axis reaches: a loss that explodes would flatten all before it."""


class LossCurve(Instrument):
    """Training and validation loss, epoch by epoch, penalties included in both."""

    title = "Loss"
    question = "Is it learning, and does it hold on examples it has not seen?"
    reading = (
        "Both curves fall while it learns. Where validation turns up and training goes on falling, it learns the "
        "noise. A click takes all pictures back to that epoch."
    )
    growing = ("training", "validation")
    controls = ("log",)

    log = param.Boolean(default=False, label="Log", doc="Draw the loss on a logarithmic axis.")

    def begin(self, frame: Frame) -> None:
        self._first = frame.history.at(0).loss
        self._low, self._high = math.inf, -math.inf

    def outline(self, frame: Frame) -> Hashable:
        return frame.setup.validation is None, self.log

    def picture(self, frame: Frame) -> hv.Overlay:
        layers = [_line("training", style.TRAIN)]
        if frame.setup.validation is not None:
            layers.append(_line("validation", style.VALIDATION))
        colors = [style.TRAIN, style.VALIDATION][: len(layers)]
        tips = hv.Points([(0, 1, color) for color in colors], ["epoch", "loss"], "color", label="now").opts(
            color="color", size=8, show_legend=False
        )
        scale = {"logy": True, "yticks": style.FINE_DECADES, "yformatter": "%.3g"} if self.log else {}
        return hv.Overlay([*layers, tips]).opts(
            **scale,
            xlim=(0, 20),
            ylim=(0.1, 1),
            xlabel="epoch",
            ylabel="loss",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        rows, now = self.rows(frame, after), frame.epoch
        series = {"training": (rows.loss, now.loss, style.TRAIN)}
        if frame.setup.validation is not None:
            series["validation"] = (rows.validation_loss, now.validation_loss, style.VALIDATION)
        for losses, newest, _ in series.values():
            self._widen(np.append(losses, newest))
        tips = [(newest, color) for _, newest, color in series.values()]
        return {
            **{label: {"epoch": rows.index, "loss": losses} for label, (losses, _, _) in series.items()},
            "now": {
                "epoch": [now.index] * len(tips),
                "loss": [loss for loss, _ in tips],
                "color": [color for _, color in tips],
            },
        }

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        low, high = max(self._low, TINY), max(self._high, TINY)
        y = (low / 1.3, high * 1.3) if self.log else (0.0, 1.06 * min(high, EXPLODED * max(self._first, TINY)))
        return {"x": (0, max(20, frame.epoch.index)), "y": y}

    def describe(self, frame: Frame) -> str:
        words = [_word("training", frame.epoch.loss, style.TRAIN)]
        if frame.setup.validation is not None:
            words.append(_word("validation", frame.epoch.validation_loss, style.VALIDATION))
        return " &ensp; ".join(words)

    def tapped(self, x: float, y: float) -> None:
        newest = self.run.history[-1].index
        self.run.look_at(max(0, round(x)) if x < newest else None)

    @param.depends("log", watch=True)
    def _change_axis(self) -> None:
        self.redraw()

    def _widen(self, losses: np.ndarray) -> None:
        """Let the axis take in these losses."""
        self._low = min(self._low, float(np.nanmin(losses)))
        self._high = max(self._high, float(np.nanmax(losses)))


def _line(label: str, color: str) -> hv.Curve:
    return hv.Curve([], "epoch", "loss", label=label).opts(color=color, line_width=2, line_join="round")


def _word(name: str, loss: float, color: str) -> str:
    """A line of the legend, with what the line has come to."""
    return f'<b style="color: {color}">●</b> {name} {loss:.4g}'
