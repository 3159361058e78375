"""A run that is gone through again is held to what was recorded of it, on whatever processor it was made."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dashboard.pages import PAGES
from dashboard.pages.curvature import EdgeOfStability
from dashboard.state.arrival import LENGTH, Arrival
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from engine.recording import Recording, load, save
from engine.training import Epochs

ROOT = Path(__file__).parents[1]

SETUPS = {
    "plain": {},
    "momentum in batches": {"optimizer": "momentum", "batch_size": 7},
    "adam with a schedule": {"optimizer": "adam", "learning_rate": 0.02, "schedule": "cosine"},
}
every_setup = pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)

CORES = ("Prescott", "Haswell")
"""Kinds of processor for which OpenBLAS can be made to compute, on any that has AVX2."""

MAKES = """
import sys
from dashboard.pages.curvature import EdgeOfStability
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from engine.recording import save

run = Run(Settings(**{**EdgeOfStability.defaults, "learning_rate": 0.2}))
run.advance(int(sys.argv[2]))
save(sys.argv[1], run.recording("made elsewhere"))
print(run.arrival()["weights"])
"""


def run_of(setup: dict) -> Run:
    return Run(Settings(**{"n": 60, "hidden": [5, 4], **setup}))


def off(recording: Recording, since: int, by: float = 0.0) -> Recording:
    """As another processor might have recorded it: from an epoch on all weights are others, by one ulp at least."""
    columns = recording.epochs.columns
    later = (columns["index"] >= since)[:, None]
    moved = np.nextafter(columns["parameters"], np.inf) * (1 + by)
    epochs = Epochs(
        **{**columns, "parameters": np.where(later, moved, columns["parameters"])}, widths=recording.epochs.widths
    )
    checkpoint = replace(recording.checkpoint, parameters=epochs.parameters[-1].copy())
    return replace(recording, epochs=epochs, checkpoint=checkpoint)


def forked(recording: Recording, epoch: int) -> Run:
    run = Run.reopened(recording)
    run.look_at(epoch)
    run.fork()
    return run


@every_setup
def test_a_fork_on_the_same_processor_says_nothing(setup: dict):
    run = run_of(setup)
    run.advance(120)
    again = forked(run.recording(), 70)
    again.advance(50)
    assert again.message == ""
    assert again.history[-1].parameters.tobytes() == run.history[-1].parameters.tobytes()


@every_setup
@pytest.mark.parametrize("since", [0, 1, 33, 70])
def test_a_fork_of_what_was_recorded_otherwise_goes_on_from_the_recorded_weights(setup: dict, since: int):
    run = run_of(setup)
    run.advance(120)
    recording = off(run.recording(), since)
    again = forked(recording, 70)
    recorded = again.history[-1].parameters
    again.advance(1)
    assert f"weights are others from epoch {since} on" in again.message
    assert "processor rounds otherwise" in again.message
    assert "goes on from the recorded weights of epoch 70" in again.message
    assert ("optimizer remembers" in again.message) == (setup != {})
    here, there = again.history[-1], run.history.at(71)
    assert recorded.tobytes() == np.nextafter(run.history.at(70).parameters, np.inf).tobytes()
    np.testing.assert_allclose(here.parameters, there.parameters, rtol=0, atol=1e-12)
    steps = here.parameters - recorded, there.parameters - run.history.at(70).parameters
    np.testing.assert_allclose(*steps, rtol=0, atol=1e-12)


def test_the_optimizers_memory_is_that_of_the_recorded_epochs_where_a_replay_of_its_own_would_be_elsewhere():
    """Recorded weights that drift by a hundredth every kept epoch: the velocity is that of steps from these."""
    run = run_of({"optimizer": "momentum", "learning_rate": 0.3})
    run.advance(120)
    recording = off(run.recording(), 10, by=0.01)
    again = forked(recording, 70)
    again.advance(1)
    assert (
        "does not come to what was recorded" in again.message
        and "at epoch 10 its weights are off by 0.01" in again.message
    )
    np.testing.assert_array_equal(again.history.at(70).parameters, off(run.recording(), 10, 0.01).epochs[70].parameters)


def test_it_is_said_once_and_the_numbers_are_those_of_the_first_kept_epoch_that_differs():
    run = run_of({})
    run.advance(120)
    again = forked(off(run.recording(), 40), 100)
    again.advance(1)
    said = again.refusals
    again.advance(30)
    assert again.refusals == said
    distance = np.linalg.norm(np.nextafter(run.history.at(40).parameters, np.inf) - run.history.at(40).parameters)
    share = distance / np.linalg.norm(run.history.at(40).parameters)
    assert f"by {share:.1g} of their length" in again.message


def test_a_long_history_that_was_thinned_is_held_to_the_epochs_that_are_left():
    run = run_of({"n": 12, "hidden": [2], "validation": 0.0})
    run.advance(2600)
    stride = run.history.stride
    assert stride > 1
    recording = off(run.recording(), 1001)
    again = forked(recording, 1400)
    again.advance(3)
    first = -(-1001 // stride) * stride
    assert f"from epoch {first:,} on" in again.message
    assert (
        again.history.at(1400).parameters.tobytes()
        == off(run.recording(), 1001).epochs[1400 // stride].parameters.tobytes()
    )


def test_a_recording_taken_before_going_on_says_it_too_and_can_be_forked_again(tmp_path: Path):
    run = run_of(SETUPS["momentum in batches"])
    run.advance(120)
    again = forked(off(run.recording(), 40), 100)
    save(tmp_path / "run.npz", again.recording())
    assert "from epoch 40 on" in again.message
    third = Run.reopened(load(tmp_path / "run.npz"))
    before = third.history[-1].parameters.tobytes()
    third.advance(5)
    assert third.history.at(100).parameters.tobytes() == before


@pytest.fixture(scope="module")
def made_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """The edge page's run at rate 0.2, for each kind of processor: its file, and what its link says."""
    folder, found = tmp_path_factory.mktemp("elsewhere"), {}
    for core in CORES:
        path = folder / f"{core}.npz"
        env = {**os.environ, "OPENBLAS_CORETYPE": core, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", MAKES, str(path), "1200"], env=env, capture_output=True, text=True, check=True
        )
        found[core] = path, done.stdout.strip()
    if found[CORES[0]][1] == found[CORES[1]][1]:
        pytest.skip("OpenBLAS computes alike for both kinds of processor here")
    return found


