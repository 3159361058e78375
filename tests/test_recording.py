"""Laws of recordings: they give back the history they are of, and hold nothing that JSON cannot say."""

import dataclasses
import hashlib
import re
from threading import Thread

import numpy as np
import pytest
from sample_epochs import N_PARAMETERS, assert_same_history, block, history_of, indices, nested, trained

from engine.recording import History, Recording
from engine.recording import history as history_module
from engine.recording.recording import DEPTH
from engine.training import Epochs


@pytest.mark.parametrize("epochs", [1, 19, 20, 21, 64, 65, 300, 5000])
def test_a_recording_gives_back_the_history_it_was_made_of(epochs):
    history = history_of(epochs, capacity=64, recent=20)
    assert indices(history) == history.epochs().index.tolist()
    assert_same_history(history, Recording.of(history).history())


@pytest.mark.parametrize("epochs", [1, 50, 300])
def test_a_history_that_came_back_goes_on_like_the_one_that_never_left(epochs):
    stayed = history_of(epochs, capacity=64, recent=20)
    returned = Recording.of(stayed).history()
    for start in range(epochs, epochs + 1000, 50):
        for history in (stayed, returned):
            history.extend(block(start, start + 50))
    assert_same_history(stayed, returned)


def test_what_a_recording_shows_stays_true_while_its_history_goes_on():
    history = history_of(300)
    recording = Recording.of(history)
    history.extend(block(300, 900))
    assert np.array_equal(recording.epochs.parameters, np.repeat(recording.epochs.index[:, None], N_PARAMETERS, axis=1))


def test_a_recording_of_a_history_that_grows_meanwhile_is_of_one_moment():
    history = history_of(64, capacity=64, recent=20)
    grow = Thread(target=lambda: [history.extend(block(start, start + 8)) for start in range(64, 20_000, 8)])
    grow.start()
    while grow.is_alive():
        recording = Recording.of(history)
        older = recording.epochs.index[:-20]
        assert set(np.diff(older)) == {recording.stride}
        assert indices(recording.history()) == recording.epochs.index.tolist()


def test_a_history_thinned_for_the_networks_size_comes_back_as_it_was(monkeypatch):
    monkeypatch.setattr(history_module, "BYTES", 2**20)
    history = History()
    for start in range(0, 320, 32):
        history.extend(block(start, start + 32, history_module.BYTES // 8 // 100))
    assert_same_history(history, Recording.of(history).history())


def test_the_digest_is_that_of_the_final_weights():
    epochs = block(0, 5)
    assert Recording(epochs).digest == hashlib.sha256(np.full(N_PARAMETERS, 4.0).tobytes()).hexdigest()
    assert Recording(epochs).digest == Recording(block(2, 5)).digest != Recording(block(0, 4)).digest


def test_tuples_become_lists_and_numpys_numbers_numbers():
    settings = Recording(
        block(0, 1), settings={"sizes": (2, np.int64(3)), "rate": np.float64(0.1), "on": np.True_}
    ).settings
    assert settings == {"sizes": [2, 3], "rate": 0.1, "on": True}
    assert [type(value) for value in (*settings["sizes"], settings["rate"], settings["on"])] == [int, int, float, bool]


def test_settings_changed_later_do_not_change_the_recording():
    settings = {"hidden": [16]}
    recording = Recording(block(0, 1), settings=settings)
    settings["hidden"].append(8)
    assert recording.settings == {"hidden": [16]}


CIRCLE = {}
CIRCLE["again"] = CIRCLE


@pytest.mark.parametrize("what", ["settings", "seeds", "notes"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"rate": np.nan}, r"\['rate'\] is nan; JSON can say finite numbers"),
        ({"rate": [1.0, -np.inf]}, r"\['rate'\]\[1\] is -inf"),
        ({"layers": {1: "relu"}}, r"the key 1 of \w+\['layers'\] is not a text"),
        ({"array": np.zeros(2)}, r"\['array'\] is array\(\[0., 0.\]\); JSON can say"),
        ({"set": {1}}, r"\['set'\] is \{1\}"),
        ({"bytes": b"x"}, r"\['bytes'\] is b'x'"),
        ([1, 2], r"\[1, 2\] are not a dict"),
        (nested(DEPTH + 1), "nested more than 64 deep"),
        (CIRCLE, "nested more than 64 deep"),
    ],
)
def test_what_json_cannot_say_is_refused(what, value, message):
    with pytest.raises(ValueError, match=what) as refusal:
        Recording(block(0, 1), **{what: value})
    assert re.search(message, str(refusal.value))


