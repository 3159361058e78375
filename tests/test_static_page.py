"""A page as one file: it holds what the pictures show at every frame, needs no server, and trusts no text."""

import json
import re
from base64 import b64decode, b64encode
from collections import deque
from dataclasses import replace
from functools import cache
from hashlib import sha256
from html import escape, unescape
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
from bokeh.models import ColorMapper, ColumnDataSource, Range1d
from test_animation import played, same

import dashboard.export.static_page
from dashboard.export.page_snapshot import PageSnapshot
from dashboard.export.static_page import StaticPage, file_name, in_words, packed, static_page
from dashboard.pages import PAGES
from dashboard.shell.app import App
from dashboard.shell.share_dialog import ShareDialog
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.state.study import Study
from dashboard.widgets.download import Payload
from dashboard.widgets.export_card import ExportCard
from engine.recording import Recording, load

FILMED = ("playground", "geometry", "backpropagation", "depth")
"""Pages with all kinds of parts that pictures have: legends, tables in HTML, number sheets, pen bars."""

NASTY = """</script><img src=x onerror="alert('no')"> & <!--"""


@cache
def recording_of(slug: str, epochs: int = 12, **choices: Any) -> Recording:
    run, _ = PAGES[slug].opened()
    run.advance(epochs)
    return PAGES[slug](run).recording("a name")


def part(file: bytes, name: str) -> str:
    """The content of the script of that id in the file."""
    return re.search(rf'<script [^>]*id="{name}">(.*?)</script>', file.decode(), re.S)[1]


def animation(file: bytes) -> list[dict[tuple, Any]]:
    return played(b64decode(part(file, "animation")))


@pytest.fixture
def scenes(monkeypatch: pytest.MonkeyPatch) -> list[dict[tuple, Any]]:
    """What the pictures of a page really hold at each captured frame: columns, ranges, colors and captions."""
    shot: list[dict[tuple, Any]] = []
    capture = PageSnapshot.capture

    def look(snapshot: PageSnapshot, animation: Any) -> None:
        capture(snapshot, animation)
        models = snapshot._document.models
        sources = [model for model in models if isinstance(model, ColumnDataSource)]
        columns = {
            ("column", source.id, name): _copy(column) for source in sources for name, column in source.data.items()
        }
        ends = {
            ("attribute", model.id, name): getattr(model, name)
            for kind, names in ((Range1d, ("start", "end")), (ColorMapper, ("low", "high")))
            for model in models
            if isinstance(model, kind)
            for name in names
        }
        captions = {("caption", place): one.caption for place, one in enumerate(snapshot.page.shown)}
        shot.append({**columns, **ends, **captions})

    monkeypatch.setattr(PageSnapshot, "capture", look)
    return shot


def _copy(value: Any) -> Any:
    if isinstance(value, list):
        return [_copy(one) for one in value]
    return value.copy() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("slug", FILMED)
def test_the_animation_holds_what_the_pictures_show_at_every_frame(slug, scenes):
    """What has no track stays as it is in the file's models from the first frame on."""
    file = static_page(PAGES[slug], recording_of(slug), frames=3, seconds=0.0)
    frames = animation(file)
    assert len(frames) == len(scenes) == 3
    for shown, true in zip(frames, scenes, strict=True):
        wrong = [name for name, value in true.items() if not same(_as_sent(value), shown.get(name, scenes[0][name]))]
        assert wrong == []
    page = json.loads(part(file, "page"))
    assert page["epochs"] == [0, 6, 12]
    assert [frames[0]["caption", place] for place in range(len(page["cards"]))] != [
        frames[-1]["caption", place] for place in range(len(page["cards"]))
    ]
    assert len(page["cards"]) == file.count(b'<article class="card ')


def _as_sent(value: Any) -> Any:
    """Text in arrays goes as objects."""
    if isinstance(value, list):
        return [_as_sent(one) for one in value]
    return value.astype(object) if isinstance(value, np.ndarray) and value.dtype.kind == "U" else value


