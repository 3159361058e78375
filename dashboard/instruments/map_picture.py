"""A map of runs: two settings along the sides, and in each pixel what became of the run with these two."""

import json
import math
from collections.abc import Callable, Hashable

import holoviews as hv
import numpy as np
from bokeh.events import RangesUpdate
from bokeh.models import CustomJSHover

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import counted, digits, share, spark_levels
from dashboard.instruments.sample_grid import measured_at
from dashboard.state.map_axes import MapAxis
from dashboard.state.run_map import RunMap, map_of
from dashboard.state.store import Frame
from dashboard.state.view import MapView
from dashboard.widgets import style
from dashboard.widgets.plain_text import phrase
from engine.sweep import MEASURES, Measure
from engine.sweep.measures import Accuracy, DeadShare, GradientRatio, Loss, ValidationGap

LEAST_DECADES = 1.5
"""Span of a logarithmic axis from which on its ticks are powers of ten."""

MAX_TICKS = 7
ROUNDING = 1e-9
"""Of a pixel: by how much the end of an axis may lie beyond itself."""

FAR, FLAT = 0.5, 0.01
"""How far the color scale goes beyond the usual values, as a share of their span; half its width where all are one."""


OF_AN_EPOCH = (Loss, Accuracy, ValidationGap, GradientRatio)
"""Measures that one recorded epoch tells."""


