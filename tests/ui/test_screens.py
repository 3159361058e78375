"""Screens and senses: a phone, the dark, a keyboard, a screen reader, pictures out of view."""

import json
import re
from urllib.parse import quote

import pytest

from dashboard.pages import PAGES

pytestmark = pytest.mark.ui

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
NAMED = "button|slider|combobox|switch|textbox|spinbutton|checkbox|radiogroup|radio|link"
FOCUSED = """(() => {
  const found = lab.focused()
  if (!found) { return null }
  const around = found.matches("input[type=range], input[type=checkbox]") ? found.parentElement : found
  const box = around.getBoundingClientRect()
  return {what: found.getAttribute("aria-label") || found.innerText || found.outerHTML.slice(0, 120),
          x: box.x - 8, y: box.y - 8, width: box.width + 16, height: box.height + 16}
})()"""
BRIGHTNESS = """(() => {
  const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number)
  return (red + green + blue) / 765
})()"""


def test_a_phone_has_no_overflow_and_a_drawer_that_opens(visit):
    page = visit(pictures=1, **PHONE)
    menu = page.window.get_by_role("combobox", name=re.compile("^Dataset"))
    page.until(lambda: not menu.is_visible() or off_screen(menu), "the drawer to be closed")
    assert page.ask(OVERFLOW) <= 0
    page.press("Play")
    page.pass_by(page.pass_by(0))
    assert page.ask(OVERFLOW) <= 0
    page.press("Open drawer")
    page.until(lambda: menu.is_visible() and not off_screen(menu), "the drawer to be open")
    assert page.ask(OVERFLOW) <= 0
    page.choose("Dataset", "circles")
    page.until(lambda: page.link().get("dataset") == "circles", "the dataset in the link")


def off_screen(locator):
    box = locator.bounding_box()
    return box is None or box["x"] + box["width"] <= 0


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_the_users_color_scheme_is_followed_and_can_be_changed_for_good(visit, scheme, dark):
    page = visit(color_scheme=scheme)
    page.until(lambda: (page.ask(BRIGHTNESS) < 0.3) == dark, f"a page that is {scheme}")
    page.press("Toggle theme")
    page.until(lambda: (page.ask(BRIGHTNESS) < 0.3) != dark, f"a page that is not {scheme}")
    page.window.reload(wait_until="commit")
    page.ready()
    page.until(lambda: (page.ask(BRIGHTNESS) < 0.3) != dark, f"a page that is still not {scheme}")


def test_everything_that_can_be_used_has_a_name(page):
    for section in ("Start", "Loss and penalties", "Stop"):
        header = page.button(f"{section}$")
        if header.count() and header.get_attribute("aria-expanded") != "true":
            header.click()
    page.window.get_by_label("Stop at epoch").first.wait_for()
    said = page.window.locator("body").aria_snapshot()
    assert len(re.findall(r"slider", said)) > 6, "the snapshot sees the controls"
    nameless = [line.strip() for line in said.splitlines() if re.match(rf"\s*- '?({NAMED})\b(?! *\")", line)]
    assert nameless == [], "\n".join(nameless)


def test_keyboard_focus_can_be_seen(page):
    page.window.mouse.move(1399, 899)
    invisible, seen = [], []
    page.window.keyboard.press("Tab")
    for _ in range(40):
        here = page.ask(FOCUSED)
        if here is None:
            break
        page.window.keyboard.press("Tab")
        page.window.keyboard.press("Shift+Tab")
        here = page.ask(FOCUSED)
        clip = {name: here[name] for name in ("x", "y", "width", "height")}
        if clip["y"] >= 0 and clip["y"] + clip["height"] <= 900 and clip["width"] > 16:
            seen.append(here["what"])
            if not looks_different_with_focus(page.window, clip):
                invisible.append(here["what"])
        page.window.keyboard.press("Tab")
    assert len(seen) > 15, seen
    assert invisible == []


def looks_different_with_focus(window, clip):
    """Whether what has the keyboard looked different before it got it; it may take a moment to."""
    window.keyboard.press("Tab")
    without = window.screenshot(clip=clip)
    window.keyboard.press("Shift+Tab")
    return any(window.screenshot(clip=clip) != without for _ in range(8))


