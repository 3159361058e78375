"""The directions at one racer: downhill, momentum, its next step, and how the surface curves."""

from collections.abc import Mapping

import holoviews as hv
import numpy as np

from dashboard.instruments.equal_aspect import EqualAspect
from dashboard.instruments.instrument import Columns, Instrument, lines_as_columns
from dashboard.instruments.race_map import CIRCLE, scales, velocity
from dashboard.instruments.race_picture import TWO, RacePicture, number
from dashboard.state.race import RaceFrame
from dashboard.widgets import style
from dashboard.widgets.plain_text import dot, phrase

EDGE, SIDE = 1.32, 1.75
"""Extent of the picture: up and down, and to the sides, where there are words."""

ALIKE = 0.97
"""The cosine from which on two arrows share their words."""

DOWNHILL, MEMORY, NEXT = "downhill", "memory", "next step"
RING = np.stack([np.cos(CIRCLE), np.sin(CIRCLE)], axis=1)


class StepDirections(EqualAspect, RacePicture, Instrument):
    """All directions at the picked racer's place, each of length 1, over the shape of the surface there."""

    title = "The selected optimizer"
    question = "Why does the step not go straight down?"
    reading = (
        "Every arrow has length 1. Gray: straight downhill. Dashed: where its memory carries it. Colored: the step it "
        "takes next. The two lines are the Hessian's eigenvectors with their eigenvalues, and the gray "
        "ellipse is a contour of the surface there, as its curvature makes it. The dashed ellipse shows how far an "
        "optimizer that adapts goes along x and y for equal slopes. Below: the slope here, the length of the next "
        "step, and the median cosine between successive steps, which is -1 in a zigzag."
    )
    height = 300

    def begin(self, frame: RaceFrame) -> None:
        self._box = self.fitted(((-SIDE, SIDE), (-EDGE, EDGE)))

    def picture(self, frame: RaceFrame) -> hv.Overlay:
        ghost = {"color": style.GHOST, "show_legend": False}
        arrows = [
            hv.Segments([(0, 0, 1, 1, color) for color in TWO], vdims="color", label=label).opts(
                color="color", line_width=width, line_dash=dash
            )
            for label, width, dash in ((DOWNHILL, 3, "solid"), (MEMORY, 2.5, "dashed"), (NEXT, 4, "solid"))
        ]
        names = hv.Labels([(0, 0, "", color) for color in TWO], ["x", "y"], ["name", "text_color"], label="names").opts(
            text_color="text_color", text_font_size="12px", text_baseline="middle"
        )
        layers = [
            hv.Contours([], label="contour").opts(**ghost, line_width=1.5, alpha=0.8),
            hv.Contours([], label="scales").opts(**ghost, line_width=1.5, line_dash="dashed"),
            hv.Segments([], label="eigenvectors").opts(color=style.GHOST, line_width=1, alpha=0.8),
            *arrows,
            names,
        ]
        return hv.Overlay(layers).opts(
            xlim=(-SIDE, SIDE),
            ylim=(-EDGE, EDGE),
            xaxis=None,
            yaxis=None,
        )

    def columns(self, frame: RaceFrame, after: int) -> dict[str, Columns]:
        place = self.picked(frame)
        known = not np.isnan(frame.epoch.points[place]).any()
        ways = self._ways(frame, place) if known else {}
        color = self.color(frame, place)
        colors = {DOWNHILL: style.GHOST, MEMORY: color, NEXT: color}
        return {
            **{label: _arrow(ways.get(label), colors[label]) for label in colors},
            **(self._shape(frame, place) if known else _nothing()),
            "names": self._names(frame, place, ways, colors) if known else _words([]),
        }

    def ranges(self, frame: RaceFrame) -> dict[str, tuple[float, float]]:
        return dict(zip("xy", self._box, strict=True))

    def describe(self, frame: RaceFrame) -> str:
        place = self.picked(frame)
        racer = frame.setup.racers[place]
        key = dot(self.color(frame, place))
        if np.isnan(frame.epoch.points[place]).any():
            return phrase(key, f"{racer.label} has blown up")
        slope = np.linalg.norm(frame.setup.surface.gradient(frame.epoch.points[place]))
        move = np.linalg.norm(frame.next_move(place))
        turn = frame.history.turns(frame.epoch.index)[place]
        words = f"slope {number(slope, 2)}, step {number(move, 2)}, cosine {number(turn, 2)}"
        return phrase(key, f"{racer.label}: {words}")

    def _ways(self, frame: RaceFrame, place: int) -> dict[str, np.ndarray]:
        ways = {
            DOWNHILL: -frame.setup.surface.gradient(frame.epoch.points[place]),
            MEMORY: velocity(frame, place),
            NEXT: frame.next_move(place),
        }
        return {label: way / size for label, way in ways.items() if way is not None and (size := _size(way))}

    def _shape(self, frame: RaceFrame, place: int) -> dict[str, Columns]:
        values, vectors = frame.setup.surface.curvature(frame.epoch.points[place])
        reach = np.diag(np.sqrt(values.min() / values)) if values.min() > 0 else None
        contour = [] if reach is None else [RING @ reach @ vectors.T]
        scale = scales(frame, place)
        ends = EDGE * 0.85 * vectors.T
        return {
            "contour": lines_as_columns(contour),
            "scales": lines_as_columns([] if scale is None else [RING * scale]),
            "eigenvectors": {"x0": -ends[:, 0], "y0": -ends[:, 1], "x1": ends[:, 0], "y1": ends[:, 1]},
        }

    def _names(
        self, frame: RaceFrame, place: int, ways: Mapping[str, np.ndarray], colors: Mapping[str, str]
    ) -> Columns:
        values, vectors = frame.setup.surface.curvature(frame.epoch.points[place])
        ends = [_freer_end(vector, ways) for vector in vectors.T]
        words = [(*(1.18 * end), f"λ = {number(value)}", style.GHOST) for end, value in zip(ends, values, strict=True)]
        for label, way in ways.items():
            same = [other for other in ways if ways[other] @ way > ALIKE]
            if label == same[0]:
                words.append((*(1.12 * way), " = ".join(same), colors[same[-1]]))
        return _words(words)


