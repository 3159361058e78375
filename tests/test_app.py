"""The whole laboratory without a server: it is built, it listens to its controls, and it leaves nothing behind."""

import asyncio
import gc
import threading
import time
import weakref
from dataclasses import replace
from typing import Any

import pytest
from bokeh.document import Document
from panel import state
from panel.viewable import Viewable

from dashboard.instruments.loss_curve import LossCurve
from dashboard.pages import PAGES
from dashboard.pages.page import Page
from dashboard.server import inbound
from dashboard.shell import frame_loop
from dashboard.shell.app import App
from dashboard.state.clock import SCHEDULER
from dashboard.state.followed import FollowedRun, SharedRun
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.storage.journal import Journal
from dashboard.widgets.controls import SECTIONS
from dashboard.widgets.followed_settings import FollowedSettings

PATIENCE = 60
"""Seconds after which a thread that should have ended is taken for one that never will."""

RUNS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "four points": {"dataset": "xor4"},
    "classes": {"dataset": "spirals", "classes": 4},
    "regression": {"dataset": "chebyshev", "n": 20},
    "no hidden layer": {"hidden": []},
    "wide layers": {"hidden": [100, 128]},
    "values between the steps of sliders": {"l2": 0.0123, "batch_size": 37, "learning_rate": 0.12345, "n": 123},
}


def watchers(settings: Settings) -> int:
    """How many callbacks wait for a change of the settings."""
    return sum(len(found) for kinds in settings.param.watchers.values() for found in kinds.values())


def scheduler_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "scheduler"]


def wait_for_silence() -> None:
    for thread in scheduler_threads():
        thread.join(PATIENCE)


@pytest.mark.parametrize("name", RUNS)
def test_every_run_gets_a_page_with_controls_and_pictures(name):
    settings = Settings(**RUNS[name])
    values = settings.values()
    app = App(Run(settings))
    app.page().get_root(Document())
    assert app.shown.shown
    assert settings.values() == values, "building the controls changed a setting"
    app.close()


@pytest.mark.parametrize("slug", PAGES)
def test_every_page_asks_a_question_and_opens(slug):
    page = PAGES[slug]
    assert issubclass(page, Page)
    assert page.title
    assert page.question.endswith("?")
    assert page.look_for
    app = App(page=slug)
    assert app.shown.slug == slug
    app.close()


def test_in_a_notebook_the_app_is_its_controls_beside_its_page():
    app = App(Run(Settings(n=40, hidden=[3])))
    assert isinstance(app.__panel__(), Viewable)
    app.close()


def test_a_click_on_the_loss_takes_all_pictures_to_that_epoch():
    app = App(Run(Settings(n=40, hidden=[3])), page="playground")
    app.run.advance(20)
    loss = next(instrument for instrument in app.shown.shown if isinstance(instrument, LossCurve))
    loss.tapped(7.3, 0.1)
    app.draw()
    assert "epoch</dt><dd>7<" in app.playback_bar._numbers.text
    assert loss.sources["now"].data["epoch"][0] == 7
    loss.tapped(25.0, 0.1)
    assert app.run.looked_at is None
    app.close()


def test_the_slider_takes_pictures_back_and_follows_the_run():
    app = App(Run(Settings(n=40, hidden=[3])), page="playground")
    app.run.advance(20)
    app.draw()
    scrubber = app.playback_bar._scrubber
    assert (scrubber.shown, scrubber.newest) == (20, 20)
    scrubber._handle_msg(4)
    app.draw()
    assert (app.run.frame().epoch.index, scrubber.shown, scrubber.newest) == (4, 4, 20)
    app.close()


def test_the_playground_shows_the_pictures_that_are_chosen():
    app = App(page="playground")
    app.run.view.pictures = ["Loss", "One unit"]
    while app.is_behind():
        app.draw()
    assert [instrument.title for instrument in app.shown.shown] == ["Loss", "One unit"]
    app.shown.choose(app.shown.presets[1])
    assert app.run.view.pictures == ["Loss", "One unit"]
    app.close()


