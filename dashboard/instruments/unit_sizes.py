"""What dead and dim mean, unit by unit."""

import math
from collections.abc import Hashable
from itertools import pairwise

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument, OfHiddenLayers
from dashboard.instruments.numerals import digits
from dashboard.state.analyses.unit_health import DEAD, DRAWN, UnitHealth, place_of, since, unit_at, unit_in_words
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART
from engine.measures import DIM, FATES

FLOOR, CEILING = 1e-12, 1e9
DIMMED = FATES.index("dim")
COLORS = np.array(list(style.FATES.values()))


class UnitSizes(OfHiddenLayers, Instrument):
    """Every unit's mean |activation| on a logarithmic axis: exactly zero at the bottom, dim below the line."""

    title = "Dead or dim?"
    question = "Does a unit say nothing at all, or only very little?"
    reading = (
        "One dot a unit: the mean of its |activation| over the examples. Below the dashed line it is dim. The crosses "
        "at the bottom are exactly zero on every example: dead. A dim unit still has a gradient, a dead one has none. "
        "A click picks the unit."
    )
    points = DRAWN

    def begin(self, frame: Frame) -> None:
        self._network = frame.setup.network.copy()
        self._widths = self._network.widths
        self._units = sum(self._widths)
        self._names = [unit_in_words(place, self._widths) for place in range(self._units)]

    def outline(self, frame: Frame) -> Hashable:
        return self._widths

    def picture(self, frame: Frame) -> hv.Overlay:
        ends = np.cumsum((0, *self._widths)) - 0.5
        names = [((left + right) / 2, str(i + 1)) for i, (left, right) in enumerate(pairwise(ends))]
        borders = hv.Segments([(end, FLOOR, end, CEILING) for end in ends[1:-1]], label="borders").opts(
            color=style.GHOST, line_width=1, alpha=0.5
        )
        line = hv.Segments([(-1, DIM, self._units, DIM)], label="line").opts(
            color=style.GHOST, line_width=2, line_dash="dashed"
        )
        rows = [(0, 1, color, "", "", "", "") for color in COLORS[:2]]
        details = ["color", "unit", "size", "fires", "fate"]
        hover = [("", "@unit"), ("mean size", "@size"), ("fires on", "@fires"), ("", "@fate")]
        layers = [
            hv.Points(rows, ["x", "y"], details, label=label).opts(
                color="color", size=size, tools=["hover"], hover_tooltips=hover, **marks
            )
            for label, size, marks in (
                ("firing", 8, {"line_color": "white", "line_width": 0.5}),
                ("dead", 8, {"marker": "x", "line_width": 2.5}),
            )
        ]
        picked = hv.Points([], ["x", "y"], label="picked").opts(
            color=style.CURSOR, fill_alpha=0, size=15, line_width=2.5
        )
        return hv.Overlay([borders, line, *layers, picked]).opts(
            logy=True,
            xlim=(-0.8, self._units - 0.2),
            ylim=(1e-4, 10),
            xticks=names,
            yticks=style.DECADES,
            xlabel="layer",
            ylabel="mean |activation|",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        history = UnitHealth.of(frame)
        self._codes, self._since = history.now(frame), since(*history.until(frame, self.stride(frame)))
        self._network.parameters[:] = frame.epoch.parameters
        trace = self._network.trace(frame.setup.train.x)
        with np.errstate(all="ignore"):
            own = [f.function(z) for f, z in zip(self._network.functions, trace.pre_activations, strict=False)]
            self._sizes = np.concatenate([np.abs(a).mean(axis=0) for a in own])
        self._fires = np.concatenate([(z > 0).mean(axis=0) for z in trace.pre_activations])
        self._low, self._high = self._span()
        self._heights = np.where(self._codes == DEAD, self._low * 2, _drawn(self._sizes))
        dead = self._codes == DEAD
        place = place_of(self.run.view.unit, self._widths)
        picked = np.array([] if place is None else [place], dtype=int)
        return {
            "firing": self._rows(np.flatnonzero(~dead)),
            "dead": self._rows(np.flatnonzero(dead)),
            "picked": {"x": picked, "y": self._heights[picked]},
        }

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return {"y": (self._low, self._high)}

    def describe(self, frame: Frame) -> str:
        layers = np.split(self._codes, np.cumsum(self._widths)[:-1])
        shown = [0, len(layers) - 1] if len(layers) > 1 else [0]
        dead, dim = (", ".join(f"{(layers[i] == code).mean():.0%}" for i in shown) for code in (DEAD, DIMMED))
        names = ", ".join(str(i + 1) for i in shown)
        return f"epoch {frame.epoch.index:,}, layers {names}: dead {dead}{APART}dim {dim}"

    def tapped(self, x: float, y: float) -> None:
        """Pick the unit that was clicked."""
        if -0.5 < x < self._units - 0.5:
            self.run.view.unit = unit_at(round(x), self._widths)

    def _span(self) -> tuple[float, float]:
        """The ends of the axis: below the line, and below and above all sizes."""
        sizes = np.log10(_drawn(self._sizes[self._codes != DEAD]))
        low, high = sizes.min(initial=math.log10(DIM) - 0.9), sizes.max(initial=0.0)
        return 10.0 ** (math.floor(low - 0.1) - 0.5), 10.0 ** math.ceil(high + 0.1)

    def _rows(self, places: np.ndarray) -> Columns:
        return {
            "x": places,
            "y": self._heights[places],
            "color": COLORS[self._codes[places]],
            "unit": [self._names[place] for place in places],
            "size": [digits(self._sizes[place], 2) for place in places],
            "fires": [f"{self._fires[place]:.0%} of the examples" for place in places],
            "fate": [f"{FATES[self._codes[place]]} since epoch {self._since[place]}" for place in places],
        }


def _drawn(sizes: np.ndarray) -> np.ndarray:
    return np.nan_to_num(sizes, nan=CEILING, posinf=CEILING).clip(FLOOR, CEILING)
