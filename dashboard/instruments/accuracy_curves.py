"""The shares of right answers over the logarithm of time: on the examples that are trained on, and on the others."""

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import share
from dashboard.instruments.study_curves import BEFORE_ONE
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, dot, phrase

LEARNED, GENERAL = 0.95, 0.85
"""Accuracies from which on the training examples count as learned, and what is learned as general."""


class AccuracyCurves(Instrument):
    """Training and validation accuracy, epoch by epoch, and when each has come to its mark."""

    title = "Right answers over time"
    question = "Does it understand, or does it know by heart?"
    reading = (
        "The share of right answers on the examples that are trained on (blue), and on those that are not (orange). "
        "The time is logarithmic: between the two rises there may be a hundred times as many epochs as before the "
        "first. A click takes all pictures back to that epoch."
    )
    missing = "there are no classes to be right about, or nothing is held out."
    growing = ("training", "validation")
    needs = ""
    draws_future = True
    points = 1024

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return frame.setup.task != "regression" and frame.setup.validation is not None and not frame.is_logged

    def picture(self, frame: Frame) -> hv.Overlay:
        curves = [
            hv.Curve([], "epoch", "accuracy", label=label).opts(color=color, line_width=2.5)
            for label, color in (("training", style.TRAIN), ("validation", style.VALIDATION))
        ]
        cursor = hv.Segments([(0, 0, 0, 1)], label="cursor").opts(color=style.CURSOR, line_width=1, alpha=0.6)
        return hv.Overlay([*curves, cursor]).opts(
            logx=True,
            xformatter="%d",
            xlim=(BEFORE_ONE, 20),
            ylim=(-0.02, 1.04),
            xlabel="epoch",
            ylabel="right",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        rows, now = self.spread_rows(frame, after), max(frame.epoch.index, BEFORE_ONE)
        epochs = np.maximum(rows.index, BEFORE_ONE)
        return {
            "training": {"epoch": epochs, "accuracy": rows.accuracy},
            "validation": {"epoch": epochs, "accuracy": rows.validation_accuracy},
            "cursor": {"x0": [now], "x1": [now], "y0": [0.0], "y1": [1.0]},
        }

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return {"x": (BEFORE_ONE, 1.05 * max(100, self.run.settings.stop_epoch, self.ahead(frame).epoch.index))}

    def describe(self, frame: Frame) -> str:
        epoch, rows = frame.epoch, frame.spread(frame.kept())
        words = [
            phrase(dot(style.TRAIN), "training", share(epoch.accuracy)),
            phrase(dot(style.VALIDATION), "validation", share(epoch.validation_accuracy)),
        ]
        for name, values, mark in (
            ("learned", rows.accuracy, LEARNED),
            ("general", rows.validation_accuracy, GENERAL),
        ):
            there = np.flatnonzero(values >= mark)
            if len(there):
                words.append(f"{name} ({mark:.0%}) at epoch {rows.index[there[0]]:,}")
        return phrase(*words, between=APART)

    def tapped(self, x: float, y: float) -> None:
        newest = self.run.history[-1].index
        self.run.look_at(max(0, round(x)) if x < newest else None)
