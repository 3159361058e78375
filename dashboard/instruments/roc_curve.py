"""The ROC curve: what every threshold finds of class 1, and what it costs of class 0."""

from collections.abc import Hashable, Mapping

import holoviews as hv
import numpy as np
from markupsafe import Markup

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import fixed, share
from dashboard.state.run import Frame
from dashboard.state.store import ComparedRun
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, BREAK, dot, phrase
from engine.activations import ACTIVATIONS
from engine.datasets import Dataset
from engine.losses import OUTPUTS
from engine.metrics import auc, roc_curve
from engine.network import Network

COLORS = {"training": style.TRAIN, "held out": style.VALIDATION}


class RocCurve(Instrument):
    """True against false positive rate over all thresholds, with a point at the present one."""

    title = "ROC curve"
    question = "What does each threshold catch, and what does it cost?"
    reading = (
        "Upward: of class 1, the share that is found. To the right: of class 0, the share that is wrongly taken for "
        "class 1. The disc is the present threshold, the ring the picked example. The diagonal is guessing; the area "
        "under the curve, AUC, is how often an example of class 1 scores above one of class 0. A click on the curve "
        "sets the threshold."
    )
    missing = "the output is not one probability."
    overlays_compared = True

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return frame.setup.network.output == "sigmoid"

    def begin(self, frame: Frame) -> None:
        self._network = frame.setup.network.copy()
        self._parts = parts(frame)
        self._others = {f"compared {i}: training": compared for i, compared in enumerate(self.drawn_with, 1)}

    def outline(self, frame: Frame) -> Hashable:
        return tuple(self._parts), tuple((name, compared.color) for name, compared in self._others.items())

    def picture(self, frame: Frame) -> hv.Overlay:
        axes = ["cost", "found"]
        chance = hv.Curve([(0, 0), (1, 1)], *axes, label="chance").opts(
            color=style.GHOST, line_width=1.5, line_dash="dashed"
        )
        curves = [hv.Curve([], *axes, label=part).opts(color=COLORS[part], line_width=2.5) for part in self._parts]
        now = hv.Points([], axes, label="threshold").opts(color=style.CURSOR, size=11, line_color="white")
        picked = hv.Points([], axes, label="picked").opts(color=style.CURSOR, fill_alpha=0, size=16, line_width=2.5)
        others = [
            hv.Curve([], *axes, label=name).opts(color=compared.color, line_width=1.3)
            for name, compared in self._others.items()
        ]
        return hv.Overlay([chance, *others, *reversed(curves), now, picked]).opts(
            xlim=(-0.03, 1.03),
            ylim=(-0.03, 1.03),
            xlabel="false positive rate",
            ylabel="true positive rate",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._network.parameters[:] = frame.epoch.parameters
        self._logits = {name: logits(self._network, data) for name, data in self._parts.items()}
        threshold = self.run.view.threshold
        layers = {name: _curve(data.y, self._logits[name]) for name, data in self._parts.items()}
        layers |= {name: _curve(*self._answers(compared, frame)) for name, compared in self._others.items()}
        now = [rates(data.y, answers(self._logits[name], threshold)) for name, data in self._parts.items()]
        return {**layers, "threshold": _points(now), "picked": _points(self._picked(frame.setup.train))}

    def describe(self, frame: Frame) -> str:
        areas = [
            phrase(dot(COLORS[name]), fixed(auc(data.y, self._logits[name]))) for name, data in self._parts.items()
        ]
        cost, found = rates(frame.setup.train.y, answers(self._logits["training"], self.run.view.threshold))
        own = phrase(phrase("AUC", *areas), f"finds {share(found)}, false alarms {share(cost)}", between=APART)
        others = [_word(compared, auc(*self._answers(compared, frame))) for compared in self._others.values()]
        return phrase(own, phrase(*others, between=APART), between=BREAK)

    def tapped(self, x: float, y: float) -> None:
        """Choose the threshold of the point of the curve that is nearest."""
        data = self.setup.train
        cost, found, thresholds = roc_curve(data.y, self._logits["training"], drop_intermediate=False)
        away = np.hypot(cost - x, found - y)
        if np.isfinite(away).any():
            nearest = int(np.nanargmin(away))
            self.run.view.threshold = between(probabilities(thresholds), nearest)

    def _answers(self, compared: ComparedRun, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """The labels of a compared run's training examples and its logits for them, at the same epoch."""
        compared.store.look_at(frame.epoch.index)
        shown = compared.store.frame()
        return shown.setup.train.y, logits(shown.network(), shown.setup.train)

    def _picked(self, data: Dataset) -> list[tuple[float, float]]:
        """Where the threshold is the picked example's own score."""
        example = self.run.view.example
        if example is None or example >= len(data):
            return []
        scores = self._logits["training"]
        return [rates(data.y, scores >= scores[example])]


def parts(frame: Frame) -> Mapping[str, Dataset]:
    """The examples that are measured on, by name."""
    both = {"training": frame.setup.train, "held out": frame.setup.validation}
    return {name: data for name, data in both.items() if data is not None}


def logits(network: Network, data: Dataset) -> np.ndarray:
    """(n,) finite logits of class 1; a value that is not a number counts as the lowest."""
    with np.errstate(all="ignore"):
        return np.nan_to_num(network.logits(data.x)[:, 0], nan=np.finfo(float).min)


def probabilities(scores: np.ndarray) -> np.ndarray:
    """The logits as probabilities."""
    with np.errstate(all="ignore"):
        return ACTIVATIONS["sigmoid"].function(scores)


def answers(scores: np.ndarray, threshold: float) -> np.ndarray:
    """(n,) the predictions, 0 or 1, for logits at a threshold on the probability."""
    return OUTPUTS["sigmoid"].answers(scores[None], threshold)


def rates(labels: np.ndarray, answers: np.ndarray) -> tuple[float, float]:
    """False and true positive rate of these predictions; nan for a class without examples."""
    ones = labels == 1
    return tuple(float(answers[which].mean()) if which.any() else np.nan for which in (~ones, ones))


def between(thresholds: np.ndarray, place: int) -> float:
    """The shortest number that divides the examples as one of the falling thresholds does."""
    high = float(thresholds[place])
    low = float(thresholds[place + 1]) if place + 1 < len(thresholds) else 0.0
    for digits in range(2, 8):
        for value in (0.5, round((low + high) / 2, digits)):
            if low < value <= high:
                return value
    return min(max(high, 0.0), 1.0)


def _word(compared: ComparedRun, area: float) -> Markup:
    return phrase(dot(compared.color), compared.name, fixed(area))


def _curve(labels: np.ndarray, scores: np.ndarray) -> Columns:
    cost, found, _ = roc_curve(labels, scores)
    return {"cost": np.round(cost, 5), "found": np.round(found, 5)}


def _points(points: list[tuple[float, float]]) -> Columns:
    return {"cost": [cost for cost, _ in points], "found": [found for _, found in points]}