class MapPicture(Instrument):
    """One pixel a run. What is computed becomes finer where neighbors differ; a click opens the run of a pixel.

    Attributes:
        play: Has the run that was opened go on; the page sets it.
    """

    title = "Map"
    question = "For which settings does it train?"
    reading = (
        "Every pixel is a run that was trained to the epoch of the map. A click opens it in the other pictures and "
        "plays it: it ends at the pixel's value. Drag a box to look closer; the way back stands above. Pixels between "
        "equal neighbors are not trained but filled in, until you look closer. The red circle is the run of the page."
    )
    missing = "there is no map here."
    height = 520

    def __init__(self, run: object, **params: object) -> None:
        super().__init__(run, **params)
        self.play: Callable[[], None] = lambda: None

    @property
    def map(self) -> RunMap:
        """The map that is drawn; one that nobody computes where the run has none."""
        return map_of(self.run)

    @property
    def measure(self) -> type[Measure]:
        """What the color means."""
        return MEASURES[self.map.measure]

    @property
    def _is_share(self) -> bool:
        """Whether the measure goes from 0 to 1."""
        return bool(self.measure.categories) or self.measure in (Accuracy, DeadShare)

    def is_fresh(self, frame: Frame) -> bool:
        return super().is_fresh(frame) or self._subject() != self._drawn_subject

    def begin(self, frame: Frame) -> None:
        self._drawn_subject = self._subject()
        sweep = self.map.sweep
        across, up = self.map.axes
        x_low, x_high, y_low, y_high = self.map.window
        size = (self.map.side, self.map.side)
        self._values = (
            (sweep.x, sweep.y)
            if sweep
            else tuple(
                axis.between(low, high).values(count)
                for axis, low, high, count in ((across, x_low, x_high, size[0]), (up, y_low, y_high, size[1]))
            )
        )
        self._found: object = self
        self._sparks = dict.fromkeys(
            (f"mark{place}" for place in range(len(self.map.marks))),
            np.zeros(tuple(map(len, self._values))[::-1], "u1"),
        )

    def outline(self, frame: Frame) -> Hashable:
        return self._drawn_subject[:-1]

    def picture(self, frame: Frame) -> hv.Overlay:
        across, up = self.map.axes
        columns, rows = map(len, self._values)
        colors = {
            "cmap": list(style.LANDSCAPE),
            "clim": (0.1, 1),
            "logz": self.measure.log,
            "clipping_colors": {"NaN": "#00000000", "max": style.DIVERGED},
        }
        image = hv.Image(np.ones((2, 2)), vdims="value", label="map").opts(
            **colors,
            colorbar=not self._is_share,
            colorbar_opts={"width": 8, "padding": 2},
            clabel="",
            tools=["hover"],
            hover_tooltips=[
                (across.label, "$x{custom}"),
                (up.label, "$y{custom}"),
                (self.measure.label, "@image{measured}"),
                (
                    f"at epochs {', '.join(map(str, self.map.marks))}",
                    "".join(f"@{name}{{spark}}" for name in self._sparks),
                ),
            ],
        )
        here = hv.Points([(0, 0, 1)], ["x", "y"], "value", label="here").opts(
            **colors, color="value", line_color=style.CURSOR, size=13, line_width=2.5
        )
        lines = hv.Contours([], label="theory").opts(color="white", line_width=2, line_dash="dashed", show_legend=False)
        names = hv.Labels([], ["x", "y"], "text", label="names").opts(
            text_color="white", text_font_size="9pt", text_align="left", xoffset=0.5
        )
        return hv.Overlay([image, lines, names, here]).opts(
            xlim=(0, columns),
            ylim=(0, rows),
            xlabel=across.label,
            ylabel=up.label,
            xticks=_ticks(across, self._values[0]),
            yticks=_ticks(up, self._values[1]),
        )

    def declared(self) -> None:
        for tool in self.figure.toolbar.tools:
            if hasattr(tool, "formatters"):
                tool.formatters = {
                    **tool.formatters,
                    **{f"${side}": _reader(values) for side, values in zip("xy", self._values, strict=True)},
                }
        self.figure.on_event(RangesUpdate, self._look_closer)

    def continues(self, frame: Frame) -> bool:
        return self._found is self.map.progress and super().continues(frame)

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        layers = {"here": self._here(frame)}
        if after >= 0:
            return layers
        self._found = self.map.progress
        columns, rows = map(len, self._values)
        self._image = self._measured()
        return {
            **layers,
            "map": measured_at(self._image, np.arange(columns) + 0.5, np.arange(rows) + 0.5) | self._sparkline(),
            **self._theory(),
        }

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        columns, rows = map(len, self._values)
        return {"x": (0, columns), "y": (0, rows), "color": self._scale()}

    def describe(self, frame: Frame) -> str:
        found = self.map
        if found.message:
            return found.message
        if found.sweep is None:
            now = self._now(frame)
            loss = "" if math.isnan(now) else f" The run of the page has {digits(now, 4)} now."
            return "Press “Compute” above, and the map begins to show, coarse at first." + loss
        known, runs = int(found.sweep.computed.sum()), found.sweep.computed.size
        parts = [f"{known:,} of {counted(runs, 'run')} trained to epoch {self._epoch():,}"]
        shown, high = max(1, int((~np.isnan(self._image)).sum())), self._scale()[1]
        diverged, above = int(np.isposinf(self._image).sum()), int((self._image > high).sum())
        if above and not self._is_share:
            parts.append(
                f"dark red: {share(diverged / shown)} infinite, {share((above - diverged) / shown)} above the scale"
            )
        place = self._place()
        if place:
            row, column = (
                min(int(part), count - 1) for part, count in zip(place[::-1], self._image.shape, strict=True)
            )
            pixel = self._image[row, column]
            now = self._now(frame)
            here = "" if math.isnan(now) else f" {digits(now, 4)} now,"
            parts.append(f"here:{here} {digits(pixel, 4)} at the end")
        return phrase(*parts, between="; ")

    def tapped(self, x: float, y: float) -> None:
        """Open the run of a pixel and play it."""
        columns, rows = map(len, self._values)
        if self.map.sweep is None or not (0 <= x < columns and 0 <= y < rows) or self.run.is_read_only:
            return
        settings = self.run.settings
        opened = self.map.settings_at(int(x), int(y))
        settings.restore({**opened, "speed": settings.speed, "stop_epoch": self.map.epochs})
        self.run.reset()
        self.play()

    def _subject(self) -> Hashable:
        """Everything on which the declaration depends, and last the sweep."""
        found = self.map
        return (
            found.x,
            found.y,
            tuple(found.window),
            found.side,
            self.map.measure,
            found.marks,
            self._epoch(),
            id(found.sweep),
        )

    def _epoch(self) -> int:
        """The epoch that the map shows: the last one measured that is not after the one asked for."""
        return self.map.mark_until(MapView.of(self.run.view).map_epoch)

    def _measured(self) -> np.ndarray:
        """(rows, columns) what is known, nan where nothing is."""
        columns, rows = map(len, self._values)
        sweep = self.map.sweep
        if sweep is None:
            return np.full((rows, columns), np.nan, np.float32)
        with np.errstate(over="ignore"):
            return sweep.values(self.map.measure, self._epoch()).astype(np.float32)

    def _sparkline(self) -> Columns:
        """What each run came to at one mark after the other, as bars; nothing is known before the map is done."""
        sweep = self.map.sweep
        if sweep and self.map.is_done:
            values = np.stack([sweep.values(self.map.measure, mark) for mark in sweep.marks])
            self._sparks = dict(zip(self._sparks, spark_levels(values, self.measure.log), strict=True))
        return self._sparks

    def _scale(self) -> tuple[float, float]:
        """The ends of the color scale."""
        if self._is_share:
            return 0.0, 1.0
        scaled = np.log10(self._image, where=self._image > 0, out=np.full(self._image.shape, np.nan, np.float32))
        known = scaled if self.measure.log else self._image
        known = known[np.isfinite(known)]
        if not len(known):
            return 0.1, 1.0
        low, usual = (float(end) for end in np.quantile(known, (0.05, 0.95)))
        low, high = float(known.min()), min(float(known.max()), usual + FAR * (usual - low))
        low, high = (low, high) if low < high else (low - FLAT, low + FLAT)
        return (10.0**low, 10.0**high) if self.measure.log else (low, high)

    def _here(self, frame: Frame) -> Columns:
        """Where the run of the page is, in the color of what it has come to."""
        place = self._place()
        now = self._now(frame)
        return {name: [value] if place else [] for name, value in zip("xy", place or (0, 0), strict=True)} | {
            "color": [now] if place else []
        }

    def _theory(self) -> dict[str, Columns]:
        """The lines of theory, and their names where each comes into the map."""
        lines = [
            np.column_stack(
                [
                    _positions(axis, values, ends)
                    for axis, values, ends in zip(self.map.axes, self._values, (line.x, line.y), strict=True)
                ]
            )
            for line in self.map.theory
        ]
        found = [(line.label, places) for line, places in zip(self.map.theory, lines, strict=True)]
        seen = [(label, places[np.isfinite(places).all(axis=1)]) for label, places in found]
        named = [(label, *places[np.argmax(places[:, 1])]) for label, places in seen if len(places)]
        return {
            "theory": {"xs": [places[:, 0] for places in lines], "ys": [places[:, 1] for places in lines]},
            "names": {
                "x": [x for _, x, _ in named],
                "y": [y for _, _, y in named],
                "text": [label for label, *_ in named],
            },
        }

    def _now(self, frame: Frame) -> float:
        """The measure of the page's run at the frame's epoch; nan where an epoch does not tell."""
        with np.errstate(all="ignore"):
            return self.measure().value(None, frame.epoch, None) if self.measure in OF_AN_EPOCH else math.nan

    def _place(self) -> tuple[float, float] | None:
        """Where the run of the page is, if it is on the map."""
        places = [
            _position(axis, values, axis.value_of(self.run.settings))
            for axis, values in zip(self.map.axes, self._values, strict=True)
        ]
        return tuple(places) if not any(map(math.isnan, places)) else None

    def _look_closer(self, event: RangesUpdate) -> None:
        """Compute the part of the map to which a user has dragged a box."""
        ends = ((event.x0, event.x1), (event.y0, event.y1))
        window = [
            end
            for axis, values, (low, high) in zip(self.map.axes, self._values, ends, strict=True)
            for end in _between(axis, values, low, high)
        ]
        if window[0] < window[1] and window[2] < window[3]:
            self.map.look_closer(window)


