"""A surface from above, and the paths of all racers down it."""

from typing import Any

import contourpy
import holoviews as hv
import numpy as np
from bokeh.events import Pan, PanEnd, PanStart

from dashboard.instruments.equal_aspect import Bounds, EqualAspect
from dashboard.instruments.instrument import Columns, Instrument, lines_as_columns
from dashboard.instruments.race_picture import TWO, RacePicture, color_index, first_color, number
from dashboard.instruments.sample_grid import measured_at
from dashboard.state.race import RaceFrame
from dashboard.state.race_setup import COLORS
from dashboard.widgets import style
from dashboard.widgets.plain_text import dot, phrase
from engine.surfaces import Surface

RELIEF_ROWS = 56
"""Rows of the relief; the number of columns follows from the picture's proportions."""

LEVELS = 14
DEPTHS = [f"#5f7396{round(190 * (1 - level / (LEVELS - 1))):02x}" for level in range(LEVELS)]
"""From the lowest to the highest: deeper colors for lower places, clear for the highest, on light and dark alike."""

DECADES = 5
"""How far below the highest point of the picture the lowest contour is."""

ARROWS = 9
NEAR = 0.035
"""How near to a racer a click has to be to pick it, relative to the picture's height."""

GRIP = 0.08
"""How near to the start a drag has to begin to move it, relative to the picture's height."""

ARROW_LENGTH = 0.09
"""Length of the arrows at the racers, relative to the picture's height."""

MARKS = ["color", "name", "height", "size"]
CIRCLE = np.linspace(0, 2 * np.pi, 33)


