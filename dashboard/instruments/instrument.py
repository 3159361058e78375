"""An instrument is one picture of a run. HoloViews declares it once per run, Bokeh's sources stream its frames.

Measured for five pictures a frame: 1 to 2 ms this way, 80 ms by DynamicMaps, 310 ms by drawing anew.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import holoviews as hv
import numpy as np
import panel as pn
import param
from bokeh.events import Tap
from bokeh.model import Model
from bokeh.model.util import collect_models
from bokeh.models import Axis, ColorMapper, ColumnDataSource, HoverTool, LogAxis, NoOverlap, Plot
from holoviews.plotting.bokeh.element import ElementPlot

from dashboard.instruments import standalone
from dashboard.instruments.chart_tools import Future, Zoom, curve_hovers
from dashboard.instruments.numerals import have_read
from dashboard.server.work_queue import Worker
from dashboard.state.run import Frame as RunFrame
from dashboard.state.store import ComparedRun, Frame, Shown
from dashboard.widgets import style
from dashboard.widgets.beside import beside
from dashboard.widgets.plain_text import APART, as_written, phrase
from engine.recording import first_in_stride
from engine.training import Epochs

Columns = Mapping[str, Any]
SHORT = 48
STYLE = beside(__file__, "instrument.css")


class _Begun(type(pn.viewable.Viewer)):
    """Has a picture drawn once all its constructors have run: none of them calls what a subclass declares."""

    def __call__(cls, *args: Any, **params: Any) -> Any:
        instrument = super().__call__(*args, **params)
        instrument.draw(instrument.run.frame())
        return instrument


class Instrument(pn.viewable.Viewer, metaclass=_Begun):
    """One picture. A subclass declares it (`picture`) and says what a frame writes into it (`columns`).

    Layers are found by their label: what `columns` returns under a name goes into the source of the element with that
    label. Layers named in `growing` only get rows appended as long as the run goes on; the others are sent whole,
    images by their changed columns.

    A picture is declared once and reused from one fresh start of the run to the next, as long as its `outline` is the
    same: a new declaration costs 50 ms and a flicker, new columns 1 ms.

    The seam, in the order in which a frame is drawn. A subclass overrides any of these, and calls the one it overrides
    where that does something; names with an underscore are the base's own.

    1. `drawn_frame`: the frame to draw for one of the run; all that follows is given this one.
    2. `is_fresh`: whether to begin afresh. Then come `begin`, which prepares; where the `outline` is another one,
       `picture` and `declared`, which adds to `figure` and `sources` what HoloViews cannot declare; and everything is
       written.
    3. `continues`: whether the rows that are drawn may stay. If not, everything is written.
    4. `columns`, `ranges` and `describe`: what is written.

    What takes long is computed by `work`, in pieces, and drawn in the frame after `run.touch()`; pictures compute
    nothing else than what a frame of 1 ms bears. It lies in `dashboard.state.analyses`. A click calls `tapped`.
    An instrument that is no plot overrides `declare` and `write`.

    Attributes:
        run: The store whose frames are drawn.
        setup: Of the frame that is drawn: another object after each fresh start.
        figure: Bokeh's model of the picture.
        sources: The data source of each layer, by its label.
        points: Most epochs drawn at once.
        controls: Parameters shown in the card's head; the `tools` among them change the run itself.
        draws_future: Whether its rows go on after an epoch that is looked at, up to the newest.
        heavy: Whether pieces of its `work` may take long.
        companion: What computes beside the picture at every beat, as long as it is in view.
        height: Of the picture; `below` of it is not the plot's.
        formats: The image formats in which the browser can save it.
        overlays_compared: Whether it draws compared runs, its `drawn_with`, into its own figure; of other instruments a
            page shows one for each compared run.
        keeps_aspect: Whether both axes have one scale.
        needs: The column of `Epochs` that is drawn. Where it was not measured at an epoch, the picture shows the last
            one before, and its caption says so.
    """

    title: ClassVar[str] = ""
    question: ClassVar[str] = ""
    reading: ClassVar[str] = ""
    missing: ClassVar[str] = "this picture does not suit this run."
    growing: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[str] = "parameters"
    points: ClassVar[int] = 512
    controls: ClassVar[tuple[str, ...]] = ()
    tools: ClassVar[tuple[str, ...]] = ()
    draws_future: ClassVar[bool] = False
    heavy: ClassVar[bool] = False
    overlays_compared: ClassVar[bool] = False
    keeps_aspect: ClassVar[bool] = False
    formats: ClassVar[tuple[str, ...]] = ("png", "svg")
    height: ClassVar[int] = style.HEIGHT
    below: ClassVar[int] = 0

    companion: Worker | None = None

    caption = param.String(default="", doc="What the picture says in words, right now, as HTML.")

    def __init__(self, run: Shown, **params: Any) -> None:
        super().__init__(**params)
        self.run = run
        self.pane = standalone.Picture(self, sizing_mode="stretch_width", height=self.height - self.below, margin=0)
        self.setup: Hashable = None
        self.figure: Model | None = None
        self.sources: dict[str, ColumnDataSource] = {}
        self.zoom: Zoom | None = None
        self._future: Future | None = None
        self._outline: object = self
        self._before_tap = run.looked_at
        self._compared_runs: tuple[ComparedRun, ...] = ()
        self._trouble = ""
        self._drawn, self._stride, self._was_ahead = -1, 0, False
        self._drawn_hyperparameters: list[Any] = [None]
        self._images: dict[str, tuple[np.ndarray, Columns]] = {}
        self._limits: dict[str, tuple[float, float]] = {}
        self._mappers: list[ColorMapper] = []

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        """Whether this picture makes sense for such a run."""
        return True

    def drawn_frame(self, frame: Frame) -> Frame:
        """The frame to draw for one of the run: of the last epoch at which what the picture needs was measured."""
        return frame.measured(self.needs) if self.needs and isinstance(frame, RunFrame) else frame

    def is_fresh(self, frame: Frame) -> bool:
        """Whether to begin afresh with this frame: after a fresh start of the run, or with other compared runs."""
        others = self.overlays_compared and self.run.compared_runs is not self._compared_runs
        return frame.setup is not self.setup or others

    def continues(self, frame: Frame) -> bool:
        """Whether what is drawn may stay in this frame, so that growing layers only need the rows that come next."""
        ahead = self.draws_future and self.ahead(frame) is not frame
        back = self.stride(frame) != self._stride or _cursor(frame) < self._drawn or ahead or self._was_ahead
        return not (back or hyperparameters_of(frame) != self._drawn_hyperparameters or _is_sparse(frame))

    def begin(self, frame: Frame) -> None:
        """Prepare for a run that has started afresh."""

    def outline(self, frame: Frame) -> Hashable:
        """Everything on which the declaration depends."""
        return None

    def picture(self, frame: Frame) -> hv.Element | hv.Overlay:
        """The declaration: axes, colors and labelled layers, with the data of any frame."""
        raise NotImplementedError

    def declared(self) -> None:
        """Add to `figure` and `sources`, which are new, what HoloViews cannot declare."""

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        """The columns of each layer at this frame; for growing layers only the rows of the epochs after `after`.

        With `after` at -1 the picture may show another run: then every layer has to be written.
        """
        raise NotImplementedError

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        """The ends of what moves with the run: the axes `x` and `y`, and the scale `color`."""
        return {}

    def work(self, frame: Frame) -> Iterator[object] | None:
        """Heavy work to be done in the background, in small pieces; None where there is none now."""
        return None

    def tapped(self, x: float, y: float) -> None:
        """Pick what is at these coordinates, which a user has clicked."""

    def describe(self, frame: Frame) -> str:
        """The caption of a frame, as HTML."""
        return ""

    def table(self) -> dict[str, Columns]:
        """What the picture shows as numbers: the columns of each layer, as they are drawn.

        The layers of compared runs, labelled "compared 1: " and so on in the figure, get the runs' names here.
        """
        names = {f"compared {place}": compared.name for place, compared in enumerate(self.drawn_with, 1)}
        return {_named(label, names): source.data for label, source in self.sources.items()}

    def drawing(self) -> dict[str, Any]:
        """Where the browser finds what it draws, to save it: the id of the figure's model."""
        return {"id": self.figure.id}

    def key(self) -> list[tuple[str, str]]:
        """What the colors of the picture mean, as pairs of a color and words, where the caption does not say so."""
        return []

    @property
    def is_zoomed(self) -> bool:
        """Whether a user looks at a part of the chart only."""
        return self.zoom is not None and self.zoom.is_on

    @property
    def shown(self) -> int:
        """The epoch that the picture shows."""
        return self._drawn

    @property
    def shown_stride(self) -> int:
        """The distance between the epochs that the picture shows."""
        return self._stride

    @property
    def workers(self) -> list[Worker]:
        """Who computes for the picture: itself, and its companion."""
        return [self, *([self.companion] if self.companion else [])]

    @classmethod
    def why_not(cls, compared: ComparedRun, run: Shown) -> str:
        """Why a compared run cannot be shown in such a picture, as the end of a sentence; empty where it can."""
        frame = compared.store.frame()
        if type(frame) is not type(run.frame()):
            return "it is a run of another kind."
        return "" if cls.suits(frame) else cls.missing

    @property
    def drawn_with(self) -> list[ComparedRun]:
        """The compared runs to draw into this picture, if it does that."""
        return [
            compared
            for compared in self._compared_runs
            if self.overlays_compared and not self.why_not(compared, self.run)
        ]

    def draw(self, frame: Frame) -> None:
        """Draw a frame of the run."""
        frame = self.drawn_frame(frame)
        if self.is_fresh(frame):
            self._begin_afresh(frame)
        else:
            self._write(frame, self._drawn if self.continues(frame) else -1)

    def forget(self) -> None:
        """Redraw all of the picture at the next frame: what the browser shows is no longer known."""
        self._stride, self._images, self._limits = 0, {}, {}

    def redraw(self) -> None:
        """Start afresh, after a choice that changes the picture."""
        self.setup = None
        self.draw(self.run.frame())

    def give_up(self, error: Exception) -> None:
        """Say that the picture's work was stopped by an error, until the run starts afresh."""
        self._trouble = f"This could not be measured: {error}"
        self.run.touch()

    def stride(self, frame: Frame) -> int:
        """The distance between the epochs that are drawn, so that there are at most `points`; a power of two."""
        stride, newest = frame.stride, self.ahead(frame).epoch.index
        while newest // stride >= self.points:
            stride *= 2
        return stride

    def rows(self, frame: Frame, after: int) -> Epochs:
        """The epochs to draw, evenly spaced, from the one after `after` to the frame's, or the newest."""
        kept = self.ahead(frame).kept(after)
        return kept.rows(first_in_stride(kept.index, self.stride(frame), after))

    def spread_rows(self, frame: Frame, after: int) -> Epochs:
        """The same for an axis on which the first epochs take most room, including those that even spacing leaves out.

        None of them is later than what is written whole: the newest are spaced more widely than the picture is.
        """
        rows = self.rows(frame, after)
        return self.ahead(frame).spread(rows) if after < 0 else rows

    def ahead(self, frame: Frame) -> Frame:
        """The frame up to which rows are drawn: that of the newest epoch where the picture shows the future."""
        return frame.newest if self.draws_future and self._looks_back(frame) else frame

    def _looks_back(self, frame: Frame) -> bool:
        """Whether there is a future to show."""
        run = self.run
        return run.looked_at is not None and run.shows_future and not run.is_read_only and isinstance(frame, RunFrame)

    def __panel__(self) -> pn.viewable.Viewable:
        return self.pane

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return standalone.cards(self)._repr_mimebundle_(include, exclude)

    def declare(self, frame: Frame) -> None:
        """Make `figure` and `sources`."""
        picture = self.picture(frame).opts(show_legend=False, responsive=True, height=self.height - self.below)
        plot = hv.renderer("bokeh").get_plot(picture)
        self.figure = plot.state
        self._dress(self.figure)
        for hover in curve_hovers(plot, self.figure):
            have_read(hover)
            self.figure.toolbar.tools += [hover]
        self.zoom = Zoom(self.figure, self._see_all, self.keeps_aspect) if Zoom.suits(self.figure) else None
        self._future = Future(self.figure) if Future.suits(self.figure) else None
        if type(self).tapped is not Instrument.tapped:
            self.figure.on_event(Tap, self._tap)
        self.sources = _sources(plot)
        if self._future:
            self._future.leave_out(self.figure, self.sources.get("now"))
        plot.cleanup()  # from now on Bokeh's figure is enough; the document would hold HoloViews' plot

    def write(self, frame: Frame, after: int) -> None:
        """Write a frame into `figure` and `sources`; where growing layers go on, only what follows an epoch."""
        for label, columns in self.columns(frame, after).items():
            source = self.sources[label]
            if label in self.growing and after >= 0:
                if len(next(iter(columns.values()))):
                    source.stream(_plain(columns))
            elif "image" in columns:
                self._write_image(label, source, columns)
            else:
                source.data = _plain(columns)
        for axis, (low, high) in self.ranges(frame).items():
            self._write_range(axis, low, high)

    def _begin_afresh(self, frame: Frame) -> None:
        self.setup, self._compared_runs, self._trouble = frame.setup, self.run.compared_runs, ""
        self.begin(frame)
        outline = self.outline(frame)
        is_new = outline != self._outline
        if is_new:
            self._images, self._limits = {}, {}
            self.declare(frame)
            self.declared()
            self._outline = outline
        elif self.zoom:
            self.zoom.is_on, self._limits = False, {}
        self._write(frame, -1)
        if is_new:
            self.pane.object = self.figure

    def _tap(self, tap: Tap) -> None:
        self._before_tap = self.run.looked_at
        self.tapped(tap.x, tap.y)

    def _see_all(self) -> None:
        """Leave the zoom; the first of the two clicks that asked for it has picked no epoch."""
        self._limits = {}
        if type(self).tapped is not Instrument.tapped:
            self.run.look_at(self._before_tap)
        self.run.touch()

    def _dress(self, figure: Plot) -> None:
        parts = collect_models(figure)
        self._mappers = _only(ColorMapper, parts)
        figure.background_fill_alpha = figure.border_fill_alpha = 0
        figure.outline_line_color = None
        figure.output_backend = "canvas"  # WebGL draws these few points slower, and stalls where it is emulated
        figure.toolbar_location = None
        figure.toolbar.tools = _only(HoverTool, parts)
        for tool in figure.toolbar.tools:
            have_read(tool)
        figure.min_border_left, figure.min_border_right = 48, 14
        figure.css_classes = ["picture-figure"]
        figure.stylesheets = [STYLE, f":host {{ --own: {self.height - self.below}px; }}"]
        for axis in _only(Axis, parts):
            axis.axis_label = as_written(axis.axis_label) if isinstance(axis.axis_label, str) else axis.axis_label
            axis.major_label_overrides = {
                tick: as_written(label) if isinstance(label, str) else label
                for tick, label in axis.major_label_overrides.items()
            }
        for axis in _only(LogAxis, parts):
            axis.major_label_policy = NoOverlap()

    def _write(self, frame: Frame, after: int) -> None:
        self.write(frame, after)
        if self._future:
            self._future.follow(_cursor(frame) if self._looks_back(frame) else None)
        self._was_ahead = self.draws_future and self.ahead(frame) is not frame
        self._drawn, self._stride = _cursor(frame), self.stride(frame)
        self._drawn_hyperparameters = hyperparameters_of(frame)
        self.caption = self._trouble or phrase(self.describe(frame), _measured_when(frame), between=APART)

    def _write_image(self, label: str, source: ColumnDataSource, columns: Columns) -> None:
        """Send an image: its changed columns where few have changed, the whole of it otherwise."""
        image, place = columns["image"], {name: value for name, value in columns.items() if name != "image"}
        before, place_before = self._images.get(label, (None, None))
        self._images[label] = image, place
        changed = _changed_columns(before, image) if _alike(place, place_before) else None
        if changed is None:
            source.data = {name: [value] for name, value in columns.items()}
        elif changed.stop > changed.start:
            source.patch({"image": [((0, slice(None), changed), image[:, changed].ravel())]})

    def _write_range(self, axis: str, low: float, high: float) -> None:
        if self._limits.get(axis) == (low, high) or (axis != "color" and self.is_zoomed):
            return
        self._limits[axis] = low, high
        if axis == "color":
            for mapper in self._mappers:
                mapper.update(low=low, high=high)
        else:
            getattr(self.figure, f"{axis}_range").update(start=low, end=high)


