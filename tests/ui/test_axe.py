"""What axe-core finds on every page, light and dark: nothing serious, nothing critical."""

from collections.abc import Iterator

import pytest
from conftest import Server, Visit, listen

from dashboard.pages import PAGES

pytestmark = pytest.mark.ui

FOUND = """axe.run(document, {resultTypes: ["violations"], preload: false, ...x}).then(({violations}) => violations
  .filter(({impact}) => ["serious", "critical"].includes(impact))
  .flatMap(({id, nodes}) => nodes.map(({target, html, any, all, none}) => `${id}: ${target.flat().at(-1)}
    ${html.slice(0, 160)} ${[...any, ...all, ...none][0]?.message ?? ""}`)))"""
GROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def look(server: Server, windows) -> Iterator[Visit]:
    """One window, in which one page after the other is opened in place."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe is not installed: pip install -e '.[test]'")
    found = Visit(windows(color_scheme="light"))
    listen(found, server)
    found.window.goto(f"{server.url}?page=journal", wait_until="commit")
    found.window.get_by_role("heading", level=1, name=PAGES["journal"].question).wait_for()
    found.window.evaluate(f"() => {{ {axe.AXE_SCRIPT} }}")
    yield found
    found.window.evaluate("() => localStorage.clear()")
    found.window.close()


@pytest.mark.parametrize("slug", PAGES)
def test_nothing_serious_is_found_on_any_page_light_and_dark(look, slug):
    if look.link().get("page") != slug:
        look.press("Experiments")
        cards = look.window.get_by_role("dialog").get_by_role("link")
        cards.filter(has_text=PAGES[slug].question).click()
    look.window.get_by_role("heading", level=1, name=PAGES[slug].question).wait_for()
    look.window.get_by_role("dialog").wait_for(state="hidden")
    look.wait("Bokeh.documents.every((one) => one.is_idle)")
    expect_nothing(look, {})
    ground = look.ask(GROUND)
    look.press("Toggle theme")
    look.wait(f"{GROUND} != x", ground)
    expect_nothing(look, {"runOnly": ["color-contrast"]})
    assert look.troubles == []


def expect_nothing(look: Visit, options: dict) -> None:
    """Ask again while something is found: colors take a moment to change, and late controls get their roles late."""
    look.until(lambda: look.ask(FOUND, options) == [], lambda: "\n".join(look.ask(FOUND, options)), seconds=20)
