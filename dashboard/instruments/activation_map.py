"""The activation map shows the life of every hidden unit."""

from collections.abc import Hashable
from itertools import pairwise

import holoviews as hv
import numpy as np
from bokeh.models import HoverTool

from dashboard.instruments.instrument import Columns, Instrument, OfHiddenLayers, shortened
from dashboard.instruments.sample_grid import by_epoch, epoch_at, epoch_reader, snap_readers
from dashboard.state.analyses.unit_health import UnitHealth, place_of, unit_at
from dashboard.state.run import Frame
from dashboard.widgets import style
from engine.measures import FATES, OwnMeans

COLUMNS = 200
HUGE = 1e30


class ActivationMap(OfHiddenLayers, Instrument):
    """Every hidden unit's mean activation over the epochs; units that have died or gone dim are marked and counted."""

    title = "Activations"
    question = "Which units are at work, and which are dead?"
    reading = (
        "One row a unit, first layer on top, one column an epoch; brighter is more active, not counting what a skip "
        "connection adds. A cross at the right marks a dead unit (it fires on no example), a ring a dim one (mean size "
        "below 0.001, not dead). A click picks the unit and takes all pictures to that epoch."
    )
    points = COLUMNS
    needs = "mean_activations"

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return super().suits(frame) and frame.knows("mean_activations")

    def begin(self, frame: Frame) -> None:
        self.widths = frame.setup.network.widths
        self.n_units = sum(self.widths)
        self._low, self._high = np.inf, -np.inf
        network = frame.setup.network
        self._own = OwnMeans(network, frame.setup.train.x) if any(getattr(network, "skips", ())) else None

    def outline(self, frame: Frame) -> Hashable:
        return frame.setup.network.widths, frame.hidden_names

    def picture(self, frame: Frame) -> hv.Overlay:
        widths = frame.setup.network.widths
        tops = self.n_units - np.cumsum((0, *widths))
        layers = frame.hidden_names or [str(i + 1) for i in range(len(widths))]
        names = [
            ((top + bottom) / 2, shortened(name)) for name, (top, bottom) in zip(layers, pairwise(tops), strict=True)
        ]
        image = hv.Image(
            np.zeros((2, 2)), bounds=(0, 0, 20, self.n_units), vdims="mean activation", label="means"
        ).opts(
            cmap=style.ACTIVATION,
            clim=(0, 1),
            clipping_colors={"NaN": "#00000000"},
            colorbar=True,
            tools=[_hover()],
            colorbar_opts={"width": 8, "padding": 2},
        )
        borders = hv.Segments([(-1, top, 1e9, top) for top in tops[1:-1]], label="borders").opts(
            color="white", line_width=1.5
        )
        dead = hv.Points([], ["x", "y"], label="dead").opts(marker="x", color=style.CURSOR, size=7, line_width=2)
        dim = hv.Points([], ["x", "y"], label="dim").opts(color=style.CURSOR, fill_alpha=0, size=6)
        picked = hv.Rectangles([(0, 0, 1, 1)], label="picked").opts(
            fill_alpha=0, line_color=style.CURSOR, line_width=1.5
        )
        return hv.Overlay([image, borders, dead, dim, picked]).opts(
            xlim=(0, 20),
            ylim=(0, self.n_units),
            yticks=names,
            xlabel="epoch",
            ylabel="layer",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        stride = self.stride(frame)
        if after < 0:
            self._image = np.full((self.n_units, COLUMNS), np.nan, np.float32)
        rows = self.rows(frame, after)
        own = self._own.of(rows.mean_activations) if self._own else rows.mean_activations
        means = np.clip(own, -HUGE, HUGE)
        self._image[:, rows.index // stride] = means.T[::-1]
        means = means[np.isfinite(means)]
        if len(means):
            self._low, self._high = min(self._low, means.min()), max(self._high, means.max())
        snap_readers(self.figure, stride)
        return {"means": by_epoch(self._image.copy(), stride), "picked": self._picked(), **self.fate_marks(frame)}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return {
            "x": (-self.stride(frame) / 2, 1.03 * max(20, frame.cursor + 1)),
            "color": (float(min(0, self._low)), float(max(1e-3, self._high))),
        }

    def describe(self, frame: Frame) -> str:
        return f"{self.n_dead} dead, {self.n_dim} dim of {self.n_units} units"

    def tapped(self, x: float, y: float) -> None:
        """Pick the unit that was clicked, and look at the epoch."""
        if 0 <= y < self.n_units:
            self.run.view.unit = unit_at(self.n_units - 1 - int(y), self.widths)
        if 0 <= (epoch := epoch_at(x, self.shown_stride)) < self.run.history[-1].index:
            self.run.look_at(epoch)

    def _picked(self) -> Columns:
        """A frame around the row of the picked unit."""
        place = place_of(self.run.view.unit, self.widths)
        rows = [] if place is None else [self.n_units - 1 - place]
        ends = {"left": [-1e9] * len(rows), "right": [1e9] * len(rows)}
        return {**ends, "bottom": rows, "top": [row + 1 for row in rows]}

    def fate_marks(self, frame: Frame) -> dict[str, Columns]:
        """The marks of the dead and of the dim units; counts them."""
        frame = frame.measured("parameters")
        fates = UnitHealth.of(frame).now(frame)
        dead, dim = fates == FATES.index("dead"), fates == FATES.index("dim")
        self.n_dead, self.n_dim = int(dead.sum()), int(dim.sum())
        edge = 1.015 * max(20, frame.cursor + 1)
        return {label: self.marks(units, edge) for label, units in (("dead", dead), ("dim", dim))}

    def marks(self, units: np.ndarray, edge: float) -> Columns:
        """Marks at the right end of the rows of some units, (units,) of bool."""
        places = self.n_units - 0.5 - np.flatnonzero(units)
        return {"x": np.full(len(places), edge), "y": places}


def _hover() -> HoverTool:
    """Read a column back as its epoch, and its color as the measured activation."""
    tooltips = [("epoch", "$x{custom}"), ("mean activation", "@image{measured}")]
    return HoverTool(tooltips=tooltips, formatters={"$x": epoch_reader()})