def test_a_file_of_another_processor_is_forked_from_its_own_weights(made_elsewhere: dict):
    """Replayed without looking, this run is elsewhere long before epoch 1,000."""
    told = []
    for path, _ in made_elsewhere.values():
        recording = load(path)
        again = forked(recording, 1000)
        again.advance(1)
        told.append("goes on from the recorded weights of epoch 1,000" in again.message)
        row = int(np.flatnonzero(recording.epochs.index == 1000)[0])
        assert again.history.at(1000).parameters.tobytes() == recording.epochs.parameters[row].tobytes()
        gap = np.linalg.norm(again.history.at(1001).parameters - recording.epochs.parameters[row + 1])
        assert recording.epochs.index[row + 1] != 1001 or gap < 1e-9
    assert any(told)


def test_a_link_of_another_processor_says_on_arrival_that_this_is_another_run(made_elsewhere: dict):
    said = []
    for _, weights in made_elsewhere.values():
        run = Run(Settings(**{**EdgeOfStability.defaults, "learning_rate": 0.2}))
        run.expect(1200, weights)
        run.advance(1199)
        assert run.message == ""
        run.advance(1)
        said.append(run.message)
    loss = f"{run.history[-1].loss:.3g}"
    told = [message for message in said if message]
    assert told and all("at epoch 1,200 its weights are others" in message and loss in message for message in told)


@every_setup
def test_a_link_that_leads_where_it_did_says_nothing(setup: dict):
    run = run_of(setup)
    run.advance(50)
    again = run_of(setup)
    again.expect(50, run.arrival()["weights"])
    again.advance(60)
    assert again.message == ""


def test_a_link_to_an_epoch_that_is_there_already_is_looked_at_at_once():
    run = run_of({})
    run.advance(50)
    weights = run.arrival()["weights"]
    run.expect(40, weights)
    assert "at epoch 40 its weights are others" in run.message


def test_a_link_of_a_run_that_was_changed_on_the_way_says_so():
    run = run_of({})
    run.advance(20)
    run.settings.learning_rate = 0.3
    assert run.arrival()["weights"].endswith(",changed")
    run.advance(20)
    again = run_of({"learning_rate": 0.3})
    again.expect(40, run.arrival()["weights"])
    again.advance(40)
    assert "settings or weights were changed on the way" in again.message and "processor" not in again.message


def test_a_run_that_ends_before_the_epoch_of_its_link_is_said_to_be_another():
    run = run_of({"dataset": "sine", "learning_rate": 10.0})
    run.expect(5000, f"{'0' * LENGTH},0.5")
    run.advance(5000)
    assert run.ended.startswith("diverged") and "had come to epoch 5,000 (loss 0.5)" in run.message


@pytest.mark.parametrize("change", [{"learning_rate": 0.5}, {"seed": 4}, {"hidden": [3]}])
def test_a_setting_changed_on_the_way_causes_no_message(change: dict):
    run = run_of({})
    run.expect(30, f"{'0' * LENGTH},0.5")
    run.advance(10)
    run.settings.param.update(**change)
    run.advance(40)
    assert run.message == ""


@pytest.mark.parametrize(
    "text", ["", "x", "0" * LENGTH, f"{'0' * LENGTH},nan", f"{'0' * LENGTH},<b>", "é" * LENGTH + ",1"]
)
def test_what_is_no_digest_is_refused(text: str):
    with pytest.raises(ValueError, match="is no digest of weights"):
        Arrival.read(3, text)


def test_the_share_link_names_the_weights_and_the_server_holds_the_run_to_them():
    """Through the very functions that a session calls."""
    from dashboard.shell.session import _asked_for, _expect

    run = run_of({})
    run.advance(25)
    query = {"page": "playground", **run.settings.query(), "epoch": "25", **run.arrival()}
    problems: list[str] = []
    _, opened, problems, _ = _asked_for(query)
    _expect(opened, 25, query["weights"], problems)
    opened.advance(25)
    assert not problems and opened.message == ""
    _, opened, problems, _ = _asked_for({**query, "learning_rate": "0.2"})
    _expect(opened, 25, query["weights"], problems)
    opened.advance(25)
    assert "not the run that was sent" in opened.message
    _expect(opened, 25, "<script>", problems)
    assert len(problems) == 1


def test_pages_open_with_a_digest_in_their_link():
    for slug in ("playground", "curvature", "geometry"):
        assert not PAGES[slug].opened({"page": slug, "epoch": "3", "weights": f"{'0' * LENGTH},1"})[1]