def test_the_file_runs_its_own_scripts_only_and_asks_nobody():
    text = static_page(PAGES["home"], recording_of("home"), frames=2, seconds=0.0).decode()
    scripts = re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", text, re.S)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    hashes = {f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts}
    assert len(scripts) == 2
    assert set(re.search("script-src ([^;]*);", policy)[1].split()) == {"'unsafe-eval'", *hashes}
    assert policy.startswith("default-src 'none';")
    page = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert re.findall(r"(?:src|href|action)\s*=|url\(|@import", page) == []


def test_no_text_of_a_user_breaks_out():
    recording = replace(recording_of("home"), name=NASTY, created=NASTY)
    text = static_page(PAGES["home"], recording, frames=2, seconds=0.0, link="https://a/?x=" + NASTY).decode()
    assert "<img src=x" not in text
    assert text.count("</script>") == text.count("<script") - text.count("<\\script") == 5
    assert NASTY in unescape(re.search("<title>(.*?)</title>", text, re.S)[1])
    assert re.search(r'href="([^"]*)"', text)[1] == escape("https://a/?x=" + NASTY)


def test_the_recording_is_in_the_file_and_opens_as_it_was(tmp_path):
    recording = recording_of("home")
    file = static_page(PAGES["home"], recording, frames=2, seconds=0.0)
    content = b64decode(part(file, "recording"))
    assert content == packed(recording)
    (tmp_path / "run.npz").write_bytes(content)
    again = PAGES["home"].reopened(load(tmp_path / "run.npz"))
    assert again.frame().epoch.loss == recording.epochs.loss[-1]


def test_a_file_that_is_too_large_is_made_with_fewer_frames(monkeypatch):
    whole = StaticPage(PAGES["home"], recording_of("home"), seconds=0.0)
    deque(whole.pieces(), 0)
    assert whole.frames == 13
    monkeypatch.setattr(dashboard.export.static_page, "MAX_FILE_BYTES", len(whole.file) - 1000)
    monkeypatch.setattr(dashboard.export.static_page, "FEWEST", 4)
    fewer = StaticPage(PAGES["home"], recording_of("home"), seconds=0.0)
    shares = [fewer.progress for _ in fewer.pieces()]
    assert fewer.frames == 7
    assert len(fewer.file) < len(whole.file)
    assert json.loads(part(fewer.file, "page"))["epochs"] == [0, 2, 4, 6, 8, 10, 12]
    assert min(shares) >= 0
    assert fewer.progress == 1


def test_what_was_chosen_in_a_card_and_on_the_page_is_shown():
    run, _ = PAGES["playground"].opened({"pictures": '["Loss"]'})
    run.advance(5)
    recording = PAGES["playground"](run).recording()
    file = static_page(PAGES["playground"], recording, pictures={"LossCurve": {"log": True}}, seconds=0.0)
    page = json.loads(part(file, "page"))
    assert len(page["cards"]) == 1
    assert '"LogScale"' in part(file, "page")
    assert b"Loss</dd>" in file


def test_results_of_a_comparison_are_taken_over():
    study = Study(replace(PAGES["curvature"].plan, variants={"one": {}}), seeds=1, epochs=10)
    run = Run(Settings(n=40, hidden=[2]), study=study)
    deque(study.pieces(run.settings), 0)
    page = StaticPage(PAGES["curvature"], recording_of("curvature"), results=study.results)
    assert study.results
    assert page._store.study.results == study.results
    assert page._store.study is not study
    assert not page._store.study.busy


def test_heavy_pictures_are_computed_for_the_last_epoch_and_only_as_long_as_there_is_time():
    captions = []
    for seconds in (0.0, 60.0):
        file = static_page(PAGES["playground"], recording_of("playground"), 2, seconds=seconds)
        captions.append(animation(file)[-1]["caption", 3])
    assert captions[0] == "surveying the surface…"
    assert "around epoch 12; now" in captions[1]


