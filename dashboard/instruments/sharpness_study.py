"""How near every run of a study is to the edge of stability, over its epochs."""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import param

from dashboard.instruments.sharpness_curve import without_edge
from dashboard.instruments.study_curves import Prediction, StudyCurves
from dashboard.state.analyses.study_sharpness import StudySharpness
from dashboard.state.store import Frame
from dashboard.state.study import Result
from dashboard.widgets.plain_text import APART, phrase
from engine.optimizers import OPTIMIZERS
from engine.training import Epochs


class SharpnessStudy(StudyCurves):
    """Sharpness over the edge of stability for all variants: 1 is where a quadratic would begin to diverge."""

    title = "All learning rates"
    question = "Does every learning rate end at its own edge?"
    reading = (
        "The sharpness as a share of the optimizer's own edge of stability, which is 2 / learning rate for gradient "
        "descent and higher with momentum; of Adam and its kin it is the preconditioned sharpness. The curves are "
        "medians over the seeds, their bands the middle half of the runs. Theory draws the dashed line at 1; what is "
        "above it grows from step to step on a quadratic. Newton's method has no edge, and the curves are the "
        "sharpness itself. Click a curve to pick a run, and watch it from the legend."
    )
    controls = ("runs",)

    log_y = param.Boolean(default=False, label="Log", doc="Draw it on a logarithmic axis.")

    @property
    def quantity(self) -> str:
        """What the curves are."""
        return "sharpness / edge of stability" if self._has_edge else "sharpness"

    @property
    def _has_edge(self) -> bool:
        """Whether all variants have an edge of stability to be measured by."""
        variants, settings = self.run.study.plan.variants if self.run.study else {}, self.run.settings
        names = {changes.get("optimizer", settings.optimizer) for changes in variants.values()} or {settings.optimizer}
        return all(not np.isnan(OPTIMIZERS[name]().edge_of_stability(1.0)) for name in names)

    def outline(self, frame: Frame) -> Hashable:
        return super().outline(frame), self._has_edge

    def describe(self, frame: Frame) -> str:
        words = super().describe(frame)
        if self._has_edge:
            return words
        return phrase(words, f"sharpness; {without_edge(self.run.settings.optimizer)}", between=APART)

    def of_result(self, result: Result) -> np.ndarray:
        """(runs, k) the shares that have been measured; without an edge, the sharpnesses."""
        return self.run.analysis(StudySharpness).measurements(result)[..., 1 if self._has_edge else 0]

    def of_run(self, epochs: Epochs) -> None:
        """The page's own run has a picture of its own."""
        return

    def predictions(self, frame: Frame) -> Sequence[Prediction]:
        if not self._has_edge:
            return ()
        last = self.run.study.epochs if self.run.study else 20
        return [Prediction("edge of stability", np.array([0.5, last]), np.ones(2))]

    @property
    def results(self) -> dict[str, Result]:
        """What is known of each visible variant, up to the last epoch measured of all its runs."""
        return self.run.analysis(StudySharpness).results(self.hidden)

    def work(self, frame: Frame) -> Iterator[object] | None:
        return self.run.analysis(StudySharpness).work(self.hidden)
