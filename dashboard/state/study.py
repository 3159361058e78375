"""A study trains several variants of one run, each from many seeds, alongside the run itself."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import param

from dashboard.state.run import Setup
from dashboard.state.settings import Settings
from dashboard.state.store import Companion
from dashboard.state.thread_task import ThreadTask
from dashboard.state.workers import forget, is_gone, local, workers
from engine.ensemble import Ensemble

FREE = frozenset(["speed", "stop_epoch", "stop_loss", "stop_plateau", "seed", "data_seed"])
"""Settings on which a study does not depend; the data's own seed is looked up."""

POINTS = 200
"""Epochs recorded of each run, evenly spaced; of the first such interval all."""


@dataclass(frozen=True)
class Plan:
    """What a page compares: for each variant, by its label, the settings that it changes."""

    variants: Mapping[str, Mapping[str, Any]]
    seeds: int = 20
    epochs: int = 1000


@dataclass(frozen=True, eq=False)
class Result:
    """What is known of one variant: its runs by seed, and what was recorded of each.

    Attributes:
        settings: Those of the run with the first seed.
        index: (k,) the recorded epochs.
        loss: (runs, k), like `accuracy` and `validation_loss`; a run that has diverged has infinite loss from there on.
        gradient_norms: (runs, k, layers), like `weight_norms`.
        parameters: (runs, n_parameters) at the newest epoch.
    """

    label: str
    settings: Mapping[str, Any]
    setup: Setup
    index: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    validation_loss: np.ndarray
    gradient_norms: np.ndarray
    weight_norms: np.ndarray
    parameters: np.ndarray
    diverged: np.ndarray

    @property
    def runs(self) -> int:
        return len(self.loss)

    def row(self, epoch: int) -> int:
        """The place in `index` of the newest recorded epoch not after this one."""
        return max(0, int(np.searchsorted(self.index, epoch, side="right")) - 1)

    def quantiles(self, *shares: float, of: str = "loss") -> np.ndarray:
        """(shares, k, ...) quantiles of a column over the runs: nearest ranks, so that infinities stay infinite."""
        return np.quantile(getattr(self, of), shares, axis=0, method="nearest")


class Study(Companion):
    """The runs of a plan, trained together on all cores; `results` grow from coarse to fine meanwhile.

    All variants share data and settings with the page's run, except for what each changes; seed k of one variant draws
    the same numbers as seed k of another. Results computed once in this process are shared by everybody.
    """

    seeds = param.Integer(
        default=20, bounds=(1, 200), doc="How many runs of each variant, which differ in their first weights."
    )
    epochs = param.Integer(default=1000, bounds=(10, 20_000), doc="How long each run is trained.")

    remembered: ClassVar[OrderedDict[Hashable, dict[str, Result]]] = OrderedDict()
    """The newest results that were computed in this process, by everything on which they depend."""

    MAX_REMEMBERED_STUDIES: ClassVar[int] = 32

    def __init__(self, plan: Plan, **choices: Any) -> None:
        super().__init__(**{"seeds": plan.seeds, "epochs": plan.epochs, **choices})
        self.plan = plan
        self.results: dict[str, Result] = {}
        self.progress = 0.0

    def start(self, settings: Settings) -> None:
        """Compute for these settings, unless the results are known or under way."""
        key = self.key(settings)
        if key == self._key and (self.busy or self.progress == 1):
            return
        self.cancel()
        self._key, self.message = key, ""
        if key in self.remembered:
            self._finish(self.remembered[key])
            return
        self.results, self.progress = {}, 0.0
        self._job = ThreadTask(self._shared(settings), self._fail)
        self.on_change()

    def key(self, settings: Settings) -> Hashable:
        """Everything on which the results depend."""
        changed = {name for changes in self.plan.variants.values() for name in changes}
        fixed = {name: text for name, text in settings.query().items() if name not in FREE | changed}
        return id(self.plan), self.seeds, self.epochs, settings.data_from, tuple(fixed.items())

    def settings_of(self, settings: Settings, label: str, seed: int = 0) -> dict[str, Any]:
        """The settings of one of the runs: a run of its own with these does the same, bit for bit."""
        single = Settings(**settings.values())
        changes = {**self.plan.variants[label], "seed": seed, "data_seed": settings.data_from}
        single.param.update(**changes)
        single.restore(changes)  # what the new initializer or optimizer brought along does not count where it is given
        return single.values()

    def untrained(self, settings: Settings, label: str) -> np.ndarray:
        """(seeds, layers) the gradient norms of a variant's runs at epoch 0."""
        return _Part(label, self.settings_of(settings, label), self.seeds).untrained()

    def pieces(self, settings: Settings, executor: Executor | None = None) -> Iterator[object]:
        """The computation, in pieces; without an executor in this process."""
        key = self.key(settings)
        parts = [_Part(label, self.settings_of(settings, label), self.seeds) for label in self.plan.variants]
        results: dict[str, Result] = {}
        for stop in _stages(self.epochs):
            for part in parts:
                yield from self._trained(part, stop, executor)
                results[part.label] = part.result()
                self._show(key, results, sum(one.done for one in parts) / (self.epochs * len(parts)))
        if key == self._key:
            self._remember(key, results)

    def _trained(self, part: "_Part", stop: int, executor: Executor | None) -> Iterator[object]:
        """Train a variant on to an epoch; once a cluster is gone, in processes of this machine."""
        try:
            yield from part.train(stop, self.epochs, executor)
        except (RuntimeError, CancelledError):
            if executor is None or not is_gone(executor):
                raise
            self.message = "The comparison goes on with processes of this machine; the cluster is gone."
            yield from part.train(stop, self.epochs, local())

    def _shared(self, settings: Settings) -> Iterator[object]:
        """The computation by workers, which are sought in the thread of the task."""
        found = workers()
        self.message = found.notice
        yield from self.pieces(settings, found.executor)

    def _show(self, key: Hashable, results: dict[str, Result], share: float) -> None:
        if key == self._key or self._key is None:
            self.results, self.progress = dict(results), share
            self.on_change()

    def _remember(self, key: Hashable, results: dict[str, Result]) -> None:
        self.remembered[key] = results
        while len(self.remembered) > self.MAX_REMEMBERED_STUDIES:
            self.remembered.popitem(last=False)

    def _finish(self, results: dict[str, Result]) -> None:
        self.results, self.progress = results, 1.0
        self.on_change()

    def _fail(self, error: Exception) -> None:
        forget()
        self.message = f"The comparison was stopped by an error: {error}. Change a setting to start it again."
        self.on_change()


