"""Where comparisons and maps are computed: on the Dask cluster that is named, else in processes of this machine."""

from concurrent.futures import Executor
from functools import cache
from typing import NamedTuple

from dashboard.state.dask_executor import DaskExecutor, cluster
from engine.worker_pool import cores, processes


class Workers(NamedTuple):
    """An executor, and what to say of it.

    Attributes:
        executor: Takes the tasks.
        notice: Why it is not the cluster that was asked for, as a sentence; empty where nothing is amiss.
    """

    executor: Executor
    notice: str = ""

    @property
    def count(self) -> int | None:
        """How many there are; None where the executor counts them itself."""
        return None if isinstance(self.executor, DaskExecutor) else local_count()

    @property
    def words(self) -> str:
        """Where it computes, and on how many workers."""
        if isinstance(self.executor, DaskExecutor):
            count = self.executor.workers
            return f"{count} worker{'s' * (count != 1)} of the cluster at {self.executor.address}"
        count = local_count()
        return f"{count} process{'es' * (count != 1)} of this machine"

    @property
    def dashboard(self) -> str:
        """The address of the cluster's own page; empty where there is none."""
        return self.executor.dashboard if isinstance(self.executor, DaskExecutor) else ""


def workers() -> Workers:
    """Those in use at present. To reach a cluster for the first time may take seconds: call it in a thread."""
    try:
        found = cluster()
    except (ConnectionError, ImportError) as error:
        return Workers(local(), f"Computed on this machine: {error}.")
    return Workers(found or local())


def local_count() -> int:
    """How many processes there are on this machine; one core stays free for the runs that are watched."""
    return max(1, cores() - 1)


@cache
def local() -> Executor:
    """The processes that all comparisons and maps in this one share."""
    return processes(workers=local_count())


def forget() -> None:
    """Have other processes started: those that have lost one of them take no more tasks."""
    local.cache_clear()


def is_gone(executor: Executor) -> bool:
    """Whether this is a cluster whose scheduler does not answer any more."""
    return isinstance(executor, DaskExecutor) and not executor.alive
