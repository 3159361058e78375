"""The loss on a plane through the current weights, and the path of the run."""

import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import contourpy
import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns, Instrument, lines_as_columns
from dashboard.instruments.numerals import digits
from dashboard.instruments.sample_grid import measured_at
from dashboard.state.run import Frame
from dashboard.widgets import style
from engine.landscape import Plane, loss_surfaces, path_on_plane, random_plane
from engine.recording import History

POINTS = 41
CONTOURS = 12
SPAN = 1e3
LOWEST, HIGHEST = 1e-12, 1e30

SURVEY_INTERVAL_S = 0.9
"""Seconds after which a survey is repeated while the run goes on."""

REACHES = {"1": 1.0, "0.3": 0.3, "0.1": 0.1}

Window = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Relief:
    """A surface that has been computed.

    Attributes:
        epoch: Of the weights through which it passes.
        subject: Everything else on which it depends.
        losses: (POINTS, POINTS) over the window.
        start: Its distance from the true loss at the start of the run's path.
        here: Its distance from the true loss at the epoch.
    """

    epoch: int
    subject: Hashable
    plane: Plane
    window: Window
    losses: np.ndarray
    start: float
    here: float

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """The coordinates of the columns and of the rows, each (POINTS,)."""
        (left, right), (bottom, top) = self.window
        return np.linspace(left, right, POINTS), np.linspace(bottom, top, POINTS)

    @property
    def scale(self) -> tuple[float, float]:
        """The losses the colors go from and to."""
        low = max(LOWEST, float(np.nanmin(self.losses)))
        return low, min(float(np.nanmax(self.losses)), low * SPAN) * (1 + 1e-9)


