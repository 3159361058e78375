"""Laws of the drawer of kept runs: what it shows is what is in the folder and on the page, whoever has changed it."""

from pathlib import Path

import pytest

from dashboard import Run, Settings
from dashboard.shell.runs_drawer import EMPTY, MAX_COMPARED, PLACES, RunsDrawer
from dashboard.state.race import Race
from dashboard.state.race_settings import RaceSettings
from dashboard.state.store import Shown
from dashboard.storage.run_archive import ArchivedRun, RunArchive
from dashboard.widgets import style
from dashboard.widgets.file_drop import FileDrop
from engine.recording import Recording


class Laboratory:
    """What the app is to the panel."""

    def __init__(self, folder: Path, store: Shown | None = None) -> None:
        self.archive = RunArchive(folder)
        self.run = store or Run(Settings(n=20, hidden=[2]))
        self.opened: list[str] = []

    def keep(self, name: str = "") -> ArchivedRun:
        return self.archive.keep(self.run.recording(name, page="playground"))

    def reopened(self, recording: Recording) -> Shown:
        return (Race if recording.notes["kind"] == "race" else Run).reopened(recording)

    def reopen(self, recording: Recording, key: str = "") -> None:
        self.run = self.reopened(recording)
        self.opened.append(key)


@pytest.fixture
def laboratory(tmp_path):
    return Laboratory(tmp_path)


@pytest.fixture
def panel(laboratory):
    return RunsDrawer(laboratory.archive, laboratory)


def said(panel: RunsDrawer) -> str:
    return panel.said


def rows(panel: RunsDrawer) -> list[dict]:
    return panel.rows


def ids(panel: RunsDrawer) -> list[str]:
    return [row["id"] for row in rows(panel)]


def keep(panel: RunsDrawer, name: str = "") -> str:
    before = set(ids(panel))
    panel.ask({"do": "keep", "name": name})
    return (set(ids(panel)) - before).pop()


def show(panel: RunsDrawer, key: str, on: bool = True, number: int = 1) -> None:
    panel.ask({"do": "beside", "id": key, "on": on, "number": number})


def test_an_empty_archive_says_what_to_do(panel, laboratory):
    assert rows(panel) == [] and panel._list.empty == EMPTY
    assert panel._form.suggested == "moons 2 relu, sgd 0.1"
    assert str(laboratory.archive.folder) in panel._small.object
    assert not laboratory.archive.folder.joinpath("runs").exists()


def test_what_is_kept_can_be_opened_renamed_deleted_and_had_back(panel, laboratory):
    laboratory.run.advance(3)
    key = keep(panel, "mine")
    assert said(panel) == "Kept as “mine”, at epoch 3."
    assert "epoch 3 · loss" in rows(panel)[0]["about"] and "Playground" in rows(panel)[0]["about"]
    laboratory.run.advance(5)
    panel.ask({"do": "open", "id": key})
    assert laboratory.opened == [key] and laboratory.run.history[-1].index == 3
    panel.ask({"do": "rename", "id": key, "name": "yours"})
    assert rows(panel)[0]["name"] == "yours"
    panel.ask({"do": "delete", "id": key})
    assert rows(panel) == [] and (said(panel), panel._form.undo) == ("Deleted “yours”.", key)
    panel.ask({"do": "restore", "id": key})
    assert ids(panel) == [key] and (said(panel), panel._form.undo) == ("“yours” is back.", "")


def test_what_another_process_does_is_followed(panel, laboratory):
    other = RunArchive(laboratory.archive.folder)
    key = other.keep(laboratory.run.recording("theirs")).id
    panel.refresh()
    assert [row["name"] for row in rows(panel)] == ["theirs"]
    show(panel, key)
    other.delete(key)
    panel.refresh()
    assert rows(panel) == [] and laboratory.run.compared_runs == ()


def test_nothing_is_sent_while_nothing_has_changed(panel):
    key = keep(panel)
    show(panel, key)
    told = []
    for part in (panel._form, panel._list, panel._table, panel._small):
        part.param.watch(told.append, list(part.param), onlychanged=False)
    panel.refresh()
    assert told == []


def test_up_to_three_runs_are_compared_each_in_a_color_of_its_own(panel, laboratory):
    keys = [keep(panel) for _ in range(MAX_COMPARED + 1)]
    version = laboratory.run.version
    for key in keys:
        show(panel, key)
    assert [compared.id for compared in laboratory.run.compared_runs] == keys[:MAX_COMPARED]
    assert said(panel) == "3 runs are shown beside already: take one away first." and panel._form.failed
    assert laboratory.run.version > version
    colors = {row["id"]: row["color"] for row in rows(panel)}
    assert [colors[key] for key in keys] == [*map(style.variant_color, PLACES), ""]
    show(panel, keys[1], on=False)
    show(panel, keys[3])
    assert laboratory.run.compared_runs[-1].color == colors[keys[1]]


def test_a_refused_click_is_answered(panel):
    """A box that was ticked in the browser is set back, though its state here has not changed."""
    keys = [keep(panel) for _ in range(MAX_COMPARED + 1)]
    for key in keys[:-1]:
        show(panel, key)
    show(panel, keys[-1], number=7)
    assert panel._form.failed and panel._list.answered == 7


