"""The gradient of every variant of a study before its first update."""

from collections.abc import Hashable, Iterator, Mapping

import numpy as np

from dashboard.state.store import Shown


class UntrainedGradients:
    """Each variant's gradient norms at epoch 0, known before the study is trained; it outlives fresh starts."""

    def __init__(self, run: Shown) -> None:
        """Of a store; ask it for its `analysis`, so that all pictures have the same one."""
        self.run = run
        self._key: Hashable = None
        self._medians: dict[str, np.ndarray] = {}

    @property
    def medians(self) -> Mapping[str, np.ndarray]:
        """(layers,) for each variant the median over the seeds; none where it was not measured for these settings."""
        return self._medians if self.run.study and self._key == self.run.study.key(self.run.settings) else {}

    def work(self) -> Iterator[object] | None:
        """Measure one variant after the other; None where all are measured."""
        return self._measure() if self.run.study and not self.medians else None

    def _measure(self) -> Iterator[object]:
        study, settings = self.run.study, self.run.settings
        key, medians = study.key(settings), {}
        for label in study.plan.variants:
            medians[label] = np.quantile(study.untrained(settings, label), 0.5, axis=0, method="nearest")
            yield
        if key == study.key(settings):
            self._key, self._medians = key, medians
            self.run.touch()
