"""The loss of every penalty, between that of a guess and the lowest possible one."""

from collections.abc import Sequence

import numpy as np

from dashboard.instruments.study_curves import BEFORE_ONE, Prediction
from dashboard.instruments.theory_curves import TheoryCurves
from dashboard.state.run import Frame
from dashboard.state.study import Result
from dashboard.widgets.plain_text import APART, phrase

GUESSING = {"binary cross-entropy": float(np.log(2)), "mse": 0.25, "half mse": 0.125}
"""The loss of predicting 1/2 for everything."""

LOWER = 1e-6
"""How far below that the lowest loss has to be for a line of its own."""


class PenalizedLosses(TheoryCurves):
    """The loss over the epochs, with that of always predicting one half, and the lowest possible one."""

    title = "Loss"
    question = "Does it beat a guess, and how near to the lowest possible does it come?"
    reading = (
        "The loss, penalty included. Dashed, drawn before the run: the loss of answering 1/2 to everything, ln 2; the "
        "lowest loss there is with this run's penalty; or, where there is no lowest because a line separates the "
        "classes, its fall in proportion to 1 / epoch if each class were a single point. Losses of another kind are on "
        "another scale and left out: compare their answers."
    )

    @property
    def results(self) -> dict[str, Result]:
        """Those with this run's kind of loss: on another scale a lower curve would mean nothing."""
        return {label: result for label, result in super().results.items() if self._is_comparable(result)}

    def describe(self, frame: Frame) -> str:
        others = [label for label, result in super().results.items() if not self._is_comparable(result)]
        words = super().describe(frame)
        return phrase(words, f"on another scale, not drawn: {', '.join(others)}" if others else "", between=APART)

    def _is_comparable(self, result: Result) -> bool:
        return result.setup.loss == self.run.setup.loss

    def predictions(self, frame: Frame) -> Sequence[Prediction]:
        if frame.setup.network.output != "sigmoid" or frame.setup.loss not in GUESSING:
            return ()
        ends, guess = np.array([BEFORE_ONE, self.last_epoch]), GUESSING[frame.setup.loss]
        lines = [Prediction(f"always 1/2: {guess:.6f}", ends, np.full(2, guess))]
        if frame.l1:
            return lines
        best, points = self.lowest(frame.l2), self.as_points(frame.l2)
        if best and best[1] < guess - LOWER:
            lines.append(Prediction(f"lowest: {best[1]:.4f}", ends, np.full(2, best[1])))
        if points:
            lines.append(Prediction("two points", points[0], points[2]))
        return lines
