"""Maps on a Dask cluster of two worker processes: the same pixels, and no finished tile is lost."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from distributed import Client, LocalCluster

from dashboard.state.dask_executor import VARIABLE, DaskExecutor, cluster
from engine.sweep import Axis, Sweep

AXES = [Axis("learning_rate", 0.01, 100, "log"), Axis("std", 0.1, 10, "log")]
XOR = {"dataset": "xor", "n": 40, "hidden": [6, 6], "initializer": "normal"}
SMALL = {"measures": ("loss", "trained", "dead share"), "epochs": 60, "size": (16, 16), "marks": (5,)}


def scheduler() -> LocalCluster:
    return LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0")


@pytest.fixture(scope="module")
def address():
    with scheduler() as running:
        yield running.scheduler_address


@pytest.fixture(scope="module")
def local():
    sweep = Sweep(AXES, XOR, workers=1, **SMALL)
    list(sweep.run())
    return sweep


def same(one: Sweep, other: Sweep) -> bool:
    return np.array_equal(one.computed, other.computed) and all(
        np.array_equal(one.values(name, mark), other.values(name, mark), equal_nan=True)
        for name in one.measures
        for mark in one.marks
    )


def test_a_cluster_makes_the_same_map_bit_for_bit(address, local):
    executor = cluster(address)
    assert executor.workers == 2 and executor.alive and executor.address == address
    sweep = Sweep(AXES, XOR, executor=executor, **SMALL)
    list(sweep.run())
    assert same(sweep, local) and not sweep.notice


def test_a_client_handed_over_serves_as_well_and_stays_open(address, local):
    with Client(address, set_as_default=False) as client:
        executor = cluster(client)
        sweep = Sweep(AXES, XOR, executor=executor, **SMALL)
        list(sweep.run())
        executor.shutdown()
        assert client.status == "running"
    assert same(sweep, local)


def test_any_executor_will_do_such_as_that_of_distributed_itself(address, local):
    with Client(address, set_as_default=False) as client:
        sweep = Sweep(AXES, XOR, executor=client.get_executor(pure=False), workers=2, **SMALL)
        list(sweep.run())
    assert same(sweep, local)


def test_a_process_has_one_client_for_an_address(address, monkeypatch):
    monkeypatch.setenv(VARIABLE, address)
    assert cluster().client is cluster(address).client
    monkeypatch.delenv(VARIABLE)
    assert cluster() is None


def test_a_worker_killed_on_the_way_costs_no_finished_tile(local):
    with scheduler() as running, Client(running, set_as_default=False) as client:
        sweep = Sweep(AXES, XOR, executor=DaskExecutor(client), **SMALL)
        pids = client.run(os.getpid)
        done = killed = 0
        for progress in sweep.run():
            assert progress.pixels >= done
            done = progress.pixels
            if done and not killed:
                os.kill(pids.popitem()[1], signal.SIGKILL)
                killed = done
        assert 0 < killed < done and not sweep.notice
    assert same(sweep, local)


@pytest.fixture
def own_scheduler(tmp_path):
    """A scheduler with one worker, as processes that can be killed."""
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-m"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    arguments = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    started = [subprocess.Popen([*command, "distributed.cli.dask_scheduler", *arguments], **quiet)]
    try:
        while not file.exists():
            assert started[0].poll() is None
            time.sleep(0.1)
        arguments = ["--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        started.append(subprocess.Popen([*command, "distributed.cli.dask_worker", *arguments], **quiet))
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(1)
            yield client, started[0]
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_scheduler_that_goes_away_is_said_and_the_map_goes_on_here(own_scheduler, local, tmp_path):
    client, process = own_scheduler
    sweep = Sweep(AXES, XOR, executor=DaskExecutor(client), folder=tmp_path, **SMALL)
    before = 0
    for progress in sweep.run():
        if progress.pixels and not before:
            process.kill()
            process.wait()
            before = progress.pixels
        assert progress.pixels >= before
    assert sweep.notice.startswith("The map goes on with processes of this machine: the scheduler at tcp://127.0.0.1:")
    assert same(sweep, local)


def test_an_address_where_nobody_answers_is_said_at_once(monkeypatch):
    monkeypatch.setattr("dashboard.state.dask_executor.TIMEOUT_S", 0.5)
    with pytest.raises(ConnectionError, match=r"no scheduler answers at tcp://127.0.0.1:9; start one with"):
        cluster("tcp://127.0.0.1:9")


def test_without_distributed_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'descent-lab\[dask\]'"):
        cluster("tcp://127.0.0.1:9")
