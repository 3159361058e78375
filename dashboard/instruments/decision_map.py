"""The decision map shows what the network predicts everywhere in the plane."""

import time
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import contourpy
import holoviews as hv
import numpy as np
import panel as pn
import param
from bokeh.events import DoubleTap, MouseMove, Pan, PanEnd, PanStart, Press, PressUp
from bokeh.models import CustomJSHover, HoverTool

from dashboard.instruments.instrument import Columns, Instrument, lines_as_columns, stacked
from dashboard.instruments.sample_grid import measured_at
from dashboard.state.analyses.point_editor import PointEditor
from dashboard.state.run import Frame
from dashboard.state.store import Shown
from dashboard.storage.tables import MAX_CLASSES
from dashboard.widgets import style
from dashboard.widgets.pen_toolbar import PenTools
from dashboard.widgets.plain_text import APART as SIDE_BY_SIDE
from engine.chance import stream
from engine.datasets import Dataset

RESOLUTION = 64
MARGIN = 0.12
MAX_EXAMPLES = 400
NO_LINES = {"xs": [], "ys": []}
PICK, ERASE = "pick", "erase"
PENS = {f"add class {number}": number for number in range(MAX_CLASSES)}
REACH = 0.04
"""How far from a click a point may be to be erased, as a fraction of the plane."""

APART, SPREAD = 0.025, 0.02
"""Along a drag, how far apart points are put, and how far they scatter, as fractions of the plane."""

PAUSE = 0.1
"""Seconds of a drag between two fresh starts of the run."""

STROKES = (DoubleTap, PanStart, Pan, PanEnd, Press, MouseMove, PressUp)
"""Events received besides taps while somebody draws: a drag that begins slowly is a press, moves, and its end."""

Box = tuple[tuple[float, float], tuple[float, float]]