def stacked(*parts: object) -> pn.Column:
    """A picture with what belongs above or below it; the picture takes what is left of its card's height."""
    return pn.Column(*parts, stylesheets=[STYLE], css_classes=["stack"], margin=0, sizing_mode="stretch_width")


class OfHiddenLayers:
    """Mixed into an instrument that shows hidden layers: it suits networks that have some."""

    missing: ClassVar[str] = "there are no hidden layers."

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        """Whether the network has hidden layers."""
        return bool(frame.setup.network.widths)


def lone(index: np.ndarray, values: np.ndarray, stride: int) -> np.ndarray:
    """(k,) which points of a line have no neighbor at the expected distance: they are drawn as dots."""
    fine = np.isfinite(values)
    joined = (np.diff(index // stride) <= 1) & fine[1:] & fine[:-1]
    left, right = np.append(False, joined), np.append(joined, False)
    ends = np.zeros(len(fine), bool)
    ends[[0, -1] if len(ends) else []] = True
    return fine & ~(left & right) & ~(ends & (left | right))


def with_gaps(index: np.ndarray, values: np.ndarray, gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points of lines (k,) and (k, lines), with nan at these epochs, at which a line should be interrupted."""
    if not len(gaps):
        return index, values
    both, nothing = np.append(index, gaps), np.full((len(gaps), *values.shape[1:]), np.nan)
    order = np.argsort(both, kind="stable")
    return both[order], np.concatenate([values, nothing])[order]


def shortened(name: str, most: int = 10) -> str:
    """A name that fits below a bar: the end of a long one, where names of layers differ."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _cursor(frame: Frame) -> int:
    """The epoch that is asked for."""
    return frame.cursor if isinstance(frame, RunFrame) else frame.epoch.index


def _is_sparse(frame: Frame) -> bool:
    """Whether what was drawn may have changed."""
    return isinstance(frame, RunFrame) and frame.is_sparse


def _measured_when(frame: Frame) -> str:
    """The epoch at which what is shown was measured, where it is not the one that is asked for."""
    shown, asked = frame.epoch.index, _cursor(frame)
    if shown == asked:
        return ""
    return f"measured at epoch {shown:,}" if shown < asked else f"not measured before epoch {shown:,}"


def hyperparameters_of(frame: Frame) -> list[Any]:
    """The hyperparameters of the run up to the frame's epoch and for the next update; empty where they are unknown.

    A change at an epoch that is already drawn changes what is known of it.
    """
    return [*(getattr(frame, "hyperparameter_log", None) or ()), getattr(frame, "hyperparameters", None)]


def _only(kind: type[Model], parts: Sequence[Model]) -> list[Any]:
    """Those of the parts that are of a kind."""
    return [part for part in parts if isinstance(part, kind)]


def _sources(plot: Any) -> dict[str, ColumnDataSource]:
    """The data source of every layer of a rendered picture, by the label of its element."""
    layers = [layer for layer in plot.traverse(lambda part: part, [ElementPlot]) if "source" in layer.handles]
    return {layer.current_frame.label: layer.handles["source"] for layer in layers if not layer.subplots}


def _named(label: str, names: Mapping[str, str]) -> str:
    """A layer's label with the name of the compared run that it shows, if it shows one."""
    compared, _, what = label.partition(": ")
    return f"{compared}: {names[compared]}, {what}" if compared in names else label


def lines_as_columns(lines: Sequence[np.ndarray]) -> Columns:
    """Lines, each (points, 2), as columns of a layer of contours; rounded, they are shorter as text than as arrays."""
    rounded = [np.round(line, 4) for line in lines]
    return {"xs": [line[:, 0].tolist() for line in rounded], "ys": [line[:, 1].tolist() for line in rounded]}


def _plain(columns: Columns) -> dict[str, Any]:
    """Short columns as lists: each array is two more websocket messages."""
    return {
        name: values.tolist() if isinstance(values, np.ndarray) and len(values) <= SHORT else values
        for name, values in columns.items()
    }


def _alike(one: Columns, other: Columns | None) -> bool:
    """Whether two columns have the same names and the same values, arrays among them."""
    if other is None or one.keys() != other.keys():
        return False
    return all(value is other[name] or np.array_equal(value, other[name]) for name, value in one.items())


def _changed_columns(before: np.ndarray | None, after: np.ndarray) -> slice | None:
    """The columns of an image that differ; None where it is better sent whole."""
    if before is None or before.shape != after.shape:
        return None
    different = np.flatnonzero(((before != after) & ~(np.isnan(before) & np.isnan(after))).any(axis=0))
    if not len(different):
        return slice(0, 0)
    changed = slice(int(different[0]), int(different[-1]) + 1)
    return changed if changed.stop - changed.start <= after.shape[1] // 8 else None
