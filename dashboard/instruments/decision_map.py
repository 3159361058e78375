"""Decision map: what the network answers, everywhere in the plane."""

import contourpy
import holoviews as hv
import numpy as np
from bokeh.models import CustomJSHover, HoverTool

from dashboard import style
from dashboard.instruments.instrument import Columns, Instrument
from dashboard.run import Frame
from engine.datasets import Dataset

RESOLUTION = 64
MARGIN = 0.12


class DecisionMap(Instrument):
    """The likeliest class over the plane, paler where the network is less sure, with the examples on top."""

    title = "Decision map"
    question = "What does the network answer, and where?"
    missing = "the inputs are not two numbers."
    reading = (
        "Color is the class, depth of color how sure. The line is where both classes are equally likely. "
        "Discs were trained on, rings were held out."
    )

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return frame.setup.task != "regression" and frame.setup.train.x.shape[1] == 2

    def picture(self, frame: Frame) -> hv.Overlay:
        setup = frame.setup
        (left, right), (bottom, top) = self._box = _box(setup.train, setup.validation)
        self._x, self._y = np.linspace(left, right, RESOLUTION), np.linspace(bottom, top, RESOLUTION)
        self._grid = np.stack(np.meshgrid(self._x, self._y), axis=-1).reshape(-1, 2)
        self._network = setup.network.copy()
        classes = max(2, setup.train.n_classes)
        regions = hv.Image(np.zeros((2, 2)), bounds=(left, bottom, right, top), label="regions").opts(
            cmap=style.regions(), clim=(0, 254), tools=[_hover(classes)]
        )
        boundary = hv.Contours([], vdims="level", label="boundary").opts(
            color=style.GHOST, line_width=2, show_legend=False
        )
        layers = [regions, boundary, _examples(setup.train, "training", filled=True)]
        if setup.validation is not None:
            layers.append(_examples(setup.validation, "validation", filled=False))
        return hv.Overlay(layers).opts(
            xlim=(left, right),
            ylim=(bottom, top),
            xlabel="x₁",
            ylabel="x₂",
            show_legend=False,
            responsive=True,
            height=self.height,
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._network.parameters[:] = frame.epoch.parameters
        with np.errstate(all="ignore"):
            answers = np.nan_to_num(self._network.predict(self._grid))
        probabilities = np.hstack([1 - answers, answers]) if answers.shape[1] == 1 else answers
        (left, right), (bottom, top) = self._box
        shades = style.region_shades(probabilities).reshape(RESOLUTION, RESOLUTION)
        place = {"x": left, "y": bottom, "dw": right - left, "dh": top - bottom}
        return {"regions": {"image": shades, **place}, "boundary": self._boundary(answers)}

    def describe(self, frame: Frame) -> str:
        return f"{frame.epoch.accuracy:.1%} of the training examples on the right side"

    def _boundary(self, answers: np.ndarray) -> Columns:
        if answers.shape[1] > 1:
            return {"xs": [], "ys": [], "level": []}
        surface = answers.reshape(RESOLUTION, RESOLUTION)
        lines = contourpy.contour_generator(self._x, self._y, surface).lines(0.5)
        return {"xs": [line[:, 0] for line in lines], "ys": [line[:, 1] for line in lines], "level": [0.5] * len(lines)}


def _box(*parts: Dataset | None) -> tuple[tuple[float, float], tuple[float, float]]:
    """The smallest box around all examples, with a margin."""
    x = np.concatenate([part.x for part in parts if part is not None])
    low, high = x.min(axis=0), x.max(axis=0)
    margin = MARGIN * np.maximum(high - low, 1e-6)
    return tuple(zip(low - margin, high + margin, strict=True))


def _examples(data: Dataset, label: str, filled: bool) -> hv.Points:
    colors = np.array(style.CLASSES)[data.y.astype(int)]
    marks = {"fill_color": "color", "line_color": "white"} if filled else {"fill_alpha": 0, "line_color": "color"}
    points = hv.Points((data.x[:, 0], data.x[:, 1], data.y, colors), ["x₁", "x₂"], ["class", "color"], label=label)
    hover = HoverTool(tooltips=[(label, "class @class"), ("x₁, x₂", "@{x₁}{0.00}, @{x₂}{0.00}")])
    return points.opts(size=7 if len(data.x) <= 400 else 4, line_width=0.8 if filled else 1.8, tools=[hover], **marks)


def _hover(classes: int) -> HoverTool:
    """Reads a shade back as the class and its probability."""
    code = f"""
        const winner = Math.floor(value / {style.LEVELS}), ahead = (value % {style.LEVELS}) / {style.LEVELS - 1}
        return `class ${{winner}}, p = ${{(1 / {classes} + ahead * (1 - 1 / {classes})).toFixed(2)}}`"""
    return HoverTool(tooltips=[("answer", "@image{custom}")], formatters={"@image": CustomJSHover(code=code)})
