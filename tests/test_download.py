"""Every file leaves a page by one way: pieces of what a component makes on request, saved by one script."""

import re
from pathlib import Path
from typing import Any

import pytest

from dashboard.widgets.beside import beside
from dashboard.widgets.download import Downloads, Payload, Saver
from dashboard.widgets.export_card import ExportCard
from dashboard.widgets.save_menu import SaveMenu

ROOT = Path(__file__).parents[1] / "dashboard"
SCRIPTS = sorted(ROOT.rglob("*.js"))


@pytest.fixture
def pieces_of_three(monkeypatch) -> None:
    monkeypatch.setattr(Downloads, "PIECE", 3)


def received(component: Downloads, file: Any) -> tuple[bytes, set[tuple[str, int]]]:
    """What a page receives that requests a file: all of it, and what the pieces say of its name and size."""
    sent: list[dict[str, Any]] = []
    component._send_msg = sent.append
    start, size = 0, 1
    while start < size:
        component._handle_msg({"download": file, "start": start})
        assert sent[-1]["download"]
        start, size = start + len(sent[-1]["data"]), sent[-1]["size"]
    return b"".join(piece["data"] for piece in sent), {(piece["name"], piece["size"]) for piece in sent}


@pytest.mark.parametrize("content", [b"", b"ab", b"abc", b"abcdefg"])
def test_a_payload_goes_out_in_pieces_whole_and_is_made_once(pieces_of_three, content):
    made = []
    component = Saver(lambda file: made.append(file) or Payload(content, "name"))
    assert received(component, "it") == (content, {("name", len(content))})
    assert made == ["it"]
    assert component._handed.closed


def test_a_file_goes_out_whole_even_if_it_is_removed_on_the_way(pieces_of_three, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"abcdefgh")
    component = Saver(lambda _: Payload(file, "kept.npz"))
    first = component.piece("it", 0)
    file.unlink()
    rest = [component.piece("it", start) for start in (3, 6)]
    assert b"".join(piece["data"] for piece in (first, *rest)) == b"abcdefgh"


def test_a_file_that_is_requested_again_is_made_anew(pieces_of_three):
    contents = iter([b"one one", b"two"])
    component = Saver(lambda _: Payload(next(contents)))
    component.piece("it", 0)
    assert received(component, "it")[0] == b"two"


def test_what_goes_wrong_is_said_and_what_there_is_not_as_well(tmp_path):
    def refuse(_: Any) -> None:
        raise ValueError("no, because")

    assert Saver(refuse).piece("it", 0) == {"trouble": "no, because"}
    assert "gone" in Saver(lambda _: Payload(tmp_path / "gone")).piece("it", 0)["trouble"]
    assert Saver(lambda _: None).piece("it", 0) == {"trouble": "there is no such file"}
    assert ExportCard({}).piece("unknown", 0) == {"trouble": "there is no such file"}
    assert SaveMenu(lambda _: {"text": "a", "name": "b"}, kinds=["png"]).piece("csv", 0).keys() == {"trouble"}


def test_a_piece_of_nothing_that_was_begun_is_said_to_be_none():
    component = Saver(lambda _: Payload(b"abc"))
    assert component.piece("it", 0)["data"] == b"abc"
    assert "trouble" in component.piece("it", 3)


def test_a_table_is_a_file_and_a_picture_is_drawn_in_the_order_of_messages():
    sent: list[dict[str, Any]] = []
    found = {"csv": {"name": "a.csv", "text": "x\r\nß"}, "png": {"name": "a.png", "figures": [1]}}
    menu = SaveMenu(found.__getitem__, kinds=["png", "csv"])
    assert received(menu, "csv") == ("x\r\nß".encode(), {("a.csv", 5)})
    menu._send_msg = sent.append
    menu._handle_msg("png")
    menu._handle_msg("svg")
    assert sent == [{"kind": "png", "name": "a.png", "figures": [1]}]


def test_one_script_alone_saves_files():
    saving = re.compile(r"\.download\s*=|msSaveBlob|showSaveFilePicker|setAttribute\([\"']download")
    assert [path.name for path in SCRIPTS if saving.search(path.read_text("utf-8"))] == ["download.js"]
    python = [path for path in ROOT.rglob("*.py") if "FileDownload" in path.read_text("utf-8")]
    assert python == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_whole_with_what_it_imports(path):
    whole = beside(str(path), path.name)
    assert not re.search(r"^import ", whole, re.MULTILINE)
    imported = re.findall(r"^import \{([^}]*)\}", path.read_text("utf-8"), re.MULTILINE)
    for name in (name.strip() for names in imported for name in names.split(",")):
        assert len(re.findall(rf"^const {name} = |^function {name}\(|^class {name} ", whole, re.MULTILINE)) == 1
    if "export function render" in whole:
        assert re.findall(r"^export .*", whole, re.MULTILINE) == ["export function render({model, el}) {"]