def test_pages_are_swapped_and_come_back_as_they_were_left():
    app = App(page="playground")
    app.run.settings.seed = 5
    app.run.advance(7)
    left = app.run
    app.workspace.open("home")
    assert (app.shown.slug, app.run.settings.seed) == ("home", 0)
    assert watchers(left.settings) == watchers(Run().settings), "only the run itself follows its settings"
    app.workspace.open("playground")
    assert app.run is left
    assert (app.run.settings.seed, app.run.history[-1].index) == (5, 7)
    with pytest.raises(ValueError, match="choose one of"):
        app.workspace.open("nowhere")
    app.end()
    assert watchers(left.settings) == watchers(Settings())


def test_only_the_last_few_pages_that_were_left_keep_their_runs():
    app = App(page="playground", lazy=True)
    runs = []
    for slug in ("home", "logistic", "dead", "depth", "geometry", "curvature"):
        runs.append(app.run)
        app.workspace.open(slug)
    app.workspace.open("playground")
    assert app.run is not runs[0]
    assert watchers(runs[0].settings) == watchers(Settings())
    app.workspace.open("depth")
    assert app.run is runs[4]
    app.end()


def test_the_way_back_to_other_settings_finds_the_run_that_had_them():
    app = App(page="playground", lazy=True)
    app.run.advance(12)
    before = app.workspace.query()
    app.run.settings.hidden = [5]
    app.run.advance(9)
    after = app.workspace.query()
    app.workspace.travel(before)
    assert (app.workspace.query(), app.run.history[-1].index) == (before, 12)
    app.workspace.travel(after)
    assert (app.workspace.query(), app.run.history[-1].index) == (after, 9)
    app.workspace.travel({**before, "noise": "[]", "unit": "-4"})
    assert app.run.settings.hidden != [5]
    app.draw()
    assert "noise=[]" in app.alert.object
    app.end()


def test_the_way_back_leads_to_pages_runs_and_those_who_are_followed():
    teacher = App(page="playground", lazy=True)
    shared = teacher.workspace.let_follow()
    app = App(page="depth", lazy=True)
    app.run.advance(3)
    depth, left = app.workspace.query(), app.run
    app.workspace.travel({"page": "watch", "feed": ""})
    assert app.shown.slug == "watch"
    app.workspace.travel(depth)
    assert app.run is left
    kept = app.workspace.keep("mine")
    held = app.workspace.query()
    app.workspace.open("home")
    app.workspace.travel(held)
    assert (app.run, app.workspace.query()["run"]) == (left, kept.id)
    assert app.shown.slug == "depth"
    app.end()
    teacher.end()
    assert shared.following == 0


@pytest.mark.parametrize("slug", PAGES)
def test_every_preset_of_every_page_can_be_chosen(slug):
    app = App(page=slug, lazy=True)
    labels = [preset.label for preset in app.shown.presets]
    assert len(set(labels)) == len(labels)
    for preset in app.shown.presets:
        app.shown.choose(preset)
        app.clock.pause()
        assert app.run.message == ""
        assert preset.doc.endswith(".")
    app.workspace.leave()


def test_keys_move_time():
    app = App(Run(Settings(n=40, hidden=[3])))
    app.browser._handle_msg("right")
    app.browser._handle_msg("right")
    assert app.run.history[-1].index == 2
    app.browser._handle_msg("space")
    assert app.clock.playing
    app.browser._handle_msg("space")
    assert not app.clock.playing
    app.browser._handle_msg("r")
    assert app.run.history[-1].index == 0
    app.close()


def test_what_could_not_be_followed_is_reported():
    app = App(Run(Settings(n=40, hidden=[3])), problems=["noise=NaN is not possible; choose a number from 0 to 1"])
    assert app.alert.visible
    assert "noise=NaN" in app.alert.object
    app.run.settings.noise = 0.3
    app.draw()
    assert not app.alert.visible
    app.close()


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"batch_size": "500"}, "150"),
        ({"hidden": "[0]"}, "hidden"),
        ({"seed": "-1"}, "seed"),
        ({"standardize": "perhaps"}, "standardize"),
        ({"n": "4", "dataset": "blobs", "classes": "5"}, "5 or more"),
    ],
)
def test_what_cannot_be_is_reported_with_what_could(query, told):
    run, problems = PAGES["playground"].opened(query)
    app = App(run, "playground", problems, lazy=True)
    app.draw()
    assert told in app.alert.object
    run.advance(1)
    assert run.history[-1].index == 1
    app.end()


