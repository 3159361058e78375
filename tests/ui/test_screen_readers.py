"""What a screen reader says of pictures, and where the Tab key stops, in Chromium's tree of what is accessible."""

import re

import pytest
from conftest import PATIENCE

pytestmark = pytest.mark.ui

LONG = 3 * PATIENCE


def spoken(page) -> list[dict]:
    """All that is not ignored: role, name, whether the keyboard reaches it."""
    session = page.window.context.new_cdp_session(page.window)
    found = []
    for node in session.send("Accessibility.getFullAXTree")["nodes"]:
        if node.get("ignored") or "role" not in node:
            continue
        focusable = any(one["name"] == "focusable" and one["value"]["value"] for one in node.get("properties", []))
        attributes = []
        if focusable and "backendDOMNodeId" in node:
            told = session.send("DOM.describeNode", {"backendNodeId": node["backendDOMNodeId"]})["node"]
            attributes = told.get("attributes", [])
        stop = focusable and dict(zip(attributes[::2], attributes[1::2], strict=True)).get("tabindex") != "-1"
        name = node.get("name", {}).get("value", "")
        found.append({"role": node["role"]["value"], "name": name, "stop": stop, "attributes": attributes})
    session.detach()
    return found


def pictures(page) -> list[str]:
    return [one["name"] for one in spoken(page) if one["role"] in ("img", "image") and ". " in one["name"]]


def nameless(page) -> list[dict]:
    """Pictures, and what the keyboard reaches, that a screen reader has no word for."""
    return [
        one
        for one in spoken(page)
        if (one["stop"] or one["role"] in ("img", "image")) and not one["name"] and one["role"] != "RootWebArea"
    ]


def test_a_picture_is_described_by_its_title_and_its_present_caption(visit):
    page = visit("?page=home&epoch=0", pictures=3)
    page.until(lambda: len(pictures(page)) == 4, lambda: f"four pictures with a text: {pictures(page)}")
    loss = next(name for name in pictures(page) if name.startswith("Loss"))
    assert re.fullmatch(r"Loss\. training [\d.]+ validation [\d.]+", loss)
    page.press("Step")
    page.reach(1)
    page.until(lambda: loss not in pictures(page), "the text of the next epoch")
    assert nameless(page) == []


def test_the_pictures_of_other_pages_have_a_text_too_and_all_that_the_keyboard_reaches_a_name(visit):
    page = visit("?page=activations", wait=False)
    for slug, least in {"activations": 2, "geometry": 2, "logistic": 2}.items():
        if slug not in page.window.url:
            page.window.goto(f"{page.window.url.split('?')[0]}?page={slug}", wait_until="commit", timeout=LONG)
        page.until(lambda least=least: len(pictures(page)) >= least, lambda: f"texts: {pictures(page)}", LONG / 1000)
        page.until(lambda: nameless(page) == [], lambda: f"names for all of {nameless(page)}", LONG / 1000)
