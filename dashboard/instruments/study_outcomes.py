"""The outcome of every single run of a study, variant by variant."""

import math
from collections.abc import Hashable
from typing import ClassVar

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.instruments.study_picture import StudyPicture, alone, in_digits, ranked
from dashboard.state.store import Frame
from dashboard.state.study import Result
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART
from engine.training import Epochs

SPREAD = 0.56
GOLDEN = 0.6180339887
"""Its multiples, modulo one, fill an interval evenly: they shift each seed's dot up or down."""

LOWEST, HIGHEST = 1e-12, 1e9
FOR_WORDS = 0.17
"""Fraction of the width that is reserved for the words at the right."""


class StudyOutcomes(StudyPicture, Instrument):
    """One dot per run, one row per variant: a distribution, where a single run would be an anecdote.

    A subclass names another `quantity`, how it is read from results and from the page's run, and which runs have
    `solved` the problem.
    """

    title = "Outcomes"
    question = "Is it luck? What do all seeds come to?"
    reading = (
        "One dot a run, one row a variant, the bar is the median. At the right, how many of the runs have passed the "
        "dashed line; the red line is the run on this page. Click a dot to pick that run in all pictures."
    )
    controls = ("at_cursor",)
    quantity: ClassVar[str] = "loss"
    goal: ClassVar[float] = 0.1

    at_cursor = param.Boolean(
        default=False, label="At cursor", doc="Show the runs at the epoch of the other pictures, not at their end."
    )

    def of_result(self, result: Result) -> np.ndarray:
        """(runs, k) the quantity at each epoch of `result.index`; it is drawn on a logarithmic axis."""
        return result.loss

    def of_run(self, epochs: Epochs) -> np.ndarray:
        """(k,) the quantity of the page's own run."""
        return epochs.loss

    def solved(self, values: np.ndarray) -> np.ndarray:
        """Which runs have solved the problem, by their values."""
        return values < self.goal

    def begin(self, frame: Frame) -> None:
        self._shown, self._window = None, (-1.0, 0.0)

    def outline(self, frame: Frame) -> Hashable:
        return self.labels

    def picture(self, frame: Frame) -> hv.Overlay:
        rows = len(self.labels) or 1
        names = [(rows - 1 - i, label) for i, label in enumerate(self.labels or ("this run",))]
        colors = style.VARIANTS[:2]
        goal = hv.Segments([(self.goal, -1, self.goal, rows)], label="goal").opts(
            color=style.GHOST, line_width=2, line_dash="dashed"
        )
        own = hv.Segments([(1, -1, 1, rows)], label="run").opts(color=style.CURSOR, line_width=2, alpha=0.8)
        declared = [(1, 0, color, "", 0, "") for color in colors]
        dots = hv.Points(declared, ["x", "y"], ["color", "variant", "seed", "value"]).opts(
            color="color",
            size=6,
            alpha=0.5,
            tools=["hover"],
            hover_tooltips=[("variant", "@variant"), ("seed", "@seed"), (self.quantity, "@value")],
        )
        bars = hv.Segments([(1, 0, 1, 1, color) for color in colors], vdims="color", label="medians").opts(
            color="color", line_width=3
        )
        picked = hv.Points([], ["x", "y"], label="picked").opts(
            color=style.CURSOR, fill_alpha=0, size=12, line_width=2.5
        )
        words = hv.Labels([(1.0, 0.0, "")], ["x", "y"], "text", label="words").opts(
            text_color=style.GHOST, text_font_size=style.FONT, text_align="right"
        )
        return hv.Overlay([goal, own, dots.relabel("dots"), bars, picked, words]).opts(
            logx=True,
            xlim=(0.1, 1),
            ylim=(-0.7, rows - 0.3),
            yticks=names,
            xticks=style.DECADES,
            xformatter="%.0e",
            xlabel=self.quantity,
            ylabel="",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._own = float(self.of_run(alone(frame.epoch))[0])
        own = np.array([min(max(self._own, LOWEST), HIGHEST)])
        layers = {"run": {"x0": own, "x1": own, "y0": np.array([-1]), "y1": np.array([1 + len(self.labels)])}}
        epoch = frame.epoch.index if self.at_cursor else math.inf
        rows = {label: result.row(epoch) for label, result in self.results.items()}
        shown = (tuple(self.results.items()), tuple(rows.values()), self.picked)
        if shown != self._shown:
            self._values = {label: self._at(result, rows[label]) for label, result in self.results.items()}
        window = self._fitting()
        if (shown, window) != (self._shown, self._window):
            self._shown, self._window = shown, window
            layers |= self._study()
        return layers

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        low, high = self._window
        return {"x": (10.0**low, 10.0 ** (high + FOR_WORDS * (high - low)))}

    def describe(self, frame: Frame) -> str:
        if self.picked:
            label, seed = self.picked
            return f"{label}, seed {seed}: {digits(self._values[label][seed])}{APART}this run {digits(self._own)}"
        if not self._values:
            return f"this run {digits(self._own)}"
        return f"this run {digits(self._own)}{APART}at the right: runs below {self.goal:g}"

    def tapped(self, x: float, y: float) -> None:
        """Pick the run whose dot was clicked."""
        row = len(self.labels) - 1 - round(y)
        label = self.labels[row] if 0 <= row < len(self.labels) else ""
        if label in self._values and x > 0:
            width = math.log10(self.figure.x_range.end / self.figure.x_range.start)
            away = np.log10(self._drawn_at(self._values[label]) / x) / width
            self.pick(label, int(np.argmin(away**2 + ((self._heights(label) - y) / len(self.labels)) ** 2)))

    @param.depends("at_cursor", watch=True)
    def _change(self) -> None:
        self.redraw()

    def _at(self, result: Result, row: int) -> np.ndarray:
        return np.asarray(self.of_result(result), dtype=float)[:, row]

    def _fitting(self) -> tuple[float, float]:
        """The powers of ten from and to which the axis reaches, in steps, so that it rarely moves."""
        values = np.concatenate([[self._own, self.goal], *self._values.values()])
        fine = np.log10(values[(values >= LOWEST) & (values <= HIGHEST)])
        return math.floor(2 * fine.min() - 0.1) / 2, math.ceil(2 * fine.max() + 0.1) / 2

    def _study(self) -> dict[str, Columns]:
        rows = [(label, seed) for label, values in self._values.items() for seed in range(len(values))]
        medians = [float(ranked(self._drawn_at(values), 0.5)[0]) for values in self._values.values()]
        middles = [self._row(label) for label in self._values]
        low, high = self._window
        return {
            "dots": {
                "x": np.concatenate([np.empty(0), *map(self._drawn_at, self._values.values())]).astype(np.float32),
                "y": np.concatenate([np.empty(0), *map(self._heights, self._values)]).astype(np.float32),
                "color": [self.color(label) for label, _ in rows],
                "variant": [label for label, _ in rows],
                "seed": [seed for _, seed in rows],
                "value": [digits(value, 4) for values in self._values.values() for value in values],
            },
            "medians": {
                "x0": in_digits(medians),
                "x1": in_digits(medians),
                "y0": [middle - 0.42 for middle in middles],
                "y1": [middle + 0.42 for middle in middles],
                "color": [self.color(label) for label in self._values],
            },
            "picked": self._ring(),
            "words": {
                "x": [10 ** (high + 0.95 * FOR_WORDS * (high - low))] * len(middles),
                "y": middles,
                "text": [f"{int(self.solved(v).sum())}/{len(v)}" for v in self._values.values()],
            },
            "goal": {
                "x0": [self.goal],
                "x1": [self.goal],
                "y0": [-1],
                "y1": [1 + len(self.labels)],
            },
        }

    def _ring(self) -> Columns:
        if not self.picked:
            return {"x": [], "y": []}
        label, seed = self.picked
        return {"x": self._drawn_at(self._values[label])[[seed]], "y": self._heights(label)[[seed]]}

    def _row(self, label: str) -> int:
        return len(self.labels) - 1 - self.labels.index(label)

    def _heights(self, label: str) -> np.ndarray:
        seeds = np.arange(len(self._values[label]))
        return self._row(label) + SPREAD * ((seeds * GOLDEN + 0.5) % 1 - 0.5)

    def _drawn_at(self, values: np.ndarray) -> np.ndarray:
        return np.nan_to_num(values, nan=HIGHEST, posinf=HIGHEST).clip(LOWEST, HIGHEST)