class RaceMap(EqualAspect, RacePicture, Instrument):
    """The surface as filled contours with downhill arrows, the line of steepest descent, and every racer's path."""

    title = "Surface"
    question = "Which way does each one go down?"
    reading = (
        "Deeper color is lower, by powers of ten; gray arrows point downhill, across the contours. The dashed line "
        "is where infinitely small steps would go. At a racer's disc, an arrow is the velocity that it remembers, an "
        "ellipse how far it would go along x and y for equal slopes. The cross are the Hessian's eigenvectors at the "
        "picked racer, longer where it curves less. Drag the ring, or click, to start elsewhere; click a disc to pick "
        "a racer."
    )
    multiplied = ("color",)
    growing = tuple(color_index(i) for i in range(COLORS))
    points = 400
    height = 380

    _drawn_surface: tuple[Surface, Bounds] | None = None
    _grabbed = False

    def begin(self, frame: RaceFrame) -> None:
        self._box = self.fitted(frame.setup.surface.bounds)
        self._flow = frame.setup.flow()

    def picture(self, frame: RaceFrame) -> hv.Overlay:
        self._drawn_surface = None
        relief = hv.Image(np.zeros((2, 2)), bounds=(0, 0, 1, 1), vdims="shade", label="relief").opts(
            cmap=DEPTHS, clim=(0, LEVELS - 1)
        )
        layers = [
            relief,
            hv.Contours([], label="contours").opts(color=style.GHOST, alpha=0.6, line_width=1, show_legend=False),
            hv.Segments([], label="downhill").opts(color=style.GHOST, alpha=0.9, line_width=1.2),
            hv.Curve([], label="flow").opts(color=style.GHOST, line_width=2, line_dash="dashed", show_legend=False),
            hv.Points([], label="minima").opts(marker="x", color="white", size=11, line_width=3),
            first_color("x", "y"),
            hv.Segments([], label="eigenvectors").opts(color="white", line_width=2.5, alpha=0.9),
            hv.Contours(
                [{"x": [0, 1], "y": [0, 1], "color": color} for color in TWO], vdims="color", label="scales"
            ).opts(color="color", line_width=1.5, show_legend=False),
            hv.Segments([(0, 0, 1, 1, color) for color in TWO], vdims="color", label="velocities").opts(
                color="color", line_width=2.5
            ),
            hv.Points([(0, 0)], label="start").opts(
                size=15, fill_alpha=0.25, fill_color="white", line_color=style.CURSOR, line_width=2.5
            ),
            hv.Points([(0, 0, color, "", "", i) for i, color in enumerate(TWO)], vdims=MARKS, label="here").opts(
                color="color",
                size="size",
                line_color="white",
                line_width=1.5,
                tools=["hover"],
                hover_tooltips=[("", "@name: @height above the lowest")],
            ),
        ]
        return hv.Overlay(layers).opts(
            xlim=(0, 1),
            ylim=(0, 1),
            xlabel="",
            ylabel="",
        )

    def columns(self, frame: RaceFrame, after: int) -> dict[str, Columns]:
        tracks = np.round(frame.history.points(self.rows(frame, after)), 5)
        layers = {
            **self.color_indices(frame, tracks[..., 0], tracks[..., 1], ("x", "y"), after),
            **self._signs(frame),
            "here": self._here(frame),
        }
        return layers if after >= 0 else {**layers, **self._ground(frame)}

    def ranges(self, frame: RaceFrame) -> dict[str, tuple[float, float]]:
        return dict(zip("xy", self._box, strict=True))

    def describe(self, frame: RaceFrame) -> str:
        place = self.picked(frame)
        point, label = frame.epoch.points[place], frame.setup.racers[place].label
        key = dot(self.color(frame, place))
        if np.isnan(point).any():
            return phrase(key, f"{label} has blown up")
        low, high = (values := frame.setup.surface.curvature(point)).eigenvalues
        condition = f", condition number {number(float(values.condition_number))}" if low > 0 else ": it curves down"
        return phrase(key, f"{label}, curvatures here: {number(low)} and {number(high)}{condition}")

    def tapped(self, x: float, y: float) -> None:
        frame = self.run.frame()
        distances = np.linalg.norm(frame.epoch.points - [x, y], axis=1)
        near = [place for place in self.places(frame) if distances[place] < NEAR * self._tall]
        if near:
            self.pick(frame, min(near, key=lambda place: distances[place]))
        else:
            self.start_at(x, y)

    def start_at(self, x: float, y: float) -> None:
        """Make all racers start at this point, if it is in the picture."""
        if all(low <= value <= high for value, (low, high) in zip((x, y), self._box, strict=True)):
            self.run.settings.start = [float(f"{x:.4g}"), float(f"{y:.4g}")]

    @property
    def _tall(self) -> float:
        """The picture's height in the units of its axes."""
        return self._box[1][1] - self._box[1][0]

    def declared(self) -> None:
        super().declared()
        self.figure.on_event(PanStart, self._grab)
        self.figure.on_event(Pan, self._drag)
        self.figure.on_event(PanEnd, self._drag)

    def _grab(self, event: Any) -> None:
        """Grab the start, if that is where the drag begins."""
        away = np.linalg.norm(self.run.setup.start - [event.x, event.y])
        self._grabbed = bool(away < GRIP * self._tall)

    def _drag(self, event: Any) -> None:
        if self._grabbed:
            self.start_at(event.x, event.y)

    def _here(self, frame: RaceFrame) -> Columns:
        places = [place for place in self.places(frame) if not np.isnan(frame.epoch.points[place]).any()]
        points, picked = frame.epoch.points[places], self.picked(frame)
        return {
            "x": np.round(points[:, 0], 5),
            "y": np.round(points[:, 1], 5),
            "color": self.colors(frame, places),
            "name": [frame.setup.racers[place].label for place in places],
            "height": [number(frame.heights[place]) for place in places],
            "size": [14 if place == picked else 10 for place in places],
        }

    def _signs(self, frame: RaceFrame) -> dict[str, Columns]:
        """The states of the racers' optimizers, and the picked one's eigenvectors."""
        moving = [place for place in self.places(frame) if not np.isnan(frame.epoch.points[place]).any()]
        return {
            "velocities": self._velocities(frame, moving),
            "scales": self._scales(frame, moving),
            "eigenvectors": self._eigenvectors(frame),
        }

    def _velocities(self, frame: RaceFrame, places: list[int]) -> Columns:
        known = [(place, way) for place in places if (way := velocity(frame, place)) is not None]
        arrows = [_arrow(frame.epoch.points[place], way * ARROW_LENGTH * self._tall) for place, way in known]
        colors = [color for color in self.colors(frame, [place for place, _ in known]) for _ in range(3)]
        return {**_segments(np.concatenate(arrows) if arrows else np.zeros((0, 4))), "color": colors}

    def _scales(self, frame: RaceFrame, places: list[int]) -> Columns:
        known = [(place, scale) for place in places if (scale := scales(frame, place)) is not None]
        reach = ARROW_LENGTH / 2 * self._tall
        rings = [
            frame.epoch.points[place] + reach * np.stack([np.cos(CIRCLE), np.sin(CIRCLE)], axis=1) * scale
            for place, scale in known
        ]
        return {**lines_as_columns(rings), "color": self.colors(frame, [place for place, _ in known])}

    def _eigenvectors(self, frame: RaceFrame) -> Columns:
        place = self.picked(frame)
        point = frame.epoch.points[place]
        if np.isnan(point).any() or place not in self.places(frame):
            return _segments(np.zeros((0, 4)))
        values, vectors = frame.setup.surface.curvature(point)
        lengths = np.sqrt(np.abs(values).min() / np.maximum(np.abs(values), 1e-300)).clip(0.15)
        arms = (vectors * lengths * ARROW_LENGTH * 1.2 * self._tall).T
        return _segments(np.hstack([point - arms, point + arms]))

    def _ground(self, frame: RaceFrame) -> dict[str, Columns]:
        """What does not change until the next fresh start; the surface only where it is another one."""
        surface, minima = frame.setup.surface, frame.setup.surface.minima
        start = frame.setup.start
        layers = {
            "start": {"x": start[:1], "y": start[1:]},
            "flow": {"x": np.round(self._flow[:, 0], 4), "y": np.round(self._flow[:, 1], 4)},
            "minima": {"x": minima[:, 0], "y": minima[:, 1]},
        }
        if self._drawn_surface != (surface, self._box):
            self._drawn_surface = surface, self._box
            layers |= self._relief(frame) | {"downhill": self._downhill(surface)}
        return layers

    def _relief(self, frame: RaceFrame) -> dict[str, Columns]:
        (left, right), (bottom, top) = self._box
        x, y = np.linspace(left, right, round(RELIEF_ROWS * self.aspect)), np.linspace(bottom, top, RELIEF_ROWS)
        heights = frame.setup.surface.values_on(x, y) - frame.setup.lowest
        levels = np.log10(np.clip(heights, heights.max() * 10.0**-DECADES, None))
        low, high = float(levels.min()), float(levels.max())
        steps = np.linspace(low, high, LEVELS + 1)
        shades = np.digitize(levels, steps[1:-1])
        generator = contourpy.contour_generator(x, y, levels)
        lines = [line for level in steps[1:-1] for line in generator.lines(level)]
        return {"relief": measured_at(shades.astype(np.uint8), x, y), "contours": lines_as_columns(lines)}

    def _downhill(self, surface: Surface) -> Columns:
        (left, right), (bottom, top) = self._box
        pitch = (top - bottom) / ARROWS
        x, y = np.arange(left + pitch / 2, right, pitch), np.arange(bottom + pitch / 2, top, pitch)
        points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        slopes = surface.gradient(points)
        ways = -slopes / np.maximum(np.linalg.norm(slopes, axis=1, keepdims=True), 1e-300) * pitch * 0.4
        arrows = [_arrow(point - way / 2, way) for point, way in zip(points, ways, strict=True)]
        return {name: values.astype(np.float32) for name, values in _segments(np.concatenate(arrows)).items()}


