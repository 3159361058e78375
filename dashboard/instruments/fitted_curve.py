"""What the network predicts along the line, for a regression."""

from collections.abc import Hashable

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.state.run import Frame
from dashboard.widgets import style
from engine.datasets import Dataset

RESOLUTION = 200
MARGIN = 0.08


class FittedCurve(Instrument):
    """The data of a one-dimensional regression and the network's curve through them."""

    title = "Fitted curve"
    question = "What does the network answer, and where?"
    reading = "The curve is the network's answer at every x. Discs were trained on, rings were held out."

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return frame.setup.task == "regression" and frame.setup.examples.x.shape[1] == 1

    def begin(self, frame: Frame) -> None:
        parts = [part for part in (frame.setup.train, frame.setup.validation) if part is not None]
        x, y = np.concatenate([part.x[:, 0] for part in parts]), np.concatenate([part.y.ravel() for part in parts])
        self._window = {"x": _padded(x, MARGIN), "y": _padded(y, 3 * MARGIN)}
        self._x = np.linspace(*self._window["x"], RESOLUTION)
        self._network = frame.setup.network.copy()
        self._predict = self._network.predictor(self._x[:, None])

    def outline(self, frame: Frame) -> Hashable:
        return frame.setup.validation is None

    def picture(self, frame: Frame) -> hv.Overlay:
        layers = [_points("training", style.TRAIN, line_color="white")]
        if frame.setup.validation is not None:
            layers.append(_points("validation", style.VALIDATION, fill_alpha=0))
        layers.append(hv.Curve([], "x", "y", label="network").opts(color=style.CURSOR, line_width=2.5))
        return hv.Overlay(layers).opts(
            xlim=(0, 1),
            ylim=(0, 1),
            xlabel="x",
            ylabel="y",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._network.parameters[:] = frame.epoch.parameters
        curve = {"network": {"x": self._x, "y": self._predict()[:, 0]}}
        parts = {"training": frame.setup.train, "validation": frame.setup.validation}
        examples = {label: _columns(part) for label, part in parts.items() if part is not None}
        return curve if after >= 0 else {**curve, **examples}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return self._window

    def describe(self, frame: Frame) -> str:
        if np.isnan(frame.epoch.loss):
            return f"the network at epoch {frame.epoch.index:,}"
        return f"loss {frame.epoch.loss:.4g} on the training examples"


def _padded(values: np.ndarray, share: float) -> tuple[float, float]:
    margin = share * max(float(np.ptp(values)), 1e-6)
    return float(values.min()) - margin, float(values.max()) + margin


def _columns(data: Dataset) -> Columns:
    return {"x": data.x[:, 0], "y": data.y.ravel()}


def _points(label: str, color: str, **marks: object) -> hv.Points:
    return hv.Points([(0, 0)], ["x", "y"], label=label).opts(color=color, size=7, tools=["hover"], **marks)