def _freer_end(vector: np.ndarray, ways: Mapping[str, np.ndarray]) -> np.ndarray:
    """That end of an eigenvector which is farther from all arrows."""
    nearest = [max((way @ end for way in ways.values()), default=0.0) for end in (vector, -vector)]
    return vector if nearest[0] <= nearest[1] else -vector


def _size(way: np.ndarray) -> float:
    """Its length; 0 where there is no direction in it."""
    size = float(np.linalg.norm(way))
    return size if 1e-14 < size < np.inf else 0.0


def _arrow(way: np.ndarray | None, color: str) -> Columns:
    """An arrow of length 1 from the middle; none without a direction."""
    if way is None:
        return {name: [] for name in ("x0", "y0", "x1", "y1", "color")}
    way = np.round(way, 4).tolist()
    barbs = [(0.88 * way[0] - side * way[1], 0.88 * way[1] + side * way[0]) for side in (0.06, -0.06)]
    return {
        "x0": [0, way[0], way[0]],
        "y0": [0, way[1], way[1]],
        "x1": [way[0], *(barb[0] for barb in barbs)],
        "y1": [way[1], *(barb[1] for barb in barbs)],
        "color": [color] * 3,
    }


def _words(rows: list[tuple]) -> Columns:
    names = ("x", "y", "name", "text_color")
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _nothing() -> dict[str, Columns]:
    empty = lines_as_columns([])
    return {"contour": empty, "scales": empty, "eigenvectors": {name: [] for name in ("x0", "y0", "x1", "y1")}}
