"""The loss over the epochs."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import holoviews as hv
import numpy as np
import param
from markupsafe import Markup

from dashboard.instruments.instrument import Columns, Instrument, lone, with_gaps
from dashboard.instruments.numerals import digits
from dashboard.state.run import Frame
from dashboard.state.store import ComparedRun
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, BREAK, dot, phrase
from engine.recording import first_in_stride
from engine.training import Epochs

TINY = 1e-12
TWO = (style.TRAIN, style.VALIDATION)
"""Colors for the rows that a layer is declared with: of a single one HoloViews would make a constant."""

EXPLODED = 20
"""Multiple of the loss of epoch 0 up to which a linear axis reaches: an exploding loss would flatten all before it."""


class Line(NamedTuple):
    """One loss over the epochs: of the run or, thinner and in its color, of a compared run; dashed where held out."""

    label: str
    color: str
    held_out: bool
    compared: ComparedRun | None = None

    def drawn(self) -> hv.Curve:
        """The declaration of its layer."""
        look = {"line_width": 1.3, "line_dash": "dashed" if self.held_out else "solid"} if self.compared else {}
        curve = hv.Curve([], "epoch", "loss", label=self.label)
        return curve.opts(**{"color": self.color, "line_width": 2, "line_join": "round", **look})

    @property
    def column(self) -> str:
        """The name of the loss among the columns of epochs."""
        return "validation_loss" if self.held_out else "loss"

    def of(self, epochs: Epochs) -> np.ndarray:
        """The losses of some epochs, or the loss of one."""
        return getattr(epochs, self.column)


class LossCurve(Instrument):
    """Training and validation loss, epoch by epoch, penalties included in both; thinner, those of compared runs."""

    title = "Loss"
    question = "Is it learning, and does it hold on examples it has not seen?"
    reading = (
        "Both curves fall while it learns. Where validation turns up and training goes on falling, it learns the "
        "noise. A click takes all pictures back to that epoch."
    )
    missing = "no loss was told."
    needs = ""
    controls = ("log",)
    overlays_compared = True
    draws_future = True

    log = param.Boolean(default=False, label="Log", doc="Draw the loss on a logarithmic axis.")

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return frame.knows("loss") or frame.knows("validation_loss")

    def begin(self, frame: Frame) -> None:
        self._is_logged = frame.is_logged
        self._low, self._high = math.inf, -math.inf
        self._lines = [
            *_own(frame),
            *(line for place, compared in enumerate(self.drawn_with) for line in _of(compared, place)),
        ]
        self.growing = tuple(line.label for line in self._lines)

    def outline(self, frame: Frame) -> Hashable:
        return tuple((line.label, line.color) for line in self._lines), self.log, self._is_logged

    def picture(self, frame: Frame) -> hv.Overlay:
        colors = [*dict.fromkeys([*(line.color for line in self._lines), *TWO])]
        tips = hv.Points([(0, 1, color) for color in colors], ["epoch", "loss"], "color", label="now").opts(
            color="color", size=8, show_legend=False
        )
        scale = {"logy": True, "yticks": style.FINE_DECADES, "yformatter": "%.3g"} if self.log else {}
        compared_runs, own = (
            [line.drawn() for line in self._lines if bool(line.compared) == far] for far in (True, False)
        )
        dots = hv.Points([(0, 1, color) for color in TWO], ["epoch", "loss"], "color", label="measured").opts(
            color="color", size=4, show_legend=False
        )
        return hv.Overlay([*self.guides(), *compared_runs, *own, tips, *([dots] if self._is_logged else [])]).opts(
            **scale,
            xlim=(0, 20),
            ylim=(0.1, 1),
            xlabel="epoch",
            ylabel="loss",
        )

    def guides(self) -> list[hv.Element]:
        """Layers beneath the losses; none but on a page that has some."""
        return []

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        frames = self._frames(frame)
        layers, tips, dots = {}, [], []
        for line in self._lines:
            shown = frames[line.compared].measured(line.column)
            rows, now = self._rows(frame, shown if line.compared else self.ahead(shown), after), shown.epoch
            index, losses = with_gaps(rows.index, line.of(rows), shown.unmeasured(self.stride(frame)))
            newest = line.of(now) if now.index <= shown.cursor else math.nan
            self._widen(np.append(losses, newest))
            layers[line.label] = {"epoch": index, "loss": losses}
            tips.append((now.index, newest, line.color))
            if self._is_logged:
                single = lone(index, losses, self.stride(frame))
                dots += zip(index[single].tolist(), losses[single].tolist(), [line.color] * len(index), strict=False)
        if self._is_logged:
            layers["measured"] = _points(dots)
        return {**layers, "now": _points(tips)}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        low, high = max(self._low, TINY), max(self._high, TINY)
        first = frame.measured("loss").history.at(0).loss
        most = EXPLODED * max(first, TINY) if math.isfinite(first) else high
        y = (low / 1.3, high * 1.3) if self.log else (0.0, 1.06 * min(high, most))
        return {"x": (0, max(20, self.ahead(frame).epoch.index)), "y": y}

    def describe(self, frame: Frame) -> str:
        own = [_word(line.label, frame, line.column, line.color) for line in self._lines if not line.compared]
        compared_runs = [
            _word(compared.name, shown, "loss", compared.color)
            for compared, shown in self._frames(frame).items()
            if compared
        ]
        return phrase(*(phrase(*words, between=APART) for words in (own, compared_runs)), between=BREAK)

    def tapped(self, x: float, y: float) -> None:
        newest = self.run.history[-1].index
        self.run.look_at(max(0, round(x)) if x < newest else None)

    @param.depends("log", watch=True)
    def _change_axis(self) -> None:
        self.redraw()

    def _frames(self, frame: Frame) -> Mapping[ComparedRun | None, Frame]:
        """The run's frame, under None, and each compared run's at the same epoch, or at its last if it ended before."""
        frames: dict[ComparedRun | None, Frame] = {None: frame}
        for compared in self.drawn_with:
            compared.store.look_at(frame.epoch.index)
            frames[compared] = compared.store.frame()
        return frames

    def _rows(self, frame: Frame, shown: Frame, after: int) -> Epochs:
        """The epochs to draw, evenly spaced: of a compared run as far apart as the run's, or as recorded."""
        kept = shown.kept(after)
        return kept.rows(first_in_stride(kept.index, max(self.stride(frame), shown.stride), after))

    def _widen(self, losses: np.ndarray) -> None:
        """Extend the axis to these losses."""
        losses = losses[np.isfinite(losses)] if self._is_logged else losses
        if len(losses):
            self._low = min(self._low, float(np.nanmin(losses)))
            self._high = max(self._high, float(np.nanmax(losses)))