def test_a_run_that_diverged_offers_half_the_rate_and_undo_brings_it_back():
    app = App(Run(Settings(dataset="sine", n=40, hidden=[8], activation="relu", learning_rate=8.0)))
    app.run.advance(2000)
    app.draw()
    assert app.run.ended.startswith("diverged")
    assert app.remedy.visible
    assert app.alert.object.endswith("The last finite epoch is shown.")
    left = app.run.history[-1].index
    app.remedy.clicks += 1
    assert app.clock.playing
    app.clock.pause()
    assert app.run.settings.learning_rate == 4.0
    app.draw()
    assert not app.remedy.visible or app.run.ended
    app.playback_bar.undo()
    app.draw()
    assert app.run.settings.learning_rate == 8.0
    assert app.run.history[-1].index == left
    assert app.remedy.visible
    app.close()


def test_a_race_has_no_single_rate_to_halve():
    app = App(PAGES["geometry"].opened({"multiples": "[2.1]"})[0], "geometry")
    app.run.advance(20_000)
    app.draw()
    assert "diverged" in app.run.ended
    assert app.alert.visible
    assert not app.remedy.visible
    app.close()


def test_a_run_that_ends_says_why():
    app = App(Run(Settings(n=40, hidden=[3], stop_epoch=2)))
    app.run.advance(5)
    app.draw()
    assert app.alert.visible
    assert app.alert.object == "Stopped at epoch 2, where it was to stop; Play goes on"
    app.close()


def test_the_pictures_change_with_the_task():
    app = App(Run(Settings(n=40, hidden=[3])))
    before = [type(instrument).__name__ for instrument in app.shown.shown]
    app.run.settings.dataset = "sine"
    app.draw()
    after = [type(instrument).__name__ for instrument in app.shown.shown]
    assert ("DecisionMap" in before, "FittedCurve" in before) == (True, False)
    assert ("DecisionMap" in after, "FittedCurve" in after) == (False, True)
    app.close()


def test_twenty_apps_leave_no_thread_no_task_and_no_watcher_on_settings_they_shared():
    settings = Settings(n=40, hidden=[3], speed=0)
    before = watchers(settings)
    wait_for_silence()
    threads = threading.active_count()
    for _ in range(20):
        app = App(Run(settings))
        app.clock.play()
        app.end_beat()
        app.close()
        app.run.close()
    wait_for_silence()
    assert SCHEDULER.tasks == 0
    assert scheduler_threads() == []
    assert threading.active_count() <= threads
    assert watchers(settings) == before


def test_a_closed_app_is_forgotten():
    gone = []
    for _ in range(3):
        app = App(Run(Settings(n=40, hidden=[3])))
        app.page()
        app.clock.play()
        gone += [weakref.ref(app), weakref.ref(app.run), weakref.ref(app.shown)]
        app.close()
        del app
    wait_for_silence()
    gc.collect()
    assert [ref() for ref in gone] == [None] * len(gone)


def test_an_app_that_closes_does_not_close_a_run_that_others_watch():
    run = Run(Settings(n=40, hidden=[3]))
    staying, leaving = App(run), App(run)
    leaving.close()
    setup = run.setup
    run.settings.seed = 7
    assert run.setup is not setup
    staying.close()


def test_an_app_can_be_closed_twice():
    app = App(Run(Settings(n=40, hidden=[3])))
    app.close()
    app.close()


@pytest.mark.parametrize("slug", PAGES)
def test_a_link_holds_all_choices_of_a_page_under_names_of_their_own(slug):
    page = PAGES[slug]
    companion, _ = page.companion({})
    families = [page.settings.names(), page.view.names(), companion.names() if companion else []]
    names = [name for family in families for name in family]
    assert len(names) == len(set(names))
    assert set(page.controls) <= set(names)


# Kept, reopened, followed


