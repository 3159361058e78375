"""The layout as it is seen: nothing covers anything, the playback bar stays, cards enlarge, intros fold."""

import pytest

from dashboard.pages import PAGES

pytestmark = pytest.mark.ui

WIDTHS = (1920, 1400, 1024, 700, 390, 320)
PARTS = (
    "header, h1, h2, summary, .step, .turn, .bk-Figure, .caption, .speed, .scrubber input, .kept, dl > div, nav > a, "
    ".MuiAlert-root"
)
HOLDERS = ".buttons, .switches, .tools"
"""What may not cover one another: these, and all that stands directly in a holder."""

COVERED = """((parts, holders) => {
  const found = [], within = (one, other) => {
    for (let node = one; node; node = node.parentNode ?? node.host) { if (node == other) { return true } }
    return false
  }
  // Of words what is written, not the room that they have.
  const room = (node) => {
    if (!node.matches("h1, h2, p")) { return node.getBoundingClientRect() }
    const words = document.createRange()
    words.selectNodeContents(node)
    return words.getBoundingClientRect()
  }
  const isAtFoot = (node) => node.matches(".alert") && node.getBoundingClientRect().top > innerHeight / 2
  const collect = (root, sheet) => {
    for (const node of root.children) {
      const style = getComputedStyle(node), box = room(node)
      if (style.display == "none" || node.matches(".bk-Canvas, .MuiDrawer-root, svg")) { continue }
      const seen = style.visibility != "hidden" && box.width > 1 && box.height > 1
      const host = root instanceof ShadowRoot ? root.host : null
      const held = host?.matches(holders) || host?.matches(".heading") && node.matches("p")
      if (seen && (held || node.matches(parts))) { found.push([node, box, sheet]) }
      const within = sheet || style.position == "fixed" && (node.matches(".playback") || isAtFoot(node))
      if (node.shadowRoot) { collect(node.shadowRoot, within) }
      collect(node, within)
    }
  }
  collect(document.body, false)
  // In a wide window a message lies in the header, beside its buttons.
  const isHolder = (one, other) => one.matches("header") && other.matches(".MuiAlert-root")
  const told = (node) => `${node.tagName} ${node.className} ${node.textContent.slice(0, 24)}`
  const pairs = []
  found.forEach(([one, a, onSheet], place) => {
    for (const [other, b, otherOnSheet] of found.slice(place + 1)) {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left)
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
      // A phone's bar, and a message at the foot of a window, lie over what can be scrolled away from them.
      const apart = onSheet == otherOnSheet && !isHolder(one, other) && !isHolder(other, one)
      if (apart && wide > 2 && high > 2 && !within(other, one) && !within(one, other)) {
        pairs.push(`${told(one)} / ${told(other)}: ${Math.round(wide)} x ${Math.round(high)}`)
      }
    }
  })
  return {pairs, count: found.length}
})"""
STILL = """(() => {
  const told = [document.documentElement.scrollHeight, innerWidth,
    ...lab.everything().filter(({properties}) => !properties.inner_width.is_unset)
      .map((figure) => [figure.inner_width, figure.inner_height].join())].join()
  const now = performance.now()
  if (window.lastLook?.told != told) { window.lastLook = {told, since: now} }
  return now - window.lastLook.since > 250
})()"""
CARDS = """(() => {
  const found = []
  const walk = (root) => {
    for (const node of root.children) {
      if (node.matches(".third, .half, .whole")) { found.push(node.getBoundingClientRect()); continue }
      if (node.shadowRoot) { walk(node.shadowRoot) }
      walk(node)
    }
  }
  walk(document.body)
  return found.map(({left, top, right, bottom}) => ({left, top, right, bottom}))
})()"""
PICTURES_IN_SIGHT = """lab.everything().map((figure) => Bokeh.index.find_one(figure)).filter((view) => view)
  .map((view) => view.el.getBoundingClientRect())
  .filter(({top, height}) => height > 0 && innerHeight - top > 0.5 * height).map(({top}) => Math.round(top / 40))"""


