"""Clock: play, pause, step, reset. The only place where time passes.

All runs that play in one process are advanced by a single thread, the `Scheduler`, in short turns. That keeps the
server's loop free for controls and pictures: measured with ten runs playing, a slider is heard within 0.15 s, against
1.3 s with training on the loop and 5.7 s with a thread for each run.
"""

import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from dashboard.state.job import ThreadTask
from dashboard.state.store import Store

log = logging.getLogger(__name__)


class Player(Protocol):
    """Whatever the conductor gives turns to."""

    def take_turn(self, seconds: float) -> bool:
        """Work for about that long; False where there was nothing to do yet."""

    def fail(self, error: Exception) -> None:
        """Hear that a turn raised, and that no other will come."""


class Scheduler:
    """One thread that gives every playing run of the process a short turn, one after the other.

    The thread starts with the first player and ends when the last has left. While frames are drawn it stands still:
    two threads that both hold and release the interpreter's lock all the time slow one another down tenfold.
    """

    SLICE_S = 0.004
    IDLE_S = 0.002
    YIELD_TIMEOUT_S = 0.1

    def __init__(self) -> None:
        self._players: list[Player] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._drawing = 0
        self._free = threading.Event()
        self._free.set()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Begin no turn while the body runs, or for a tenth of a second if it is longer."""
        self._drawing += 1
        self._free.clear()
        try:
            yield
        finally:
            self._drawing -= 1
            if not self._drawing:
                self._free.set()

    def add(self, player: Player) -> None:
        """Give it turns until it is removed."""
        with self._lock:
            if player not in self._players:
                self._players = [*self._players, player]
            if self._thread is None:
                self._thread = threading.Thread(target=self._conduct, name="scheduler", daemon=True)
                self._thread.start()

    def remove(self, player: Player) -> None:
        """Give it no more turns; one that has begun still ends."""
        with self._lock:
            self._players = [other for other in self._players if other is not player]

    @property
    def players(self) -> int:
        """How many are given turns."""
        return len(self._players)

    @property
    def runs(self) -> int:
        """How many of them are runs that train, and not chores."""
        return sum(isinstance(player, Clock) for player in self._players)

    def _conduct(self) -> None:
        while self._any_left():
            worked = [self._give_turn(player) for player in self._players if player in self._players]
            time.sleep(0 if any(worked) else self.IDLE_S)

    def _any_left(self) -> bool:
        with self._lock:
            if not self._players:
                self._thread = None
            return bool(self._players)

    def _give_turn(self, player: Player) -> bool:
        self._free.wait(self.YIELD_TIMEOUT_S)
        try:
            return player.take_turn(self.SLICE_S)
        except Exception as error:
            log.exception("a run was stopped by an error")
            self.remove(player)
            player.fail(error)
            return False


SCHEDULER = Scheduler()


class Clock:
    """Play, pause, step, look back and reset for one run, at the speed its settings ask for."""

    def __init__(self, run: Store, scheduler: Scheduler = SCHEDULER) -> None:
        self.run = run
        self.playing = False
        self._scheduler = scheduler
        self._pace = Pace()
        self._hand = threading.RLock()
        self._goal: int | None = None

    def play(self) -> None:
        """Go on from the epoch that is shown, also after a stop rule; a run that diverged stays where it is."""
        if self.run.looked_at is not None:
            self.run.fork()
        with self._hand:
            self.run.resume()
            if not self.run.ended:
                self._pace = Pace()
                self._set_playing(True)

    def pause(self) -> None:
        """Stand still."""
        self._goal = None
        self._set_playing(False)

    def go_to(self, epoch: int) -> None:
        """Train up to an epoch as fast as it goes, and stand still there."""
        if epoch > self.run.history[-1].index:
            self.play()
            self._goal = epoch

    def toggle(self) -> None:
        """Play if paused, pause if playing."""
        self.pause() if self.playing else self.play()

    def step(self) -> None:
        """Go one epoch on and stand still: to the next one kept when looking back, else train one."""
        self.pause()
        if self.run.looked_at is not None:
            self._look(1)
            return
        self.run.resume()
        self.run.advance(1)

    def back(self) -> None:
        """Look at the epoch kept before the one that is shown."""
        self.pause()
        self._look(-1)

    def look_at(self, epoch: int | None) -> None:
        """Stand still and look at an epoch; from the newest on, or at None, at the newest."""
        self.pause()
        self.run.look_at(self._not_newest(epoch))

    def _not_newest(self, epoch: int | None) -> int | None:
        """The epoch; None for the newest, which may be another one by now."""
        return epoch if epoch is not None and epoch < self.run.history[-1].index else None

    def reset(self) -> None:
        """Stand at epoch 0 with the same weights."""
        self.pause()
        self.run.reset()

    def undo(self) -> None:
        """Stand still, and have back what the last fresh start or fork has left behind."""
        self.pause()
        self.run.undo()

    def take_turn(self, seconds: float) -> bool:
        """Train what is due, for about that many seconds; pause when the run has ended."""
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
        """Pause and say so."""
        self.playing = False
        self.run.refuse(f"The training was stopped by an error: {error}. Change a setting or reset to start again.")

    @property
    def _missing(self) -> int:
        """Epochs to the one that is to be reached."""
        return max(0, (self._goal or 0) - self.run.history[-1].index)

    def _look(self, steps: int) -> None:
        history, shown = self.run.history, self.run.frame().epoch.index
        place = bisect_left(history, shown, key=lambda moment: moment.index) + steps
        self.look_at(history[min(max(place, 0), len(history) - 1)].index)

    def _train(self, epochs: int, until: float) -> int:
        """Train one block, or a piece of it when the time is over; how many epochs were recorded."""
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
        """Whole epochs due by now at `speed` epochs a second; 0 is as fast as it goes.

        At most a quarter of a second is made up for.
        """
        now = time.perf_counter()
        if not speed:
            return self.FREE
        self._owed = min(self._owed + (now - self._since) * speed, max(1.0, speed / 4))
        self._since = now
        return int(self._owed)

    def owe(self, epochs: int) -> None:
        """What was due and is not done yet."""
        self._owed = epochs + self._owed % 1

    def fits(self, seconds: float) -> int:
        """How many epochs fit into that many seconds, at least one."""
        return max(1, int(seconds / self._seconds_per_epoch))

    def took(self, epochs: int, seconds: float) -> None:
        """Learn from a measurement."""
        self._seconds_per_epoch += 0.3 * (seconds / max(1, epochs) - self._seconds_per_epoch)


class CooperativeTask:
    """Work in small pieces that the conductor does beside the training: a loss plane, say.

    Where a piece takes so long that the runs would wait for it, the rest goes on beside them, as a job.
    """

    LONG = 0.02
    """Seconds that a piece may work, not counting what its thread waits for others."""

    def __init__(
        self,
        pieces: Iterator[object],
        scheduler: Scheduler = SCHEDULER,
        too_long: Callable[[], None] = lambda: None,
    ) -> None:
        """too_long: hears that the pieces take too long for the conductor."""
        self._pieces, self._too_long = pieces, too_long
        self._scheduler = scheduler
        self._waiting, self._job = True, None
        self._scheduler.add(self)

    @property
    def busy(self) -> bool:
        """Whether there is something left to do."""
        return self._job.busy if self._job else self._waiting

    def take_turn(self, seconds: float) -> bool:
        """Do pieces for about that long; leave when there are no more."""
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
        """The picture stays as it was; the conductor has logged why."""
        self._waiting = False

    def drop(self) -> None:
        """Leave the rest undone."""
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
