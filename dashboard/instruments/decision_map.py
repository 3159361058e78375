"""Decision map: what the network answers, everywhere in the plane."""

from collections.abc import Hashable

import contourpy
import holoviews as hv
import numpy as np
from bokeh.models import CustomJSHover, HoverTool

from dashboard import style
from dashboard.instruments.instrument import Columns, Instrument, lines_as_columns
from dashboard.run import Frame
from engine.datasets import Dataset

RESOLUTION = 64
MARGIN = 0.12
MANY = 400
NO_LINES = {"xs": [], "ys": []}
Box = tuple[tuple[float, float], tuple[float, float]]


class DecisionMap(Instrument):
    """The likeliest class over the plane, paler where the network is less sure, with the examples on top."""

    title = "Decision map"
    question = "What does the network answer, and where?"
    missing = "the inputs are not two numbers."
    reading = (
        "Color is the class, depth of color how sure. The line is where both classes are equally likely, the dashed "
        "one where the threshold is, if that is another. Discs were trained on, rings were held out. A click picks the "
        "nearest example, a large ring marks it."
    )

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return frame.setup.task != "regression" and frame.setup.train.x.shape[1] == 2

    def begin(self, frame: Frame) -> None:
        (left, right), (bottom, top) = self._box = self.box(frame)
        self._x, self._y = np.linspace(left, right, RESOLUTION), np.linspace(bottom, top, RESOLUTION)
        self._network = frame.setup.network.copy()
        self._predict = self._network.predictor(np.stack(np.meshgrid(self._x, self._y), axis=-1).reshape(-1, 2))

    def box(self, frame: Frame) -> Box:
        """The ends of the plane that is shown."""
        return box_around(frame.setup.train, frame.setup.validation)

    def outline(self, frame: Frame) -> Hashable:
        setup = frame.setup
        return setup.train.n_classes, setup.validation is None, len(setup.train) > MANY

    def picture(self, frame: Frame) -> hv.Overlay:
        setup = frame.setup
        regions = hv.Image(np.zeros((2, 2)), label="regions").opts(
            cmap=style.regions(), clim=(0, 254), tools=[_hover(setup.train.n_classes)]
        )
        boundary = hv.Contours([], label="boundary").opts(color=style.GHOST, line_width=2, show_legend=False)
        threshold = hv.Contours([], label="threshold").opts(
            color=style.CURSOR, line_width=2, line_dash="dashed", show_legend=False
        )
        size = 4 if len(setup.train) > MANY else 7
        layers = [regions, boundary, threshold, _points("training", size, line_color="white", line_width=0.8)]
        if setup.validation is not None:
            layers.append(_points("validation", size, fill_alpha=0, line_width=1.8))
        layers.append(
            hv.Points([], ["x1", "x2"], label="picked").opts(color=style.CURSOR, fill_alpha=0, size=15, line_width=2.5)
        )
        return hv.Overlay(layers).opts(
            xlim=(0, 1),
            ylim=(0, 1),
            xlabel="x₁",
            ylabel="x₂",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._network.parameters[:] = frame.epoch.parameters
        with np.errstate(all="ignore"):
            answers = np.nan_to_num(self._predict())
        probabilities = np.hstack([1 - answers, answers]) if answers.shape[1] == 1 else answers
        (left, right), (bottom, top) = self._box
        shades = style.region_shades(probabilities).reshape(RESOLUTION, RESOLUTION)
        place = {"x": left, "y": bottom, "dw": right - left, "dh": top - bottom}
        moving = {
            "regions": {"image": shades, **place},
            "boundary": self._boundary(answers, 0.5),
            "threshold": self._boundary(answers, self.run.view.threshold) if self._apart else NO_LINES,
            "picked": self._picked(frame.setup.train),
        }
        return moving if after >= 0 else {**moving, **self._examples(frame)}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return dict(zip("xy", self._box, strict=True))

    def describe(self, frame: Frame) -> str:
        return f"{frame.epoch.accuracy:.1%} of the training examples on the right side"

    def tapped(self, x: float, y: float) -> None:
        """Pick the training example that is nearest on the screen."""
        spans = [high - low for low, high in self._box]
        self.run.view.example = int(np.argmin((((self._setup.train.x - [x, y]) / spans) ** 2).sum(axis=1)))

    @property
    def _apart(self) -> bool:
        """Whether the threshold has a line of its own."""
        return self.run.view.threshold != 0.5

    def _picked(self, data: Dataset) -> Columns:
        example = self.run.view.example
        shown = data.x[[] if example is None or example >= len(data) else [example]]
        return {"x1": shown[:, 0], "x2": shown[:, 1]}

    def _examples(self, frame: Frame) -> dict[str, Columns]:
        parts = {"training": frame.setup.train, "validation": frame.setup.validation}
        return {label: _columns(part) for label, part in parts.items() if part is not None}

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


def _hover(classes: int) -> HoverTool:
    """Reads a shade back as the class and its probability."""
    code = f"""
        const winner = Math.floor(value / {style.LEVELS}), ahead = (value % {style.LEVELS}) / {style.LEVELS - 1}
        return `class ${{winner}}, p = ${{(1 / {classes} + ahead * (1 - 1 / {classes})).toFixed(2)}}`"""
    return HoverTool(tooltips=[("answer", "@image{custom}")], formatters={"@image": CustomJSHover(code=code)})