@pytest.fixture(scope="module")
def look(windows, server):
    """One window for all pages."""
    window = windows(viewport={"width": WIDTHS[0], "height": 2400})
    yield window
    window.close()


@pytest.mark.parametrize("slug", PAGES)
def test_nothing_covers_anything_and_nothing_is_wider_than_the_window(look, server, slug):
    look.set_viewport_size({"width": WIDTHS[0], "height": 2400})
    look.goto(f"{server.url}?page={slug}", wait_until="commit")
    look.get_by_role("heading", level=1).wait_for()
    look.wait_for_function("Bokeh.documents.length && Bokeh.documents.every((one) => one.is_idle)")
    if PAGES[slug].instruments and slug != "watch":
        look.wait_for_function("lab.everything().length > 0")
    for width in WIDTHS:
        if width < 700 and look.get_by_role("button", name="Close drawer").count():
            look.get_by_role("button", name="Close drawer").first.click()
        look.set_viewport_size({"width": width, "height": 2400})
        look.wait_for_function(f"() => innerWidth == {width} && {STILL}", polling=50)
        seen = look.evaluate(f"() => {COVERED}({PARTS!r}, {HOLDERS!r})")
        assert seen["pairs"] == [], f"at {width}"
        assert seen["count"] >= (2 if PAGES[slug].timeless else 10), "the parts are found"
        assert look.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, f"at {width}"
        rows = {}
        for card in look.evaluate(CARDS):
            rows.setdefault(round(card["top"]), []).append(card)
        for row in rows.values():
            assert max(card["bottom"] for card in row) - min(card["bottom"] for card in row) <= 1, f"at {width}"


def test_a_message_covers_neither_the_heading_nor_the_playback_bar(visit):
    page = visit("?page=logistic&stop_epoch=1", wait=False, viewport={"width": WIDTHS[0], "height": 1000})
    page.ready(1)
    page.press("Play")
    message = page.window.get_by_role("alert").filter(has_text="Stopped at epoch 1")
    message.wait_for()
    for width in WIDTHS:
        if width < 700 and page.window.get_by_role("button", name="Close drawer").count():
            page.window.get_by_role("button", name="Close drawer").first.click()
        page.window.set_viewport_size({"width": width, "height": 1000})
        page.wait(f"innerWidth == {width} && {STILL}")
        page.ask("scrollTo(0, 0)")
        covered = page.ask(f"{COVERED}({PARTS!r}, {HOLDERS!r})")["pairs"]
        assert covered == [], f"at {width}"
        box = message.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and 0 <= box["y"] <= 1000 - box["height"]


def test_pictures_are_in_sight_when_play_is_pressed_and_the_bar_stays_while_scrolling(visit):
    page = visit("?page=logistic", wait=False, viewport={"width": 1024, "height": 768})
    page.ready(1)
    page.press("Play")
    page.until(lambda: page.ask(PICTURES_IN_SIGHT), "a picture in sight")
    page.button("Pause").wait_for()
    page.window.mouse.move(700, 600)
    page.window.mouse.wheel(0, 600)
    page.until(
        lambda: 0 <= page.button("Pause").bounding_box()["y"] < 120, "the playback bar at the top of what is scrolled"
    )
    page.press("Pause")
    page.button("Play").wait_for()


def test_two_rows_of_pictures_are_in_sight_on_a_usual_screen(visit):
    page = visit("?page=logistic", wait=False, viewport={"width": 1400, "height": 900})
    page.ready(1)
    page.press("Play")
    page.until(lambda: len(set(page.ask(PICTURES_IN_SIGHT))) >= 2, lambda: f"two rows: {page.ask(PICTURES_IN_SIGHT)}")