class _Part:
    """One variant: its ensemble over the seeds."""

    def __init__(self, label: str, values: Mapping[str, Any], seeds: int) -> None:
        settings = Settings(**values)
        self.label, self.done = label, 0
        self._values, self._setup = values, Setup.of(settings)
        network = self._setup.network
        self._early: Ensemble | None = None
        self._ensemble: Ensemble | None = None
        self._arguments = {
            "sizes": network.sizes,
            "data": self._setup.train,
            "axes": {"seed": [settings.draws(seed) for seed in range(seeds)]},
            "activation": list(network.activations),
            "output": network.output,
            **settings.network_arguments(),
            **settings.training_arguments(),
            "loss": settings.loss,
            "batch_seed": None if settings.batch_seed < 0 else settings.draws(settings.batch_seed),
            "validation": self._setup.validation,
        }

    def train(self, stop: int, last: int, executor: Executor | None) -> Iterator[object]:
        """Train on to an epoch, in pieces."""
        if self._ensemble is None:
            every = max(1, last // POINTS)
            self._early, self._ensemble = (Ensemble(**self._arguments, every=each) for each in (1, every))
            self._early.advance(every)
            self._ensemble.advance(1)
        yield
        if executor is None:
            self._ensemble.advance(stop - self.done)
        elif self._ensemble.epoch < stop:
            yield from self._ensemble.train(stop - self._ensemble.epoch, executor)
        self.done = stop

    def untrained(self) -> np.ndarray:
        """(seeds, layers) the gradient norms at epoch 0."""
        ensemble = Ensemble(**self._arguments)
        ensemble.advance(1)
        return ensemble.gradient_norms[:, 0]

    def result(self) -> Result:
        """The results so far, as copies."""
        names = ("loss", "accuracy", "validation_loss", "gradient_norms", "weight_norms")
        return Result(
            label=self.label,
            settings=self._values,
            setup=self._setup,
            index=np.concatenate([self._early.index, self._ensemble.index[1:]]),
            parameters=self._ensemble.parameters.copy(),
            diverged=self._ensemble.diverged.copy(),
            **{name: self._series(name) for name in names},
        )

    def _series(self, name: str) -> np.ndarray:
        """(runs, k, ...) every epoch before the second that the ensemble keeps, for axes of magnitudes, then those."""
        return np.concatenate([self._early.series(name), self._ensemble.series(name)[:, 1:]], axis=1)


def _stages(epochs: int) -> list[int]:
    """Epochs to stop at on the way: early ones soon, the last one exactly."""
    stages = [round(epochs * share) for share in (0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8)]
    return sorted({stage for stage in stages if stage} | {epochs})
