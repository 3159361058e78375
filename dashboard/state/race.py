"""A race: the store of several optimizers that descend one surface from one start."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import param

from dashboard.state.race_history import RaceHistory, RaceStep
from dashboard.state.race_settings import RaceSettings, RaceView
from dashboard.state.race_setup import GOAL, RaceSetup
from dashboard.state.store import Companion, Trainable
from dashboard.state.view import View
from engine.recording import Recording
from engine.training import Epochs

KIND = "race"
"""The kind of recording that races are saved as."""

MAX_STEPS = 10_000
BLOCK = 8
LAST = 10
"""A race follows its settings after all controls have: what it rejects returns to them as another change."""

SETTLED_STEPS, RECENT_STEPS = 50, 10
"""Steps for which all have to be settled before a race ends, and those in which no loss may have risen.

At 2.1 / lambda_max a racer may come close to the minimum and leave again.
"""

ROUNDING = 1e-14
"""How much a loss at rest may rise."""


@dataclass(frozen=True)
class RaceFrame:
    """What one drawing of a race shows: its setup, its history, and the step that all pictures agree on."""

    setup: RaceSetup
    history: RaceHistory
    stride: int
    epoch: RaceStep

    @property
    def heights(self) -> np.ndarray:
        """(racers,) losses above the lowest; nan for racers that have diverged."""
        return np.maximum(self.epoch.values - self.setup.lowest, 0)

    def next_move(self, place: int) -> np.ndarray:
        """(2,) the step that a racer takes from here."""
        racer, point, surface = self.setup.racers[place], self.epoch.points[place], self.setup.surface
        optimizer, moved = racer.build(), point.copy()
        state = optimizer.start(moved) | {name: array.copy() for name, array in self.epoch.states[place].items()}
        if optimizer.second_order:
            state["hessian"] = surface.hessian(point)
        with np.errstate(all="ignore"):
            optimizer.step(moved, surface.gradient(point), state, racer.learning_rate)
        return moved - point


class Race(Trainable):
    """Several optimizers on one surface: change the `settings` or the start, `advance` it, read its `history`.

    It ends when all racers have settled or diverged, or after 10,000 steps. Every change but the speed's starts afresh;
    another surface discards a start that was chosen for the one before. One thread at a time advances a race; any other
    may read it or change its settings meanwhile.
    """

    settings: RaceSettings
    view: RaceView

    def __init__(
        self, settings: RaceSettings | None = None, view: View | None = None, study: Companion | None = None
    ) -> None:
        super().__init__(settings or RaceSettings(), view or RaceView(), study)
        self._lock = threading.RLock()
        self._start(RaceSetup.of(self.settings))
        self._accepted = self.settings.values()
        watcher = self.settings.param.watch(self._follow, self.settings.names(), precedence=LAST)
        self._watchers.append((self.settings, watcher))

    @property
    def history(self) -> RaceHistory:
        return self._history

    @property
    def ended(self) -> str:
        return self._ended

    @property
    def block(self) -> int:
        return BLOCK

    def advance(self, epochs: int = 1, enough: Callable[[], bool] = lambda: False) -> int:
        done = 0
        while done < epochs and not (done and enough()) and self._step():
            done += 1
        return done

    def reset(self) -> None:
        self._start(RaceSetup.of(self.settings))
        self.message = ""

    def resume(self) -> None:
        """Goes on although all have settled; racers that have diverged stay where they are."""
        if self._history.running.any() and len(self._history) <= MAX_STEPS:
            self._passed, self._ended = True, ""

    def fork(self) -> None:
        """Goes on from the step that is shown: the same way, as long as nothing is changed."""
        steps = self.frame().epoch.index
        self.look_at(None)
        if steps < self._history[-1].index:
            self.reset()
            self.advance(steps)

    def recording(self, name: str = "", **notes: Any) -> Recording:
        """The race as it stands: its settings and the number of steps, which suffice to run it again."""
        with self._lock:
            settings, race_step = self._accepted, self._history[-1]
        return Recording(_as_epochs(race_step), settings=settings, name=name, notes={"kind": KIND, **notes})

    @classmethod
    def reopened(cls, recording: Recording, view: View | None = None, study: Companion | None = None) -> Self:
        if recording.notes.get("kind") != KIND:
            raise ValueError(f"this is a recording of {recording.notes.get('kind', 'something else')!r}, not of a race")
        steps = int(recording.epochs.index[-1])
        if steps > MAX_STEPS:
            raise ValueError(f"a race of {steps:,} steps is too long; the most is {MAX_STEPS:,}")
        race = cls(RaceSettings.of(recording.settings), view, study)
        while race._history[-1].index < steps:
            race.resume()
            if not race.advance(steps - race._history[-1].index):
                break
        if _as_epochs(race._history[-1]).parameters.tobytes() != recording.epochs.parameters.tobytes():
            raise ValueError("the race does not come to where it had come; it was recorded by another version")
        return race

    def frame(self) -> RaceFrame:
        with self._lock:
            tracks, index = self._history, self.looked_at
            race_step = tracks[-1] if index is None else tracks[min(index, len(tracks) - 1)]
            return RaceFrame(self.setup, tracks, 1, race_step)

    def readings(self, frame: RaceFrame) -> dict[str, str]:
        settled = int(np.isfinite(frame.history.settled(frame.epoch.index)).sum())
        blown_up = int(np.isnan(frame.epoch.values).sum())
        return {
            "step": f"{frame.epoch.index:,}",
            "settled": f"{settled} of {len(frame.setup.racers)}",
            **({"blown up": str(blown_up)} if blown_up else {}),
        }

    def _start(self, race_setup: RaceSetup) -> None:
        tracks = RaceHistory(race_setup)
        with self._lock:
            self.setup, self._history = race_setup, tracks
            self._looked_at = None
            self._passed, self._ended = False, ""
            self.version += 1

    def _step(self) -> bool:
        """One step of all racers; False where there is none to take."""
        with self._lock:
            if self._ended:
                return False
            self._history.extend()
            self._ended = self._verdict()
            self.version += 1
            return True

    def _verdict(self) -> str:
        """Why to stop here; empty to go on."""
        tracks, last = self._history, len(self._history) - 1
        running = tracks.running
        if not running.any():
            return f"every racer has diverged by step {last:,}"
        if last >= MAX_STEPS:
            return f"stopped at step {last:,}, the most a race has"
        if self._passed or last < SETTLED_STEPS:
            return ""
        heights = tracks.heights(slice(last - SETTLED_STEPS, last + 1))[:, running]
        risen = heights[-1] > np.maximum(heights[-1 - RECENT_STEPS], ROUNDING)
        if risen.any() or not (heights < GOAL).all():
            return ""
        rest = "" if running.all() else ", the others have blown up"
        who = f"all {running.sum()} racers are" if running.sum() > 1 else "the racer is"
        return f"at step {last:,} {who} at rest{rest}"

    def _follow(self, *events: param.parameterized.Event) -> None:
        changed = {name for name, value in self.settings.values().items() if value != self._accepted[name]}
        if "surface" in changed and "start" not in changed and self.settings.start:
            self.settings.start = []
            return
        if changed - {"speed"} and not self._begin():
            return
        self._accepted = self.settings.values()
        if changed:
            self.message = ""

    def _begin(self) -> bool:
        """Start afresh, or says why that is impossible and take the change back."""
        try:
            self._start(RaceSetup.of(self.settings))
        except ValueError as error:
            self.refuse(str(error))
            self.settings.restore(self._accepted)
            return False
        return True


def _as_epochs(race_step: RaceStep) -> Epochs:
    """One step as recordings have it: its points take the place of the parameters."""
    nothing = np.full(1, np.nan)
    return Epochs(
        index=np.array([race_step.index], dtype=np.int64),
        loss=np.array([np.fmin.reduce(race_step.values)]),
        accuracy=nothing,
        validation_loss=nothing,
        validation_accuracy=nothing,
        learning_rate=nothing,
        gradient_norms=np.empty((1, 0)),
        mean_activations=np.empty((1, 0)),
        parameters=race_step.points.reshape(1, -1).copy(),
        widths=(),
    )