def replaced(**columns: object) -> Epochs:
    return dataclasses.replace(block(0, 5), **columns)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"epochs": block(0, 0)}, "without epochs is impossible; record one or more"),
        ({"epochs": replaced(index=np.array([0, 1, 1, 2, 3]))}, r"epochs \[0 1 1 2 3\] are not in order; sort them"),
        ({"epochs": replaced(index=np.arange(-1, 4))}, "are not in order"),
        ({"epochs": replaced(index=np.arange(5.0))}, r"index is float64 of shape \(5,\); expected int64 with one axis"),
        ({"epochs": replaced(loss=np.zeros(4))}, r"loss is float64 of shape \(4,\); expected .* 5 long"),
        ({"epochs": replaced(loss=np.zeros(5, np.float32))}, "loss is float32"),
        ({"epochs": replaced(loss=np.zeros(5, object))}, "loss is object"),
        ({"epochs": replaced(loss=[0.0] * 5)}, r"loss is \[0.0, 0.0"),
        ({"epochs": replaced(parameters=np.zeros(5))}, r"parameters is float64 of shape \(5,\); expected .* two axes"),
        ({"epochs": replaced(widths=(2, 4))}, r"activations of 5 units; hidden layers \(2, 4\) have others"),
        ({"epochs": replaced(widths=(5, 0))}, "width 0 is impossible; choose a whole number of 1 or more"),
        ({"name": 3}, "name 3 is not a text"),
        ({"created": None}, "created None is not a text"),
        ({"capacity": 0}, "capacity 0 is impossible; choose a whole number of 1 or more"),
        ({"recent": 2.0}, "recent 2.0 is impossible"),
        ({"stride": True}, "stride True is impossible"),
        ({"stride": 2**63}, f"stride {2**63} is impossible"),
    ],
)
def test_an_impossible_recording_is_refused_with_a_remedy(about, message):
    with pytest.raises(ValueError, match=message):
        Recording(**{"epochs": block(0, 5), **about})


def test_a_checkpoint_of_another_epoch_or_another_training_is_refused():
    training, history = trained()
    last = training.checkpoint()
    Recording.of(history, checkpoint=last)
    history.extend(training.advance(1))
    with pytest.raises(ValueError, match="checkpoint of epoch 99 is not that of the last epoch, 100"):
        Recording.of(history, checkpoint=last)
    for name, wrong in {
        "parameters": training.network.parameters + 1e-9,
        "optimizer_state": {"mean": np.zeros(3)},
        "rng_state": {"bit_generator": "PCG64", "state": 3},
    }.items():
        with pytest.raises(ValueError, match=r"not that of the last|as long as the parameters|not the state of a gen"):
            Recording.of(history, checkpoint=dataclasses.replace(training.checkpoint(), **{name: wrong}))


def test_an_empty_history_has_no_recording():
    with pytest.raises(IndexError, match="nothing has been recorded yet"):
        Recording.of(History())


def test_a_history_that_would_not_fit_is_refused_and_its_epochs_can_still_be_read():
    large = Recording(block(0, 2), recent=10**12)
    assert len(large.epochs) == 2
    with pytest.raises(ValueError, match=r"a history of 1000000000000 recent epochs would take .* MiB; read `epochs`"):
        large.history()
