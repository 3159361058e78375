"""Pictures leave the page as files, and kept runs stand beside the page's own, all at one epoch."""

import csv
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from conftest import Server, Visit

from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.storage.run_archive import RunArchive

pytestmark = pytest.mark.ui

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ("wide & <i>slow</i>", "tanh")
KEPT = {NAMES[0]: {"hidden": [20], "learning_rate": 0.02}, NAMES[1]: {"activation": "tanh"}}
STANDS = """lab.column("loss", "Scatter", "epoch").concat(
  lab.everything().flatMap((figure) => figure.renderers).filter(({name}) => name == "here")
     .flatMap((one) => lab.flat(one.data_source.data.epoch)))"""
"""Where the tips of all losses are, and the places on all landscapes."""

TALL = {"viewport": {"width": 1400, "height": 2700}}
"""All cards are in view, compared runs included."""


def card(page: Visit, title: str) -> Any:
    heading = page.window.get_by_role("heading", name=title, exact=True)
    return page.window.locator(".MuiPaper-root").filter(has=heading).last


def saved(page: Visit, title: str, kind: str, folder: Path) -> Path:
    """A card's picture as a file; the menu is opened and used by keys alone."""
    button = card(page, title).get_by_role("button", name="Save this picture")
    button.press("Enter")
    item = page.window.get_by_role("menuitem", name=kind, exact=True)
    item.wait_for()
    while not item.evaluate("(item) => item.matches(':focus')"):
        page.window.keyboard.press("ArrowDown")
    with page.window.expect_download() as download:
        page.window.keyboard.press("Enter")
    assert page.window.get_by_role("menuitem").count() == 0, "the menu is still open"
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def pixels(png: Path) -> tuple[int, int]:
    head = png.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_picture_is_saved_as_what_the_page_shows_in_three_kinds_of_files(page: Visit, tmp_path: Path):
    for epoch in (1, 2, 3):
        page.press("Step")
        page.reach(epoch)
    png, svg, table = (saved(page, "Loss", kind, tmp_path) for kind in ("PNG", "SVG", "CSV"))
    assert [path.name for path in (png, svg, table)] == [
        f"playground-loss-epoch-3.{kind}" for kind in ("png", "svg", "csv")
    ]
    root = ElementTree.fromstring(svg.read_text())
    width, height = (float(root.get(side)) for side in ("width", "height"))
    assert root.tag == f"{SVG}svg"
    assert len(list(root.iter(f"{SVG}path"))) >= 8
    told = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert {"loss", "epoch", "Loss"} <= set(told)
    assert any("training" in line and "●" in line for line in told)
    assert any("epoch 3" in line and "Playground" in line for line in told)
    assert width > 200 and height > 200
    assert pixels(png) == (round(2 * width), round(2 * height))
    assert len(png.read_bytes()) > 5000, "there is hardly anything in the picture"
    for layer in ("training", "validation"):
        drawn = [float(row["loss"]) for row in rows(table) if row["layer"] == layer]
        assert drawn == page.ask("lab.column('loss', x, 'loss')", layer)
        assert len(drawn) == 4


def test_compared_runs_stand_beside_every_picture_at_the_pages_epoch(visit: Any, server: Server, tmp_path: Path):
    archive = RunArchive(server.home)
    for name, choices in KEPT.items():
        run = Run(Settings(**choices))
        run.advance(60)
        archive.keep(run.recording(name, page="playground"))
    page = visit(**TALL)
    page.press("Runs")
    for name in NAMES:
        page.window.get_by_label(f"Show {name} beside").check()
    page.press("Close the kept runs")
    page.come_to(lambda: page.ask("lab.state()[0]"), 5 + 2 * 4, "the figures, which are made one after the other")
    for epoch in (1, 2):
        page.press("Step")
        page.reach(epoch)
    page.until(lambda: set(page.ask(STANDS)) == {2}, lambda: f"all pictures at epoch 2, not {page.ask(STANDS)}")
    page.slider("Epoch").press("ArrowLeft")
    page.until(lambda: set(page.ask(STANDS)) == {1}, lambda: f"all pictures at epoch 1, not {page.ask(STANDS)}")
    assert len(page.ask(STANDS)) == 6 + 3, "two losses and a place on the landscape of each"
    for title in ("Decision map", "Loss landscape", "Gradient flow", "Activations"):
        words = card(page, title).locator("p.name").all_inner_texts()
        assert words == ["this run", *NAMES]
    both = rows(saved(page, "Gradient flow", "CSV", tmp_path))
    assert {row["run"] for row in both} == {"this run", *(f"compared {i}: {name}" for i, name in enumerate(NAMES, 1))}
    page.window.set_viewport_size({"width": 390, "height": 844})
    page.until(lambda: page.ask("document.documentElement.scrollWidth <= innerWidth"), "nothing wider than a phone")
    page.window.set_viewport_size(TALL["viewport"])
