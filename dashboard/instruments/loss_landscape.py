"""Loss landscape: the loss around the current weights, and the way the run came."""

from collections.abc import Iterator

import contourpy
import holoviews as hv
import numpy as np
import param

from dashboard import style
from dashboard.instruments.instrument import Columns, Instrument
from dashboard.run import Frame
from engine.landscape import Plane, loss_surfaces, random_plane

POINTS = 41
DRAWN = 81
CONTOURS = 12
HIGHEST = 1e3
TOO_HIGH = 1e30


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
        objects={"reach 1": 1.0, "reach 0.3": 0.3, "reach 0.1": 0.1},
        label="Reach",
        doc="How far the plane goes to each side; at 1 the weights along a direction are about twice as large.",
    )

    def picture(self, frame: Frame) -> hv.Overlay:
        self._plane = random_plane(frame.network(), seed=0)
        self._surface: np.ndarray | None = None
        self._surface_epoch = -1
        self._pending: tuple[int, Plane, np.ndarray] | None = None
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
        contours = hv.Contours([], vdims="level", label="contours").opts(
            color="white", alpha=0.35, line_width=1, show_legend=False
        )
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

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        if self._pending:
            self._surface_epoch, self._plane, self._surface = self._pending
            self._pending, after = None, -1
        layers = {"here": self._here(frame), "path": self._path(frame, after)}
        return {**layers, **self._relief()} if after < 0 and self._surface is not None else layers

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        if self._surface is None:
            return {}
        low = float(np.nanmin(self._surface))
        return {"color": (low, float(min(np.nanmax(self._surface), low * HIGHEST)))}

    def describe(self, frame: Frame) -> str:
        if self._surface is None:
            return "surveying the surface…"
        low, high = np.nanmin(self._surface), np.nanmax(self._surface)
        return (
            f"{low:.3g} (dark) to {high:.3g} around epoch {self._surface_epoch:,}; {frame.epoch.loss:.4g} here and now"
        )

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
        if setup is self._setup and reach == self.reach:
            self._pending = frame.epoch.index, plane, surface
            self.run.touch()

    def _relief(self) -> dict[str, Columns]:
        """The surface as an image, smoothed between its points, and its contour lines."""
        heights = np.log10(np.clip(self._surface, 1e-12, None))
        axis, fine = np.linspace(-self.reach, self.reach, POINTS), np.linspace(-self.reach, self.reach, DRAWN)
        along = np.array([np.interp(fine, axis, row) for row in heights])
        image = np.array([np.interp(fine, axis, column) for column in along.T]).T
        low, high = np.nanmin(heights), min(np.nanmax(heights), np.nanmin(heights) + np.log10(HIGHEST))
        generator = contourpy.contour_generator(axis, axis, np.ma.masked_invalid(heights))
        lines = [
            (level, line) for level in np.linspace(low, high, CONTOURS + 2)[1:-1] for line in generator.lines(level)
        ]
        return {
            "surface": {
                "image": np.minimum(10**image, TOO_HIGH).astype(np.float32),
                "x": -self.reach,
                "y": -self.reach,
                "dw": 2 * self.reach,
                "dh": 2 * self.reach,
            },
            "contours": {
                "xs": [line[:, 0] for _, line in lines],
                "ys": [line[:, 1] for _, line in lines],
                "level": [10**level for level, _ in lines],
            },
        }

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
