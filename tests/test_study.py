"""Each run of a study is a run that can be opened, they start when they should, and they can be stopped."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dashboard.state import thread_task
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.state.study import Plan, Study
from dashboard.state.thread_task import ThreadTask

PATIENCE = 60
PLAN = Plan({"small": {"initializer": "small"}, "wide": {"hidden": [8], "learning_rate": 0.5}}, seeds=3, epochs=40)
SETTINGS = {"n": 60, "hidden": [4], "noise": 0.3}


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Every test computes for itself."""
    Study.remembered.clear()
    yield
    Study.remembered.clear()


def computed(study: Study, settings: Settings) -> Study:
    """A study computed in this process."""
    study._key = study.key(settings)
    for _ in study.pieces(settings):
        pass
    return study


def test_it_has_all_runs_of_all_variants_from_the_first_epoch_to_the_last():
    study = computed(Study(PLAN), Settings(**SETTINGS))
    assert list(study.results) == ["small", "wide"]
    assert study.progress == 1
    for result in study.results.values():
        assert (result.runs, result.index[0], result.index[-1]) == (3, 0, 40)
        assert result.loss.shape == (3, len(result.index))


@pytest.mark.parametrize("changes", [{}, {"features": ["x1", "x1 x2"]}], ids=str)
@pytest.mark.parametrize("label", PLAN.variants)
def test_each_of_its_runs_can_be_opened_bit_for_bit(label, changes):
    settings = Settings(**SETTINGS, **changes, seed=7)
    result = computed(Study(PLAN), settings).results[label]
    run = Run(Settings(**Study(PLAN).settings_of(settings, label, seed=2)))
    run.advance(40)
    np.testing.assert_array_equal(run.frame().epoch.parameters, result.parameters[2])
    assert [run.history.at(int(i)).loss for i in result.index] == result.loss[2].tolist()


def test_the_first_epochs_are_all_there_for_axes_of_magnitudes():
    plan = Plan({"one": {"initializer": "xavier"}}, seeds=2, epochs=1000)
    result = computed(Study(plan), Settings(**SETTINGS)).results["one"]
    assert result.index.tolist() == [*range(5), *range(5, 1001, 5)]
    assert len(set(result.loss[0].tolist())) == len(result.index)


def test_variants_bring_the_defaults_of_their_own_kind():
    values = Study(PLAN).settings_of(Settings(**SETTINGS, initializer="normal", std=3.0), "small")
    assert (values["initializer"], values["std"]) == ("small", 0.01)


def test_variants_have_what_they_name_even_if_the_run_has_it_by_another_name():
    study = Study(Plan({"std 10": {"initializer": "normal", "std": 10.0}}))
    values = study.settings_of(Settings(**SETTINGS, initializer="large", std=10.0), "std 10")
    assert (values["initializer"], values["std"]) == ("normal", 10.0)


def test_quantiles_count_what_diverged_as_worst():
    plan = Plan({"wild": {"learning_rate": 10.0}}, seeds=3, epochs=400)
    study = computed(Study(plan), Settings(dataset="sine", n=30, validation=0.0, hidden=[4], activation="relu"))
    result = study.results["wild"]
    assert result.diverged.all()
    worst = result.quantiles(1.0)[0]
    assert np.isinf(worst[-1])
    assert np.isfinite(worst[0])
    np.testing.assert_array_equal(result.quantiles(0.5)[0], np.sort(result.loss, axis=0)[1])


def test_speed_and_seed_are_no_reason_to_compute_anew_but_the_data_are():
    study, settings = Study(PLAN), Settings(**SETTINGS)
    key = study.key(settings)
    settings.param.update(speed=20, stop_epoch=5, initializer="xavier")
    assert study.key(settings) == key
    settings.param.update(seed=4, data_seed=0)
    assert study.key(settings) == key
    settings.noise = 0.1
    assert study.key(settings) != key


