"""One quantity over the epochs, for all variants of a study and the page's own run."""

import math
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, NamedTuple

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.instruments.study_picture import StudyPicture, alone, in_digits, ranked
from dashboard.state.store import Frame
from dashboard.state.study import Result
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, phrase
from engine.training import Epochs

TINY, HUGE = 1e-30, 1e30
DECADES = 30
"""Most decades of a logarithmic axis."""

BEFORE_ONE = 0.5
"""Where epoch 0 lies on a logarithmic axis of epochs."""

DRAWN, FAINT = 100, 50
"""Most points of a median, and of a band or a single run."""

NO_BAND = [1.0, 1.0], [1.0, 1.0]
"""A polygon without an inside."""

NEAR = 0.05
"""How far from a curve a click may be, as a fraction of the picture's height."""


class Prediction(NamedTuple):
    """A prediction of theory: a line, or a point of a line, and its name."""

    label: str
    x: np.ndarray
    y: np.ndarray


class Curve(NamedTuple):
    """One variant, ready to be drawn: the epochs, the quartiles (3, k) and every run (runs, k)."""

    result: Result
    index: np.ndarray
    quartiles: np.ndarray
    runs: np.ndarray


class StudyCurves(StudyPicture, Instrument):
    """The median of every variant over its seeds, with the middle half of the runs as a band, and this run over them.

    A subclass names another `quantity`, how it comes from a study's result and from the run's epochs, and what theory
    predicts of it.

    Attributes:
        own: The quantity of the page's own run at the frame's epoch; nan where it is not drawn.
        curves: What is drawn of the study, by variant.
    """

    title = "All variants"
    question = "Which of them learns, how fast, and how surely?"
    reading = (
        "A line is the median over the seeds, its band the middle half of the runs, the strong red line the run on "
        "this page. Click a curve to pick the run next to it, anywhere else to look at that epoch. Chips hide and "
        "show; a double click shows one alone."
    )
    growing = ("run",)
    controls = ("runs", "log_y")
    legend = True
    draws_future = True
    quantity: ClassVar[str] = "loss"

    log_x = param.Boolean(default=False, label="Log epochs", doc="Draw the epochs on a logarithmic axis.")
    log_y = param.Boolean(default=True, label="Log", doc="Draw it on a logarithmic axis.")
    runs = param.Boolean(default=False, label="Runs", doc="Draw every single run.")

    def renew(self) -> None:
        """Have all of the study drawn again in this frame: a prediction has changed, say."""
        self._shown = None

    def of_result(self, result: Result) -> np.ndarray:
        """(runs, k) the quantity at each epoch of `result.index`."""
        return result.loss

    def of_run(self, epochs: Epochs) -> np.ndarray | None:
        """(k,) the quantity of the page's own run; None where it is not drawn."""
        return epochs.loss

    def predictions(self, frame: Frame) -> Sequence[Prediction]:
        """Predictions of theory, drawn before anything is trained."""
        return ()

    def begin(self, frame: Frame) -> None:
        self._low, self._high = math.inf, -math.inf
        self.own = math.nan

    def outline(self, frame: Frame) -> Hashable:
        return self.log_x, self.log_y

    def picture(self, frame: Frame) -> hv.Overlay:
        bands = hv.Polygons(_dummies(), ["epoch", "value"], "color", label="bands").opts(
            fill_color="color", fill_alpha=0.15, line_alpha=0
        )
        expected = hv.Contours(_dummies(), ["epoch", "value"], "color", label="predictions").opts(
            color=style.GHOST, line_width=2, line_dash="dashed"
        )
        words = hv.Labels([(1.0, 1.0, "")], ["epoch", "value"], "text", label="words").opts(
            text_color=style.GHOST, text_font_size=style.FONT, text_align="right", text_baseline="bottom"
        )
        own = hv.Curve([], "epoch", "value", label="run").opts(color=style.CURSOR, line_width=2.5)
        picked = hv.Contours(_dummies(), ["epoch", "value"], "color", label="picked").opts(color="color", line_width=3)
        cursor = hv.Segments([(0, 0, 0, 1)], label="cursor").opts(color=style.CURSOR, line_width=1, alpha=0.6)
        tip = hv.Points([(0, 1)], ["epoch", "value"], label="now").opts(color=style.CURSOR, size=8)
        layers = [bands, expected, words, self._lines("runs", 1), self._lines("medians", 2.5), picked, own, cursor, tip]
        scales = {"logx": True, "xformatter": "%d"} if self.log_x else {}
        if self.log_y:
            scales |= {"logy": True, "yticks": style.DECADES, "yformatter": "%.0e"}
        return hv.Overlay(layers).opts(
            **scales,
            xlim=(BEFORE_ONE, 20),
            ylim=(0.1, 1),
            xlabel="epoch",
            ylabel=self.quantity,
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        """The study's layers only where the study, or its selection, has changed since the last frame."""
        if after < 0:
            self._low, self._high = math.inf, -math.inf
        layers = self._run(frame, after)
        shown = (tuple(self.results.items()), self.runs, self.picked, frame.setup)
        if shown != self._shown:
            self._shown = shown
            self._survey(frame)
            layers |= self._study()
        return layers

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        low, high = self._bounds
        low, high = min(low, self._low), max(high, self._high)
        last = max([20, self.ahead(frame).epoch.index, self.run.study.epochs if self.run.study else 0])
        x = (BEFORE_ONE, 1.05 * last) if self.log_x else (0, last)
        if not low <= high:
            return {"x": x, "y": (0.1, 1)}
        if not self.log_y:
            margin = 0.06 * (high - low) if high > low else 0.1 * abs(high) or 1.0
            return {"x": x, "y": (0.0 if 0 <= low < high / 2 else low - margin, high + margin)}
        high = max(high, TINY)
        return {"x": x, "y": (max(low, high / 10.0**DECADES) / 1.5, high * 1.5)}

    def describe(self, frame: Frame) -> str:
        own = f"this run {digits(self.own)}" if not math.isnan(self.own) else ""
        if not self.results:
            return phrase(own, "press Compare to train the variants" if self.labels else "", between=APART)
        if self.picked:
            label, seed = self.picked
            value = self.curves[label].runs[seed, self.curves[label].result.row(frame.epoch.index)]
            return f"{own}{APART}{label}, seed {seed}: {digits(value)}"
        seeds = next(iter(self.results.values())).runs
        return f"{own}{APART}lines: median of {seeds} seeds, bands: the middle half"

    def tapped(self, x: float, y: float) -> None:
        """Pick the run that was clicked; elsewhere, look at that epoch."""
        found = self.nearest(x, y)
        if found:
            self.pick(*found)
        else:
            self.run.look_at(min(max(0, round(x)), self.run.history[-1].index))

    def reading_of(self, label: str, epoch: int) -> str:
        curve = self.curves.get(label)
        return digits(curve.quartiles[1, curve.result.row(epoch)]) if curve else ""

    def own_reading(self, frame: Frame) -> str:
        return "" if math.isnan(self.own) else digits(self.own)

    @param.depends("log_x", "log_y", "runs", watch=True)
    def _change(self) -> None:
        self.redraw()

    def declared(self) -> None:
        super().declared()
        self._shown: object = None
        self.curves: dict[str, Curve] = {}
        self._bounds = math.inf, -math.inf

    def _lines(self, label: str, width: float) -> hv.Contours:
        lines = hv.Contours(_dummies(), ["epoch", "value"], ["color", "variant"], label=label)
        marks = {"alpha": 0.35} if label == "runs" else {"tools": ["hover"], "hover_tooltips": self._tooltips()}
        return lines.opts(color="color", line_width=width, **marks)

    def _tooltips(self) -> list[tuple[str, str]]:
        return [("variant", "@variant"), ("epoch", "$snap_x{epoch}"), (self.quantity, "$snap_y{measured}")]

    def _survey(self, frame: Frame) -> None:
        """Update curves and bounds; curves of unchanged results are reused."""
        before = self.curves
        self.curves = {
            label: before[label] if label in before and before[label].result is result else self.curve_of(result)
            for label, result in self.results.items()
        }
        self._expected = list(self.predictions(frame))
        seen = [curve.runs if self.runs else curve.quartiles for curve in self.curves.values()]
        if self.picked:
            seen.append(self.curves[self.picked[0]].runs[self.picked[1]])
        seen += [np.asarray(line.y) for line in self._expected]
        self._bounds = math.inf, -math.inf
        for values in seen:
            self._bounds = self._wider(self._bounds, values)

    def curve_of(self, result: Result) -> Curve:
        """A result as it is drawn."""
        runs = np.asarray(self.of_result(result), dtype=float)
        return Curve(result, result.index, ranked(runs, 0.25, 0.5, 0.75), runs)

    def _study(self) -> dict[str, Columns]:
        return {
            "bands": self._bands(),
            "medians": self._columns({label: [curve.quartiles[1]] for label, curve in self.curves.items()}, DRAWN),
            "runs": self._columns({k: list(curve.runs) if self.runs else [] for k, curve in self.curves.items()}),
            "picked": self._columns(
                {label: [self.curves[label].runs[seed]] for label, seed in filter(None, [self.picked])}, DRAWN, False
            ),
            **self._theory(),
        }

    def _theory(self) -> dict[str, Columns]:
        """The predictions, each with its name at its right end."""
        lines = [(in_digits(self._places(line.x)), in_digits(self._heights(line.y))) for line in self._expected]
        return {
            "predictions": {"xs": [x for x, _ in lines], "ys": [y for _, y in lines]},
            "words": {
                "epoch": [x[-1] for x, _ in lines],
                "value": [y[-1] for _, y in lines],
                "text": [line.label for line in self._expected],
            },
        }

    def _columns(self, lines: dict[str, list[np.ndarray]], most: int = FAINT, named: bool = True) -> Columns:
        """Lines of the variants as columns of a layer."""
        rows = [(label, values) for label, group in lines.items() for values in group]
        thin = {label: self._thinned(self.curves[label].index, most) for label in lines}
        x = {label: in_digits(self._places(self.curves[label].index[thin[label]])) for label in lines}
        columns = {
            "xs": [x[label] for label, _ in rows],
            "ys": [in_digits(self._heights(values[thin[label]])) for label, values in rows],
            "color": [self.color(label) for label, _ in rows],
        }
        return {**columns, "variant": [label for label, _ in rows]} if named else columns

    def _bands(self) -> Columns:
        """A row for every variant, drawn or not: Bokeh fails to paint polygons that have become fewer."""
        bands = [self._band(self.curves.get(label)) for label in self.labels] or [NO_BAND] * 2
        colors = [self.color(label) for label in self.labels] or [style.GHOST] * 2
        return {"xs": [[[x]] for x, _ in bands], "ys": [[[y]] for _, y in bands], "fill_color": colors}

    def _band(self, curve: Curve | None) -> tuple[list[float], list[float]]:
        """There along the lower quartile and back along the upper one."""
        if curve is None:
            return NO_BAND
        thin = self._thinned(curve.index, FAINT)
        x, (low, _, high) = in_digits(self._places(curve.index[thin])), curve.quartiles[:, thin]
        return x + x[::-1], in_digits(self._heights(low), 3) + in_digits(self._heights(high), 3)[::-1]

    def _thinned(self, index: np.ndarray, most: int) -> np.ndarray:
        """Which of the epochs to draw: all where they are few, else evenly spaced along the axis."""
        if len(index) <= most:
            return np.arange(len(index))
        along = self._along(index)
        return np.unique(np.searchsorted(along, np.linspace(along[0], along[-1], most)).clip(0, len(index) - 1))

    def _places(self, epochs: np.ndarray) -> np.ndarray:
        return np.maximum(epochs, BEFORE_ONE) if self.log_x else np.asarray(epochs)

    def _along(self, epochs: np.ndarray) -> np.ndarray:
        """Epochs as distances on the axis."""
        return np.log10(self._places(epochs)) if self.log_x else np.asarray(epochs, dtype=float)

    def _heights(self, values: np.ndarray) -> np.ndarray:
        """Values as they can be drawn; those of runs that diverged leave through the top."""
        values = np.nan_to_num(np.asarray(values, dtype=float), nan=HUGE, posinf=HUGE, neginf=-HUGE)
        return np.maximum(values, TINY) if self.log_y else np.clip(values, -HUGE, HUGE)

    def _run(self, frame: Frame, after: int) -> dict[str, Columns]:
        """The page's own run, with the time cursor."""
        place = self._places(np.array([frame.epoch.index]))
        low = TINY if self.log_y else -HUGE
        cursor = {"x0": place, "x1": place, "y0": np.array([low]), "y1": np.array([HUGE])}
        rows = self.spread_rows(frame, after) if self.log_x else self.rows(frame, after)
        nothing = {"epoch": np.empty(0), "value": np.empty(0)}
        now, drawn = self.of_run(alone(frame.epoch)), self.of_run(rows)
        if drawn is None:
            return {"run": nothing, "now": nothing, "cursor": cursor}
        self.own = float(now[0])
        self._low, self._high = self._wider((self._low, self._high), np.append(drawn, now))
        return {
            "run": {"epoch": self._places(rows.index), "value": self._heights(drawn)},
            "now": {"epoch": place, "value": self._heights(now)},
            "cursor": cursor,
        }

    def _wider(self, bounds: tuple[float, float], values: Any) -> tuple[float, float]:
        """Bounds that take in these values, where they are finite."""
        values = np.asarray(values, dtype=float)
        fine = values[(np.abs(values) < HUGE) & (values > TINY if self.log_y else True)]
        return (min(bounds[0], float(fine.min())), max(bounds[1], float(fine.max()))) if fine.size else bounds

    def nearest(self, x: float, y: float) -> tuple[str, int] | None:
        """The run whose curve is closest to a point, as variant and seed; None where none is near."""
        axis = self.figure.y_range
        scale = np.log10 if self.log_y else np.asarray
        height = float(scale(axis.end) - scale(axis.start))
        found: tuple[float, str, int] | None = None
        for label, curve in self.curves.items():
            row = int(np.argmin(np.abs(self._along(curve.index) - self._along(np.array([max(x, 0)])))))
            away = np.abs(scale(self._heights(curve.runs[:, row])) - scale(self._heights(np.array([y])))) / height
            seed = int(np.argmin(away))
            if away[seed] < (found[0] if found else NEAR):
                found = float(away[seed]), label, seed
        return found[1:] if found else None


def _dummies() -> list[dict[Any, Any]]:
    """Two lines that differ in color: of a single color HoloViews makes a fixed value."""
    line = np.ones((2, 2))
    return [{("epoch", "value"): line, "color": color, "variant": color} for color in style.VARIANTS[:2]]
