"""Fitted curve: what the network answers along the line, for a regression."""

import holoviews as hv
import numpy as np

from dashboard import style
from dashboard.instruments.instrument import Columns, Instrument
from dashboard.run import Frame
from engine.datasets import Dataset

RESOLUTION = 200
MARGIN = 0.08


class FittedCurve(Instrument):
    """The data of a one-dimensional regression and the curve the network draws through them."""

    title = "Fitted curve"
    question = "What does the network answer, and where?"
    reading = "The curve is the network's answer at every x. Discs were trained on, rings were held out."

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return frame.setup.task == "regression" and frame.setup.train.x.shape[1] == 1

    def picture(self, frame: Frame) -> hv.Overlay:
        setup = frame.setup
        parts = [part for part in (setup.train, setup.validation) if part is not None]
        x, y = np.concatenate([part.x[:, 0] for part in parts]), np.concatenate([part.y.ravel() for part in parts])
        xlim, ylim = _padded(x, MARGIN), _padded(y, 3 * MARGIN)
        self._x = np.linspace(*xlim, RESOLUTION)
        self._network = setup.network.copy()
        layers = [_examples(setup.train, "training", filled=True)]
        if setup.validation is not None:
            layers.append(_examples(setup.validation, "validation", filled=False))
        layers.append(hv.Curve([], "x", "y", label="network").opts(color=style.CURSOR, line_width=2.5))
        return hv.Overlay(layers).opts(
            xlim=xlim, ylim=ylim, xlabel="x", ylabel="y", show_legend=False, responsive=True, height=self.height
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._network.parameters[:] = frame.epoch.parameters
        return {"network": {"x": self._x, "y": self._network.predict(self._x[:, None])[:, 0]}}

    def describe(self, frame: Frame) -> str:
        return f"loss {frame.epoch.loss:.4g} on the training examples"


def _padded(values: np.ndarray, share: float) -> tuple[float, float]:
    margin = share * max(float(np.ptp(values)), 1e-6)
    return float(values.min()) - margin, float(values.max()) + margin


def _examples(data: Dataset, label: str, filled: bool) -> hv.Points:
    points = hv.Points((data.x[:, 0], data.y.ravel()), ["x", "y"], label=label)
    color = style.TRAIN if filled else style.VALIDATION
    return points.opts(
        size=7, line_color="white" if filled else color, color=color, fill_alpha=0.9 if filled else 0, tools=["hover"]
    )