def test_a_page_refuses_what_it_cannot_show():
    with pytest.raises(ValueError, match="race"):
        StaticPage(PAGES["geometry"], recording_of("home"))


def test_settings_in_words_leave_out_what_has_no_effect():
    words = dict(in_words(Settings(dataset="moons", optimizer="sgd", hidden=[4, 3], standardize=True)))
    assert words["Hidden layers"] == "4, 3"
    assert words["Standardize inputs"] == "yes"
    assert "Learning rate" in words
    assert not {"Beta1", "Turns", "Speed"} & words.keys()
    assert dict(in_words(Settings(dataset="spirals", optimizer="adam")))["Beta1"] == "0.9"


@pytest.mark.parametrize(
    ("title", "name"),
    [("Playground, epoch 1,200", "Playground-epoch-1-200.npz"), ("../ä\n", "run.npz"), ("x" * 300, "x" * 60 + ".npz")],
)
def test_names_of_files_can_be_written_anywhere(title, name):
    assert file_name(title, "npz") == name


@pytest.fixture
def share() -> ShareDialog:
    run, _ = PAGES["home"].opened()
    run.advance(6)
    return ShareDialog(App(run, "home").workspace)


def test_the_link_says_which_epoch_is_shown(share):
    share._host.run.look_at(4)
    query = parse_qs(share.link().content.decode().lstrip("?"))
    assert query["page"] == ["home"]
    assert query["epoch"] == ["4"]


def test_others_can_follow_until_they_may_not(share):
    query = parse_qs(share.follow().content.decode().lstrip("?"))
    assert query["follow"] == [share._host.shared.code]
    assert share.follow().content.decode() == f"?follow={share._host.shared.code}"
    assert share._following.state == "0 follow"
    share.stop()
    assert share._host.shared is None
    assert [act["act"] for act in share._following.acts] == ["follow"]


def test_code_and_recording_are_of_the_page(share, tmp_path):
    names: dict[str, Any] = {"__name__": "network"}
    exec(share.numpy().content, names)
    frame = share._host.run.frame()
    np.testing.assert_allclose(
        names["predict"](frame.setup.train.x), frame.network().predict(frame.setup.train.x), rtol=1e-12
    )
    assert b"import torch" in share.torch().content
    (tmp_path / "run.npz").write_bytes(share.recording().content)
    assert load(tmp_path / "run.npz").notes["page"] == "home"


def test_a_race_has_no_network_to_offer():
    share = ShareDialog(App(page="geometry").workspace)
    assert not share._code.visible
    with pytest.raises(ValueError, match="no network"):
        share.numpy()


def test_a_page_is_made_in_the_background_and_leaves_the_users_alone(share):
    run = share._host.run
    run.look_at(3)
    version, kind = run.version, share._host.shown
    with pytest.raises(ValueError, match="not made yet"):
        share.page()
    share.make()
    share._job.wait(60)
    assert share.page().name == "Start-epoch-3.html"
    assert [act["act"] for act in share._animation.acts] == ["page", "make"]
    assert (run.version, run.looked_at, share._host.shown) == (version, 3, kind)


def test_a_page_can_be_cancelled(share):
    share.make()
    job = share._job
    share.cancel()
    job.wait(60)
    assert not job.busy
    assert [act["act"] for act in share._animation.acts] == ["make"]


def test_what_goes_wrong_is_said(share, monkeypatch):
    monkeypatch.setattr(StaticPage, "_capture", lambda *_: _refuse("a reason"))
    share.make()
    share._job.wait(60)
    assert share._animation.state == "the page could not be made: a reason"
    assert [act["act"] for act in share._animation.acts] == ["make"]


def test_each_button_of_a_card_hands_out_its_own_file():
    card = ExportCard({"a": lambda: Payload(b"one", "a.txt"), "b": lambda: _refuse("no")})
    assert card.piece("a", 0) == {"data": b"one", "size": 3, "name": "a.txt"}
    assert card.piece("b", 0) == {"trouble": "no"}


def _refuse(sentence: str) -> None:
    raise ValueError(sentence)
