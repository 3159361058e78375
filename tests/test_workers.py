"""Comparisons and maps go to the cluster that is named, and go on here without it."""

from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor

import pytest

from dashboard.state import study, workers
from dashboard.state.dask_executor import VARIABLE, DaskExecutor
from dashboard.state.settings import Settings
from dashboard.state.study import Plan, Study

PLAN = Plan({"one": {"learning_rate": 0.3}}, seeds=3, epochs=40)


class Cluster(DaskExecutor):
    """A cluster that does some tasks in a thread of this process, and is gone then."""

    def __init__(self, tasks: int) -> None:
        self._pool, self._left = ThreadPoolExecutor(1), tasks
        self.address, self.dashboard = "tcp://nowhere:8786", "http://nowhere:8787/status"

    @property
    def alive(self) -> bool:
        return self._left > 0

    @property
    def workers(self) -> int:
        return 8

    def submit(self, *call: object, **named: object) -> Future:
        if not self.alive:
            raise BrokenExecutor("the scheduler does not answer any more")
        self._left -= 1
        return self._pool.submit(*call, **named)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Executor:
    """Processes of this machine are a thread of this one."""
    pool = ThreadPoolExecutor(1)
    monkeypatch.setattr(workers, "local", lambda: pool)
    monkeypatch.setattr(study, "local", lambda: pool)
    Study.remembered.clear()
    return pool


def test_without_a_cluster_they_are_processes_of_this_machine(here, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    found = workers.workers()
    assert found.executor is here
    assert (found.notice, found.dashboard) == ("", "")
    assert found.words.endswith("of this machine")


def test_a_cluster_that_cannot_be_reached_is_said(here, monkeypatch):
    def refused() -> None:
        raise ConnectionError("no scheduler answers at tcp://nowhere:1")

    monkeypatch.setattr(workers, "cluster", refused)
    found = workers.workers()
    assert found.executor is here
    assert found.notice == "Computed on this machine: no scheduler answers at tcp://nowhere:1."


def test_a_cluster_says_where_it_is_and_how_large(monkeypatch):
    monkeypatch.setattr(workers, "cluster", lambda: Cluster(1))
    found = workers.workers()
    assert found.words == "8 workers of the cluster at tcp://nowhere:8786"
    assert found.dashboard.endswith("/status")


@pytest.mark.parametrize("tasks", [0, 1, 3, 1000])
def test_a_comparison_has_the_same_results_whenever_its_cluster_goes(tasks):
    settings, expected, found = Settings(n=40, hidden=[4]), Study(PLAN), Study(PLAN)
    for _ in expected.pieces(settings):
        pass
    for _ in found.pieces(settings, Cluster(tasks)):
        pass
    assert found.results["one"].loss.tolist() == expected.results["one"].loss.tolist()
    assert ("cluster is gone" in found.message) == (tasks < 1000)


def test_an_error_of_a_worker_that_is_here_is_no_loss_of_a_cluster(here):
    here.shutdown()
    with pytest.raises(RuntimeError):
        for _ in Study(PLAN).pieces(Settings(n=40, hidden=[4]), here):
            pass