def test_it_starts_when_asked_and_not_with_the_run_and_follows_its_settings():
    study = Study(PLAN)
    run = Run(Settings(**SETTINGS), study=study)
    run.settings.noise = 0.2
    assert not study.busy
    assert study.results == {}
    run.resume()
    run.advance(3)
    assert not study.busy
    assert study.results == {}
    study.start(run.settings)
    wait_for(study)
    first = study.results
    assert study.is_of(run.settings)
    run.settings.noise = 0.1
    wait_for(study)
    assert study.results is not first
    assert study.is_of(run.settings)
    run.close()


@pytest.mark.parametrize(("name", "value"), [("seeds", 4), ("epochs", 50)])
def test_more_seeds_or_epochs_are_trained_as_soon_as_they_are_asked_for(name, value):
    study = Study(PLAN)
    run = Run(Settings(**SETTINGS), study=study)
    setattr(study, name, value)
    assert study.results == {}, "nothing is trained before it is asked for"
    study.start(run.settings)
    wait_for(study)
    setattr(study, name, value + 1)
    wait_for(study)
    assert {(result.runs, result.index[-1]) for result in study.results.values()} == {(study.seeds, study.epochs)}
    run.close()


def test_what_was_computed_once_is_known_to_all():
    one, other = Study(PLAN), Study(PLAN)
    computed(one, Settings(**SETTINGS))
    other.start(Settings(**SETTINGS))
    assert other.progress == 1
    assert other.results["wide"] is one.results["wide"]


def test_a_cancelled_study_keeps_what_it_has_and_can_go_on():
    study, settings = Study(Plan(PLAN.variants, seeds=20, epochs=20_000)), Settings(**SETTINGS)
    study.start(settings)
    until = time.monotonic() + PATIENCE
    while not study.results and time.monotonic() < until:
        time.sleep(0.01)
    study.cancel()
    assert study.results
    assert not study.busy
    assert study.progress < 1


def test_every_step_is_reported():
    told = []
    study = Study(PLAN)
    study.on_change = lambda: told.append(study.progress)
    computed(study, Settings(**SETTINGS))
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_job_that_fails_says_why(caplog):
    def fails() -> Iterator[None]:
        yield
        raise RuntimeError("no more paper")

    errors = []
    ThreadTask(fails(), errors.append).wait(PATIENCE)
    assert [str(error) for error in errors] == ["no more paper"]
    assert "a job was stopped by an error" in caplog.text


LEAVES = """
import threading
from dashboard.state.thread_task import ThreadTask
from engine.worker_pool import processes

begun, executor = threading.Event(), processes(workers=1)

def tasks():
    while True:
        executor.submit(abs, -1).result()
        begun.set()
        yield

if __name__ == "__main__":
    ThreadTask(tasks(), print)
    begun.wait()
"""


def test_a_program_that_ends_while_workers_compute_says_nothing():
    ended = subprocess.run([sys.executable, "-c", LEAVES], capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_workers_that_were_closed_while_the_program_goes_on_are_an_error(monkeypatch, caplog):
    monkeypatch.setattr(thread_task, "LEAVING_SECONDS", 0.01)
    closed, errors = ThreadPoolExecutor(1), []
    closed.shutdown()

    def tasks() -> Iterator[None]:
        yield closed.submit(abs, -1)

    ThreadTask(tasks(), errors.append).wait(PATIENCE)
    assert [str(error) for error in errors] == ["cannot schedule new futures after shutdown"]
    assert "a job was stopped by an error" in caplog.text


def test_a_dropped_job_leaves_the_rest_undone():
    done, closed = [], []

    def endless() -> Iterator[None]:
        try:
            while True:
                done.append(1)
                time.sleep(0.001)
                yield
        finally:
            closed.append(1)

    job = ThreadTask(endless())
    job.drop()
    job.wait(PATIENCE)
    assert closed == [1]
    assert not job.busy


def wait_for(study: Study) -> None:
    if study._job:
        study._job.wait(PATIENCE)
    assert study.progress == 1, study.message
