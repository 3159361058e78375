"""Text from outside is text in Chromium, whatever it looks like: nothing runs, and it is read as it was written."""

from urllib.parse import urlencode

import pytest

pytestmark = pytest.mark.ui

RUNS = "window.ran = (window.ran ?? 0) + 1"
PAYLOADS = (
    f"<img src=x onerror='{RUNS}'>",
    f"<svg onload='{RUNS}'>",
    f"<script>{RUNS}</script>",
    f"\"><b onmouseover='{RUNS}'>b</b>",
    f"[x](javascript:{RUNS})",
    f"</script><script>{RUNS}</script>",
    "&lt;i&gt; **two** `three` $$x$$ @{x} ${x} {{x}}",
)
NAMES = ("page", "run", "follow", "dataset", "activation", "seed", "n", "hidden", "own", "epoch", "learning_rate")


def calm(page):
    """Nothing has run, and no tag of a text has become one."""
    assert page.ask("window.ran ?? null") is None
    assert page.ask("document.querySelectorAll('img[src=x], svg[onload], b[onmouseover]').length") == 0


def test_what_a_link_says_is_told_as_text(visit):
    """One page of nearly all that a link can say, each with a payload of its own; a whole one is told of the page."""
    payloads = dict(zip(NAMES, PAYLOADS * 2, strict=False))
    page = visit("?" + urlencode(payloads), wait=False)
    told = page.alert()
    assert f"page={payloads['page']} does not exist" in told
    for name in ("dataset", "activation", "seed", "n", "hidden", "own", "epoch", "learning_rate"):
        assert f"{name}={payloads[name][:12]}" in told
    calm(page)
    for payload in PAYLOADS[1:]:
        page.window.goto(page.window.url.split("?")[0] + "?" + urlencode({"page": payload}), wait_until="commit")
        assert f"page={payload} does not exist" in page.alert()
        calm(page)


def test_a_page_runs_no_script_that_the_server_has_not_sent(visit):
    """Whatever slips through as HTML: handlers, links, scripts, and what would be asked of another host."""
    page = visit("?page=home", pictures=3)
    slipped = """(async () => {
      const made = document.createElement("div"), script = document.createElement("script")
      made.innerHTML = `<img src="data:," onerror="window.ran = 1"><a href="javascript:window.ran = 2">x</a>`
      script.textContent = "window.ran = 3"
      document.body.append(made, script)
      made.querySelector("a").click()
      const asked = await fetch("https://example.org/").then(() => "asked", () => "not asked")
      await new Promise((done) => setTimeout(done, 500))
      return [window.ran ?? null, asked]
    })()"""
    assert page.ask(slipped) == [None, "not asked"]
    blocked = [trouble for trouble in page.troubles if "Content Security Policy" in trouble]
    assert len(blocked) == 5
    page.troubles.clear()