def test_the_intro_folds_at_the_first_play_and_stays_as_a_user_leaves_it(visit):
    page = visit("?page=activations", wait=False).ready(1)
    words = page.window.locator(".about p").first
    assert words.is_visible()
    page.press("Play")
    words.wait_for(state="hidden")
    page.press("About this page")
    words.wait_for()
    page.press("Pause")
    page.button("Play").click()
    page.pass_by(page.epoch())
    assert words.is_visible()


def test_a_card_fills_the_window_and_escape_puts_it_back_with_the_focus(visit):
    page = visit("?page=home&step=1", pictures=3)
    size = "(() => { const {width, height} = Bokeh.index.find_one(lab.figures().loss).el.getBoundingClientRect();"
    size += " return [width, height] })()"
    before = page.ask(size)
    page.window.get_by_role("button", name="Enlarge this picture").nth(2).click()
    page.until(lambda: page.ask(size)[0] > 1200 and page.ask(size)[1] > 600, lambda: f"a large one: {page.ask(size)}")
    page.wait("lab.figures().loss.inner_width > 1100")
    page.window.keyboard.press("Escape")
    page.until(lambda: page.ask(size) == before, lambda: f"{before}: {page.ask(size)}")
    assert page.ask("lab.focused().getAttribute('aria-label')") == "Enlarge this picture"


def test_the_picture_of_the_network_fills_an_enlarged_card(visit):
    page = visit("?page=home&step=1", pictures=3)
    canvas = page.window.locator("canvas[role=img]").first
    canvas.wait_for()
    before = canvas.bounding_box()["height"]
    page.window.get_by_role("button", name="Enlarge this picture").first.click()
    page.until(lambda: canvas.bounding_box()["height"] > before + 400, lambda: f"a large one: {canvas.bounding_box()}")
    page.window.keyboard.press("Escape")
    page.until(lambda: canvas.bounding_box()["height"] == before, lambda: f"{before}: {canvas.bounding_box()}")


IN_CARD = """(() => {
  let one = lab.focused()
  while (one && !one.matches?.(".enlarged")) { one = one.parentElement ?? one.getRootNode().host }
  return Boolean(one)
})()"""
ABOUT = """(() => {
  const find = (root) => root.querySelector(".third.about, .half.about, .whole.about") ??
    [...root.querySelectorAll("*")].reduce((found, one) => found ?? (one.shadowRoot && find(one.shadowRoot)), null)
  const box = find(document.body)?.getBoundingClientRect()
  return box ? [box.top, box.bottom, innerHeight] : null
})()"""


def test_the_focus_stays_in_an_enlarged_card_whose_menus_still_open(visit):
    page = visit("?page=home&step=1", pictures=3)
    page.window.get_by_role("button", name="Enlarge this picture").first.click()
    page.wait(IN_CARD)
    seen = set()
    for _ in range(14):
        page.window.keyboard.press("Tab")
        if page.ask("lab.focused() !== null"):
            assert page.ask(IN_CARD), page.ask("lab.focused().outerHTML.slice(0, 200)")
            seen.add(page.ask("lab.focused().getAttribute('aria-label') ?? lab.focused().outerHTML.slice(0, 80)"))
    assert len(seen) >= 3, seen
    page.choose("Lines", "gradient")
    page.window.keyboard.press("Escape")
    page.until(lambda: not page.ask("document.querySelector('[inert]')"), "the rest to be of use again")
    page.press("Step")
    page.pass_by(0)


def test_a_step_that_is_taken_brings_its_card_into_sight_and_a_link_to_it_stays_at_the_top(visit):
    small = {"viewport": {"width": 1024, "height": 700}}
    page = visit("?page=home&step=2", wait=False, **small).ready(0)
    page.wait(f"({ABOUT})?.[0] > 700")
    page.window.wait_for_timeout(1000)
    assert page.window.get_by_role("heading", level=1).bounding_box()["y"] > 0, "nothing has scrolled"
    page.window.get_by_role("link", name="It trains", exact=True).click()
    page.until(lambda: 0 <= page.ask(ABOUT)[0] < 500, lambda: f"in sight: {page.ask(ABOUT)}")
