"""Two numbers of every run of a study against each other."""

import math
from collections.abc import Hashable
from typing import ClassVar

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.instruments.study_picture import StudyPicture, alone
from dashboard.state.store import Frame
from dashboard.state.study import Result
from dashboard.widgets import style
from engine.training import Epochs

LOWEST, HIGHEST = 1e-9, 1e12
NEAR = 0.05
"""How far from a dot a click may be, as a fraction of the picture."""


class StudyScatter(StudyPicture, Instrument):
    """One dot per run: the norm of its whole gradient against its loss, with this run's path through the same plane.

    A subclass names two other quantities, `across` and `up`, and how they are read.
    """

    title = "Gradient against loss"
    question = "Are the bad runs stuck, or still on their way?"
    reading = (
        "One dot a run. High loss with a small gradient is stuck: nothing pulls it anywhere. High loss with a large "
        "gradient is on its way, or unstable. The red line is the way of the run on this page. Click a dot to pick it. "
        "What is smaller than 1e-9 lies at 1e-9."
    )
    growing = ("path",)
    points = 256
    controls = ("at_cursor",)
    across: ClassVar[str] = "loss"
    up: ClassVar[str] = "gradient norm"

    at_cursor = param.Boolean(
        default=False, label="At cursor", doc="Show the runs at the epoch of the other pictures, not at their end."
    )

    def of_result(self, result: Result) -> tuple[np.ndarray, np.ndarray]:
        """The two quantities, each (runs, k); both are drawn on logarithmic axes."""
        return result.loss, np.linalg.norm(result.gradient_norms, axis=2)

    def of_run(self, epochs: Epochs) -> tuple[np.ndarray, np.ndarray]:
        """The two quantities of the page's own run, each (k,)."""
        return epochs.loss, np.linalg.norm(epochs.gradient_norms, axis=1)

    def begin(self, frame: Frame) -> None:
        self._shown: object = None

    def outline(self, frame: Frame) -> Hashable:
        return None

    def picture(self, frame: Frame) -> hv.Overlay:
        rows = [(1, 1, color, "", 0, "", "") for color in style.VARIANTS[:2]]
        dots = hv.Points(rows, ["x", "y"], ["color", "variant", "seed", "across", "up"], label="dots").opts(
            color="color",
            size=6,
            alpha=0.7,
            tools=["hover"],
            hover_tooltips=[
                ("variant", "@variant"),
                ("seed", "@seed"),
                (self.across, "@across"),
                (self.up, "@up"),
            ],
        )
        path = hv.Curve([], "x", "y", label="path").opts(color=style.CURSOR, line_width=1.5, alpha=0.7)
        here = hv.Points([], ["x", "y"], label="here").opts(
            color=style.CURSOR, size=11, line_color="white", line_width=2
        )
        picked = hv.Points([], ["x", "y"], label="picked").opts(
            color=style.CURSOR, fill_alpha=0, size=12, line_width=2.5
        )
        return hv.Overlay([dots, path, here, picked]).opts(
            logx=True,
            logy=True,
            xlim=(0.1, 1),
            ylim=(0.1, 1),
            xticks=style.DECADES,
            yticks=style.DECADES,
            xformatter="%.0e",
            yformatter="%.0e",
            xlabel=self.across,
            ylabel=self.up,
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        rows = self.rows(frame, after)
        self._here = [float(one[0]) for one in self.of_run(alone(frame.epoch))]
        here, path = _drawable(np.array(self._here)[:, None]), _drawable(self.of_run(rows))
        if after < 0:
            self._low, self._high = np.full(2, np.inf), np.full(2, -np.inf)
        self._low, self._high = _wider(self._low, self._high, np.hstack([path, here]))
        layers = {"path": {"x": path[0], "y": path[1]}, "here": {"x": here[0], "y": here[1]}}
        epoch = frame.epoch.index if self.at_cursor else math.inf
        at = {label: result.row(epoch) for label, result in self.results.items()}
        shown = (tuple(self.results.items()), tuple(at.values()), self.picked)
        if shown != self._shown:
            self._shown = shown
            self._dots = {label: self._at(result, at[label]) for label, result in self.results.items()}
            layers |= self._study()
        return layers

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        low, high = self._low, self._high
        for dots in self._dots.values():
            low, high = _wider(low, high, dots)
        return {axis: _decades(a, b) for axis, a, b in zip("xy", low, high, strict=True)}

    def describe(self, frame: Frame) -> str:
        x, y = self._here
        own = f"this run: {self.across} {digits(x)}, {self.up} {digits(y)}"
        if self.picked:
            label, seed = self.picked
            x, y = self._dots[label][:, seed]
            return f"{label}, seed {seed}: {self.across} {digits(x)}, {self.up} {digits(y)}"
        return own

    def tapped(self, x: float, y: float) -> None:
        """Pick the run whose dot was clicked."""
        axes = self.figure.x_range, self.figure.y_range
        if min(x, y) <= 0 or not self._dots:
            return
        spans = np.array([math.log10(axis.end / axis.start) for axis in axes])
        away = {
            label: np.linalg.norm(np.log10(_drawable(dots) / [[x], [y]]) / spans[:, None], axis=0)
            for label, dots in self._dots.items()
        }
        label = min(away, key=lambda one: away[one].min())
        if away[label].min() < NEAR:
            self.pick(label, int(away[label].argmin()))

    @param.depends("at_cursor", watch=True)
    def _change(self) -> None:
        self.redraw()

    def _at(self, result: Result, row: int) -> np.ndarray:
        """(2, runs) what the runs of a variant have come to."""
        x, y = self.of_result(result)
        return np.array([x[:, row], y[:, row]], dtype=float)

    def _study(self) -> dict[str, Columns]:
        runs = [(label, seed) for label, dots in self._dots.items() for seed in range(dots.shape[1])]
        measured = np.hstack([np.empty((2, 0)), *self._dots.values()])
        places = _drawable(measured).astype(np.float32)
        picked = _drawable(self._dots[self.picked[0]][:, [self.picked[1]]]) if self.picked else np.empty((2, 0))
        return {
            "dots": {
                "x": places[0],
                "y": places[1],
                "color": [self.color(label) for label, _ in runs],
                "variant": [label for label, _ in runs],
                "seed": [seed for _, seed in runs],
                "across": [digits(value, 4) for value in measured[0]],
                "up": [digits(value, 4) for value in measured[1]],
            },
            "picked": {"x": picked[0], "y": picked[1]},
        }


def _drawable(pair: tuple[np.ndarray, np.ndarray] | np.ndarray) -> np.ndarray:
    """(2, n) as they can be drawn on logarithmic axes."""
    return np.nan_to_num(np.array(pair, dtype=float), nan=HIGHEST, posinf=HIGHEST).clip(LOWEST, HIGHEST)


def _wider(low: np.ndarray, high: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (2,) that take in points (2, n), but for those beyond what can be drawn."""
    inside = (points >= LOWEST) & (points < HIGHEST)
    least = np.where(inside, points, np.inf).min(axis=1, initial=np.inf)
    most = np.where(inside, points, -np.inf).max(axis=1, initial=-np.inf)
    return np.minimum(low, least), np.maximum(high, most)


def _decades(low: float, high: float) -> tuple[float, float]:
    """An axis around two ends, in steps of half a decade, so that it rarely moves."""
    if not low <= high:
        return 0.1, 1.0
    return 10.0 ** (math.floor(2 * math.log10(low) - 0.1) / 2), 10.0 ** (math.ceil(2 * math.log10(high) + 0.1) / 2)
