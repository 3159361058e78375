"""The sharpness of every run of a study, over its epochs."""

from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from dashboard.state.analyses.sharpness import SharpnessTracker, edge_of_stability
from dashboard.state.run import Setup
from dashboard.state.settings import Settings
from dashboard.state.store import Shown
from dashboard.state.study import Result
from engine.training import Epoch, Training

MEASUREMENTS_PER_TURN = 20
"""How many measurements are made of each run before it is the next one's turn."""


class StudySharpness:
    """The sharpness of the runs of a store's study, as far as they have been measured; it outlives fresh starts.

    A study does not keep the parameters its runs had on the way, so they are trained again, bit for bit the same.
    """

    def __init__(self, run: Shown) -> None:
        """Of a store; ask it for its `analysis`, so that all pictures have the same one."""
        self.run = run
        self._runs: dict[str, list[StudyRun]] = {}
        self._measured: dict[str, Result] = {}

    def results(self, hidden: Collection[str] = ()) -> dict[str, Result]:
        """What is known of each variant that is not hidden, up to the last epoch measured of all its runs."""
        known = self._known(hidden)
        return {label: self._measured[label] for label, result in known.items() if self._is_of(label, result)}

    def measurements(self, result: Result) -> np.ndarray:
        """(runs, k, 2) at each epoch of one of these results: the sharpness, and its share of the edge of stability."""
        return np.array([one.measured[: len(result.index)] for one in self._runs[result.label]])

    def work(self, hidden: Collection[str] = ()) -> Iterator[object] | None:
        """Measure what the study has trained of the variants that are not hidden; None where all is measured."""
        return self._catch_up(hidden) if any(self._behind(hidden)) else None

    def _known(self, hidden: Collection[str]) -> dict[str, Result]:
        """What the study knows, in the plan's order."""
        study = self.run.study
        labels = [label for label in study.plan.variants if label not in hidden] if study else []
        return {label: study.results[label] for label in labels if label in study.results}

    def _catch_up(self, hidden: Collection[str]) -> Iterator[object]:
        """Measure some of what the study has trained meanwhile, all runs in step."""
        for one, index in list(self._behind(hidden)):
            yield from one.measure(index[len(one.measured) : len(one.measured) + MEASUREMENTS_PER_TURN])
        self._cut(hidden)
        self.run.touch()

    def _behind(self, hidden: Collection[str]) -> Iterator[tuple["StudyRun", np.ndarray]]:
        """The runs of which the study knows more than has been measured, least known first."""
        known = self._known(hidden)
        runs = [(one, result.index) for label, result in known.items() for one in self._runs_of(label, result)]
        behind = [(one, index) for one, index in runs if len(one.measured) < len(index)]
        least = min((len(one.measured) for one, _ in behind), default=0)
        return (pair for pair in behind if len(pair[0].measured) < least + MEASUREMENTS_PER_TURN)

    def _runs_of(self, label: str, result: Result) -> list["StudyRun"]:
        """All runs of a variant, from their beginning if they are other ones than before."""
        runs = self._runs.get(label)
        if not runs or runs[0].of is not result.settings:
            runs = [StudyRun(result.settings, seed) for seed in range(result.runs)]
            self._runs[label] = runs
        return runs

    def _cut(self, hidden: Collection[str]) -> None:
        for label, result in self._known(hidden).items():
            count = min(len(result.index), *(len(one.measured) for one in self._runs_of(label, result)))
            if count and not (self._is_of(label, result) and len(self._measured[label].index) == count):
                self._measured[label] = replace(result, index=result.index[:count])

    def _is_of(self, label: str, result: Result) -> bool:
        """Whether what was measured of a variant belongs to a result."""
        return label in self._measured and self._measured[label].settings is result.settings


class StudyRun:
    """One run of a result, trained as far as it has been measured.

    What was measured once in this process is remembered for everybody.

    Attributes:
        of: The result's settings.
        measured: The sharpness, and its share of the edge of stability, at one epoch of the result after the other.
    """

    remembered: ClassVar[OrderedDict[Hashable, dict[int, tuple[float, float]]]] = OrderedDict()
    """By settings and epoch."""

    MAX_REMEMBERED_RUNS = 64

    def __init__(self, of: Mapping[str, Any], seed: int) -> None:
        self.of, self.measured = of, list[tuple[float, float]]()
        self._settings = Settings(**{**of, "seed": seed})
        self._known = self.remembered.setdefault(tuple(self._settings.query().items()), {})
        while len(self.remembered) > self.MAX_REMEMBERED_RUNS:
            self.remembered.popitem(last=False)

    def measure(self, index: np.ndarray) -> Iterator[object]:
        """Measure each of these epochs. It may be dropped after any piece, and begun again."""
        for epoch in index.tolist():
            if epoch not in self._known:
                yield from self._train(epoch)
                self._known[epoch] = self._measure_at(epoch)
                yield
            self.measured.append(self._known[epoch])

    def _train(self, epoch: int) -> Iterator[object]:
        """Bring the training to an epoch, from the beginning if it has gone further."""
        if self._newest and self._newest.index > epoch:
            self._newest, self._training = None, self._setup.training(self._settings)
        here = self._newest.index if self._newest else -1
        if here < epoch:
            self._newest = self._training.advance(epoch - here)[-1]
            yield

    def _measure_at(self, epoch: int) -> tuple[float, float]:
        value = self._tracker.measure(epoch, self._newest.parameters, preconditioner=self._training.preconditioner)
        edge = edge_of_stability(self._settings, np.array([self._newest.learning_rate]))[0]
        return value, float(value / edge)

    _newest: Epoch | None = None

    @cached_property
    def _setup(self) -> Setup:
        return Setup.of(self._settings)

    @cached_property
    def _tracker(self) -> SharpnessTracker:
        return SharpnessTracker(self._setup, l1=self._settings.l1, l2=self._settings.l2)

    @cached_property
    def _training(self) -> Training:
        return self._setup.training(self._settings)
