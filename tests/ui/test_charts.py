"""Charts in a browser: a drag looks closer, the pointer reads the curves and shows its epoch in the others."""

import pytest

from dashboard.widgets import style

pytestmark = pytest.mark.ui

PLACE = """(() => {
  const view = Bokeh.index.find_one_by_id(lab.figures().loss.id)
  const canvas = view.canvas_view.el.getBoundingClientRect(), box = view.frame.bbox
  return [canvas.left + box.left, canvas.top + box.top, box.width, box.height]
})()"""
RANGE = "[lab.figures().loss.x_range.start, lab.figures().loss.x_range.end]"


def at(page, across, up):
    """Where on the screen a share of the loss curve's frame is."""
    left, top, width, height = page.ask(PLACE)
    return left + across * width, top + (1 - up) * height


def drag(page, start, end):
    mouse = page.window.mouse
    mouse.move(*at(page, *start))
    mouse.down()
    for share in (0.3, 0.6, 1.0):
        mouse.move(*at(page, *(a + share * (b - a) for a, b in zip(start, end, strict=True))))
    mouse.up()


def test_a_drag_looks_closer_while_the_run_goes_on_and_a_double_click_shows_everything(visit):
    page = visit("?page=home&epoch=100&stop_epoch=0", pictures=3)
    page.reach(100)
    page.until(lambda: page.ask(RANGE) == [0, 100], "all epochs to be in sight")
    drag(page, (0.3, 0.2), (0.7, 0.8))
    page.until(lambda: page.ask(RANGE)[1] < 80, lambda: f"a part: {page.ask(RANGE)}")
    part = page.ask(RANGE)
    assert part == pytest.approx([30, 70], abs=2)
    page.press("Play")
    page.pass_by(140)
    newest = page.stand()
    assert page.ask(RANGE) == part
    page.window.mouse.dblclick(*at(page, 0.5, 0.5))
    page.until(lambda: page.ask(RANGE) == [0, newest], lambda: f"all epochs again: {page.ask(RANGE)}")
    assert page.epoch() == newest, "the first click has picked no epoch"


def test_the_pointer_reads_the_curves(visit):
    page = visit("?page=home&epoch=100&stop_epoch=0", pictures=3)
    page.reach(100)
    page.window.mouse.move(*at(page, 0.45, 0.5))
    page.window.mouse.move(*at(page, 0.5, 0.5))
    tips = page.window.locator(".bk-tooltip-row-label, .bk-tooltip-row-value")
    page.until(lambda: "training" in " ".join(tips.all_inner_texts()), lambda: f"a value: {tips.all_inner_texts()}")
    read = " ".join(tips.all_inner_texts())
    assert "validation" in read
    assert " 50" in read or " 49" in read or " 51" in read


CROSSHAIRS = """[...Bokeh.index.query((view) => (view.model.type ?? "").endsWith("Figure"))]
  .map((view) => [view, view.shadow_el.querySelector(".crosshair")])
  .filter(([, line]) => line && line.style.display != "none")
  .map(([view, line]) => [parseFloat(line.style.left), view.frame.x_scale.compute(x), line.textContent])"""


def test_the_pointer_shows_its_epoch_in_the_other_charts(visit):
    page = visit("?page=playground&dataset=circles&epoch=60&stop_epoch=60")
    page.reach(60)
    page.until(lambda: not page.playing(), "the run to stop")
    page.window.mouse.move(*at(page, 0.45, 0.5))
    page.window.mouse.move(*at(page, 0.5, 0.5))
    page.until(lambda: page.ask(CROSSHAIRS, 30), "a line in another chart")
    lines = page.ask(CROSSHAIRS, 30)
    assert all(left == pytest.approx(expected, abs=3) and told == "30" for left, expected, told in lines), lines
    page.window.mouse.move(5, 5)
    page.until(lambda: not page.ask(CROSSHAIRS, 30), "the lines to go")


QUIET = """[...Bokeh.index.query((view) => (view.model.type ?? "").endsWith("Figure"))]
  .flatMap((view) => view.model.renderers)
  .map(({glyph}) => glyph?.type === "Text" ? glyph.text_color?.value : null).filter(Boolean)"""


def test_quiet_words_in_pictures_have_the_color_of_the_theme(visit):
    page = visit("?page=curvature&epoch=5&stop_epoch=5", wait=False, color_scheme="light").ready(0)
    for color in style.GHOST_TEXT:
        page.until(lambda color=color: page.ask(QUIET)[1:] and set(page.ask(QUIET)) == {color}, lambda: page.ask(QUIET))
        page.press("Toggle theme")


def test_what_is_read_stands_in_the_type_and_on_the_ground_of_the_page(visit):
    page = visit("?page=home&epoch=100&stop_epoch=0", pictures=3, color_scheme="dark")
    page.reach(100)
    page.window.mouse.move(*at(page, 0.45, 0.5))
    page.window.mouse.move(*at(page, 0.5, 0.5))
    box = page.window.locator(".bk-Tooltip").first
    box.wait_for()
    look = box.evaluate(
        "(box) => (({fontSize, backgroundColor}) => [fontSize, backgroundColor])(getComputedStyle(box))"
    )
    assert look == ["12px", "rgb(30, 30, 30)"]
