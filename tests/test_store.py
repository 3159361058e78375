"""Looking back: all pictures go to one epoch, and the run goes on from where it was. And what a user picks."""

import numpy as np
import pytest

from dashboard.state.clock import Clock
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.state.view import View


def trained(epochs: int = 20) -> Run:
    run = Run(Settings(n=40, hidden=[3]))
    run.advance(epochs)
    return run


@pytest.mark.parametrize("epoch", [0, 7, 20])
def test_looking_back_shows_what_was_recorded_then(epoch):
    run = trained()
    expected = run.history.at(epoch)
    run.look_at(epoch)
    frame = run.frame()
    assert frame.epoch.index == epoch
    assert frame.epoch.loss == expected.loss
    np.testing.assert_array_equal(frame.network().parameters, expected.parameters)
    assert frame.kept().index[-1] <= epoch


def test_looking_back_changes_the_version_once():
    run = trained()
    version = run.version
    run.look_at(3)
    run.look_at(3)
    assert run.version == version + 1


def test_looking_back_leaves_the_run_where_it_is():
    run, other = trained(), trained()
    run.look_at(3)
    run.advance(5)
    other.advance(5)
    assert run.frame().epoch.index == 3
    run.look_at(None)
    np.testing.assert_array_equal(run.frame().epoch.parameters, other.frame().epoch.parameters)


def test_a_fresh_start_is_looked_at_from_the_start():
    run = trained()
    run.look_at(3)
    run.settings.seed = 1
    assert run.looked_at is None
    assert run.frame().epoch.index == 0


def test_the_clock_steps_through_the_past_and_then_trains():
    run = trained(4)
    clock = Clock(run)
    clock.back()
    assert run.frame().epoch.index == 3
    clock.back()
    clock.step()
    clock.step()
    assert (run.frame().epoch.index, run.looked_at) == (4, None)
    clock.step()
    assert run.history[-1].index == 5


def test_the_clock_looks_no_further_back_than_there_is():
    run = trained(1)
    clock = Clock(run)
    for _ in range(3):
        clock.back()
    assert run.frame().epoch.index == 0


def test_play_goes_on_from_the_newest_epoch():
    run = trained(4)
    clock = Clock(run)
    clock.look_at(1)
    clock.play()
    clock.pause()
    assert run.looked_at is None


def test_looking_at_the_newest_epoch_is_to_follow_the_run():
    run = trained(4)
    Clock(run).look_at(4)
    run.advance(1)
    assert run.frame().epoch.index == 5


def test_a_pick_redraws_and_trains_nothing():
    run = trained(2)
    version = run.version
    run.view.example = 3
    assert run.version == version + 1
    assert run.history[-1].index == 2


def test_a_link_says_of_the_view_what_was_picked_and_nothing_else():
    assert View().query() == {}
    picked = View(example=3, unit=[0, 2], threshold=0.25)
    again, problems = View.from_query(picked.query())
    assert problems == []
    assert again.values() == picked.values()


@pytest.mark.parametrize(("name", "text"), [("threshold", "2"), ("example", "-1"), ("unit", "[0.5]"), ("example", "x")])
def test_an_impossible_pick_is_reported(name, text):
    view, problems = View.from_query({name: text})
    assert view.query() == {}
    assert f"{name}={text}" in problems[0]


def test_a_closed_store_listens_no_more():
    run = trained(1)
    run.close()
    version = run.version
    run.view.example = 1
    run.settings.seed = 5
    assert run.version == version