class Survey:
    """The computation of a relief; for a run with many viewers, by one of them for all."""

    def __init__(self, looked_at: int | None = None) -> None:
        """looked_at: the epoch that is gone back to; None at the newest."""
        self.looked_at, self.relief = looked_at, None
        self._began = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since it was begun."""
        return time.monotonic() - self._began


SURVEYS: WeakKeyDictionary[History, dict[Hashable, Survey]] = WeakKeyDictionary()


class LossLandscape(Instrument):
    """The loss on a random plane through the current weights, as contours, with the run's path projected onto it.

    The two directions are filter-normalized (Li et al. 2018): one step along an axis changes every unit's weights by as
    much as their own length, at random, and so makes them about 1.4 times as long. The other dimensions of the path are
    lost: its points fade with their distance from the plane, and their color is the run's true loss, not the surface's.

    Subclasses choose another `plane`, and the `window` of it that is shown.
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
        self._relief: Relief | None = None
        self._pending: Relief | None = None

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

    def draw(self, frame: Frame) -> None:
        pending, self._pending = self._pending, None
        if pending and frame.setup is self._setup:
            self._relief, self._plane, self._window = pending, pending.plane, pending.window
            self._write(frame, -1)
        else:
            super().draw(frame)

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        layers = {"here": self._here(frame), **self._path(frame, after)}
        return layers if after >= 0 else {**layers, **self._ground()}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        x, y = self._window
        return {"x": x, "y": y, **({"color": self._relief.scale} if self._relief else {})}

    def describe(self, frame: Frame) -> str:
        relief = self._relief
        if relief is None:
            return "surveying the surface…"
        now = "" if np.isnan(frame.epoch.loss) else f"; now {digits(frame.epoch.loss)}"
        return self.words(relief) + now

    def words(self, relief: Relief) -> str:
        """What the caption says of the surface."""
        low, high = np.nanmin(relief.losses), np.nanmax(relief.losses)
        return f"{digits(low)} (dark) to {digits(high)} around epoch {relief.epoch:,}"

    def work(self, frame: Frame) -> Iterator[object] | None:
        frame, relief = self.known(frame), self._relief
        subject = self.subject(frame)
        if relief and (relief.epoch, relief.subject) == (frame.epoch.index, subject):
            return None
        if not self.run.is_read_only:
            return self._survey(frame, Survey())
        surveys = SURVEYS.setdefault(frame.history, {})
        survey = surveys.get(key := (type(self), subject))
        if survey is None or survey.looked_at != self.run.looked_at or survey.age > SURVEY_INTERVAL_S:
            surveys[key] = survey = Survey(self.run.looked_at)
            return self._survey(frame, survey)
        if survey.relief and survey.relief is not relief:
            self._pending = survey.relief
            self.run.touch()
        return None

    def tapped(self, x: float, y: float) -> None:
        """Look at the epoch whose dot is nearest."""
        rows, (_, (width, height)) = self.rows(self.known(self.run.frame()), -1), self._corner_and_size()
        places = self._plane.project(rows.parameters)[0]
        away = ((places[:, 0] - x) / width) ** 2 + ((places[:, 1] - y) / height) ** 2
        self.run.look_at(int(rows.index[np.argmin(away)]))

    @param.depends("reach", watch=True)
    def _change_reach(self) -> None:
        self.redraw()

    def _survey(self, frame: Frame, survey: Survey) -> Iterator[object]:
        """The loss on the plane of a frame, a few points at a time."""
        setup, subject, network = frame.setup, self.subject(frame), frame.network()
        plane = self.plane(frame)
        window = self.window(frame, plane)
        (left, right), (bottom, top) = window
        across, up = np.linspace(left, right, POINTS), np.linspace(bottom, top, POINTS)
        objective = setup.loss, frame.l1, frame.l2
        for surface in loss_surfaces(network, setup.train, plane, across, up, *objective):
            yield surface
        ends = np.stack([frame.history.at(0).parameters, frame.epoch.parameters])
        there = path_on_plane(network, setup.train, plane, ends, *objective)
        start, here = np.abs(there.beneath - there.losses).tolist()
        if setup is self._setup and subject == self.subject(frame) and np.isfinite(surface).any():
            self._pending = survey.relief = Relief(frame.epoch.index, subject, plane, window, surface, start, here)
            self.run.touch()

    def _corner_and_size(self) -> tuple[tuple[float, float], tuple[float, float]]:
        (left, right), (bottom, top) = self._window
        return (left, bottom), (right - left, top - bottom)

    def _ground(self) -> dict[str, Columns]:
        """The surface as an image of the measured losses, and its contour lines; empty before there is one.

        Nothing is interpolated: what the pointer reads is the loss at the pixel's center.
        """
        if self._relief is None:
            (left, right), (bottom, top) = self._window
            nothing = np.full((2, 2), np.nan, np.float32)
            return {
                "surface": measured_at(nothing, np.array([left, right]), np.array([bottom, top])),
                "contours": {"xs": [], "ys": []},
            }
        losses, heights = self._relief.losses, np.log10(np.clip(self._relief.losses, LOWEST, HIGHEST))
        return {
            "surface": measured_at(_short(losses), *self._relief.axes),
            "contours": lines_as_columns(self._contours(heights)),
        }

    def _contours(self, heights: np.ndarray) -> list[np.ndarray]:
        low, high = np.log10(self._relief.scale)
        generator = contourpy.contour_generator(*self._relief.axes, np.ma.masked_invalid(heights))
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


def window_around(places: np.ndarray, least: float) -> Window:
    """A window that holds places (k, 2) with room to spare, at least so far to each side.

    Its sides are at multiples of a power of two, so that it stays as it is while the places move a little.
    """
    low, high = places.min(axis=0), places.max(axis=0)
    room = np.maximum(0.3 * (high - low), least)
    step = 2.0 ** np.floor(np.log2(high - low + 2 * room) - 2)
    sides = np.stack([np.floor((low - room) / step), np.ceil((high + room) / step)], axis=1) * step[:, None]
    (left, right), (bottom, top) = sides.tolist()
    return (left, right), (bottom, top)
