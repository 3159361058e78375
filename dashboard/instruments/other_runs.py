"""What pictures share that compare the page's run with runs from other initial weights."""

from collections.abc import Mapping

import numpy as np

from dashboard.instruments.study_picture import StudyPicture
from dashboard.state.analyses.line_losses import Key
from dashboard.state.run import Frame
from engine.network import Network


class OtherRuns(StudyPicture):
    """Mixed into an instrument of a page whose study trains the same network from other seeds."""

    def others(self, frame: Frame) -> Mapping[Key, np.ndarray]:
        """The newest parameters of every run of the study but the page's own, by variant and seed."""
        return {
            (label, seed): parameters
            for label, result in self.results.items()
            if _alike(result.setup.network, frame.setup.network)
            for seed, parameters in enumerate(result.parameters)
            if seed != self.run.settings.seed and np.isfinite(parameters).all()
        }

    def other(self, frame: Frame) -> tuple[Key, np.ndarray] | None:
        """The run that is picked, or the first; None before any is trained."""
        others = self.others(frame)
        key = self.picked if self.picked in others else next(iter(others), None)
        return (key, others[key]) if key else None


def _alike(one: Network, other: Network) -> bool:
    """Whether the parameters of one network fit the other."""
    return (one.sizes, one.activations, one.output) == (other.sizes, other.activations, other.output)
