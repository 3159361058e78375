"""The page of maps in the browser: it sharpens, leads in and out, opens the run of a pixel, and outlives its server."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Server, Visit

pytestmark = pytest.mark.ui

QUERY = "?page=maps&side=16&epochs=20&n=40"
GLYPHS = "(figure) => figure.renderers.map((one) => one.glyph.type).join()"
MAP = f"lab.everything().find((figure) => ({GLYPHS})(figure).startsWith('Image,MultiLine,Text'))"
"""The figure of an image, lines of theory and their names."""


def pixels(page: Visit) -> list[float]:
    """What the map shows, pixel by pixel; none as long as nothing is known."""
    found = page.ask(f"lab.flat({MAP}?.renderers[0].data_source.data.image ?? [])")
    return [value for value in found if value is not None and value == value]


def box(page: Visit) -> dict[str, float]:
    """Where the plot of the map is in the window, without its axes."""
    inner = page.ask(
        f"(() => {{ const view = Bokeh.index.find_one({MAP}); const at = view.el.getBoundingClientRect();"
        " const box = view.frame.bbox; return [at.x + box.left, at.y + box.top, box.width, box.height] })()"
    )
    return dict(zip(("x", "y", "width", "height"), inner, strict=True))


def at(page: Visit, across: float, up: float) -> tuple[float, float]:
    found = box(page)
    return found["x"] + across * found["width"], found["y"] + (1 - up) * found["height"]


def words(page: Visit) -> str:
    return page.window.get_by_text(re.compile("runs of 20 epochs")).first.inner_text()


def computed(page: Visit) -> list[float]:
    page.until(lambda: words(page).endswith("done"), lambda: f"the map to be done: {words(page)}")
    page.until(lambda: len(pixels(page)) == 256, "all pixels to be shown")
    return pixels(page)


def test_a_map_sharpens_leads_in_and_out_and_opens_its_runs(visit: Callable[..., Visit]):
    page = visit(QUERY, pictures=1)
    assert pixels(page) == []
    page.press("Compute")
    page.until(lambda: len(pixels(page)) > 0, "a first coarse picture")
    whole = computed(page)

    page.window.mouse.click(*at(page, 6.5 / 16, 9.5 / 16))
    page.until(lambda: page.epoch() == 20 and not page.playing(), lambda: f"the run to end: {page.where()}")
    assert page.loss() == pytest.approx(whole[9 * 16 + 6], rel=1e-6)  # the picture has four bytes a pixel

    page.window.mouse.move(*at(page, 0.3, 0.3))
    page.window.mouse.down()
    page.window.mouse.move(*at(page, 0.7, 0.8), steps=5)
    page.window.mouse.up()
    page.button("The whole map").wait_for()
    page.until(lambda: pixels(page) != whole, "another map")
    closer = computed(page)
    assert closer != whole
    page.press("The whole map")
    page.until(lambda: pixels(page) == whole, "the whole map, as it was")


def test_other_axes_make_another_map(visit: Callable[..., Visit]):
    page = visit(QUERY, pictures=1)
    page.choose("Across", "Noise")
    page.until(lambda: page.link()["x"] == "noise", "the link to follow")
    page.press("Compute")
    computed(page)
    assert page.ask(f"{MAP}.below[0].axis_label") == "Noise"


def test_a_map_goes_on_after_its_server_was_killed(browser: Any, tmp_path: Path, windows: Callable[..., Any]):
    """What was computed is found in the laboratory's folder, and not computed again."""
    server = Server(tmp_path)
    server.start()
    window = windows()
    try:
        page = Visit(window)
        window.goto(f"{server.url}{QUERY}&epochs=200&side=64")
        page.ready(1)
        page.press("Compute")
        page.until(lambda: bool(list((server.home / "maps").rglob("*.npy"))), "a finished tile")
        server._process.kill()
        server.stop()
        server.start()
        window.goto(f"{server.url}{QUERY}&epochs=200&side=64")
        page.ready(1)
        page.press("Compute")
        page.until(lambda: len(pixels(page)) > 0, "the tiles that were there")
    finally:
        window.close()
        server.stop()