def _edges(axis: MapAxis, values: np.ndarray) -> tuple[float, float, float]:
    """Where the axis begins, and the pitch of its pixels; on a logarithmic axis both are powers of ten."""
    scaled = np.log10(values) if axis.is_log else values
    pitch = float(scaled[-1] - scaled[0]) / max(1, len(values) - 1) or 1.0
    return float(scaled[0]) - pitch / 2, pitch, float(scaled[-1]) + pitch / 2


def _position(axis: MapAxis, values: np.ndarray, value: float) -> float:
    """Where a value lies along the side, in pixels; nan where it is beyond the ends, or no value of a whole axis."""
    if axis.is_whole and value not in values:
        return math.nan
    return float(_positions(axis, values, np.array([value]))[0])


def _positions(axis: MapAxis, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where values lie along the side, in pixels, between two of them too; nan beyond the ends."""
    if axis.is_whole:
        return np.interp(wanted, values, np.arange(len(values)) + 0.5, left=math.nan, right=math.nan)
    low, pitch, _ = _edges(axis, values)
    with np.errstate(all="ignore"):
        places = ((np.log10(wanted) if axis.is_log else wanted) - low) / pitch
    within = (places > -ROUNDING) & (places < len(values) + ROUNDING)
    return np.where(within, places.clip(0, len(values)), math.nan)


def _between(axis: MapAxis, values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The ends, as values, of a part of the side given in pixels."""
    low, high = (min(max(end, 0.0), float(len(values))) for end in (low, high))
    if axis.is_whole:
        first, last = math.floor(low), max(math.floor(low), math.ceil(high) - 1)
        return int(values[min(first, len(values) - 1)]), int(values[min(last, len(values) - 1)])
    start, pitch, _ = _edges(axis, values)
    ends = [start + pitch * end for end in (low, high)]
    after = max(0, 3 - math.floor(math.log10(max(ends[1] - ends[0], 1e-300))))
    rounded = [round(end, after) for end in ends]
    within = [10**end for end in rounded] if axis.is_log else rounded
    return tuple(min(max(end, axis.bounds[0]), axis.bounds[1]) for end in within)


def _ticks(axis: MapAxis, values: np.ndarray) -> list[tuple[float, str]]:
    """Round values along the side, with their places."""
    if axis.is_whole:
        step = math.ceil(len(values) / MAX_TICKS)
        return [(place + 0.5, f"{values[place]:g}") for place in range(0, len(values), step)]
    low, pitch, high = _edges(axis, values)
    if axis.is_log and high - low >= LEAST_DECADES:
        step = math.ceil((high - low) / MAX_TICKS)
        powers = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1, step)
        return [((power - low) / pitch, f"{10.0**power:g}") for power in powers]
    ends = [10**end for end in (low, high)] if axis.is_log else [low, high]
    places = [(_position(axis, values, value), f"{value:.6g}") for value in _round_values(*ends)]
    return [(place, label) for place, label in places if not math.isnan(place)]


def _round_values(low: float, high: float) -> list[float]:
    """About five round values between two ends."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * digit for digit in (1, 2, 5, 10) if power * digit >= rough)
    return [value * step for value in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _reader(values: np.ndarray) -> CustomJSHover:
    """Reads a place along a side back as the value of the pixel there."""
    listed = json.dumps([float(f"{value:.6g}") for value in values])
    return CustomJSHover(code=f"const values = {listed}\nreturn String(values[Math.floor(value)] ?? '')")