def _own(frame: Frame) -> list[Line]:
    """The lines of the run itself."""
    lines = [Line("training", style.TRAIN, held_out=False), Line("validation", style.VALIDATION, held_out=True)]
    if frame.is_logged:
        return [line for line in lines if frame.knows(line.column)] or lines[:1]
    return lines if frame.setup.validation is not None else lines[:1]


def _of(compared: ComparedRun, place: int) -> list[Line]:
    """The lines of a compared run."""
    held_out = (False, True)[: 1 + (compared.store.frame().setup.validation is not None)]
    return [Line(f"compared {place + 1}: {_kind(which)}", compared.color, which, compared) for which in held_out]


def _kind(held_out: bool) -> str:
    return "validation" if held_out else "training"


def _word(name: str, frame: Frame, column: str, color: str) -> Markup:
    """A line of the legend, with the line's present value, and at which epoch if not at the frame's."""
    epoch = frame.measured(column).epoch
    loss, when = getattr(epoch, column), "" if epoch.index == frame.epoch.index else f" at epoch {epoch.index:,}"
    measured = f"{digits(loss, 4)}{when}" if epoch.index <= frame.epoch.index else "not told yet"
    return phrase(dot(color), name, measured)


def _points(points: Sequence[tuple[int, float, str]]) -> Columns:
    """Epochs, losses and colors as columns."""
    return {name: [point[place] for point in points] for place, name in enumerate(("epoch", "loss", "color"))}
