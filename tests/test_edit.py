"""Weights changed by hand: a fork of the run at that epoch, which can be undone, replayed, saved and opened again."""

import numpy as np
import pytest

from dashboard.state.run import Run
from dashboard.state.settings import Settings
from engine.recording import Recording
from engine.recording.file import load, save


def run_of(**settings: object) -> Run:
    return Run(Settings(**{"n": 40, "hidden": [5, 4], **settings}))


def weights(run: Run, epoch: int | None = None) -> bytes:
    return (run.history[-1] if epoch is None else run.history.at(epoch)).parameters.tobytes()


@pytest.mark.parametrize("epoch", [0, 1, 7, 30])
@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam"}, {"batch_size": 8, "l2": 0.01}])
def test_an_edited_epoch_is_measured_with_the_edited_weights_and_the_run_goes_on_from_there(settings, epoch):
    run = run_of(**settings)
    run.advance(30)
    before = weights(run, epoch)
    run.look_at(epoch)
    run.edit({3: 0.75})
    frame = run.frame()
    assert (frame.epoch.index, run.history[-1].index, run.looked_at) == (epoch, epoch, None)
    assert frame.epoch.parameters[3] == 0.75
    expected = np.frombuffer(before).copy()
    expected[3] = 0.75
    np.testing.assert_array_equal(frame.epoch.parameters, expected)
    l1, l2 = frame.objective(epoch)
    loss = frame.network().loss(run.setup.train, run.setup.loss, l1, l2)
    assert frame.epoch.loss == pytest.approx(loss, rel=1e-12)
    run.advance(1)
    assert run.history[-1].index == epoch + 1
    gradient = frame.network().gradient(run.setup.train, run.setup.loss, l1, l2).flat
    if not settings:
        step = frame.epoch.parameters - run.settings.learning_rate * gradient
        np.testing.assert_allclose(run.history[-1].parameters, step, rtol=1e-12)


def test_what_the_optimizer_remembers_survives_an_edit():
    """Momentum's velocity at the epoch is that of the run that was edited: an edit that changes nothing is no edit."""
    run, same = run_of(optimizer="momentum"), run_of(optimizer="momentum")
    run.advance(20)
    run.look_at(13)
    run.edit({0: float(run.frame().epoch.parameters[0])})
    run.advance(7)
    same.advance(20)
    assert weights(run) == weights(same)


def test_undo_brings_back_the_run_before_the_edit_also_of_one_that_was_never_trained():
    run = run_of()
    start = weights(run)
    run.edit({0: 2.0})
    assert run.left
    run.undo()
    assert weights(run) == start
    run.advance(20)
    trained = weights(run)
    run.edit({0: 2.0})
    run.edit({1: 2.0})
    run.undo()
    assert (run.history[-1].parameters[:2] == 2.0).tolist() == [True, False]
    run.undo()
    assert weights(run) == trained


def test_edits_of_one_gesture_are_one_step_for_undo():
    run = run_of()
    run.advance(10)
    before = weights(run)
    for value in (0.1, 0.2, 0.3):
        run.edit({5: value}, gesture=1.5)
    assert run.history[-1].parameters[5] == 0.3
    run.advance(3)
    run.edit({5: 0.4}, gesture=1.5)
    assert run.history[-1].index == 13
    run.edit({6: 9.0}, gesture=2.5)
    run.undo()
    assert run.history[-1].parameters[5] == 0.4
    run.undo()
    assert weights(run) == before


def test_an_edited_run_can_be_forked_after_and_before_its_edit():
    run = run_of()
    run.advance(10)
    run.edit({2: -1.0})
    run.advance(20)
    whole = weights(run)
    later, earlier = weights(run, 17), weights(run, 4)
    run.look_at(17)
    run.fork()
    assert weights(run) == later
    run.advance(13)
    assert weights(run) == whole
    assert not run.message
    run.look_at(4)
    run.fork()
    assert weights(run) == earlier
    plain = run_of()
    run.advance(26)
    plain.advance(30)
    assert weights(run) == weights(plain)


@pytest.mark.parametrize("at", [0, 12])
def test_training_again_beside_the_run_crosses_its_edits(at):
    run = run_of()
    run.advance(at)
    run.edit({2: -1.0, 7: 0.5})
    run.advance(20)
    for after in (-1, 3):
        again = [block for block in run.again(after, at + 20) if block is not None]
        index = np.concatenate([block.index for block in again])
        np.testing.assert_array_equal(index, np.arange(after + 1, at + 21))
        parameters, losses = (np.concatenate([getattr(one, name) for one in again]) for name in ("parameters", "loss"))
        recorded = run.history.between(after, at + 20)
        assert parameters.tobytes() == recorded.parameters.tobytes()
        np.testing.assert_array_equal(losses, recorded.loss)


@pytest.mark.parametrize("at", [0, 12])
def test_a_saved_run_knows_its_edits(tmp_path, at):
    run = run_of(optimizer="adam")
    run.advance(at)
    run.edit({2: -1.0})
    run.advance(20)
    save(tmp_path / "run.npz", run.recording())
    again = Run.reopened(load(tmp_path / "run.npz"))
    again.look_at(at + 5)
    again.fork()
    again.advance(15)
    assert weights(again) == weights(run)
    assert not again.message
    assert f"edit {at}" in [mark.kind for mark in again.bookmarks]


IMPOSSIBLE = (
    [[99, [[0, 1.0]]]],
    [[-1, [[0, 1.0]]]],
    [[0, [[900, 1.0]]]],
    [[0, [["a", 1.0]]]],
    [[0, [[0, "nan"]]]],
    [[0, [[0, None]]]],
    [[0]],
    [7],
    ["ab"],
)


@pytest.mark.parametrize("edits", IMPOSSIBLE)
def test_a_file_with_impossible_edits_is_refused(edits):
    run = run_of()
    run.advance(5)
    recording = run.recording()
    other = Recording(**{**vars(recording), "notes": {**recording.notes, "edits": edits}})
    with pytest.raises(ValueError, match="an edit of"):
        Run.reopened(other)


def test_an_edit_is_refused_where_there_is_no_such_parameter_or_the_loss_overflows():
    run = run_of(dataset="sine", activation="linear")
    before = weights(run)
    with pytest.raises(ValueError, match="no parameter 400"):
        run.edit({400: 1.0})
    with pytest.raises(ValueError, match="overflows"):
        run.edit({0: 1e200})
    assert weights(run) == before


def test_a_link_to_an_edited_run_says_that_it_leads_elsewhere():
    run = run_of()
    run.advance(5)
    assert "changed" not in run.arrival()["weights"]
    run.edit({0: 1.0})
    assert run.arrival()["weights"].endswith(",changed")


def test_an_edit_is_a_bookmark():
    run = run_of()
    run.advance(5)
    run.edit({0: 1.0})
    assert [(mark.epoch, mark.title) for mark in run.bookmarks if mark.kind == "edit 5"] == [
        (5, "weights changed by hand")
    ]
