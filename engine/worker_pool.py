"""Worker processes on all cores, for work that is divided into tasks."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

ONE_THREAD: dict[str, str] = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
NAMELESS = {"__spec__": None, "__file__": None}


def processes(prepare: Callable[..., None] | None = None, *arguments: Any, workers: int | None = None) -> "Workers":
    """An executor with so many processes, by default one for each core.

    They start when they are needed and leave together with this one.

    Each has one BLAS thread: several that share a core's caches would only wait for one another. A script that uses
    them needs no `if __name__ == "__main__"`.

    prepare: called in each new process with the arguments.
    """
    return Workers(workers or cores(), prepare, arguments)


class Workers(ProcessPoolExecutor):
    """Worker processes that can be stopped in the midst of a task."""

    def __init__(self, count: int, prepare: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
        self._started = _WorkerContext()
        super().__init__(count, self._started, _settle, (prepare, arguments))

    def kill(self) -> None:
        """End all processes at once, whatever they are doing, and take no more tasks."""
        self.shutdown(wait=False, cancel_futures=True)
        for process in self._started.processes:
            if process.is_alive():
                process.kill()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _WorkerProcess(SpawnProcess):
    """A fresh Python with one BLAS thread, which does not run the caller's script again and needs no guard in it.

    Both must be settled before the process imports anything: BLAS reads its environment as NumPy is loaded, and what
    is to be imported is looked up in `__main__` as the process starts. The two change back a moment later.
    """

    def start(self) -> None:
        with _STARTING, _written(os.environ, ONE_THREAD), _written(vars(sys.modules["__main__"]), NAMELESS):
            super().start()


class _WorkerContext(SpawnContext):
    """Spawned, not forked: a fork of a server with threads may inherit locks that nobody will ever release."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[_WorkerProcess] = []

    def Process(self, *arguments: Any, **named: Any) -> _WorkerProcess:  # noqa: N802 (the name is multiprocessing's)
        process = _WorkerProcess(*arguments, **named)
        self.processes.append(process)
        return process


_STARTING = threading.Lock()


def _settle(prepare: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """Prepare a new worker process; it leaves together with its parent, however that ends."""
    threading.Thread(target=_leave_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    if prepare:
        prepare(*arguments)


def _leave_with(parent: multiprocessing.Process) -> None:
    parent.join()
    os._exit(1)


@contextmanager
def _written(mapping: Any, entries: Mapping[str, Any]) -> Iterator[None]:
    """Entries written for a while, and put back, or taken out, afterwards."""
    before = {name: mapping[name] for name in entries if name in mapping}
    mapping.update(entries)
    try:
        yield
    finally:
        for name in entries.keys() - before.keys():
            del mapping[name]
        mapping.update(before)
