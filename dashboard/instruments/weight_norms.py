"""How large the weights become, against what theory says."""

from collections.abc import Sequence

import numpy as np
import param

from dashboard.instruments.study_curves import BEFORE_ONE, Prediction
from dashboard.instruments.study_picture import alone
from dashboard.instruments.theory_curves import TheoryCurves
from dashboard.state.run import Frame
from dashboard.state.study import Result
from dashboard.widgets.plain_text import APART
from engine.measures import weight_norms
from engine.training import Epochs

FEW = 100
"""Epochs before which a decade says little."""


class WeightNorms(TheoryCurves):
    """|w| over the epochs, of every penalty, and the lines where it will stop."""

    title = "Size of the weights"
    question = "Do the weights come to rest, or grow for ever?"
    reading = (
        "The length of the weights, without biases. Dashed, drawn before the run: where each penalty will bring them "
        "to rest, found by Newton's method; and how they would grow without one if each class were a single point. "
        "Once a line separates the classes, longer weights are always better: they grow with the logarithm of time, "
        "at first as the two points, in the end by ln 10 per decade over the distance of the nearest examples from the "
        "line it comes to, the one of widest margin where the bias counts as a weight. "
        "Click a curve to pick a run, anywhere else to look at that epoch."
    )
    legend = True
    quantity = "|w|"

    log_y = param.Boolean(default=False, label="Log", doc="Draw it on a logarithmic axis.")

    def of_result(self, result: Result) -> np.ndarray:
        return np.linalg.norm(result.weight_norms, axis=-1)

    def of_run(self, epochs: Epochs) -> np.ndarray:
        return np.linalg.norm(weight_norms(epochs.parameters, self.setup.network.sizes), axis=-1)

    def predictions(self, frame: Frame) -> Sequence[Prediction]:
        if frame.l1:
            return ()
        ends, penalties = np.array([BEFORE_ONE, self.last_epoch]), self._penalties(frame)
        optima = {l2: self.lowest(l2) for l2 in penalties}
        lines = [
            Prediction(f"λ = {l2:g}: {best[0]:.2f}", ends, np.full(2, best[0])) for l2, best in optima.items() if best
        ]
        points = self.as_points(min(penalties))
        return [*lines, Prediction("two points", *points[:2])] if points else lines

    def describe(self, frame: Frame) -> str:
        if self.picked or frame.l1 or not self.as_points(frame.l2):
            return super().describe(frame)
        now, words = frame.epoch.index, [f"this run {self.own:.3g}"]
        if now >= FEW:
            early, late = self.points_at(np.array([now / 10, now]))[0]
            words.append(f"last tenfold +{self._growth(frame):.2f} (forecast for two points +{late - early:.2f})")
        return APART.join([*words, f"in the limit +{self.theory.margin.growth:.2f}"])

    def _penalties(self, frame: Frame) -> list[float]:
        """Every L2 that is compared and shown, and this run's own."""
        variants = self.run.study.plan.variants.items() if self.run.study else ()
        shown = [changes["l2"] for label, changes in variants if "l2" in changes and label not in self.hidden]
        return sorted({*shown, frame.l2})

    def _growth(self, frame: Frame) -> float:
        """By how much the weights have grown since a tenth of the epochs, for a whole decade."""
        before, now = frame.history.at(round(frame.epoch.index / 10)), frame.epoch
        low, high = self.of_run(alone(before))[0], self.of_run(alone(now))[0]
        return float((high - low) / np.log10(now.index / max(1, before.index)))
