"""Text from outside is text in Chromium, whatever it looks like: nothing runs, and it is read as it was written."""

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from dashboard.kept.shelf import Shelf
from dashboard.notes.entry import SECTIONS, Pin
from dashboard.notes.journal import Journal
from dashboard.run import Run
from dashboard.settings import Settings
from dashboard.watching import lab

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


def shows(page, text: str) -> None:
    """Wait until a text can be read on the page, as it was written."""
    page.window.get_by_text(text).locator("visible=true").first.wait_for()


def train(name: str, error: str) -> None:
    """A training of that name that ends by an error."""
    with lab.watch(name) as told:
        for epoch in range(4):
            told.log(epoch, loss=1 / (epoch + 1))
        raise ArithmeticError(error)


def test_what_a_file_of_a_run_says_is_text(visit, server):
    """The name of a run in the list, beside the page's own, in legends; and settings that no run can have."""
    run = Run(settings=Settings(n=60, hidden=[3]))
    run.advance(5)
    name = " ".join(PAYLOADS)[:90]
    shelf = Shelf(server.home)
    keys = [shelf.keep(run.recording(name)).id for _ in range(2)]
    odd = run.recording("odd")
    odd = replace(odd, settings={**odd.settings, "activation": PAYLOADS[0]})
    odd_key = shelf.keep(odd).id

    page = visit(f"?run={odd_key}", wait=False)
    assert PAYLOADS[0][:40] in page.alert()
    calm(page)
    page = visit("?page=playground")
    page.press("Runs")
    for key in keys:
        box = page.window.locator(f"li[data-id='{key}'] input[type=checkbox]")
        box.check()
        page.until(box.is_checked, "the run is shown beside")
    page.until(lambda: page.window.locator("p.name").count() >= 4, "pictures of both")
    beside = page.window.locator("p.name").all_inner_texts()
    names = {one for one in beside if one.startswith(name)}
    assert len(names) == 2, "two runs of one name cannot be told apart"
    page.press("Close the kept runs")
    page.press("Step")
    page.reach(1)
    calm(page)
    for key in (*keys, odd_key):
        shelf.delete(key)


def test_what_is_noted_and_what_a_training_tells_is_text(visit, server, monkeypatch):
    monkeypatch.setenv("DESCENT_LAB_HOME", str(server.home))
    monkeypatch.setenv("DESCENT_LAB_BROWSER", "0")
    journal = Journal(server.home)
    entry = journal.read(journal.begin())
    pins = (Pin("20261123-190000-ab12cd", PAYLOADS[0], 3),)
    text = "\n\n".join(PAYLOADS)
    journal.write(replace(entry, title=PAYLOADS[0], texts=dict.fromkeys(SECTIONS, text), pins=pins))
    page = visit(f"?page=journal&entry={entry.id}", wait=False)
    shows(page, PAYLOADS[0])
    page.press("Preview")
    shows(page, PAYLOADS[2])
    calm(page)
    assert page.window.locator("a[href^='javascript']").count() == 0
    journal.delete(entry.id)

    with pytest.raises(ArithmeticError):
        train(PAYLOADS[0], " ".join(PAYLOADS))
    page = visit("?page=watch", wait=False)
    shows(page, PAYLOADS[0])
    shows(page, PAYLOADS[1])
    calm(page)


def test_what_a_table_says_is_text(visit, tmp_path):
    path = tmp_path / "<img src=x onerror=run>.csv"
    heads, cells = [*PAYLOADS[:2], "kind"], [PAYLOADS[2].replace(",", ""), "$$x$$"]
    lines = [";".join(heads), *(f"{i / 7};{i % 3};{cells[i % 2]}" for i in range(40))]
    path.write_text("\n".join(lines))
    page = visit("?page=playground")
    page.press("Your own data")
    page.window.locator("input[type=file][accept*=csv]").set_input_files(path)
    for text in (path.name, PAYLOADS[0][:40], cells[0][:40]):
        shows(page, text)
    calm(page)
    page.press("Use this data")
    page.until(lambda: page.link().get("dataset") == "own data", "the data are used")
    calm(page)
