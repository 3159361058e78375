"""Any number that a program logged by name, over epochs, steps or the time, with the program's notes."""

import math
from collections.abc import Hashable
from typing import NamedTuple

import holoviews as hv
import numpy as np
import pandas as pd
import param

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.state.run import Frame
from dashboard.tracking.logged_history import LoggedFrame
from dashboard.tracking.metric_lines import AXES, EPOCH, STEP, TIME, Logged, time_unit
from dashboard.tracking.named_records import ALERT
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, BREAK, dot, in_a_menu, phrase

COLORS = {"training": style.TRAIN, "validation": style.VALIDATION, "test": style.GHOST}
SMOOTHING = {"as logged": 0, "smoothed over 5": 5, "over 25": 25, "over 100": 100}
"""By its words in the menu, the half-life of the average, in values."""

TINY, HUGE = 1e-30, 1e30
MAX_NOTES = 60
"""Most notes that are drawn; of more, the newest."""


class Line(NamedTuple):
    """A line to draw: of the run or, thinner and in its own color, of another one."""

    label: str
    color: str
    part: str
    run: str
    logged: Logged


class LoggedMetrics(Instrument):
    """One metric, training and validation together; its raw values beneath where it is smoothed."""

    title = "Metrics"
    question = "How does any number that I log develop?"
    reading = (
        "Training is blue, validation orange; other runs are thin lines, solid and dashed. A smoothed curve is an "
        "average that forgets half of a value after so many further ones; what was logged lies pale beneath it. "
        "Vertical lines are notes (gray) and alerts (red): hover to read them. A click takes all pictures to that "
        "epoch. The time is known to a tenth of a second or a thousandth, whichever is more."
    )
    missing = "no metric was logged."
    needs = ""
    controls = ("metric", "axis", "smoothing", "log")
    points = 600

    metric = param.Selector(default="", objects=[""], label="Metric", doc="Which number is drawn.")
    axis = param.Selector(default=EPOCH, objects=list(AXES), label="Over", doc="What the values are drawn over.")
    smoothing = param.Selector(default=0, objects=SMOOTHING, label="Smoothing", doc="How the curves are smoothed.")
    log = param.Boolean(default=False, label="Log", doc="Draw the values on a logarithmic axis.")

    _is_settling = False

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        if not isinstance(frame, LoggedFrame):
            return False
        logged = Logged(frame.logged, frame.logbook)
        return bool(set(logged.names) - {"loss"} or frame.logbook.notes or len(frame.logbook.moments) > 1)

    def is_fresh(self, frame: Frame) -> bool:
        return super().is_fresh(frame) or self._known != self._knowledge(frame)

    def begin(self, frame: Frame) -> None:
        self._known = self._knowledge(frame)
        own = Logged(frame.logged, frame.logbook)
        names = own.names or [""]
        usual = next((name for name in names if name != "loss"), names[0])
        menu = self.param["metric"]
        if list(menu.objects) != names:
            menu.objects = in_a_menu(names)
            menu.default = usual
        if self.metric not in names:
            self._is_settling = True
            self.metric = usual
            self._is_settling = False
        self._axis = self.axis if self.axis in own.axes else EPOCH
        self._lines = [
            Line(part, COLORS[part], part, "", own) for part in own.lines(self.metric, frame.logged.last)
        ] or [Line("training", COLORS["training"], "training", "", own)]
        for place, (name, _, logged) in enumerate(getattr(self.run, "overlaid", ())):
            color = style.variant_color(place + 1)
            parts = logged.lines(self.metric, logged.history.last)
            self._lines += [Line(f"run {place + 1}: {part}", color, part, name, logged) for part in parts]

    def outline(self, frame: Frame) -> Hashable:
        lines = tuple((line.label, line.color) for line in self._lines)
        return lines, self.metric, self._axis, self.smoothing > 0, self.log, self._unit(frame)

    def picture(self, frame: Frame) -> hv.Overlay:
        axes = ["epoch", "value"]
        own = [line for line in self._lines if not line.run]
        raw = [hv.Curve([], *axes, label=_raw(line)).opts(color=line.color, alpha=0.3, line_width=1) for line in own]
        curves = [
            hv.Curve([], *axes, label=line.label).opts(
                color=line.color,
                line_width=1.3 if line.run else 2,
                line_dash="dashed" if line.run and line.part != "training" else "solid",
                line_join="round",
            )
            for line in self._lines[::-1]
        ]
        dots = hv.Points([(0, 1, color) for color in COLORS.values()], axes, "color", label="now").opts(
            color="color", size=7
        )
        notes = hv.Segments(
            [(0, TINY, 0, HUGE, color, "", 0) for color in (style.GHOST, style.CURSOR)],
            vdims=["color", "words", "at"],
            label="notes",
        ).opts(
            color="color",
            line_width=2,
            alpha=0.7,
            tools=["hover"],
            hover_tooltips=[("note", "@words"), ("epoch", "@at")],
        )
        scale = {"logy": True, "yticks": style.FINE_DECADES, "yformatter": "%.3g"} if self.log else {}
        return hv.Overlay([notes, *(raw if self.smoothing else []), *curves, dots]).opts(
            **scale, xlim=(0, 20), ylim=(0.1, 1), xlabel=self._unit(frame), ylabel=self.metric or "value"
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        own, layers, tips, drawn = frame.cursor, {}, [], []
        scale = self._scale(frame)
        ends = []
        for line in self._lines:
            until = line.logged.history.last if line.run else own
            index, values = line.logged.lines(self.metric, until).get(line.part, (np.empty(0, int), np.empty(0)))
            places = line.logged.places(index, self._axis) / scale
            known = np.isfinite(places) & np.isfinite(values)
            index, places, values = index[known], places[known], values[known]
            even = self._even(len(values))
            shown = values
            if self.smoothing:
                shown = pd.Series(values).ewm(halflife=self.smoothing).mean().to_numpy() if len(values) else values
                if not line.run:
                    layers[_raw(line)] = {"epoch": places[even], "value": values[even]}
            layers[line.label] = {"epoch": places[even], "value": shown[even]}
            drawn.append(shown if self.smoothing else values)
            ends.append(places[-1:])
            if len(values) and not line.run:
                tips.append((places[-1], shown[-1], line.color))
        self._values, self._ends = np.concatenate(drawn), np.concatenate(ends)
        layers["now"] = {name: [tip[at] for tip in tips] for at, name in enumerate(("epoch", "value", "color"))}
        return layers | {"notes": self._notes(frame, scale)}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        values = self._values[np.isfinite(self._values) & ((self._values > 0) | (not self.log))]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.1, 1.0)
        if self.log:
            y = max(low, TINY) / 1.3, max(high, 2 * TINY) * 1.3
        else:
            room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
            y = (0.0 if 0 <= low < 0.5 * high else low - room), high + room
        right = float(self._ends.max(initial=0))
        return {"x": (0, right if right > 0 else 1), "y": y}

    def describe(self, frame: Frame) -> str:
        own, others = [], []
        for line in self._lines:
            until = line.logged.history.last if line.run else frame.cursor
            index, values = line.logged.lines(self.metric, until).get(line.part, ((), ()))
            when = "" if not len(index) or line.run or index[-1] == frame.cursor else f" at {index[-1]:,}"
            words = f"{digits(values[-1], 4)}{when}" if len(values) else "not logged yet"
            name = f"{line.run} {line.part}" if line.run else line.part
            (others if line.run else own).append(phrase(dot(line.color), name, words))
        said = [] if self._axis == self.axis else [_why_not(self.axis)]
        return phrase(
            phrase(f"{self.metric}:", *own, *said, between=APART), *([phrase(*others, between=APART)]), between=BREAK
        )

    def tapped(self, x: float, y: float) -> None:
        if self._axis == EPOCH and 0 <= x < self.run.history[-1].index:
            self.run.look_at(round(x))

    @param.depends("metric", "axis", "smoothing", "log", watch=True)
    def _change(self) -> None:
        if not self._is_settling:
            self.redraw()

    def _knowledge(self, frame: Frame) -> Hashable:
        """What begins the picture anew: metrics, axes, and which runs are drawn over this one."""
        own = Logged(frame.logged, frame.logbook)
        others = tuple(
            (key, tuple(logged.lines(self.metric, logged.history.last)))
            for _, key, logged in getattr(self.run, "overlaid", ())
        )
        return tuple(own.names), own.axes, tuple(own.lines(self.metric, frame.logged.last)), others

    def _even(self, count: int) -> slice | np.ndarray:
        """Which of so many values are drawn: evenly spaced, the newest among them."""
        stride = 1
        while count // stride > self.points:
            stride *= 2
        return slice(None) if stride == 1 else np.unique(np.append(np.arange(0, count, stride), count - 1))

    def _scale(self, frame: Frame) -> float:
        """How much one unit of the axis is."""
        return self._time_unit(frame)[1] if self._axis == TIME else 1.0

    def _unit(self, frame: Frame) -> str:
        """What the axis counts."""
        if self._axis == TIME:
            return f"{self._time_unit(frame)[0]} since the run began"
        return STEP if self._axis == STEP or Logged(frame.logged, frame.logbook).is_by_step else EPOCH

    def _time_unit(self, frame: Frame) -> tuple[str, float]:
        moments = frame.logbook.moments
        return time_unit(float(moments.values[-1]) if len(moments) else 0.0)

    def _notes(self, frame: Frame, scale: float) -> Columns:
        """A vertical line for each note up to the epoch that is looked at."""
        notes = [note for note in frame.logbook.notes if note.epoch <= frame.cursor][-MAX_NOTES:]
        own = Logged(frame.logged, frame.logbook)
        at = own.places(np.array([note.epoch for note in notes], np.int64), self._axis) / scale
        known = [(note, x) for note, x in zip(notes, at.tolist(), strict=True) if math.isfinite(x)]
        return {
            "x0": [x for _, x in known],
            "x1": [x for _, x in known],
            "y0": [TINY if self.log else -HUGE] * len(known),
            "y1": [HUGE] * len(known),
            "color": [style.CURSOR if note.kind == ALERT else style.GHOST for note, _ in known],
            "words": [note.words for note, _ in known],
            "at": [note.epoch for note, _ in known],
        }


def _raw(line: Line) -> str:
    return f"{line.label}, as logged"


def _why_not(axis: str) -> str:
    """Why an axis that was chosen is not drawn."""
    return "over epochs: no step was logged" if axis == STEP else "over epochs: the time is not known"
