"""Laws of the history: what it keeps exactly, what it thins, and what that costs."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_epochs import WIDTHS, block, history_of, indices

from engine.recording import History, Recording
from engine.recording import history as history_module
from engine.training import COLUMNS, Epochs

long_or_short = pytest.mark.parametrize("epochs", [1, 2, 199, 200, 201, 399, 400, 401, 1024, 1025, 5000, 20_011])


@long_or_short
def test_the_last_two_hundred_are_all_there(epochs):
    history = history_of(epochs)
    assert indices(history)[-200:] == list(range(max(0, epochs - 200), epochs))
    assert list(history.latest().index) == list(range(max(0, epochs - 200), epochs))


@long_or_short
def test_older_epochs_are_the_multiples_of_one_power_of_two(epochs):
    history = history_of(epochs)
    assert history.stride & (history.stride - 1) == 0
    assert list(history.kept().index) == list(range(0, epochs, history.stride))


@long_or_short
def test_a_history_is_sorted_without_repetition_and_starts_at_the_untrained_network(epochs):
    seen = indices(history_of(epochs))
    assert seen[0] == 0
    assert seen[-1] == epochs - 1
    assert np.all(np.diff(seen) > 0)


def test_thinning_waits_until_there_is_no_room():
    assert history_of(1024).stride == 1
    assert history_of(1025).stride == 2


@given(st.lists(st.integers(1, 500), min_size=1, max_size=20))
def test_what_is_kept_does_not_depend_on_how_it_came(pieces):
    whole, divided, start = History(capacity=64, recent=20), History(capacity=64, recent=20), 0
    for piece in pieces:
        divided.extend(block(start, start + piece))
        start += piece
    whole.extend(block(0, start))
    assert indices(whole) == indices(divided)
    assert list(whole.kept().index) == list(divided.kept().index)


def test_every_number_stays_with_its_epoch():
    for epoch in history_of(3000, piece=37):
        for place, name in enumerate(COLUMNS[1:-3], 1):
            assert getattr(epoch, name) == epoch.index + place / 16
        assert [len(units) for units in epoch.mean_activations] == list(WIDTHS)
        for array in (epoch.gradient_norms, *epoch.mean_activations, epoch.parameters):
            assert np.all(array == epoch.index)


def test_what_was_read_stays_true():
    history = history_of(300)
    newest, kept = history[-1], history.kept()
    history.extend(block(300, 3000))
    assert np.all(newest.parameters == 299)
    assert list(kept.loss) == list(kept.index + 1 / 16)
    assert np.all(kept.parameters == kept.index[:, None])


def test_writing_to_what_was_read_changes_nothing():
    history = history_of(300)
    for epoch in (history[-1], history[0], history.at(150), history.latest()[0], history.kept()[3]):
        epoch.parameters[:] = -1
        epoch.gradient_norms[:] = -1
    assert all(np.all(epoch.parameters == epoch.index) for epoch in history)
    assert all(np.all(epoch.gradient_norms == epoch.index) for epoch in history)


@given(epochs=st.integers(1, 3000), index=st.integers(-5, 3200))
def test_at_finds_the_nearest_kept_epoch_from_below(epochs, index):
    history = history_of(epochs, capacity=64, recent=20)
    below = [kept for kept in indices(history) if kept <= index]
    assert history.at(index).index == (below[-1] if below else 0)


@given(epochs=st.integers(1, 3000), after=st.integers(-5, 3200), until=st.none() | st.integers(-5, 3200))
def test_kept_and_latest_are_what_lies_between_two_epochs(epochs, after, until):
    history = history_of(epochs, capacity=64, recent=20)
    last = epochs if until is None else until
    assert list(history.kept(after, until).index) == [i for i in range(0, epochs, history.stride) if after < i <= last]
    assert list(history.latest(after, until).index) == [
        i for i in range(max(0, epochs - 20), epochs) if after < i <= last
    ]


@given(epochs=st.integers(1, 500), data=st.data())
def test_positions_count_from_both_ends(epochs, data):
    history = history_of(epochs, capacity=64, recent=20)
    seen = indices(history)
    i = data.draw(st.integers(0, len(seen) - 1))
    assert len(history) == len(seen)
    assert history[i].index == seen[i]
    assert history[i - len(seen)].index == seen[i]


@pytest.mark.parametrize("epochs", [1, 3, 700])
def test_a_position_outside_is_refused_with_what_there_is(epochs):
    history = history_of(epochs)
    for outside in (len(history), -len(history) - 1):
        with pytest.raises(IndexError, match=rf"{outside} .* from -{len(history)} to {len(history) - 1}"):
            history[outside]


@pytest.mark.parametrize(
    "question", [lambda h: h[0], lambda h: h[-1], lambda h: h.at(0), lambda h: h.kept(), lambda h: h.latest()]
)
def test_an_empty_history_answers_with_an_index_error(question):
    with pytest.raises(IndexError):
        question(History())


def test_an_empty_history_has_no_epochs_and_an_empty_block_adds_none():
    history = History()
    history.extend(block(0, 0))
    assert len(history) == 0
    assert list(history) == []


def test_memory_does_not_grow_with_the_run():
    """Columns are allocated at the first epoch; the allowance of 256 KiB is for what comes and goes, not for rows."""
    history = history_of(500)
    tracemalloc.start()
    try:
        for start in range(500, 20_500, 50):
            history.extend(block(start, start + 50))
        grown, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    rows = sum(getattr(history.kept(), name).nbytes for name in COLUMNS)
    assert grown < 16 * 1024
    assert peak < 256 * 1024 + 2 * rows


def test_a_large_network_is_thinned_sooner_to_stay_within_its_bytes(monkeypatch):
    monkeypatch.setattr(history_module, "BYTES", 2**20)
    n_parameters = history_module.BYTES // 8 // 100
    history = History()
    for start in range(0, 320, 32):
        history.extend(block(start, start + 32, n_parameters))
    assert history.capacity < 100
    assert history.kept().parameters.nbytes <= history_module.BYTES
    assert list(history.kept().index) == list(range(0, 320, history.stride))


def test_an_epoch_late_in_a_run_costs_no_more_than_an_early_one(monkeypatch):
    """Rows moved by thinning and by making room, per epoch that is added."""
    moved = []
    select = history_module._Rows.select
    monkeypatch.setattr(
        history_module._Rows, "select", lambda self, rows: (moved.append(len(rows)), select(self, rows))
    )
    history, epochs = History(), block(0, 4)
    for done in range(4, 40_001, 4):
        history.extend(epochs)
        epochs.index += 4
        if done == 4000:
            early = sum(moved) / 4000
            moved.clear()
    assert sum(moved) / 36_000 <= early


# Half a million epochs


def held(history: History) -> int:
    """The bytes of all arrays that a history keeps."""
    return sum(column.nbytes for rows in (history._kept, history._latest) for column in rows._columns.values())


def grown(epochs: Epochs, times: int) -> tuple[History, int]:
    """A history of that many blocks, one after the other, and the most bytes that were in use meanwhile."""
    tracemalloc.start()
    try:
        history = History()
        for _ in range(times):
            history.extend(epochs)
            epochs.index[:] += len(epochs)
        return history, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_half_a_million_epochs_stay_under_100_mb():
    """With the parameters of 2-16-16-1. Blocks of 1000 are as good as the 64 that a training gives, and faster."""
    history, peak = grown(block(0, 1000, 337), 500)
    assert history[-1].index == 499_999
    assert len(history.kept()) > 400
    assert peak < 100e6
    assert held(history) < 10e6


def test_the_largest_networks_history_stays_under_100_mb():
    """With 25,000 parameters nothing is missing of the latest. A block is copied; all else is allocated once."""
    epochs = block(0, 64, 25_000)
    history, peak = grown(epochs, 6)
    assert history.stride == 4 and history.recent == 200
    assert peak < held(history) + epochs.parameters.nbytes + 2e6
    assert peak < 100e6


def test_the_deepest_networks_history_keeps_fewer_of_the_latest():
    """80,000 parameters are the most that can be chosen."""
    epochs = block(0, 64, 80_000)
    history, peak = grown(epochs, 6)
    assert 32 <= history.recent < 64 and history.latest().index[-1] == 383
    assert len(history.latest()) == history.recent
    assert held(history) < 120 * 2**20
    assert peak < held(history) + epochs.parameters.nbytes + 2e6
    again = Recording.of(history).history()
    assert (again.recent, again.stride, len(again)) == (history.recent, history.stride, len(history))
