"""How near every run of a study is to the edge of stability, over its epochs."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import param

from dashboard.instruments.sharpness_curve import SharpnessTrack
from dashboard.instruments.study_curves import Prediction, StudyCurves
from dashboard.state.analyses.sharpness import edge_of_stability
from dashboard.state.run import Setup
from dashboard.state.settings import Settings
from dashboard.state.store import Frame
from dashboard.state.study import Result
from dashboard.widgets.plain_text import APART, phrase
from engine.optimizers import OPTIMIZERS
from engine.training import Epoch, Epochs, Training

TOGETHER = 20
"""How many measurements are made of each run before it is another picture's turn."""


class SharpnessStudy(StudyCurves):
    """Sharpness over the edge of stability for all variants: 1 is where a quadratic would begin to diverge.

    A study does not keep the parameters its runs had on the way, so they are trained again, bit for bit the same.
    """

    title = "All learning rates"
    question = "Does every learning rate end at its own edge?"
    reading = (
        "The sharpness as a share of the optimizer's own edge of stability, which is 2 / learning rate for gradient "
        "descent and higher with momentum: the median over the seeds, its band the middle half of the runs. Theory "
        "draws the dashed line at 1; what is above it grows from step to step on a quadratic. For optimizers that "
        "adapt no edge is drawn, and the curves are the sharpness itself. Click a curve to pick a run, and watch it "
        "from the legend."
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
        none = f"sharpness; no line: {self.run.settings.optimizer} has no fixed edge"
        return phrase(words, none, between=APART)

    def of_result(self, result: Result) -> np.ndarray:
        """(runs, k) the shares that have been measured; without an edge, the sharpnesses."""
        measured = np.array([one.measured[: len(result.index)] for one in self._history[result.label]])
        return measured[..., 1 if self._has_edge else 0]

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
        known = super().results
        return {label: self._cuts[label] for label, result in known.items() if self._is_of(label, result)}

    def work(self, frame: Frame) -> Iterator[object] | None:
        return self._catch_up(frame) if any(self._behind()) else None

    @cached_property
    def _cuts(self) -> dict[str, Result]:
        """The results, as far as all runs of a variant have been measured."""
        return {}

    @cached_property
    def _history(self) -> dict[str, list["_Measured"]]:
        """The runs of every variant; they outlive a fresh start of the page's own run."""
        return {}

    def _catch_up(self, frame: Frame) -> Iterator[object]:
        """Measure some of what the study has trained meanwhile, all runs in step."""
        setup = frame.setup
        for one, index in list(self._behind()):
            yield from one.measure(index[len(one.measured) : len(one.measured) + TOGETHER])
        if setup is self._setup:
            self._cut()
            self.run.touch()

    def _behind(self) -> Iterator[tuple["_Measured", np.ndarray]]:
        """The runs of which the study knows more than has been measured, least known first."""
        known = super().results
        runs = [(one, result.index) for label, result in known.items() for one in self._runs(label, result)]
        behind = [(one, index) for one, index in runs if len(one.measured) < len(index)]
        least = min((len(one.measured) for one, _ in behind), default=0)
        return (pair for pair in behind if len(pair[0].measured) < least + TOGETHER)

    def _runs(self, label: str, result: Result) -> list["_Measured"]:
        """All runs of a variant, from their beginning if they are other ones than before."""
        tracks = self._history.get(label)
        if not tracks or tracks[0].of is not result.settings:
            tracks = [_Measured(result.settings, seed) for seed in range(result.runs)]
            self._history[label] = tracks
        return tracks

    def _cut(self) -> None:
        for label, result in super().results.items():
            count = min(len(result.index), *(len(one.measured) for one in self._runs(label, result)))
            if count and not (self._is_of(label, result) and len(self._cuts[label].index) == count):
                self._cuts[label] = replace(result, index=result.index[:count])

    def _is_of(self, label: str, result: Result) -> bool:
        """Whether what was measured of a variant belongs to a result."""
        return label in self._cuts and self._cuts[label].settings is result.settings


class _Measured:
    """One run of a result, trained as far as it has been measured.

    What was measured once in this process is remembered for everybody.

    Attributes:
        of: The result's settings.
        measured: The sharpness, and its share of the edge of stability, at one epoch of the result after the other.
    """

    _known: ClassVar[OrderedDict[Hashable, dict[int, tuple[float, float]]]] = OrderedDict()
    _most: ClassVar[int] = 64

    def __init__(self, of: Mapping[str, Any], seed: int) -> None:
        self.of, self.measured = of, list[tuple[float, float]]()
        self._settings = Settings(**{**of, "seed": seed})
        self._remembered = self._known.setdefault(tuple(self._settings.query().items()), {})
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def measure(self, index: np.ndarray) -> Iterator[object]:
        """Measure each of these epochs. It may be dropped after any piece, and begun again."""
        for epoch in index.tolist():
            if epoch not in self._remembered:
                yield from self._train(epoch)
                self._remembered[epoch] = self._look(epoch)
                yield
            self.measured.append(self._remembered[epoch])

    def _train(self, epoch: int) -> Iterator[object]:
        """Bring the training to an epoch, from the beginning if it has gone further."""
        if self._newest and self._newest.index > epoch:
            self._newest, self._training = None, self._setup.training(self._settings)
        here = self._newest.index if self._newest else -1
        if here < epoch:
            self._newest = self._training.advance(epoch - here)[-1]
            yield

    def _look(self, epoch: int) -> tuple[float, float]:
        value = self._track.measure(epoch, self._newest.parameters)
        edge = edge_of_stability(self._settings, np.array([self._newest.learning_rate]))[0]
        return value, float(value / edge)

    _newest: Epoch | None = None

    @cached_property
    def _setup(self) -> Setup:
        return Setup.of(self._settings)

    @cached_property
    def _track(self) -> SharpnessTrack:
        return SharpnessTrack(self._setup, self._settings.l1, self._settings.l2)

    @cached_property
    def _training(self) -> Training:
        return self._setup.training(self._settings)
