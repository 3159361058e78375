"""The companion of the page on solvable worlds: the runs of the engine that are held against an exact line."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any

import numpy as np
import param

from dashboard.state.run import Setup
from dashboard.state.settings import Settings
from dashboard.state.store import Companion
from dashboard.state.study import FREE
from dashboard.state.thread_task import ThreadTask
from dashboard.state.workers import forget, workers
from dashboard.state.worlds.cascade import Cascade
from dashboard.state.worlds.catapult import CatapultWorld
from dashboard.state.worlds.deep_linear import DeepLinear
from dashboard.state.worlds.double_descent import DoubleDescent
from dashboard.state.worlds.mean_field import Gradients, Signals
from dashboard.state.worlds.wide import WideNetwork
from dashboard.state.worlds.world import ENDLESS, SIZES, Line, Outcome, Sample, World

WORLDS: dict[str, World] = {
    "signals": Signals(),
    "gradients": Gradients(),
    "catapult": CatapultWorld(),
    "cascade": Cascade(),
    "deep linear": DeepLinear(),
    "double descent": DoubleDescent(),
    "wide": WideNetwork(),
}
"""Every world by its name in links, in the order of the page."""

MAX_PENDING = 4
"""Runs that are sent to the workers at a time, so that a stop takes hold soon."""


class SolvableWorlds(Companion):
    """Runs of one world from many seeds; the mean over them comes nearer to the exact line with every run.

    Attributes:
        samples: What was measured so far, one sample for each line with runs.
        done: How many runs are among them.
    """

    world = param.Selector(
        default="signals",
        objects={world.label: name for name, world in WORLDS.items()},
        label="World",
        doc="Which training is solved. A step of the story chooses one, with the settings that belong to it.",
    )
    size = param.Selector(
        default=64,
        objects={"infinite" if size == ENDLESS else str(size): size for size in SIZES},
        label="Size",
        doc="Units of a hidden layer; in double descent, examples. The larger, the closer each run is to the line.",
    )
    seeds = param.Integer(default=40, bounds=(2, 400), label="Runs", doc="How many runs are held against the line.")

    def __init__(self, **choices: Any) -> None:
        super().__init__(**choices)
        self.samples: Sequence[Sample] = ()
        self.done = 0
        self._size_of_run = self.size

    @property
    def chosen(self) -> World:
        """The world that is looked at."""
        return WORLDS[self.world]

    @property
    def progress(self) -> float:
        """The share of the runs that is done."""
        return self.done / self.seeds

    def key(self, settings: Settings) -> Hashable:
        """Everything on which the runs depend."""
        fixed = tuple((name, text) for name, text in settings.query().items() if name not in FREE)
        return self.world, self.size, self.seeds, settings.data_from, fixed

    def lines(self, setup: Setup, settings: Settings) -> Sequence[Line]:
        """The exact lines; none where the settings are of no such world."""
        return () if self.chosen.misfit(settings) else self.chosen.lines(setup, settings, self.size)

    def follow(self, settings: Settings) -> None:
        """Have the page's run be as large as the dial says once that was turned, and start anew if need be."""
        if self.size != self._size_of_run:
            self._size_of_run = self.size
            if not self.chosen.misfit(settings):
                settings.param.update(**self.chosen.sized(settings, self.size))
        super().follow(settings)

    def start(self, settings: Settings) -> None:
        key = self.key(settings)
        if key == self._key and (self.busy or self.done == self.seeds):
            return
        self.cancel()
        self._key, self.samples, self.done = key, (), 0
        self.message = self.chosen.misfit(settings)
        if not self.message and self.size == ENDLESS and self.chosen.size_name:
            self.message = f"No run is that large: at infinite {self.chosen.size_name} the line itself is the answer."
        if not self.message:
            self._job = ThreadTask(self._shared(key, settings.values()), self._fail)
        self.on_change()

    def pieces(self, key: Hashable, values: Mapping[str, Any], executor: Executor) -> Iterator[object]:
        """The runs, one after the other, by the workers of an executor."""
        found: dict[int, Sequence[Outcome]] = {}
        pending: dict[Future[Sequence[Outcome]], int] = {}
        left = iter(range(self.seeds))
        world, size = self.world, self.size
        try:
            while True:
                for seed in left:
                    pending[executor.submit(run_of, world, size, dict(values), seed)] = seed
                    if len(pending) >= MAX_PENDING:
                        break
                if not pending:
                    return
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    found[pending.pop(future)] = future.result()
                self._show(key, found)
                yield
        finally:
            for future in pending:
                future.cancel()

    def _shared(self, key: Hashable, values: Mapping[str, Any]) -> Iterator[object]:
        """The computation by workers, which are sought in the thread of the task."""
        found = workers()
        self.message = found.notice
        yield from self.pieces(key, values, found.executor)

    def _show(self, key: Hashable, found: Mapping[int, Sequence[Outcome]]) -> None:
        if key == self._key:
            self.samples, self.done = samples_of([found[seed] for seed in sorted(found)]), len(found)
            self.on_change()

    def _fail(self, error: Exception) -> None:
        forget()
        self.message = f"The runs were stopped by an error: {error}. Press “Run them” to start again."
        self._key = None
        self.on_change()


def run_of(world: str, size: int, values: Mapping[str, Any], seed: int) -> Sequence[Outcome]:
    """What one run of a world comes to: the page's, but for its seed."""
    settings = Settings(**values)
    settings.restore({**values, "seed": seed, "data_seed": settings.data_from})
    chosen = WORLDS[world]
    settings.restore(chosen.sized(settings, size))
    return chosen.outcomes(settings, size)


def samples_of(runs: Sequence[Sequence[Outcome]]) -> Sequence[Sample]:
    """The samples of several runs, line by line."""
    return [
        Sample(line[0].x, np.array([one.y for one in line]), np.array([one.expected for one in line]))
        for line in zip(*runs, strict=True)
    ]