def test_pictures_out_of_view_are_not_drawn_and_are_up_to_date_when_scrolled_back(visit):
    chosen = ["Decision map", "Loss", "Loss landscape", "Gradient flow", "Activations"]
    query = f"?page=playground&pictures={quote(json.dumps(chosen))}"
    page = visit(query, pictures=3, viewport={"width": 1400, "height": 320})
    page.press("Play")
    page.pass_by(0)
    second_row = page.window.get_by_role("heading", name="Gradient flow")
    second_row.evaluate("(heading) => heading.scrollIntoView({block: 'start'})")
    page.window.mouse.move(700, 300)
    page.window.mouse.wheel(0, 300)
    page.wait("'gradients' in lab.figures() && 'activations' in lab.figures()")
    page.until(lambda: page.epoch() - page.ask("lab.drawn()") > 20, "the loss curve to stay behind")
    above, below = ("decision", "loss", "landscape"), ("gradients", "activations")
    before = page.digests()
    page.pass_by(page.epoch() + 50)
    after = page.digests()
    assert {name: after[name] for name in above} == {name: before[name] for name in above}
    assert all(after[name] != before[name] for name in below)
    page.press_hidden("Pause")
    page.until(lambda: not page.playing(), "Play is offered")
    page.window.mouse.wheel(0, -3000)
    page.until(
        lambda: page.ask("lab.drawn()") == page.epoch(), lambda: f"the loss curve to be up to date: {page.where()}"
    )
    page.until(
        lambda: page.ask("lab.column('landscape', 'here', 'epoch')") == [page.epoch()],
        lambda: f"the landscape to be up to date: {page.where()}",
    )
    page.until(
        lambda: page.window.get_by_text(f"around epoch {page.epoch():,};").count() == 1,
        "the surface to be that of the epoch shown",
    )


CUT_OFF = """(() => {
  const found = []
  const walk = (node, clipped) => {
    for (const one of node.children) {
      const box = one.getBoundingClientRect(), style = getComputedStyle(one)
      const hidden = style.display == "none" || style.visibility == "hidden"
      if (hidden || one.matches("[aria-hidden=true], svg *, .bk-GlyphRenderer")) { continue }
      const scrolls = clipped || /auto|scroll/.test(style.overflowX) && one.scrollWidth > one.clientWidth
      const outside = box.width > 1 && box.height > 1 && (box.right > innerWidth + 1 || box.left < -1)
      if (style.textOverflow == "ellipsis" && one.matches("p, h2, b") && one.scrollWidth > one.clientWidth + 1) {
        found.push(`${one.tagName} ${one.textContent.slice(0, 30)}: ends in an ellipsis`)
      }
      const drawer = one.matches(".MuiDrawer-root, .sidebar, .MuiDrawer-paper")
      if (outside && !scrolls && !drawer) {
        found.push(`${one.tagName} ${one.getAttribute("aria-label") ?? one.textContent.slice(0, 30)}: ` +
          `${Math.round(box.left)} to ${Math.round(box.right)}`)
      }
      if (!drawer) { walk(one, scrolls); if (one.shadowRoot) { walk(one.shadowRoot, scrolls) } }
    }
  }
  walk(document.body, false)
  return found
})()"""
"""What reaches beyond the window or ends in an ellipsis; Bokeh's boxes around glyphs are empty, and clipped."""
HEADER = ("Open drawer", "Experiments", "Runs", "Share", "Note", "Toggle theme")


STILL = """(() => {
  const look = [document.documentElement.scrollHeight, innerWidth, scrollY]
  const laid = lab.everything().filter(({properties}) => !properties.inner_width.is_unset)
  look.push(lab.everything().length, ...laid.map((figure) => [figure.inner_width, figure.inner_height].join()))
  const now = performance.now(), told = look.join()
  if (window.lastLook?.told != told) { window.lastLook = {told, since: now} }
  return now - window.lastLook.since > 400
})()"""
"""Whether nothing on the page has moved for a while."""


@pytest.mark.parametrize("slug", PAGES)
def test_nothing_is_cut_off_on_the_narrowest_screens(visit, slug):
    page = visit(f"?page={slug}", wait=False, viewport={"width": 375, "height": 640})
    page.button("Experiments").wait_for()
    page.wait("Bokeh.documents.length && Bokeh.documents.every((one) => one.is_idle)")
    for width in (375, 320):
        page.window.set_viewport_size({"width": width, "height": 640})
        page.wait("innerWidth == x", width)
        page.wait(STILL)
        page.window.mouse.wheel(0, 500)
        page.wait(STILL)
        page.until(lambda: page.ask(CUT_OFF) == [], lambda: f"nothing to be cut off: {page.ask(CUT_OFF)}")
        assert page.ask(OVERFLOW) <= 0
        for name in HEADER[0 if page.button("Open drawer").count() else 1 :]:
            box = page.button(name).bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width, f"{name} ends at {box['x'] + box['width']:.0f}"