def velocity(frame: RaceFrame, place: int) -> np.ndarray | None:
    """The direction, of length 1, in which a racer's momentum carries it on; None without momentum."""
    state = frame.epoch.states[place]
    remembered = state.get("velocity", state.get("mean"))
    if remembered is None:
        return None
    length = np.linalg.norm(remembered)
    return -remembered / length if 1e-12 < length < np.inf else None


def scales(frame: RaceFrame, place: int) -> np.ndarray | None:
    """How far a racer moves along x and y for equal slopes, the larger as 1; None for optimizers that do not adapt."""
    state = frame.epoch.states[place]
    squares = state.get("square", state.get("square_sum"))
    if squares is None or not (squares > 0).all() or not np.isfinite(squares).all():
        return None
    return np.sqrt(squares.min() / squares)


def _arrow(tail: np.ndarray, way: np.ndarray) -> np.ndarray:
    """(3, 4) a shaft and two barbs, as x0, y0, x1, y1."""
    tip, side = tail + way, np.array([-way[1], way[0]])
    barbs = tip - 0.32 * way + 0.2 * side, tip - 0.32 * way - 0.2 * side
    return np.array([[*tail, *tip], *([*tip, *barb] for barb in barbs)])


def _segments(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Segments (k, 4) as columns."""
    return dict(zip(("x0", "y0", "x1", "y1"), np.asarray(rows).T, strict=True))