class DecisionMap(Instrument):
    """The likeliest class over the plane, paler where the network is less sure, with the examples on top.

    With a pen, examples can be added and erased: they are then a user's own data, and the run starts afresh.
    """

    title = "Decision map"
    question = "What does the network answer, and where?"
    missing = "the inputs are not two numbers."
    reading = (
        "Color is the class, depth of color how sure. The line is where both classes are equally likely, the dashed "
        "one where the threshold is, if that is another. Discs were trained on, rings were held out. A click picks the "
        "nearest example, a large ring marks it; with another pen, clicks and drags add examples or erase them."
    )
    controls = ("pen",)
    tools = ("pen",)

    pen = param.Selector(
        default=PICK, objects=[PICK, *PENS, ERASE], doc="What a click does: pick an example, add one or erase one."
    )

    _bar: PenTools | None = None
    _drawing: PointEditor | None = None
    _plane: np.ndarray | None = None
    _stale = False

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return frame.setup.task != "regression" and frame.setup.is_plane and frame.knows("parameters")

    def __init__(self, run: Shown, **params: Any) -> None:
        super().__init__(run, **params)
        self._layout = stacked(self.pane)
        self._stroke: list[tuple[float, float]] = []
        self._last: np.ndarray | None = None
        self._put = 0.0

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def draw(self, frame: Frame) -> None:
        was_edited = self._stale
        super().draw(frame)
        if was_edited:
            self._show_tools()

    def is_fresh(self, frame: Frame) -> bool:
        return self._stale or super().is_fresh(frame)

    def begin(self, frame: Frame) -> None:
        self._stale = False
        self._box = self.box(frame)
        if self._draws:
            self._hold_still(frame)
        (left, right), (bottom, top) = self._box
        self._x, self._y = np.linspace(left, right, RESOLUTION), np.linspace(bottom, top, RESOLUTION)
        self._network = frame.setup.network.copy()
        plane = np.stack(np.meshgrid(self._x, self._y), axis=-1).reshape(-1, 2)
        self._predict = self._network.predictor(frame.setup.inputs(plane))

    def box(self, frame: Frame) -> Box:
        """The ends of the plane that is shown."""
        return box_around(frame.setup.examples, frame.setup.held_out)

    def outline(self, frame: Frame) -> Hashable:
        return len(frame.setup.train) > MAX_EXAMPLES

    def picture(self, frame: Frame) -> hv.Overlay:
        regions = hv.Image(np.zeros((2, 2)), label="regions").opts(
            cmap=style.regions(), clim=(0, 254), tools=[_hover()]
        )
        boundary = hv.Contours([], label="boundary").opts(color=style.GHOST, line_width=2, show_legend=False)
        threshold = hv.Contours([], label="threshold").opts(
            color=style.CURSOR, line_width=2, line_dash="dashed", show_legend=False
        )
        size = 4 if len(frame.setup.train) > MAX_EXAMPLES else 7
        training = _points("training", size, line_color="white", line_width=0.8)
        validation = _points("validation", size, fill_alpha=0, line_width=1.8)
        picked = hv.Points([], ["x1", "x2"], label="picked").opts(
            color=style.CURSOR, fill_alpha=0, size=15, line_width=2.5
        )
        return hv.Overlay([regions, boundary, threshold, training, validation, picked]).opts(
            xlim=(0, 1),
            ylim=(0, 1),
            xlabel="x₁",
            ylabel="x₂",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        if after < 0:
            self._read_classes(frame)
        if self._unfinished:
            return self._sketch(frame)
        self._network.parameters[:] = frame.epoch.parameters
        with np.errstate(all="ignore"):
            answers = np.nan_to_num(self._predict())
        moving = {
            "regions": self._regions(style.region_shades(answers)),
            "boundary": self._boundary(answers, 0.5),
            "threshold": self._boundary(answers, self.run.view.threshold) if self._apart else NO_LINES,
            "picked": self._picked(frame.setup.examples),
        }
        return moving if after >= 0 else {**moving, **self._examples(frame)}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return dict(zip("xy", self._box, strict=True))

    def describe(self, frame: Frame) -> str:
        if self._unfinished:
            return "Nothing is learned from these points yet."
        if np.isnan(frame.epoch.accuracy):
            return f"the network at epoch {frame.epoch.index:,}"
        right = f"{frame.epoch.accuracy:.1%} of the training examples classified correctly"
        return right if frame.setup.validation is None else f"{right}{SIDE_BY_SIDE}○ held out"

    def table(self) -> dict[str, Columns]:
        """What is drawn, with the probability of each class at every point of the plane in place of its color."""
        with np.errstate(all="ignore"):
            answers = self._predict()
        x1, x2 = (axis.ravel() for axis in np.meshgrid(self._x, self._y))
        classes = [1] if answers.shape[1] == 1 else range(answers.shape[1])
        probabilities = {f"probability of class {one}": answers[:, i] for i, one in enumerate(classes)}
        return {**super().table(), "regions": {"x1": x1, "x2": x2, **probabilities}}

    def tapped(self, x: float, y: float) -> None:
        """Pick the training example that is nearest on the screen; with a pen, add or erase one."""
        if self._draws:
            self._mark([(x, y)])
            return
        spans = [high - low for low, high in self._box]
        self.run.view.example = int(np.argmin((((self.setup.examples.x - [x, y]) / spans) ** 2).sum(axis=1)))

    @param.depends("pen", watch=True)
    def _take_pen(self) -> None:
        """Prepare for what a click does from now on."""
        if self._draws and self._drawing is None:
            self._drawing = PointEditor(self.run.settings)
            self._bar = PenTools(self._answer)
        if not self._draws:
            self._plane = None
        self._refresh()

    @property
    def _draws(self) -> bool:
        return self.pen != PICK

    @property
    def _unfinished(self) -> bool:
        """Whether what is drawn is not enough to learn from, and waits for more."""
        return self._draws and self._drawing.is_current and bool(self._drawing.missing)

    def _read_classes(self, frame: Frame) -> None:
        """Have the pointer read as many classes as there are."""
        code = _reading(frame.setup.train.n_classes)
        for formatter in self.figure.select(CustomJSHover):
            if formatter.code != code:
                formatter.code = code

    def declared(self) -> None:
        super().declared()
        figure = self.figure
        figure.on_event(DoubleTap, lambda tap: self._draws and self.tapped(tap.x, tap.y))
        for event in (PanStart, Pan, Press):
            figure.on_event(event, lambda pan: self._drag(pan.x, pan.y))
        figure.on_event(MouseMove, lambda move: self._last is not None and self._drag(move.x, move.y))
        for event in (PanEnd, PressUp):
            figure.on_event(event, lambda _: self._end_stroke())
        self._hear_strokes()

    def _hear_strokes(self) -> None:
        """Subscribe to drags and long clicks while somebody draws; else a drag looks closer."""
        strokes, received = (
            {event.event_name for event in STROKES} - {DoubleTap.event_name},
            set(self.figure.subscribed_events),
        )
        self.figure.subscribed_events = received | strokes if self._draws else received - strokes
        self.zoom.let(not self._draws)

    def _answer(self, asked: str) -> None:
        """Do what the toolbar asks for."""
        {"undo": self._drawing.undo, "clear": self._drawing.clear}[asked]()
        self._refresh()

    def _drag(self, x: float, y: float) -> None:
        """Put points all along the way from where the drag was, and start the run afresh now and then."""
        if not self._draws:
            return
        here = np.array([x, y])
        way = np.zeros((1, 2)) if self._last is None else self._way(here - self._last)
        if not len(way):
            return
        self._stroke += [tuple(here - step) for step in way]
        self._last = here
        if time.perf_counter() - self._put >= PAUSE:
            self._put_stroke()

    def _way(self, moved: np.ndarray) -> np.ndarray:
        """Where points of a move are, (k, 2), seen from its end: evenly along it, and scattered unless they erase."""
        steps = int(np.abs(moved / self._spans).max() / APART)
        places = moved * np.linspace(1, 0, steps + 1)[1:, None]
        rng = stream(len(self._drawing.x) + len(self._stroke), "pen")
        scattered = places + SPREAD * self._spans * rng.standard_normal(places.shape)
        return places if self.pen == ERASE else scattered

    def _end_stroke(self) -> None:
        self._last = None
        if self._stroke:
            self._put_stroke()

    def _put_stroke(self) -> None:
        stroke, self._stroke = self._stroke, []
        self._mark(stroke)
        self._put = time.perf_counter()

    def _mark(self, places: list[tuple[float, float]]) -> None:
        """Add points at these places of the picture, or erase those near them."""
        inside = self._own_units(np.array([place for place in places if self._holds(place)]).reshape(-1, 2))
        if self.pen == ERASE:
            self._drawing.erase(inside, REACH * self._spans * self._std)
        else:
            self._drawing.add(inside, PENS[self.pen])
        self._refresh()

    def _refresh(self) -> None:
        """Show what was drawn in the next frame; a message from the browser may come when nothing can be written."""
        self._stale = True
        self.run.touch()

    def _show_tools(self) -> None:
        """Say what was drawn, and show the tools for it while somebody draws."""
        self._hear_strokes()
        if self._draws:
            missing = self._drawing.missing
            words = missing or self._drawing.counts
            self._bar.param.update(words=words, missing=bool(missing), undoes=self._drawing.can_undo)
        parts = [self.pane, self._bar] if self._draws else [self.pane]
        if self._layout.objects != parts:
            self._layout.objects = parts

    def _hold_still(self, frame: Frame) -> None:
        """Keep the part of the plane that is shown while it is drawn into, however the examples are standardized."""
        self._mean, self._std = self._standardization(frame)
        if self._plane is None or not self._drawing.is_current:
            self._plane = self._own_units(np.transpose(self._box))
        shown = (self._plane - self._mean) / self._std
        self._box = tuple(map(tuple, shown.T.tolist()))

    def _standardization(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Shift and scale of each input that convert the plane's coordinates to the examples' own units."""
        if not self.run.settings.standardize:
            return np.zeros(2), np.ones(2)
        parts = [part.x for part in (frame.setup.examples, frame.setup.held_out) if part is not None]
        own, shown = self.run.settings.examples().x, np.concatenate(parts)
        spread = np.ptp(shown, axis=0)
        scale = np.where(spread > 0, np.ptp(own, axis=0) / np.where(spread > 0, spread, 1.0), 1.0)
        return own.min(axis=0) - shown.min(axis=0) * scale, scale

    def _own_units(self, places: np.ndarray) -> np.ndarray:
        """Positions in the picture, (k, 2), in the examples' own units."""
        return places * self._std + self._mean

    @property
    def _spans(self) -> np.ndarray:
        """How wide and how high the part of the plane is that is shown."""
        return np.array([high - low for low, high in self._box])

    def _holds(self, place: tuple[float, float]) -> bool:
        return all(low <= value <= high for value, (low, high) in zip(place, self._box, strict=True))

    def _sketch(self, frame: Frame) -> dict[str, Columns]:
        """What is drawn and cannot be learned yet, on an empty plane."""
        drawing, train = self._drawing, frame.setup.examples
        points = replace(train, x=(drawing.x - self._mean) / self._std, y=drawing.y)
        return {
            "regions": self._regions(np.zeros(RESOLUTION**2, dtype=np.uint8)),
            "boundary": NO_LINES,
            "threshold": NO_LINES,
            "picked": {"x1": [], "x2": []},
            "training": _columns(points),
            "validation": _columns(_none_of(train)),
        }

    def _regions(self, shades: np.ndarray) -> Columns:
        return measured_at(shades.reshape(RESOLUTION, RESOLUTION), self._x, self._y)

    @property
    def _apart(self) -> bool:
        """Whether the threshold has a line of its own."""
        return self.run.view.threshold != 0.5

    def _picked(self, data: Dataset) -> Columns:
        example = self.run.view.example
        shown = data.x[[] if example is None or example >= len(data) else [example]]
        return {"x1": shown[:, 0], "x2": shown[:, 1]}

    def _examples(self, frame: Frame) -> dict[str, Columns]:
        train, validation = frame.setup.examples, frame.setup.held_out
        return {
            "training": _columns(train),
            "validation": _columns(_none_of(train) if validation is None else validation),
        }

    def _boundary(self, answers: np.ndarray, probability: float) -> Columns:
        """Where class 1 has this probability."""
        if answers.shape[1] > 1:
            return NO_LINES
        surface = answers.reshape(RESOLUTION, RESOLUTION)
        lines = contourpy.contour_generator(self._x, self._y, surface).lines(probability)
        return lines_as_columns(lines)


def box_around(*parts: Dataset | None) -> Box:
    """The smallest box around all examples, with a margin."""
    x = np.concatenate([part.x for part in parts if part is not None])
    low, high = x.min(axis=0), x.max(axis=0)
    margin = MARGIN * np.maximum(high - low, 1e-6)
    return tuple(zip((low - margin).tolist(), (high + margin).tolist(), strict=True))


def _columns(data: Dataset) -> Columns:
    return {
        "x1": data.x[:, 0],
        "x2": data.x[:, 1],
        "class": data.y,
        "color": np.array(style.CLASSES)[data.y.astype(int)],
    }


def _points(label: str, size: int, **marks: object) -> hv.Points:
    rows = [(0, 0, 0, color) for color in style.CLASSES]
    hover = HoverTool(tooltips=[(label, "class @class"), ("x₁, x₂", "@x1{0.00}, @x2{0.00}")])
    points = hv.Points(rows, ["x1", "x2"], ["class", "color"], label=label)
    return points.opts(color="color", size=size, tools=[hover], **marks)


def _none_of(data: Dataset) -> Dataset:
    return data.take(np.arange(0))


def _hover() -> HoverTool:
    """Reads a shade back as the class answered at the pixel's center, and its probability there."""
    return HoverTool(tooltips=[("answer", "@image{custom}")], formatters={"@image": CustomJSHover()})


def _reading(classes: int) -> str:
    """The code by which it is read; the shades of two classes are hundredths of p, those of more are wider apart."""
    equals = "=" if classes == 2 else "≈"
    return f"""
        const winner = Math.floor(value / {style.LEVELS}), ahead = (value % {style.LEVELS}) / {style.LEVELS - 1}
        const p = 1 / {classes} + ahead * (1 - 1 / {classes})
        return `class ${{winner}}, p {equals} ${{p.toFixed(2)}}`"""
