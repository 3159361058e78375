"""Following what another session runs: everybody sees it, each where they like, and only one changes it."""

import gc
import threading
import weakref
from typing import Any

import pytest

from dashboard.pages import PAGES
from dashboard.shell.app import App
from dashboard.state.clock import SCHEDULER
from dashboard.state.followed import CODE_LETTERS, LONGEST_NAME, Company, FollowedRun, SharedRun
from dashboard.state.playback import clock_of
from dashboard.state.race import Race
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.state.store import Trainable
from dashboard.widgets.follow_band import in_words
from dashboard.widgets.followed_settings import FollowedSettings

FOLLOWED = [slug for slug, page in PAGES.items() if page.store in (Run, Race) and not page.timeless]


def run_of(**choices: Any) -> Run:
    return Run(Settings(**{"n": 40, "hidden": [5, 4], **choices}))


@pytest.fixture
def shared() -> Any:
    found = SharedRun(run_of(), "playground")
    yield found
    found.stop()
    found.store.close()


def watchers(store: Any) -> int:
    kinds = [*store.settings.param.watchers.values(), *store.view.param.watchers.values()]
    return sum(len(found) for kind in kinds for found in kind.values())


def test_followers_see_every_epoch_as_it_comes_and_stay_where_they_look(shared):
    one, other = FollowedRun(shared), FollowedRun(SharedRun.found(shared.id))
    shared.store.advance(20)
    one.look_at(7)
    version = other.version
    shared.store.advance(5)
    assert other.version > version
    assert [store.frame().epoch.index for store in (one, other)] == [7, 25]
    assert shared.store.looked_at is None
    shared.store.look_at(3)
    assert [store.frame().epoch.index for store in (one, other)] == [7, 25]
    assert other.readings(other.frame())["epoch"] == "25"


def test_whoever_follows_picks_units_and_examples_for_themselves(shared):
    one, other = FollowedRun(shared), FollowedRun(shared)
    one.view.unit = [1, 2]
    assert other.view.unit == shared.store.view.unit == []


@pytest.mark.parametrize("change", [{"learning_rate": 0.7}, {"hidden": [3]}, {"dataset": "sine"}, {"seed": 5}])
def test_what_a_follower_changes_is_taken_back_and_explained(shared, change):
    follower, setup, values = FollowedRun(shared), shared.store.setup, shared.store.settings.values()
    shared.store.advance(9)
    follower.settings.param.update(**change)
    assert follower.settings.values() == values == shared.store.settings.values()
    assert shared.store.setup is setup
    assert "only whoever has shared" in follower.message
    assert not isinstance(follower, Trainable)
    assert shared.store.history[-1].index == 9


@pytest.mark.parametrize("change", [{"learning_rate": 0.7}, {"dataset": "sine"}, {"optimizer": "adam"}])
def test_settings_follow_those_of_the_one_who_shares(shared, change):
    follower = FollowedRun(shared)
    shared.store.settings.param.update(**change)
    assert follower.frame().setup is shared.store.setup
    assert follower.settings.values() == shared.store.settings.values()
    assert follower.message == ""


def test_when_the_run_starts_afresh_those_who_looked_back_do_too(shared):
    follower = FollowedRun(shared)
    shared.store.advance(30)
    follower.look_at(12)
    assert follower.frame().epoch.index == 12
    shared.store.reset()
    shared.store.advance(2)
    assert follower.frame().epoch.index == 2
    assert follower.looked_at is None


def test_another_store_asks_for_a_new_follower(shared):
    follower = FollowedRun(shared)
    version, before = follower.version, shared.store
    shared.show(run_of(dataset="sine"), "home")
    assert follower.outdated
    assert follower.page == "home"
    assert follower.version > version
    assert FollowedRun(shared).frame().setup.task == "regression"
    before.close()


def test_when_the_one_who_shares_leaves_it_stands_still_and_is_said(shared):
    follower = FollowedRun(shared)
    shared.store.advance(4)
    shared.stop()
    follower.poll()
    assert "has left" in follower.message
    assert follower.frame().epoch.index == 4
    with pytest.raises(ValueError, match="nobody shares"):
        SharedRun.found(shared.id)


def test_a_code_can_be_typed_as_it_is_heard(shared):
    for typed in (shared.code, shared.code.upper(), shared.code.replace("-", "")):
        assert SharedRun.found(typed) is shared
    others = [SharedRun(shared.store, "home") for _ in range(50)]
    assert len({one.code for one in others}) == 50
    assert set("".join(one.code for one in others)) <= {*CODE_LETTERS, "-"}
    assert not set("01ilo") & set(CODE_LETTERS)
    for one in others:
        one.stop()
    with pytest.raises(ValueError, match="nobody shares"):
        SharedRun.found(others[0].code)


