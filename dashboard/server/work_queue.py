"""Long work of a page's pictures, done beside the training."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol
from weakref import WeakSet

from dashboard.state.clock import CooperativeTask
from dashboard.state.store import Frame
from dashboard.state.thread_task import ThreadTask

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds from the beginning of a round to that of the next."""


class Worker(Protocol):
    """What has heavy work now and then: a picture, say. `heavy` says that pieces of it may take long."""

    heavy: bool

    def work(self, frame: Frame) -> Iterator[object] | None:
        """The work, in small pieces; None where there is none to do now."""

    def give_up(self, error: Exception) -> None:
        """Note that the work was stopped by an error, which has been logged."""


class WorkQueue:
    """Has heavy work done, one piece of work at a time.

    A round, begun once a second and at a fresh start of the run, gives every picture in view its turn. Others, whose
    work may take as long as the run does, go on beside the pictures, all at once.
    """

    def __init__(
        self, in_view: Callable[[], Sequence[Worker]], others: Callable[[], Sequence[Worker]] = lambda: ()
    ) -> None:
        """in_view: the pictures that are in view now. others: who has work besides them now."""
        self._in_view, self._others = in_view, others
        self._beside: dict[Worker, CooperativeTask | ThreadTask] = {}
        self._waiting: list[Worker] = []
        self._slow: WeakSet[Worker] = WeakSet()
        self._failed: WeakSet[Worker] = WeakSet()
        self._task: CooperativeTask | ThreadTask | None = None
        self._setup, self._began = None, 0.0

    @property
    def under_way(self) -> bool:
        """Whether somebody works or waits for a turn."""
        return bool(self._waiting) or self._is_busy or any(one.busy for one in self._beside.values())

    def go_on(self, frame: Frame) -> None:
        """Have the next work done, if it is time; what is being done for the same run is left to go on."""
        fresh = frame.setup is not self._setup
        self._go_on_beside(frame)
        if self._is_busy and not fresh:
            return
        if fresh or (not self._waiting and time.perf_counter() - self._began >= EVERY):
            self._begin(frame)
        while self._waiting:
            worker = self._waiting.pop(0)
            work = None if worker in self._failed else worker.work(frame)
            if work:
                if self._task:
                    self._task.drop()
                self._task = self._begun(worker, work)
                return

    def drop(self) -> None:
        """Leave the work in hand undone."""
        for task in (self._task, *self._beside.values()):
            if task:
                task.drop()
        self._beside = {}

    def _go_on_beside(self, frame: Frame) -> None:
        """Have those work who are no pictures, if they do not already; drop the work of those who have left."""
        others = self._others()
        for worker in [worker for worker in self._beside if worker not in others]:
            self._beside.pop(worker).drop()
        for worker in others:
            at_work = worker in self._beside and self._beside[worker].busy
            work = None if at_work or worker in self._failed else worker.work(frame)
            if work:
                self._beside[worker] = self._begun(worker, work)

    @property
    def _is_busy(self) -> bool:
        return self._task is not None and self._task.busy

    def _begun(self, worker: Worker, work: Iterator[object]) -> CooperativeTask | ThreadTask:
        """The work under way, where those whose pieces take long do not keep the runs waiting."""
        work = self._guarded(worker, work)
        if worker.heavy or worker in self._slow:
            return ThreadTask(work, in_turn=True)
        return CooperativeTask(work, too_long=lambda: self._slow.add(worker))

    def _guarded(self, worker: Worker, work: Iterator[object]) -> Iterator[object]:
        """The work; what fails is logged, said by its picture, and not tried again before a fresh start."""
        try:
            yield from work
        except Exception as error:
            self._failed.add(worker)
            log.exception("the work of a picture was stopped by an error")
            worker.give_up(error)

    def _begin(self, frame: Frame) -> None:
        """Begin a round; of a run that has started afresh nobody is known to be slow."""
        if frame.setup is not self._setup:
            self._slow.clear()
            self._failed.clear()
        self._began, self._setup = time.perf_counter(), frame.setup
        self._waiting = [*self._in_view()]
