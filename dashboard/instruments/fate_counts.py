"""How many units are dead, dim, saturated or alive, epoch by epoch."""

from collections.abc import Hashable
from itertools import pairwise

import holoviews as hv
import numpy as np
import param
from bokeh.models import CustomJSHover, HoverTool

from dashboard.instruments.instrument import Columns, Instrument, OfHiddenLayers
from dashboard.instruments.sample_grid import by_epoch, epoch_at, epoch_reader, snap_readers
from dashboard.state.analyses.unit_health import DEAD, DRAWN, UnitHealth, place_of, revivals, since, unit_at
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import dot, phrase
from engine.measures import FATES

NOTHING = len(FATES)


class FateCounts(OfHiddenLayers, Instrument):
    """Every unit's fate over the epochs: sorted, so that each color's height is a count, or unit by unit."""

    title = "Fates"
    question = "How many units are dead, and how many only dim?"
    reading = (
        "Each column is an epoch, each color a fate: dead fires on no example; dim is not dead but its mean size is "
        "below 0.001; saturated gives something and no longer reacts; the rest is alive. “Units” shows them one by "
        "one, with a cross where a unit died that is dead now. A click takes all pictures to that epoch."
    )
    points = DRAWN
    controls = ("by_unit",)

    by_unit = param.Boolean(
        default=False, label="Units", doc="One row a unit, first layer on top, instead of sorting each epoch by fate."
    )

    def begin(self, frame: Frame) -> None:
        self._widths = frame.setup.network.widths
        self._units = sum(self._widths)

    def outline(self, frame: Frame) -> Hashable:
        return self._widths, self.by_unit

    def picture(self, frame: Frame) -> hv.Overlay:
        tops = self._units - np.cumsum((0, *self._widths))
        names = [((top + bottom) / 2, str(i + 1)) for i, (top, bottom) in enumerate(pairwise(tops))]
        image = hv.Image(np.zeros((2, 2)), bounds=(0, 0, 20, self._units), vdims="fate", label="fates").opts(
            cmap=[*style.FATES.values(), "#00000000"], clim=(-0.5, NOTHING + 0.5), tools=[_hover()]
        )
        borders = hv.Segments([(-1, top, 1e9, top) for top in tops[1:-1]], label="borders").opts(
            color="white", line_width=1.5
        )
        deaths = hv.Points([], ["x", "y"], label="deaths").opts(marker="x", color="white", size=7, line_width=2)
        picked = hv.Rectangles([(0, 0, 1, 1)], label="picked").opts(
            fill_alpha=0, line_color=style.CURSOR, line_width=1.5
        )
        ticks = {"yticks": names, "ylabel": "layer"} if self.by_unit else {"ylabel": "units"}
        layers = [image, borders, deaths, picked] if self.by_unit else [image]
        return hv.Overlay(layers).opts(
            xlim=(0, 20),
            ylim=(0, self._units),
            title="",
            xlabel="epoch",
            **ticks,
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        history, stride = UnitHealth.of(frame), self.stride(frame)
        index, codes = history.until(frame, stride)
        self._now, self._revivals = history.now(frame), int(revivals(codes).sum())
        self._deaths = np.where(self._now == DEAD, since(index, codes), -1)
        image = np.full((self._units, DRAWN), NOTHING, np.uint8)
        image[:, index // stride] = codes.T[::-1] if self.by_unit else np.sort(codes, axis=1).T
        snap_readers(self.figure, stride)
        fates = {"fates": by_epoch(image, stride)}
        return {**fates, **self._marks(frame)} if self.by_unit else fates

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return {"x": (-self.stride(frame) / 2, max(20, frame.epoch.index + 1))}

    def describe(self, frame: Frame) -> str:
        words = [
            phrase(dot(color), f"{int((self._now == code).sum())} {name}")
            for code, (name, color) in enumerate(style.FATES.items())
        ]
        counts = phrase(f"epoch {frame.epoch.index:,}:", *words)
        return phrase(counts, f"{self._revivals} came back" if self._revivals else "", between=", ")

    def tapped(self, x: float, y: float) -> None:
        """Look at the epoch that was clicked, and unit by unit at that unit."""
        if self.by_unit and 0 <= y < self._units:
            self.run.view.unit = unit_at(self._units - 1 - int(y), self._widths)
        if 0 <= (epoch := epoch_at(x, self.shown_stride)) < self.run.history[-1].index:
            self.run.look_at(epoch)

    @param.depends("by_unit", watch=True)
    def _change_rows(self) -> None:
        self.redraw()

    def _marks(self, frame: Frame) -> dict[str, Columns]:
        """A cross at every death after the start, and a frame around the picked unit."""
        died = np.flatnonzero(self._deaths > 0)
        place = place_of(self.run.view.unit, self._widths)
        rows = [] if place is None else [self._units - 1 - place]
        return {
            "deaths": {"x": self._deaths[died], "y": self._units - 0.5 - died},
            "picked": {
                "left": [-1e9] * len(rows),
                "right": [1e9] * len(rows),
                "bottom": rows,
                "top": [row + 1 for row in rows],
            },
        }


def _hover() -> HoverTool:
    """Reads a color back as the fate."""
    code = f"return {[*FATES, '']!r}[value]"
    tooltips = [("epoch", "$x{custom}"), ("fate", "@image{custom}")]
    return HoverTool(tooltips=tooltips, formatters={"$x": epoch_reader(), "@image": CustomJSHover(code=code)})
