"""How far above the lowest loss every racer is, step by step."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import holoviews as hv
import numpy as np
import panel as pn

from dashboard.instruments.instrument import Columns, Instrument, stacked
from dashboard.instruments.race_picture import TWO, RacePicture, color_index, first_color
from dashboard.state.race import RaceFrame
from dashboard.state.race_setup import COLORS, GOAL
from dashboard.widgets import style
from dashboard.widgets.legend import LegendChips
from dashboard.widgets.plain_text import dot, phrase

LOWEST, HIGHEST = 1e-16, 1e12
BOTTOM = 1e-11
"""Lower end of the axis: a racer below it has long settled."""

EXPLODED = 300
"""Most times the initial loss that the axis shows: racers that explode leave room for the others."""

AHEAD = 60
"""Least number of steps on the axis and in the predictions."""


def forecast(place: int) -> str:
    """The label of the prediction with this color index."""
    return f"forecast {place}"


class RaceLosses(RacePicture, Instrument):
    """Every racer's loss above the lowest on a logarithmic axis, over what is predicted for gradient descent."""

    title = "Loss above the lowest"
    question = "Who comes down, how fast, and who never does?"
    reading = (
        "Straight lines fall by the same factor at every step. Dashed, drawn before the run: gradient descent (and "
        "Newton) on the parabola that the surface is at its minimum, unless the start lies where it curves down; on a "
        "quadratic the run covers it. The gray line "
        "is 1e-6, where a racer counts as settled. A click picks the nearest racer and takes all pictures to that "
        "step; the names above hide and show."
    )
    multiplied = ("forecast", "color")
    growing = tuple(color_index(i) for i in range(COLORS))
    points = 400
    height = 350

    def begin(self, frame: RaceFrame) -> None:
        self._floor, self._ceiling = np.inf, 0.0
        self._most = EXPLODED * max(float(frame.history.heights(slice(0, 1)).max()), GOAL)

    def picture(self, frame: RaceFrame) -> hv.Overlay:
        predicted = hv.Curve([], "step", "height", label=forecast(0)).opts(
            color=style.GHOST, line_width=2, line_dash="dashed", show_legend=False
        )
        goal = hv.Segments([(0, GOAL, 1, GOAL)], label="goal").opts(color=style.GHOST, line_width=1)
        cursor = hv.Segments([(0, 1, 0, 1)], label="cursor").opts(color=style.CURSOR, line_width=1, alpha=0.7)
        tips = hv.Points([(0, 1, color, "") for color in TWO], ["step", "height"], ["color", "name"], label="now").opts(
            color="color",
            size=8,
            tools=["hover"],
            hover_tooltips=[("", "@name: @height{measured}")],
        )
        return hv.Overlay([goal, predicted, first_color("step", "height"), cursor, tips]).opts(
            logy=True,
            xlim=(0, AHEAD),
            ylim=(1e-9, 1),
            yticks=style.DECADES[::2],
            xlabel="step",
            ylabel="loss − lowest",
        )

    def columns(self, frame: RaceFrame, after: int) -> dict[str, Columns]:
        heights = _drawable(frame.history.heights(self.rows(frame, after)))
        places, now = self.places(frame), _drawable(frame.heights)
        self._widen(np.append(heights[:, places], now[places]))
        steps, until = self.steps(frame, after), self._until(frame)
        here = [place for place in places if not np.isnan(now[place])]
        layers = {
            **self.color_indices(frame, np.tile(steps[:, None], heights.shape[1]), heights, ("step", "height"), after),
            "goal": {"x0": [0], "x1": [10 * until], "y0": [GOAL], "y1": [GOAL]},
            "cursor": {"x0": [frame.epoch.index], "x1": [frame.epoch.index], "y0": [LOWEST], "y1": [HIGHEST]},
            "now": {
                "step": [frame.epoch.index] * len(here),
                "height": now[here],
                "color": self.colors(frame, here),
                "name": [frame.setup.racers[place].label for place in here],
            },
        }
        return layers if after >= 0 and until == self._predicted else {**layers, **self._forecasts(frame, until)}

    def ranges(self, frame: RaceFrame) -> dict[str, tuple[float, float]]:
        low = 10.0 ** np.floor(np.log10(np.clip(self._floor, BOTTOM, GOAL / 2)) - 0.2)
        return {"x": (0, self._until(frame)), "y": (low, min(max(2 * self._ceiling, 1e-3), self._most))}

    def describe(self, frame: RaceFrame) -> str:
        place, settled = self.picked(frame), frame.history.settled(frame.epoch.index)
        racer = frame.setup.racers[place]
        expected = float(frame.setup.predicted_steps(racer.optimizer, [racer.learning_rate])[0])
        found = f"settled at step {settled[place]:,.0f}" if settled[place] >= 0 else "not settled"
        predicted = "" if np.isnan(expected) else f", predicted {_steps(expected)}"
        return phrase(dot(self.color(frame, place)), f"{racer.label}: {found}{predicted}")

    def tapped(self, x: float, y: float) -> None:
        frame = self.run.frame()
        step = min(max(round(x), 0), len(frame.history) - 1)
        heights = _drawable(frame.history.heights(slice(step, step + 1))[0])
        places = [place for place in self.places(frame) if not np.isnan(heights[place])]
        if places:
            self.pick(frame, min(places, key=lambda place: abs(np.log(heights[place] / y))))
        self.run.look_at(step)

    def draw(self, frame: RaceFrame) -> None:
        """Draw the picture and its legend at a frame."""
        super().draw(frame)
        settled = frame.history.settled(frame.epoch.index).tolist()
        self._chips.items = [self._item(frame, place, since) for place, since in enumerate(settled)]

    def __panel__(self) -> pn.viewable.Viewable:
        return stacked(self._chips, self.pane)

    @cached_property
    def _chips(self) -> LegendChips:
        return LegendChips(self._hear, margin=(2, 0, 0, 0), sizing_mode="stretch_width")

    def _item(self, frame: RaceFrame, place: int, settled: float) -> dict[str, Any]:
        label, height = frame.setup.racers[place].label, frame.heights[place]
        value = "blown up" if np.isnan(height) else f"{settled:,.0f} step{'s' * (settled != 1)}" if settled >= 0 else ""
        hidden = place not in self.places(frame)
        return {"label": label, "color": self.color(frame, place), "value": value, "hidden": hidden, "fixed": False}

    def _hear(self, asked: Mapping[str, Any]) -> None:
        """Hide or show what was clicked."""
        view, label = self.run.view, asked.get("label")
        labels = [racer.label for racer in self.run.setup.racers]
        if label not in labels:
            return
        hidden = [one for one in view.hidden if one in labels]
        others = [one for one in labels if one != label]
        if asked["act"] == "toggle":
            view.hidden = [one for one in hidden if one != label] if label in hidden else [*hidden, label]
        elif asked["act"] == "only":
            view.hidden = [] if hidden == others else others

    def _until(self, frame: RaceFrame) -> int:
        """The last step on the axis: it grows by steps, so that the predictions need not follow at every frame."""
        until = AHEAD
        while until < frame.epoch.index:
            until = 2 * until
        return until

    def _forecasts(self, frame: RaceFrame, until: int) -> dict[str, Columns]:
        self._predicted = until
        steps = np.unique(np.linspace(0, until, 121).astype(int))
        layers = {forecast(i): {"step": [], "height": []} for i in range(COLORS)}
        for place in self.places(frame):
            racer = frame.setup.racers[place]
            heights = frame.setup.predicted_heights(racer, steps)
            shown = (heights >= LOWEST) & (heights <= HIGHEST)
            columns = {"step": steps[shown].tolist(), "height": [float(f"{one:.4g}") for one in heights[shown]]}
            layers[forecast(racer.color_index)] = columns
        return layers

    def _widen(self, heights: np.ndarray) -> None:
        """Extend the axis to these losses."""
        if not np.isnan(heights).all():
            self._floor = min(self._floor, float(np.nanmin(heights)))
            self._ceiling = max(self._ceiling, float(np.nanmax(heights)))


def _drawable(heights: np.ndarray) -> np.ndarray:
    """Losses that a logarithmic axis can show, as short as it needs them."""
    clipped = np.clip(heights, LOWEST, HIGHEST)
    with np.errstate(all="ignore"):
        scale = 10.0 ** (np.floor(np.log10(clipped)) - 4)
    return np.round(clipped / scale) * scale


def _steps(steps: float) -> str:
    return "never" if np.isinf(steps) else f"{steps:,.0f}"
