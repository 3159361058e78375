"""Help that a click opens, the list of keys, the skip link."""

import pytest

pytestmark = pytest.mark.ui

FOCUSED = "lab.focused()?.getAttribute('aria-label') ?? lab.focused()?.textContent"


def test_help_opens_by_a_click_stays_and_escape_gives_the_focus_back(visit):
    page = visit("?page=home", pictures=3)
    page.press("How to read Loss")
    help_ = page.window.get_by_role("dialog", name="How to read Loss")
    help_.wait_for()
    page.window.mouse.move(700, 880)
    assert help_.is_visible()
    assert help_.evaluate("(box) => parseFloat(getComputedStyle(box).fontSize)") == 13
    page.window.keyboard.press("Escape")
    help_.wait_for(state="hidden")
    assert page.ask(FOCUSED) == "How to read Loss"


def test_the_icon_of_a_setting_opens_its_help_at_a_touch(visit):
    page = visit("?page=home", pictures=3)
    page.window.locator("svg:has(+ span[aria-label])").first.click()
    note = page.window.get_by_role("dialog", name="Help")
    note.wait_for()
    assert len(note.inner_text()) > 20
    page.window.keyboard.press("Escape")
    note.wait_for(state="hidden")


def test_a_question_mark_shows_the_keys(visit):
    page = visit("?page=playground&dataset=circles", pictures=5)
    keys = page.window.get_by_role("dialog", name="Keys")
    page.key("?")
    keys.wait_for()
    assert "Play or pause" in keys.inner_text()
    page.window.keyboard.press("Escape")
    keys.wait_for(state="hidden")


def test_a_help_explains_its_terms_and_leads_to_the_glossary_which_can_be_searched(visit):
    page = visit("?page=home", pictures=3)
    page.press("How to read Loss")
    help_ = page.window.get_by_role("dialog", name="How to read Loss")
    help_.get_by_role("term").first.wait_for()
    assert "held out" in help_.inner_text()
    help_.get_by_role("button", name="All terms").click()
    terms = page.window.get_by_role("dialog", name="glossary").get_by_role("term")
    everything = terms.count()
    assert everything > 30
    page.window.keyboard.type("eigenv")
    page.until(lambda: 0 < terms.count() < everything, lambda: f"fewer than {everything} terms")
    assert "sharpness" in terms.all_inner_texts()
    page.window.keyboard.press("Escape")
    help_.wait_for(state="hidden")
    assert page.ask(FOCUSED) == "How to read Loss"


def test_the_first_stop_of_the_tab_key_skips_to_play(visit):
    page = visit("?page=logistic", wait=False).ready(1)
    page.window.keyboard.press("Tab")
    assert page.ask(FOCUSED) == "Skip to the pictures"
    page.window.keyboard.press("Enter")
    page.until(lambda: "Play" in (page.ask(FOCUSED) or ""), lambda: f"Play to be focused: {page.ask(FOCUSED)}")
