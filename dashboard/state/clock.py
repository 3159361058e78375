"""The clock of a run: play, pause, step, reset. The only place where time passes.

All runs that play in one process are advanced by a single thread, the `Scheduler`, in short turns. That keeps the
server's loop free for controls and pictures: measured with ten runs playing, the server answers a slider within 0.15 s,
against 1.3 s with training on the loop and 5.7 s with a thread for each run.
"""

import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from dashboard.state.store import Trainable
from dashboard.state.thread_task import ThreadTask

log = logging.getLogger(__name__)


class Schedulable(Protocol):
    """What a scheduler gives turns to."""

    def take_turn(self, seconds: float) -> bool:
        """Works for about that many seconds; returns False where there was nothing to do yet."""

    def fail(self, error: Exception) -> None:
        """Called when a turn has raised; no further turn will come."""


class Scheduler:
    """One thread that gives every playing run of the process a short turn, one after the other.

    The thread starts with the first task and ends when the last one is removed. It stands still while frames are drawn:
    two threads that keep taking and releasing the interpreter's lock slow each other down tenfold.
    """

    SLICE_S = 0.004
    IDLE_S = 0.002
    YIELD_TIMEOUT_S = 0.1

    def __init__(self) -> None:
        self._tasks: list[Schedulable] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._drawing = 0
        self._free = threading.Event()
        self._free.set()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Begin no turn within the context, or for a tenth of a second if that takes longer."""
        self._drawing += 1
        self._free.clear()
        try:
            yield
        finally:
            self._drawing -= 1
            if not self._drawing:
                self._free.set()

    def add(self, task: Schedulable) -> None:
        """Give a task turns until it is removed."""
        with self._lock:
            if task not in self._tasks:
                self._tasks = [*self._tasks, task]
            if self._thread is None:
                self._thread = threading.Thread(target=self._conduct, name="scheduler", daemon=True)
                self._thread.start()

    def remove(self, task: Schedulable) -> None:
        """Give a task no more turns; one that has begun still ends."""
        with self._lock:
            self._tasks = [other for other in self._tasks if other is not task]

    @property
    def tasks(self) -> int:
        """Number of tasks that are given turns."""
        return len(self._tasks)

    @property
    def runs(self) -> int:
        """Number of tasks that are runs in training."""
        return sum(isinstance(task, Clock) for task in self._tasks)

    def _conduct(self) -> None:
        while self._any_left():
            worked = [self._give_turn(task) for task in self._tasks if task in self._tasks]
            time.sleep(0 if any(worked) else self.IDLE_S)

    def _any_left(self) -> bool:
        with self._lock:
            if not self._tasks:
                self._thread = None
            return bool(self._tasks)

    def _give_turn(self, task: Schedulable) -> bool:
        self._free.wait(self.YIELD_TIMEOUT_S)
        try:
            return task.take_turn(self.SLICE_S)
        except Exception as error:
            log.exception("a run was stopped by an error")
            self.remove(task)
            task.fail(error)
            return False


SCHEDULER = Scheduler()


class Clock:
    """Play, pause, step, look back and reset for one run, at the speed in its settings."""

    def __init__(self, run: Trainable, scheduler: Scheduler = SCHEDULER) -> None:
        self.run = run
        self.playing = False
        self._scheduler = scheduler
        self._pace = Pace()
        self._hand = threading.RLock()
        self._goal: int | None = None

    def play(self) -> None:
        """Goes on from the epoch that is shown, also after a stop rule; a run that diverged stays where it is."""
        if self.run.looked_at is not None:
            self.run.fork()
        with self._hand:
            self.run.resume()
            if not self.run.ended:
                self._pace = Pace()
                self._set_playing(True)

    def pause(self) -> None:
        """Stop."""
        self._goal = None
        self._set_playing(False)

    def go_to(self, epoch: int) -> None:
        """Train up to an epoch as fast as possible, and stop there."""
        if epoch > self.run.history[-1].index:
            self.play()
            self._goal = epoch

    def toggle(self) -> None:
        """Plays if paused, pauses if playing."""
        self.pause() if self.playing else self.play()

    def step(self) -> None:
        """Goes one epoch on and stops: to the next recorded one when looking back, else trains one."""
        self.pause()
        if self.run.looked_at is not None:
            self._look(1)
            return
        self.run.resume()
        self.run.advance(1)

    def back(self) -> None:
        """Look at the recorded epoch before the one that is shown."""
        self.pause()
        self._look(-1)

    def look_at(self, epoch: int | None) -> None:
        """Stop and look at an epoch; from the newest on, or at None, at the newest."""
        self.pause()
        self.run.look_at(self._not_newest(epoch))

    def _not_newest(self, epoch: int | None) -> int | None:
        """The epoch; None for the newest, which may change meanwhile."""
        return epoch if epoch is not None and epoch < self.run.history[-1].index else None

    def reset(self) -> None:
        """Return to epoch 0 with the same weights."""
        self.pause()
        self.run.reset()

    def start_slower(self) -> None:
        """Start again at half the learning rate, and play."""
        self.reset()  # first, so that what is left keeps its rate for an undo
        settings = self.run.settings
        settings.learning_rate = max(settings.param.learning_rate.bounds[0], settings.learning_rate / 2)
        self.play()

    def undo(self) -> None:
        """Stop, and restore what the last fresh start or fork has replaced."""
        self.pause()
        self.run.undo()

    def take_turn(self, seconds: float) -> bool:
        """Train what is due, for about that many seconds; pauses when the run has ended."""
        until, worked = time.perf_counter() + seconds, False
        due = self._pace.due(self.run.settings.speed) if self._goal is None else self._missing
        while due > 0 and self.playing and not self.run.ended and time.perf_counter() < until:
            due -= self._train(min(due, self._pace.fits(seconds / 2)), until)
            worked = True
        self._pace.owe(due)
        with self._hand:
            if self.run.ended or (self._goal is not None and not self._missing):
                self.pause()
        return worked

    def fail(self, error: Exception) -> None:
        """Pauses, and shows the error."""
        self.playing = False
        self.run.refuse(f"The training was stopped by an error: {error}. Change a setting or reset to start again.")

    @property
    def _missing(self) -> int:
        """Number of epochs to the one that is to be reached."""
        return max(0, (self._goal or 0) - self.run.history[-1].index)

    def _look(self, steps: int) -> None:
        history, shown = self.run.history, self.run.frame().epoch.index
        place = bisect_left(history, shown, key=lambda moment: moment.index) + steps
        self.look_at(history[min(max(place, 0), len(history) - 1)].index)

    def _train(self, epochs: int, until: float) -> int:
        """Train one block, or a part of it when the time is over; return the number of epochs recorded."""
        with self._hand:
            if not self.playing:
                return 0
            began = time.perf_counter()
            done = self.run.advance(min(epochs, self.run.block), lambda: time.perf_counter() > until)
            self._pace.took(done, time.perf_counter() - began)
            return done

    def _set_playing(self, playing: bool) -> None:
        with self._hand:
            self.playing = playing
            (self._scheduler.add if playing else self._scheduler.remove)(self)
        self.run.touch()


class Pace:
    """How many epochs are due at a speed, and how many fit into a turn."""

    FREE = 1_000_000

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self._owed = 0.0
        self._seconds_per_epoch = 0.001

    def due(self, speed: float) -> int:
        """Whole epochs due by now at `speed` epochs a second; 0 means as fast as possible.

        At most a quarter of a second is made up for.
        """
        now = time.perf_counter()
        if not speed:
            return self.FREE
        self._owed = min(self._owed + (now - self._since) * speed, max(1.0, speed / 4))
        self._since = now
        return int(self._owed)

    def owe(self, epochs: int) -> None:
        """Note what was due and is not done yet."""
        self._owed = epochs + self._owed % 1

    def fits(self, seconds: float) -> int:
        """How many epochs fit into that many seconds, at least one."""
        return max(1, int(seconds / self._seconds_per_epoch))

    def took(self, epochs: int, seconds: float) -> None:
        """Update the estimate by a measurement."""
        self._seconds_per_epoch += 0.3 * (seconds / max(1, epochs) - self._seconds_per_epoch)


class CooperativeTask:
    """Work in small pieces that the scheduler does between turns of training, such as a loss plane.

    Where a piece takes so long that runs would have to wait, the rest moves to a `ThreadTask`.
    """

    LONG = 0.02
    """Most seconds that a piece may work, not counting the time its thread waits for others."""

    def __init__(
        self,
        pieces: Iterator[object],
        scheduler: Scheduler = SCHEDULER,
        too_long: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin the work.

        Args:
            pieces: Iterator that does one piece at each step.
            scheduler: Gives the turns; by default the one of the process.
            too_long: Called when the pieces take too long for the scheduler.
        """
        self._pieces, self._too_long = pieces, too_long
        self._scheduler = scheduler
        self._waiting, self._job = True, None
        self._scheduler.add(self)

    @property
    def busy(self) -> bool:
        """Whether there is something left to do."""
        return self._job.busy if self._job else self._waiting

    def take_turn(self, seconds: float) -> bool:
        """Works for about that many seconds; leaves the scheduler when nothing is left."""
        until, before = time.perf_counter() + seconds, time.thread_time()
        for _ in self._pieces:
            worked = time.thread_time() - before
            if worked > self.LONG:
                self._hand_over()
                return True
            if time.perf_counter() >= until:
                return True
            before += worked
        self.drop()
        return True

    def fail(self, error: Exception) -> None:
        """Leave the picture as it was; the scheduler has logged the error."""
        self._waiting = False

    def drop(self) -> None:
        """Drop the rest of the work."""
        self._waiting = False
        self._scheduler.remove(self)
        if self._job:
            self._job.drop()

    def _hand_over(self) -> None:
        self._scheduler.remove(self)
        self._too_long()
        self._job = ThreadTask(self._pieces, in_turn=True)
        if not self._waiting:
            self._job.drop()
