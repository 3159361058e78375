"""The loss on a plane through the current weights, and the path of the run."""

from collections.abc import Hashable, Iterator

import contourpy
import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns, Instrument, lines_as_columns
from dashboard.instruments.numerals import digits
from dashboard.instruments.sample_grid import measured_at
from dashboard.state.analyses.landscape_survey import LOWEST, LandscapeSurvey, Relief, Window
from dashboard.state.run import Frame
from dashboard.widgets import style
from engine.landscape import Plane, random_plane

CONTOURS = 12
HIGHEST = 1e30
"""Largest loss that has a height; see `LOWEST`."""

REACHES = {"1": 1.0, "0.3": 0.3, "0.1": 0.1}


class LossLandscape(Instrument):
    """The loss on a random plane through the current weights, as contours, with the run's path projected onto it.

    The two directions are filter-normalized (Li et al. 2018): one step along an axis changes every unit's weights by as
    much as their own length, at random, and so makes them about 1.4 times as long. The other dimensions of the path are
    lost: its points fade with their distance from the plane, and their color is the run's true loss, not the surface's.

    Subclasses choose another `plane`, and the `window` of it that is shown. One that takes computing is found in
    `prepared`, in pieces, before the surface is surveyed.

    Attributes:
        relief: The surface that is drawn; None before there is one.
    """

    title = "Loss landscape"
    question = "What does the loss look like around these weights?"
    reading = (
        "A random plane through the current weights (the disc), darker is lower. The dots are earlier epochs, "
        "projected; they are colored by their true loss and fade with their distance from the plane. "
        "The surface is drawn anew about once a second. Click a dot to look at its epoch."
    )
    missing = "the examples are not known here."
    growing = ("path", "trail")
    points = 160
    controls = ("reach",)

    reach = param.Selector(
        default=0.3,
        objects=REACHES,
        label="Reach",
        doc="How far the plane goes to each side; at 1 every unit's weights change by as much as their own length.",
    )

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return len(frame.setup.train) > 0 and frame.knows("parameters")

    def plane(self, frame: Frame) -> Plane:
        """The plane to be shown at a frame."""
        return random_plane(frame.network(), seed=0)

    def prepared(self, frame: Frame) -> Iterator[object]:
        """Whatever has to be computed before the plane of a frame is known, in pieces."""
        return iter(())

    def has_plane(self, frame: Frame) -> bool:
        """Whether there is a plane at a frame, once it is prepared."""
        return True

    def window(self, frame: Frame, plane: Plane) -> Window:
        """The part of the plane that is shown: from where to where, along both directions."""
        return (-self.reach, self.reach), (-self.reach, self.reach)

    def subject(self, frame: Frame) -> Hashable:
        """Everything on which the surface depends besides the run and its epoch."""
        return self.reach

    def axis_labels(self, frame: Frame) -> tuple[str, str]:
        """The names of the two directions."""
        return "direction 1", "direction 2"

    def begin(self, frame: Frame) -> None:
        self._plane = self.plane(frame)
        self._window = self.window(frame, self._plane)
        self._survey = LandscapeSurvey(self.run, self)
        self.relief: Relief | None = None

    def outline(self, frame: Frame) -> Hashable:
        return self.axis_labels(frame)

    def picture(self, frame: Frame) -> hv.Overlay:
        surface = hv.Image(np.ones((2, 2)), vdims="loss", label="surface").opts(
            cmap=style.LANDSCAPE,
            clim=(0.1, 1),
            logz=True,
            clipping_colors={"NaN": "#00000000"},
            tools=["hover"],
            hover_tooltips=[("loss on the plane", "@image{measured}")],
            alpha=0.9,
        )
        contours = hv.Contours([], label="contours").opts(color="white", alpha=0.35, line_width=1, show_legend=False)
        checkpoints = hv.Curve([], "a", "b", label="trail").opts(color=style.GHOST, line_width=1.5, line_join="round")
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
                ("true loss", "@loss{measured}"),
                ("distance from the plane", "@distance{0.00}"),
            ],
        )
        here = hv.Points([], ["a", "b"], ["epoch", "loss"], label="here").opts(
            color=style.CURSOR,
            size=11,
            line_color="white",
            line_width=2,
            tools=["hover"],
            hover_tooltips=[("epoch", "@epoch"), ("true loss", "@loss{measured}")],
        )
        across, up = self.axis_labels(frame)
        return hv.Overlay([surface, contours, checkpoints, path, here]).opts(
            xlim=(-1, 1),
            ylim=(-1, 1),
            xlabel=across,
            ylabel=up,
        )

    def continues(self, frame: Frame) -> bool:
        return self._survey.relief is self.relief and super().continues(frame)

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        found = self._survey.relief
        if after < 0 and found is not self.relief:
            self.relief, self._plane, self._window = found, found.plane, found.window
        layers = {"here": self._here(frame), **self._path(frame, after)}
        return layers if after >= 0 else {**layers, **self._ground()}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        x, y = self._window
        return {"x": x, "y": y, **({"color": self.relief.scale} if self.relief else {})}

    def describe(self, frame: Frame) -> str:
        relief = self.relief
        if relief is None:
            return "surveying the surface…"
        now = "" if np.isnan(frame.epoch.loss) else f"; now {digits(frame.epoch.loss)}"
        return self.words(relief) + now

    def words(self, relief: Relief) -> str:
        """What the caption says of the surface."""
        low, high = np.nanmin(relief.losses), np.nanmax(relief.losses)
        return f"{digits(low)} (dark) to {digits(high)} around epoch {relief.epoch:,}"

    def work(self, frame: Frame) -> Iterator[object] | None:
        frame = self.drawn_frame(frame)
        surveying = self._survey.work(frame, self.relief)
        return self._prepare_and(frame, surveying) if surveying else None

    def tapped(self, x: float, y: float) -> None:
        """Look at the epoch whose dot is nearest."""
        rows, (_, (width, height)) = self.rows(self.drawn_frame(self.run.frame()), -1), self._corner_and_size()
        places = self._plane.project(rows.parameters)[0]
        away = ((places[:, 0] - x) / width) ** 2 + ((places[:, 1] - y) / height) ** 2
        self.run.look_at(int(rows.index[np.argmin(away)]))

    def _prepare_and(self, frame: Frame, surveying: Iterator[object]) -> Iterator[object]:
        yield from self.prepared(frame)
        if self.has_plane(frame):
            yield from surveying
        else:
            self.run.touch()

    @param.depends("reach", watch=True)
    def _change_reach(self) -> None:
        self.redraw()

    def _corner_and_size(self) -> tuple[tuple[float, float], tuple[float, float]]:
        (left, right), (bottom, top) = self._window
        return (left, bottom), (right - left, top - bottom)

    def _ground(self) -> dict[str, Columns]:
        """The surface as an image of the measured losses, and its contour lines; empty before there is one.

        Nothing is interpolated: what the pointer reads is the loss at the pixel's center.
        """
        if self.relief is None:
            (left, right), (bottom, top) = self._window
            nothing = np.full((2, 2), np.nan, np.float32)
            return {
                "surface": measured_at(nothing, np.array([left, right]), np.array([bottom, top])),
                "contours": {"xs": [], "ys": []},
            }
        losses, heights = self.relief.losses, np.log10(np.clip(self.relief.losses, LOWEST, HIGHEST))
        return {
            "surface": measured_at(_short(losses), *self.relief.axes),
            "contours": lines_as_columns(self._contours(heights)),
        }

    def _contours(self, heights: np.ndarray) -> list[np.ndarray]:
        low, high = np.log10(self.relief.scale)
        generator = contourpy.contour_generator(*self.relief.axes, np.ma.masked_invalid(heights))
        return [line for level in np.linspace(low, high, CONTOURS + 2)[1:-1] for line in generator.lines(level)]

    def _path(self, frame: Frame, after: int) -> dict[str, Columns]:
        rows = self.rows(frame, after)
        places, distances = self._plane.project(rows.parameters)
        nearness = 1 / (1 + distances / max(1e-12, float(np.linalg.norm(frame.epoch.parameters))))
        dots = {
            "a": places[:, 0],
            "b": places[:, 1],
            "epoch": rows.index,
            "loss": rows.loss,
            "distance": distances,
            "color": rows.loss,
            "alpha": nearness**2,
        }
        return {"path": dots, "trail": {"a": dots["a"], "b": dots["b"]}}

    def _here(self, frame: Frame) -> Columns:
        (a, b), _ = self._plane.project(frame.epoch.parameters)
        return {"a": [a], "b": [b], "epoch": [frame.epoch.index], "loss": [frame.epoch.loss]}


def _short(losses: np.ndarray) -> np.ndarray:
    """Losses in the four bytes that a picture needs; what overflows is infinite."""
    with np.errstate(over="ignore"):
        return losses.astype(np.float32)
