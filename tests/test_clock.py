"""Laws of the clock, with a time that the tests move: one thread for all, fair turns, the speed that was asked for."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dashboard.state import clock as clocks
from dashboard.state.clock import Clock, CooperativeTask, Pace, Scheduler
from dashboard.state.run import Run
from dashboard.state.settings import Settings

PATIENCE = 60
"""Seconds after which a thread that should have come is taken for one that never will."""


class Time:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now

    thread_time = perf_counter

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Stand:
    """A scheduler that gives no turns by itself."""

    def __init__(self) -> None:
        self.tasks: list[Any] = []

    def add(self, task: Any) -> None:
        self.tasks.append(task)

    def remove(self, task: Any) -> None:
        self.tasks = [other for other in self.tasks if other is not task]


class CountingTask:
    """Counts its turns, notes which threads took them, and calls a function in one of them."""

    def __init__(self, at: int = 0, act: Callable[[], None] = lambda: None) -> None:
        self.turns = 0
        self.errors: list[Exception] = []
        self.threads: set[int] = set()
        self._at, self._act = at, act
        self._changed = threading.Condition()

    def take_turn(self, seconds: float) -> bool:
        with self._changed:
            self.turns += 1
            self.threads.add(threading.get_ident())
            self._changed.notify_all()
        if self.turns == self._at:
            self._act()
        return True

    def fail(self, error: Exception) -> None:
        self.errors.append(error)

    def wait_for(self, turns: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.turns >= turns, PATIENCE)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    moved = Time()
    monkeypatch.setattr(clocks, "time", moved)
    return moved


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler()
    yield scheduler
    for task in scheduler._tasks:
        scheduler.remove(task)
    join(scheduler)


def join(scheduler: Scheduler) -> None:
    thread = scheduler._thread
    if thread:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def boom() -> None:
    raise ArithmeticError("a number fell over")


def small_run(**settings: Any) -> Run:
    return Run(Settings(**{"n": 40, "hidden": [3], **settings}))


def epoch(clock: Clock) -> int:
    return clock.run.history[-1].index


def test_a_scheduler_without_tasks_has_no_thread(scheduler):
    assert scheduler.tasks == 0
    assert scheduler._thread is None


def test_one_thread_gives_all_turns(scheduler):
    tasks = [CountingTask() for _ in range(12)]
    for task in tasks:
        scheduler.add(task)
    for task in tasks:
        task.wait_for(20)
    assert scheduler.tasks == 12
    assert len(set().union(*(task.threads for task in tasks))) == 1


def test_the_thread_ends_when_the_last_task_is_removed(scheduler):
    tasks = [CountingTask(), CountingTask()]
    for task in tasks:
        scheduler.add(task)
    tasks[1].wait_for(3)
    thread = scheduler._thread
    scheduler.remove(tasks[0])
    turns = tasks[1].turns
    tasks[1].wait_for(turns + 3)
    scheduler.remove(tasks[1])
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert scheduler._thread is None


def test_a_task_that_is_added_again_gets_turns_again(scheduler):
    task = CountingTask()
    for _ in range(20):
        turns = task.turns
        scheduler.add(task)
        task.wait_for(turns + 1)
        scheduler.remove(task)
    join(scheduler)


def test_a_task_that_is_added_twice_gets_one_turn_a_round(scheduler):
    task, other = CountingTask(), CountingTask()
    scheduler.add(other)
    for _ in range(3):
        scheduler.add(task)
    task.wait_for(100)
    assert scheduler.tasks == 2


def test_turns_are_fair(scheduler):
    """From the moment all are there nobody is ever more than a round ahead of anybody else."""
    spreads: list[int] = []
    tasks = [CountingTask() for _ in range(5)]
    witness = CountingTask()
    witness.take_turn = lambda _: bool(spreads.append(max(counts()) - min(counts()))) or True

    def counts() -> list[int]:
        return [task.turns for task in tasks]

    gate = CountingTask(1, lambda: [scheduler.add(task) for task in [*tasks, witness]])
    scheduler.add(gate)
    tasks[-1].wait_for(200)
    scheduler.remove(witness)
    assert max(spreads) <= 1


def test_an_error_in_one_task_does_not_stop_the_others(scheduler, caplog):
    good, bad, late = CountingTask(), CountingTask(3, boom), CountingTask()
    for task in (good, bad, late):
        scheduler.add(task)
    turns = good.turns
    for task in (good, late):
        task.wait_for(turns + 50)
    assert bad.turns == 3
    assert [str(error) for error in bad.errors] == ["a number fell over"]
    assert scheduler.tasks == 2
    assert "a number fell over" in caplog.text


def test_an_error_in_the_only_task_ends_the_thread(scheduler):
    bad = CountingTask(1, boom)
    scheduler.add(bad)
    join(scheduler)
    assert scheduler.tasks == 0
    again = CountingTask()
    scheduler.add(again)
    again.wait_for(1)


def test_a_task_that_was_removed_gets_no_more_turns(scheduler):
    """Removed by the one before it, in the same round."""
    victim = CountingTask()
    remover = CountingTask(5, lambda: scheduler.remove(victim))
    for task in (remover, victim):
        scheduler.add(task)
    remover.wait_for(20)
    assert victim.turns < 5


def test_a_new_clock_stands_still():
    clock = Clock(small_run(), Stand())
    assert not clock.playing
    assert epoch(clock) == 0


def test_playing_and_pausing_come_and_go_with_the_scheduler():
    stand = Stand()
    clock = Clock(small_run(), stand)
    for playing in (True, False, True, False):
        clock.toggle()
        assert clock.playing is playing
        assert stand.tasks == [clock] * playing


def test_step_trains_exactly_one_epoch_and_stands_still(time):
    stand = Stand()
    clock = Clock(small_run(), stand)
    for wanted in (1, 2, 3):
        clock.step()
        assert epoch(clock) == wanted
    clock.play()
    clock.step()
    assert (epoch(clock), clock.playing, stand.tasks) == (4, False, [])


def test_reset_stands_at_the_untrained_network(time):
    stand = Stand()
    clock = Clock(small_run(speed=0), stand)
    clock.play()
    clock.run.advance(10)
    clock.reset()
    assert (epoch(clock), clock.playing, stand.tasks) == (0, False, [])


def test_a_paused_clock_trains_nothing_in_a_turn_that_had_begun(time):
    clock = Clock(small_run(speed=0), Stand())
    clock.play()
    clock.pause()
    clock.take_turn(0.008)
    assert epoch(clock) == 0


@pytest.mark.parametrize("look", range(1, 6))
@pytest.mark.parametrize("action", ["reset", "pause", "step"])
def test_what_a_hand_does_in_the_midst_of_a_turn_is_the_last_word(monkeypatch, action, look):
    """A hand, that is another thread, acts when the turn looks at the time; the turn adds no epoch to what it left."""
    clock = Clock(small_run(speed=0), Stand())
    clock.play()
    left: list[int] = []
    hands = [threading.Thread(target=lambda: (getattr(clock, action)(), left.append(epoch(clock))))]

    class Interrupted(Time):
        def __init__(self) -> None:
            super().__init__()
            self.looks = 0

        def perf_counter(self) -> float:
            self.looks += threading.current_thread() is turning
            if self.looks == look and not hands[0].ident:
                hands[0].start()
                hands[0].join(0.1)  # it may have to wait for the block in hand
            self.now += 0.001
            return self.now

    turning = threading.Thread(target=clock.take_turn, args=(0.008,))
    monkeypatch.setattr(clocks, "time", Interrupted())
    for thread in (turning, *hands):
        if thread is turning:
            thread.start()
        thread.join(PATIENCE)
    assert not clock.playing
    assert left == [epoch(clock)]
    assert action != "reset" or left == [0]


def test_a_stop_rule_pauses_and_play_goes_on_behind_it(time):
    stand = Stand()
    clock = Clock(small_run(speed=0, stop_epoch=20), stand)
    clock.play()
    for _ in range(10):
        clock.take_turn(0.008)
    assert (epoch(clock), clock.playing, stand.tasks) == (20, False, [])
    clock.play()
    assert clock.playing
    clock.run.advance(1)
    assert epoch(clock) == 21


def test_play_in_the_midst_of_the_pause_of_a_stop_rule_is_the_last_word():
    leaves, may_leave, has_left = threading.Event(), threading.Event(), threading.Event()

    class Slow(Scheduler):
        def remove(self, task: Clock) -> None:
            leaves.set()
            may_leave.wait(PATIENCE)
            super().remove(task)
            has_left.set()

    scheduler = Slow()
    clock = Clock(small_run(stop_epoch=3, speed=0), scheduler)
    clock.play()
    assert leaves.wait(PATIENCE)
    play = threading.Thread(target=clock.play)
    play.start()
    play.join(0.1)
    may_leave.set()
    play.join()
    assert has_left.wait(PATIENCE)
    assert (clock.playing, scheduler.tasks) == (True, 1)
    clock.pause()
    join(scheduler)


def test_a_run_that_diverged_does_not_play():
    clock = Clock(small_run(dataset="sine", activation="linear", learning_rate=10.0), Stand())
    clock.run.advance(10_000)
    clock.play()
    assert clock.run.ended.startswith("diverged")
    assert not clock.playing


def test_an_error_in_training_pauses_and_is_reported(scheduler, monkeypatch):
    run = small_run()
    monkeypatch.setattr(run, "advance", lambda *_: boom())
    clock = Clock(run, scheduler)
    clock.play()
    join(scheduler)
    assert not clock.playing
    assert "a number fell over" in run.message
    version = run.version
    clock.reset()
    assert run.message == ""
    assert run.version > version


def test_every_change_of_the_clock_is_drawn():
    clock = Clock(small_run(), Stand())
    for action in (clock.play, clock.pause, clock.step, clock.reset):
        version = clock.run.version
        action()
        assert clock.run.version > version


@pytest.mark.parametrize("turn_every", [0.002, 0.016, 0.08])
@pytest.mark.parametrize("speed", [1, 5, 20, 100, 500])
def test_the_speed_is_the_one_asked_for(time, speed, turn_every):
    """Whether turns come every 2 ms, or every 80 because ten others play; at most an epoch a turn is rounded away."""
    clock = Clock(small_run(speed=speed), Stand())
    clock.play()
    turns = int(max(2.0, 20 / speed) / turn_every)
    for _ in range(turns):
        time.now += turn_every
        clock.take_turn(0.008)
    assert epoch(clock) == pytest.approx(speed * turns * turn_every, rel=0.08, abs=1)


def test_a_new_speed_takes_hold_at_the_next_turn(time):
    clock = Clock(small_run(speed=5), Stand())
    clock.play()
    for speed, seconds in ((5, 2), (100, 2), (5, 2)):
        clock.run.settings.speed = speed
        before = epoch(clock)
        for _ in range(100 * seconds):
            time.now += 0.01
            clock.take_turn(0.008)
        assert epoch(clock) - before == pytest.approx(speed * seconds, rel=0.08, abs=2)


def test_as_fast_as_it_goes_leaves_nothing_owed_to_a_lower_speed(time):
    clock = Clock(small_run(speed=0, stop_epoch=64), Stand())
    clock.play()
    clock.take_turn(0.008)
    clock.run.settings.param.update(speed=5, stop_epoch=0)
    clock.play()
    before = epoch(clock)
    time.now += 0.01
    clock.take_turn(0.008)
    assert epoch(clock) - before <= 1


def test_after_a_long_silence_no_more_than_a_quarter_of_a_second_is_made_up_for(time):
    clock = Clock(small_run(speed=100), Stand())
    clock.play()
    time.now += 3600
    clock.take_turn(0.008)
    assert epoch(clock) == 25


def test_a_turn_is_bounded_in_time_however_slow_the_epochs_are(time, monkeypatch):
    """Once a few epochs have been timed, a turn takes no longer than it may and one block more."""
    clock = Clock(small_run(speed=0), Stand())
    monkeypatch.setattr(clock.run, "advance", lambda epochs, _: time.sleep(0.003 * epochs) or epochs)
    clock.play()
    took = []
    for _ in range(20):
        began = time.now
        clock.take_turn(0.008)
        took.append(time.now - began)
    assert max(took[5:]) <= 0.008 + 0.003 + 1e-9


def test_a_turn_without_anything_due_lets_the_thread_rest(time):
    clock = Clock(small_run(speed=1), Stand())
    clock.play()
    assert not clock.take_turn(0.008)
    time.now += 1.001
    assert clock.take_turn(0.008)


def test_at_least_one_epoch_always_fits():
    pace = Pace()
    pace.took(1, 1e6)
    assert pace.fits(0.004) == 1


def test_a_chore_does_its_pieces_in_turns_and_leaves(time):
    stand, done = Stand(), []

    def pieces() -> Iterator[None]:
        for piece in range(10):
            time.now += 0.003
            done.append(piece)
            yield

    task = CooperativeTask(pieces(), stand)
    turns = 0
    while stand.tasks:
        assert task.busy
        before = len(done)
        task.take_turn(0.008)
        assert len(done) - before <= 3
        turns += 1
    assert done == list(range(10))
    assert not task.busy
    assert turns > 1


def test_a_dropped_chore_does_no_more_pieces(time):
    done: list[int] = []

    def pieces() -> Iterator[None]:
        for piece in range(10):
            time.now += 0.01
            done.append(piece)
            yield

    stand = Stand()
    task = CooperativeTask(pieces(), stand)
    task.take_turn(0.005)
    task.drop()
    assert (task.busy, stand.tasks, len(done)) == (False, [], 1)


def test_a_task_of_long_pieces_moves_to_a_thread_and_can_be_dropped_there(time):
    threads: list[str] = []
    more, told = threading.Semaphore(0), threading.Event()

    def pieces() -> Iterator[None]:
        for _ in range(10):
            time.now += CooperativeTask.LONG + 0.001
            threads.append(threading.current_thread().name)
            yield
            assert more.acquire(timeout=PATIENCE)

    stand = Stand()
    task = CooperativeTask(pieces(), stand, too_long=told.set)
    task.take_turn(1.0)
    assert told.is_set() and not stand.tasks and task.busy
    more.release()
    for _ in range(PATIENCE * 100):
        if len(threads) == 2:
            break
        threading.Event().wait(0.01)
    assert threads == [threading.current_thread().name, "job"]
    task.drop()
    assert not task.busy
    more.release()
    task._job.wait(PATIENCE)
    assert len(threads) <= 3


def test_a_chore_that_fails_is_over_and_the_training_goes_on(scheduler):
    def pieces() -> Iterator[None]:
        yield
        boom()

    training = CountingTask()
    scheduler.add(training)
    task = CooperativeTask(pieces(), scheduler)
    for _ in range(PATIENCE * 10):
        if not task.busy:
            break
        threading.Event().wait(0.1)
    assert not task.busy
    training.wait_for(training.turns + 5)
    assert scheduler.tasks == 1