def test_a_kept_run_opens_on_its_page_with_what_was_looked_at(tmp_path):
    app = App(Run(Settings(n=40, hidden=[3]), PAGES["playground"].view(example=3)), page="playground")
    app.run.advance(12)
    kept = app.workspace.keep("mine")
    loss = app.run.history[-1].loss
    app.workspace.open("geometry")
    app.run.advance(9)
    raced = app.workspace.keep()
    app.workspace.reopen(app.workspace.archive.load(kept.id), kept.id)
    assert (app.shown.slug, app.run.history[-1].index, app.run.history[-1].loss) == ("playground", 12, loss)
    assert app.run.view.example == 3
    app.workspace.reopen(app.workspace.archive.load(raced.id), raced.id)
    assert (app.shown.slug, app.run.history[-1].index) == ("geometry", 9)
    app.end()


def test_the_link_leads_to_the_kept_run_until_the_run_goes_on():
    app = App(Run(Settings(n=40, hidden=[3])), page="playground")
    kept = app.workspace.keep()
    assert app.workspace.query()["run"] == kept.id
    app.run.advance(1)
    app.draw()
    assert "run" not in app.workspace.query()
    app.end()


def test_a_kept_study_is_opened_with_its_choices():
    app = App(page="initialization")
    app.run.study.seeds = 7
    kept = app.workspace.keep()
    app.workspace.reopen(app.workspace.archive.load(kept.id))
    assert app.shown.slug == "initialization"
    assert app.run.study.seeds == 7
    app.end()


def test_a_recording_of_something_else_is_refused_and_the_page_stays():
    app = App(page="playground")
    recording = app.shown.recording()
    with pytest.raises(ValueError, match="not of a race"):
        app.workspace.reopen(replace(recording, notes={**recording.notes, "page": "geometry"}))
    assert app.shown.slug == "playground"
    app.end()


def test_an_idle_page_is_checked_less_often_until_its_user_does_something(monkeypatch):
    async def sent(*_: object) -> float:
        assert state.curdoc is document
        return 0.0

    waits, callbacks = [], []
    document = Document()
    monkeypatch.setattr(frame_loop, "send", sent)
    monkeypatch.setattr(frame_loop, "CALM_S", 0.0)
    monkeypatch.setattr(document, "add_timeout_callback", lambda call, ms: (callbacks.append(call), waits.append(ms)))
    app = App(Run(Settings(n=40, hidden=[3])), page="home")
    app.page().server_doc(document)
    app.loop.start(document)
    for _ in range(200):
        asyncio.run(callbacks[-1]())
        app.browser.shown = app.browser.frame
        if waits[-1] == 1e3 * frame_loop.IDLE_PERIOD_S:
            break
        time.sleep(0.01)
    assert waits[-1] == 1e3 * frame_loop.IDLE_PERIOD_S
    late, before = callbacks[-1], len(waits)
    inbound._wake(document)
    assert (len(waits), waits[-1]) == (before + 1, 1)
    asyncio.run(late())
    assert len(waits) == before + 1
    app.run.advance(3)
    asyncio.run(callbacks[-1]())
    assert app.shown.shown[0].shown == 3
    assert waits[-1] < 100
    app.end()


def test_whoever_is_followed_takes_the_others_along_and_nobody_else_moves_anything():
    teacher = App(Run(Settings(n=40, hidden=[3])), page="playground")
    shared = teacher.workspace.let_follow()
    assert teacher.workspace.let_follow() is shared
    student = App(FollowedRun(shared), page="playground")
    assert student.workspace.query() == {"follow": shared.id}
    teacher.run.advance(20)
    student.draw()
    assert "epoch</dt><dd>20<" in student.playback_bar._numbers.text
    student.clock.look_at(5)
    student.run.settings.hidden = [9]
    assert (teacher.run.looked_at, teacher.run.settings.hidden) == (None, [3])
    assert student.run.frame().epoch.index == 5
    teacher.workspace.open("geometry")
    assert student.run.outdated
    teacher.workspace.stop_following()
    with pytest.raises(ValueError, match="nobody shares"):
        SharedRun.found(shared.id)
    student.end()
    teacher.end()