def test_a_compared_run_keeps_its_place_under_a_new_name_and_leaves_when_it_is_deleted(panel, laboratory):
    key = keep(panel, "one")
    show(panel, key)
    store = laboratory.run.compared_runs[0].store
    panel.ask({"do": "rename", "id": key, "name": "<i>two</i>"})
    assert [(compared.name, compared.store) for compared in laboratory.run.compared_runs] == [("<i>two</i>", store)]
    laboratory.run.settings.learning_rate = 0.2
    panel.refresh()
    assert "&lt;i&gt;two" in panel._table.object and "<i>two" not in panel._table.object
    panel.ask({"do": "delete", "id": key})
    assert laboratory.run.compared_runs == () and not panel._table.visible


def test_the_table_shows_where_the_settings_differ(panel, laboratory):
    key = keep(panel)
    show(panel, key)
    assert "They have the same settings" in panel._table.object
    laboratory.run.settings.learning_rate = 0.2
    panel.refresh()
    assert "<th>Learning rate</th><td>0.2</td><td>0.1</td>" in panel._table.object
    assert "Speed" not in panel._table.object


def test_a_race_is_not_compared_with_a_run(tmp_path):
    racing = Laboratory(tmp_path, Race(RaceSettings()))
    keep(RunsDrawer(racing.archive, racing), "race")
    running = Laboratory(tmp_path)
    panel = RunsDrawer(running.archive, running)
    show(panel, ids(panel)[0])
    assert said(panel) == "“race” is a race, and this page shows a run. Open it by itself."
    assert running.run.compared_runs == () and rows(panel)[0]["beside"] is False


def test_a_file_goes_out_in_pieces_and_comes_back_whole(panel, laboratory, monkeypatch):
    key = keep(panel, "ß/..\\ a*b")
    monkeypatch.setattr(type(panel._list), "PIECE", 1000)
    content = laboratory.archive.path(key).read_bytes()
    handed = [panel._list.piece(key, start) for start in range(0, len(content), 1000)]
    assert b"".join(piece["data"] for piece in handed) == content
    assert {(piece["name"], piece["size"]) for piece in handed} == {(f"ß-..-a-b-{key}.npz", len(content))}
    panel.ask({"do": "delete", "id": key})
    panel._add("x.npz", content)
    assert ids(panel) == [key] and said(panel) == "Added “ß/..\\ a*b”."
    panel._add("x.npz", content)
    assert said(panel) == "“ß/..\\ a*b” is here already."
    panel._add("x.npz", content[:-1])
    assert said(panel) == "“x.npz” is not a kept run: its end is missing or not its own." and panel._form.failed


@pytest.mark.parametrize("act", ["open", "rename", "delete", "restore", "beside"])
def test_a_run_that_has_gone_is_reported(panel, laboratory, act):
    key = keep(panel)
    laboratory.archive.path(key).unlink()
    panel.ask({"do": act, "id": key, "name": "x", "on": True})
    assert panel._form.failed and key in said(panel)
    assert rows(panel) == []


def test_a_run_that_has_gone_is_not_handed_out_and_reported(panel, laboratory):
    key = keep(panel)
    laboratory.archive.path(key).unlink()
    assert key in panel._list.piece(key, 0)["trouble"]
    assert panel._form.failed and key in said(panel)
    assert rows(panel) == []


def test_a_folder_that_cannot_be_written_to_is_reported(panel, laboratory):
    (laboratory.archive.folder / "runs").write_text("here first")
    panel.ask({"do": "keep", "name": "x"})
    assert said(panel).startswith("The run was not kept: a file is in the place of a folder; move it away")
    assert "Not shown" in panel._small.object


# Files in pieces


class Sent:
    """What a drop has received, refused and answered."""

    def __init__(self, largest: int = 100) -> None:
        self.files, self.refusals, self.answers = [], [], []
        self.drop = FileDrop(lambda *file: self.files.append(file), self.refusals.append, largest=largest)
        self.drop._send_msg = self.answers.append

    def send(self, name: str, size: int, start: int, data: bytes = b"") -> None:
        self.drop._handle_msg({"name": name, "size": size, "start": start, "data": data})


def test_pieces_become_the_file_they_were():
    sent = Sent()
    for start, piece in ((0, b"abc"), (3, b"def"), (6, b"g")):
        sent.send("x", 7, start, piece)
    sent.send("empty", 0, 0)
    assert sent.files == [("x", b"abcdefg"), ("empty", b"")]
    assert sent.answers == [{"stop": False}] * 4 and sent.refusals == []


@pytest.mark.parametrize(
    "wrong", [("x", 7, 4, b"d"), ("y", 7, 3, b"d"), ("x", 7, 3, b"defghi"), ("x", 7, 0, bytes(8)), ("x", 7, -2, b"")]
)
def test_a_piece_out_of_order_ends_the_file(wrong):
    sent = Sent()
    sent.send("x", 7, 0, b"abc")
    sent.send(*wrong)
    assert sent.answers[-1] == {"stop": True} and "could not be read" in sent.refusals[0]
    sent.send("x", 7, 3, b"defg")
    assert sent.files == []


def test_a_file_too_large_is_refused_at_once():
    sent = Sent(largest=2**20)
    sent.send("x", 2**21, -1)
    sent.send("x", 2**21, 0, bytes(2**20 + 1))
    assert sent.refusals == ["“x” is too large: it has 2 MiB, and 1 MiB are the most."] * 2
    assert len(sent.drop._content) == 0


def test_a_drawer_that_is_asked_to_closes_whatever_closing_returns(laboratory):
    closed = []
    panel = RunsDrawer(laboratory.archive, laboratory, close=lambda: closed.append(1) or object())
    panel.ask({"do": "close", "number": 3})
    assert closed == [1] and panel.answered == 3
