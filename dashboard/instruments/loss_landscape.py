"""Loss landscape: the loss around the current weights, and the way the run came."""

from collections.abc import Hashable, Iterator

import contourpy
import holoviews as hv
import numpy as np
import param

from dashboard import style
from dashboard.instruments.instrument import Columns, Instrument, lines_as_columns
from dashboard.run import Frame
from engine.landscape import Plane, loss_surfaces, random_plane

POINTS = 41
DRAWN = 61
CONTOURS = 12
SPAN = 1e3
LOWEST, HIGHEST = 1e-12, 1e30


class LossLandscape(Instrument):
    """The loss on a random plane through the current weights, as contours, with the run's path projected onto it.

    The two directions are filter-normalized (Li et al. 2018), so that one step along an axis is a network with weights
    about twice as large. The other dimensions of the path are lost: its points fade with their distance from the plane,
    and their color is the run's true loss, not the surface's.
    """

    title = "Loss landscape"
    question = "What does the loss look like around these weights?"
    reading = (
        "A random plane through the current weights (the disc), darker is lower. The dots are earlier epochs, "
        "projected; they are colored by their true loss and fade with their distance from the plane. "
        "The surface is drawn anew about once a second."
    )
    growing = ("path",)
    points = 160
    controls = ("reach",)

    reach = param.Selector(
        default=0.3,
        objects={"1": 1.0, "0.3": 0.3, "0.1": 0.1},
        label="Reach",
        doc="How far the plane goes to each side; at 1 the weights along a direction are about twice as large.",
    )

    def begin(self, frame: Frame) -> None:
        self._plane = random_plane(frame.network(), seed=0)
        self._surface: np.ndarray | None = None
        self._surface_epoch = -1
        self._pending: tuple[int, Plane, np.ndarray] | None = None

    def outline(self, frame: Frame) -> Hashable:
        return self.reach

    def picture(self, frame: Frame) -> hv.Overlay:
        surface = hv.Image(
            np.ones((2, 2)), bounds=(-self.reach, -self.reach, self.reach, self.reach), vdims="loss", label="surface"
        ).opts(
            cmap=style.LANDSCAPE,
            clim=(0.1, 1),
            logz=True,
            clipping_colors={"NaN": "#00000000"},
            tools=["hover"],
            hover_tooltips=[("loss on the plane", "@image{0.0000}")],
            alpha=0.9,
        )
        contours = hv.Contours([], label="contours").opts(color="white", alpha=0.35, line_width=1, show_legend=False)
        start = (0, 0, frame.epoch.index, frame.epoch.loss, 0, 1)
        path = hv.Points([start], ["a", "b"], ["epoch", "loss", "distance", "nearness"], label="path").opts(
            color="loss",
            cmap=style.LANDSCAPE,
            logz=True,
            clim=(0.1, 1),
            size=5,
            line_color="white",
            line_width=0.25,
            alpha="nearness",
            tools=["hover"],
            hover_tooltips=[
                ("epoch", "@epoch"),
                ("true loss", "@loss{0.0000}"),
                ("distance from the plane", "@distance{0.00}"),
            ],
        )
        here = hv.Points([], ["a", "b"], ["epoch", "loss"], label="here").opts(
            color=style.CURSOR,
            size=11,
            line_color="white",
            line_width=2,
            tools=["hover"],
            hover_tooltips=[("epoch", "@epoch"), ("true loss", "@loss{0.0000}")],
        )
        return hv.Overlay([surface, contours, path, here]).opts(
            xlim=(-self.reach, self.reach),
            ylim=(-self.reach, self.reach),
            xlabel="direction 1",
            ylabel="direction 2",
            show_legend=False,
            responsive=True,
            height=self.height,
        )

    def draw(self, frame: Frame) -> None:
        if self._pending and frame.setup is self._setup:
            self._surface_epoch, self._plane, self._surface = self._pending
            self._pending = None
            self._write(frame, -1)
        else:
            super().draw(frame)

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        layers = {"here": self._here(frame), "path": self._path(frame, after)}
        return layers if after >= 0 else {**layers, **self._relief()}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return {} if self._surface is None else {"color": self._scale()}

    def describe(self, frame: Frame) -> str:
        if self._surface is None:
            return "surveying the surface…"
        low, high = np.nanmin(self._surface), np.nanmax(self._surface)
        return f"{low:.3g} (dark) to {high:.3g} around epoch {self._surface_epoch:,}; now {frame.epoch.loss:.4g}"

    def work(self, frame: Frame) -> Iterator[object] | None:
        return None if frame.epoch.index == self._surface_epoch else self._survey(frame)

    @param.depends("reach", watch=True)
    def _change_reach(self) -> None:
        self.redraw()

    def _survey(self, frame: Frame) -> Iterator[object]:
        """The loss on the plane through a frame's weights, a few points at a time."""
        network, setup = frame.network(), frame.setup
        plane, reach = random_plane(network, seed=0), self.reach
        axis = np.linspace(-reach, reach, POINTS)
        for surface in loss_surfaces(network, setup.train, plane, axis, axis, setup.loss, frame.l1, frame.l2):
            yield surface
        if setup is self._setup and reach == self.reach and np.isfinite(surface).any():
            self._pending = frame.epoch.index, plane, surface
            self.run.touch()

    def _relief(self) -> dict[str, Columns]:
        """The surface as an image, smoothed between its points, and its contour lines; empty before there is one."""
        place = {"x": -self.reach, "y": -self.reach, "dw": 2 * self.reach, "dh": 2 * self.reach}
        if self._surface is None:
            return {
                "surface": {"image": np.full((2, 2), np.nan, np.float32), **place},
                "contours": {"xs": [], "ys": []},
            }
        heights = np.log10(np.clip(self._surface, LOWEST, HIGHEST))
        axis, fine = np.linspace(-self.reach, self.reach, POINTS), np.linspace(-self.reach, self.reach, DRAWN)
        along = np.array([np.interp(fine, axis, row) for row in heights])
        image = np.array([np.interp(fine, axis, column) for column in along.T]).T
        return {
            "surface": {"image": (10**image).astype(np.float32), **place},
            "contours": lines_as_columns(self._contours(axis, heights)),
        }

    def _contours(self, axis: np.ndarray, heights: np.ndarray) -> list[np.ndarray]:
        low, high = np.log10(self._scale())
        generator = contourpy.contour_generator(axis, axis, np.ma.masked_invalid(heights))
        return [line for level in np.linspace(low, high, CONTOURS + 2)[1:-1] for line in generator.lines(level)]

    def _scale(self) -> tuple[float, float]:
        """The losses the colors go from and to."""
        low = max(LOWEST, float(np.nanmin(self._surface)))
        return low, min(float(np.nanmax(self._surface)), low * SPAN) * (1 + 1e-9)

    def _path(self, frame: Frame, after: int) -> Columns:
        rows = self.rows(frame, after)
        places, distances = self._plane.project(rows.parameters)
        nearness = 1 / (1 + distances / max(1e-12, float(np.linalg.norm(frame.epoch.parameters))))
        return {
            "a": places[:, 0],
            "b": places[:, 1],
            "epoch": rows.index,
            "loss": rows.loss,
            "distance": distances,
            "color": rows.loss,
            "alpha": nearness**2,
        }

    def _here(self, frame: Frame) -> Columns:
        (a, b), _ = self._plane.project(frame.epoch.parameters)
        return {"a": [a], "b": [b], "epoch": [frame.epoch.index], "loss": [frame.epoch.loss]}