@pytest.mark.parametrize("key", ["", "-", "x", "../..", "None"])
def test_what_nobody_shares_cannot_be_followed(key):
    with pytest.raises(ValueError, match="nobody shares"):
        SharedRun.found(key)


def test_ids_cannot_be_guessed(shared):
    others = [SharedRun(shared.store, "home") for _ in range(20)]
    assert len({one.id for one in others}) == 20
    assert min(len(one.id) for one in others) >= 20
    for one in others:
        one.stop()


@pytest.mark.parametrize("slug", FOLLOWED)
def test_every_page_can_be_followed(slug):
    page = PAGES[slug]
    run, _ = page.opened()
    shared = SharedRun(run, slug)
    run.advance(3)
    app = App(FollowedRun(shared), slug)
    run.advance(3)
    app.draw()
    assert app.run.frame().epoch.index == run.frame().epoch.index
    for preset in app.shown.presets[:1]:
        values = run.settings.values()
        app.shown.choose(preset)
        assert run.settings.values() == values
    app.workspace.leave()
    shared.stop()
    run.close()


def test_followers_leave_nothing_behind_on_what_they_followed(shared):
    run = shared.store
    before, threads, gone = watchers(run), threading.active_count(), []
    for _ in range(3):
        follower = FollowedRun(shared)
        app = App(follower, "playground")
        clock_of(follower).play()
        app.draw()
        app.workspace.leave()
        gone += [weakref.ref(follower), weakref.ref(app), weakref.ref(follower.settings)]
        del app, follower
    gc.collect()
    assert [ref() for ref in gone] == [None] * len(gone)
    assert watchers(run) == before
    assert shared.following == 0
    assert SCHEDULER.tasks == 0
    assert threading.active_count() <= threads


def test_followers_know_whose_run_it_is_and_how_many_others_follow(shared):
    one, other = FollowedRun(shared), FollowedRun(shared)
    shared.sign("  Ada\n Lovelace ")
    for follower in (one, other):
        assert follower.differs
        follower.mirror()
        assert not follower.differs
        assert follower.company == Company("Ada Lovelace", 1)
    unseen = FollowedRun(shared, counts=False)
    assert unseen.company == Company("Ada Lovelace", 2)
    told = []
    one.param.watch(told.append, "company")
    other.close()
    one.frame()
    assert [event.new for event in told] == [Company("Ada Lovelace", 0)]
    shared.sign("x" * 500)
    one.frame()
    assert one.company.name == "x" * LONGEST_NAME


@pytest.mark.parametrize("others", [0, 1, 29])
def test_the_band_counts_the_others(others):
    told = in_words(Company("Ada", others))
    assert "Ada’s run" in told
    assert (str(others) in told) == (others > 0)
    assert "a shared run" in in_words(Company("", others))


@pytest.mark.parametrize("slug", FOLLOWED)
def test_every_followed_page_shows_all_its_settings_in_words(slug):
    run, _ = PAGES[slug].opened()
    shared = SharedRun(run, slug)
    table = FollowedSettings(FollowedRun(shared))
    rows = [row for _, rows in table.sections for row in rows]
    assert len({name for name, _, _ in rows}) == len(rows) >= 3
    assert all(label and value for _, label, value in rows)
    assert {name for name, _, _ in rows} <= set(run.settings.names())
    assert not hasattr(run.settings, "features") or ["features", "Input features", "x₁, x₂"] in rows
    shared.stop()
    run.close()


@pytest.mark.parametrize("slug", FOLLOWED)
def test_what_is_taken_over_goes_on_bit_for_bit(slug):
    run, _ = PAGES[slug].opened()
    shared = SharedRun(run, slug)
    run.advance(12)
    student = App(FollowedRun(shared), slug)
    student.clock.look_at(5)
    student.workspace.take_over()
    assert student.run.frame().epoch.index == 5
    student.run.advance(7)
    newest, same = run.frame().epoch, student.run.frame().epoch
    assert same.index == newest.index == 12
    for name in ("parameters", "points"):
        if hasattr(newest, name):
            assert getattr(same, name).tobytes() == getattr(newest, name).tobytes()
    assert hasattr(newest, "parameters") or hasattr(newest, "points")
    student.end()
    shared.stop()
    run.close()


def test_what_a_follower_keeps_is_the_run(shared):
    shared.store.advance(5)
    recording = FollowedRun(shared).recording("mine", page="playground")
    assert Run.reopened(recording).frame().epoch.index == 5
    with pytest.raises(ValueError, match="kept as a run"):
        FollowedRun.reopened(recording)