def test_a_follower_is_told_so_at_once_and_whoever_shares_sees_how_many_there_are():
    teacher = App(Run(Settings(n=40, hidden=[3])), page="playground")
    assert "followers" not in teacher.playback_bar._numbers.text
    shared = teacher.workspace.let_follow()

    def followers() -> str:
        assert teacher.is_behind()
        teacher.draw()
        return teacher.playback_bar._numbers.text

    assert "followers</dt><dd>0<" in followers()
    students = [App(FollowedRun(shared), page="playground") for _ in range(2)]
    for student in students:
        student.draw()
        (band,) = student._company.objects
        assert student._company.visible
        assert band.words.endswith("a shared run.") or "a shared run, " in band.words
        assert "whoever shares it plays it" in band.more
        assert "followers" not in student.playback_bar._numbers.text
    assert "followers</dt><dd>2<" in followers()
    students[0].end()
    assert "followers</dt><dd>1<" in followers()
    teacher.workspace.stop_following()
    assert "followers" not in followers()
    students[1].end()
    teacher.end()


def test_a_follower_reads_the_settings_and_finds_disabled_what_they_cannot_press():
    run, _ = PAGES["playground"].opened({"n": "40", "hidden": "[3, 2]"})
    teacher = App(run, page="playground")
    shared = teacher.workspace.let_follow()
    student = App(FollowedRun(shared), page="playground")
    (settings,) = student._side.objects

    def rows() -> dict[str, str]:
        return {name: value for _, rows in settings.sections for name, _, value in rows}

    assert rows()["hidden"] == "3, 2"
    assert {title for title, _ in settings.sections} == set(SECTIONS)
    teacher.run.settings.param.update(optimizer="adam", learning_rate=0.02, batch_size=8)
    student.draw()
    assert (rows()["optimizer"], rows()["learning_rate"], rows()["batch_size"]) == ("adam", "0.02", "8")
    assert set(teacher.run.settings.options("optimizer")) <= rows().keys()
    bar, story = student.playback_bar, student.shown._story
    assert bar._roll.disabled
    assert bar._speed.disabled
    assert story.locked
    before = teacher.run.settings.values()
    story._handle_msg(1)
    assert (student.run.message, teacher.run.settings.values()) == ("", before)
    bar, story = teacher.playback_bar, teacher.shown._story
    assert not (bar._roll.disabled or bar._speed.disabled or story.locked)
    story._handle_msg(1)
    assert teacher.run.view.step == 1
    student.end()
    teacher.end()


def test_a_follower_takes_the_run_over_at_the_epoch_that_they_look_at_and_plays_it():
    teacher = App(Run(Settings(n=40, hidden=[3])), page="activations")
    shared = teacher.workspace.let_follow()
    teacher.run.advance(20)
    student = App(FollowedRun(shared), page="activations")
    (band,) = student._company.objects
    student.clock.look_at(8)
    band._handle_msg("take over")
    assert (shared.following, student._company.visible) == (0, False)
    assert student.shown.slug == "activations"
    assert student.run.followed is None
    assert not [one for one in student._side.objects if isinstance(one, FollowedSettings)]
    assert len(student._side.objects) == 1
    assert student.run.frame().epoch.index == 8
    student.run.advance(12)
    mine, theirs = student.run.frame().epoch, teacher.run.frame().epoch
    assert (mine.index, mine.parameters.tobytes()) == (20, theirs.parameters.tobytes())
    student.run.settings.learning_rate = 0.05
    student.run.advance(5)
    assert teacher.run.frame().epoch.index == 20
    assert teacher.run.settings.learning_rate != 0.05
    with pytest.raises(ValueError, match="only a followed run"):
        student.workspace.take_over()
    student.end()
    teacher.end()


def test_a_note_is_pinned_to_the_run_as_it_is():
    app = App(Run(Settings(n=40, hidden=[3])), page="playground")
    app.run.advance(4)
    app.toolbar.note()
    assert app.shown.slug == "journal"
    (pin,) = Journal().read(app.run.view.entry).pins
    assert (pin.epoch, app.workspace.archive.load(pin.run).epochs.index[-1]) == (4, 4)
    app.end()
