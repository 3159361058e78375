"""How near every run of a study is to the edge of stability, over its epochs."""

from collections.abc import Hashable, Iterator, Sequence

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns
from dashboard.instruments.sharpness_curve import without_edge
from dashboard.instruments.study_curves import Curve, Prediction, StudyCurves
from dashboard.state.analyses.sharpness import edge_of_stability
from dashboard.state.analyses.study_sharpness import StudySharpness
from dashboard.state.checkpoints import HyperparameterLog, LiveHyperparameters
from dashboard.state.settings import Settings
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
        "sharpness itself. Over rate × epoch the sharpness of all rates lies on one curve until each meets its edge. "
        "Click a curve to pick a run, and watch it from the legend."
    )
    controls = ("runs", "by_distance")

    log_y = param.Boolean(default=False, label="Log", doc="Draw it on a logarithmic axis.")

    by_distance = param.Boolean(
        default=False,
        label="Rate × epoch",
        doc="Draw the sharpness over learning rate times epoch: all rates lie on one curve until each meets its edge.",
    )

    @property
    def quantity(self) -> str:
        """What the curves are."""
        return "sharpness / edge of stability" if self._is_share else "sharpness"

    @property
    def _is_share(self) -> bool:
        """Whether the sharpness is drawn as a share of the edge."""
        return self._has_edge and not self.by_distance

    @property
    def _has_edge(self) -> bool:
        """Whether all variants have an edge of stability to be measured by."""
        variants, settings = self.run.study.plan.variants if self.run.study else {}, self.run.settings
        names = {changes.get("optimizer", settings.optimizer) for changes in variants.values()} or {settings.optimizer}
        return all(not np.isnan(OPTIMIZERS[name]().edge_of_stability(1.0)) for name in names)

    def outline(self, frame: Frame) -> Hashable:
        return super().outline(frame), self._has_edge, self.by_distance

    def picture(self, frame: Frame) -> hv.Overlay:
        overlay = super().picture(frame)
        return overlay.opts(xlabel="learning rate × epoch") if self.by_distance else overlay

    def describe(self, frame: Frame) -> str:
        words = super().describe(frame)
        if self._has_edge:
            return words
        return phrase(words, f"sharpness; {without_edge(self.run.settings.optimizer)}", between=APART)

    def of_result(self, result: Result) -> np.ndarray:
        """(runs, k) the shares that have been measured; without an edge, the sharpnesses."""
        return self.run.analysis(StudySharpness).measurements(result)[..., 1 if self._is_share else 0]

    def of_run(self, epochs: Epochs) -> None:
        """The page's own run has a picture of its own."""
        return

    def predictions(self, frame: Frame) -> Sequence[Prediction]:
        if not self._has_edge:
            return ()
        if self.by_distance:
            return [self._edge_of(label, curve) for label, curve in self.curves.items()]
        last = self.run.study.epochs if self.run.study else 20
        return [Prediction("edge of stability", np.array([0.5, last]), np.ones(2))]

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        ranges = super().ranges(frame)
        if not self.by_distance:
            return ranges
        ends = [float(curve.index[-1]) for curve in self.curves.values()]
        return {**ranges, "x": (0.0, max([*ends, float(_travelled(frame, frame.epoch.index))], default=0.0) or 1.0)}

    def tapped(self, x: float, y: float) -> None:
        """Pick the run that was clicked; elsewhere, look at that epoch."""
        found = self.nearest(x, y)
        if found or not self.by_distance:
            super().tapped(x, y)
            return
        epochs = np.arange(self.run.history[-1].index + 1)
        travelled = self.run.frame().hyperparameter_log.travelled(epochs)
        self.run.look_at(int(np.argmin(np.abs(travelled - x))))

    def curve_of(self, result: Result) -> Curve:
        curve = super().curve_of(result)
        return curve._replace(index=_distances(result)) if self.by_distance else curve

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        layers = super().columns(frame, after)
        if self.by_distance:
            here = np.array([_travelled(frame, frame.epoch.index)])
            layers["cursor"] = {**layers["cursor"], "x0": here, "x1": here}
        return layers

    def _edge_of(self, label: str, curve: Curve) -> Prediction:
        """The edge of a variant, from where its run begins to where it ends."""
        settings = Settings(**curve.result.settings)
        edge = edge_of_stability(settings, np.array([settings.learning_rate]))[0]
        ends = curve.index[[0, -1]]
        return Prediction(f"edge of {label}", np.linspace(*ends, 20), np.full(20, edge))

    @param.depends("by_distance", watch=True)
    def _change_axis(self) -> None:
        self.redraw()

    @property
    def results(self) -> dict[str, Result]:
        """What is known of each visible variant, up to the last epoch measured of all its runs."""
        return self.run.analysis(StudySharpness).results(self.hidden)

    def work(self, frame: Frame) -> Iterator[object] | None:
        return self.run.analysis(StudySharpness).work(self.hidden)


def _distances(result: Result) -> np.ndarray:
    """(k,) learning rate times epoch, summed over all updates, at each epoch of a result."""
    tuned = LiveHyperparameters.of(Settings(**result.settings), len(result.setup.train))
    return HyperparameterLog([(HyperparameterLog.BEGINNING, tuned)]).travelled(result.index)


def _travelled(frame: Frame, epoch: int) -> float:
    """The same for an epoch of the page's own run."""
    return float(frame.hyperparameter_log.travelled(np.array([epoch]))[0])
