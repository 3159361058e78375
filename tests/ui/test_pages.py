"""Every page: it opens by its link, its first preset moves its pictures, and one gets from each to every other."""

from collections.abc import Callable

import pytest
from conftest import Visit

from dashboard.pages import PAGES

pytestmark = pytest.mark.ui


def wait_for_change(page: Visit, before: list) -> list:
    """What all pictures show, once it differs from before."""
    page.until(lambda: page.ask("lab.state()") != before, "the pictures to move")
    return page.ask("lab.state()")


TRAINING = [slug for slug in PAGES if slug not in ("watch", "journal")]
"""The pages on which something is trained."""


@pytest.mark.parametrize("slug", TRAINING)
def test_it_opens_by_its_link_and_its_first_preset_moves_the_pictures(slug, visit):
    page = visit(f"?page={slug}", pictures=0)
    presets = PAGES[slug].presets
    page.window.get_by_role("heading", level=1, name=PAGES[slug].question).wait_for()
    page.wait("lab.state()[0] > 0")
    before = page.ask("lab.state()")
    page.window.get_by_role("link", name=presets[0].label, exact=True).click() if presets else page.press("Play")
    after = wait_for_change(page, before)
    if page.playing():
        wait_for_change(page, after)
    assert page.link()["page"] == slug


def test_the_menu_shows_all_pages_and_opens_them_in_place(visit: Callable[..., Visit]):
    page = visit("?page=logistic", pictures=0)
    page.press("Experiments")
    cards = page.window.get_by_role("navigation", name="Pages").get_by_role("link")
    cards.first.wait_for()
    assert cards.count() == len(PAGES)
    cards.filter(has_text=PAGES["playground"].question).click()
    page.window.get_by_role("heading", level=1, name=PAGES["playground"].question).wait_for()
    page.until(lambda: page.link().get("page") == "playground", "the link to follow")
    page.ready()
    page.press("Play")
    page.pass_by(0)


def test_the_front_door_leads_to_all_pages(visit: Callable[..., Visit]):
    page = visit("", pictures=0)
    cards = page.window.get_by_role("navigation", name="Pages").get_by_role("link")
    cards.first.wait_for()
    assert cards.count() == len(PAGES) - 1
    cards.first.click()
    page.window.get_by_role("heading", level=1, name=PAGES["logistic"].question).wait_for()


def test_a_page_comes_back_as_it_was_left(visit: Callable[..., Visit]):
    page = visit("?page=playground&seed=77")
    for slug in ("home", "playground"):
        page.press("Experiments")
        page.window.get_by_role("dialog").get_by_role("link").filter(has_text=PAGES[slug].question).click()
        page.until(lambda slug=slug: page.link().get("page") == slug, f"the page {slug}")
    assert page.link()["seed"] == "77"
