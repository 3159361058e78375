"""Text from outside is text in Chromium, whatever it looks like: nothing runs, and it is read as it was written."""

import ast
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from conftest import PATIENCE, Visit, listen

from dashboard.export.static_page import static_page
from dashboard.pages import PAGES
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.storage.journal import Journal
from dashboard.storage.journal_entry import SECTIONS, Pin
from dashboard.storage.run_archive import RunArchive
from dashboard.tracking import logger
from dashboard.widgets.plain_text import JOINER
from engine.recording import Recording

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


ICON = ":material/home:"
"""What Material makes an icon of."""

LONG = 3 * PATIENCE


def calm(page):
    """Nothing has run, and no tag of a text has become one."""
    assert page.ask("window.ran ?? null") is None
    assert page.ask("document.querySelectorAll('img[src=x], svg[onload], b[onmouseover]').length") == 0


def go(page, link: dict[str, str]) -> None:
    """Open another link in the same window."""
    page.window.goto(page.window.url.split("?")[0] + "?" + urlencode(link), wait_until="commit", timeout=LONG)


def hears(page, text: str) -> str:
    """Wait until there is a message on the page; all messages then."""
    page.until(lambda: text in "\n".join(page.alerts()), lambda: f"{text} to be told, not {page.alerts()}", LONG / 1000)
    return "\n".join(page.alerts())


def shows(page, text: str) -> None:
    """Wait until a text can be read on the page, as it was written."""
    page.window.get_by_text(text).locator("visible=true").first.wait_for(timeout=LONG)


def test_what_a_link_says_is_shown_as_text(visit):
    """One page of nearly all that a link can say, each with a payload of its own; a whole one is shown by the page."""
    payloads = dict(zip(NAMES, PAYLOADS * 2, strict=False))
    page = visit("?" + urlencode(payloads), wait=False)
    told = hears(page, f"page={payloads['page']} does not exist")
    for name in ("dataset", "activation", "seed", "n", "hidden", "own", "epoch", "learning_rate"):
        assert f"{name}={payloads[name][:12]}" in told
    calm(page)
    others = [{"page": PAYLOADS[1]}, {"page": PAYLOADS[2]}]
    others += [{"page": "watch", "feed": PAYLOADS[0]}, {"page": "journal", "entry": PAYLOADS[0]}]
    for link in others:
        go(page, link)
        if len(link) == 1:
            hears(page, f"page={link['page']} does not exist")
        else:
            shows(page, "How to watch a training" if link["page"] == "watch" else "New entry")
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


BAR = """((label) => {
  const figure = lab.everything().find((one) => one.left[0].axis_label == label)
  const view = figure && Bokeh.index.find_one_by_id(figure.id)
  const bars = figure?.renderers.find((one) => one.glyph.type == "Quad")?.data_source.data
  if (!bars || !view?.frame?.x_scale) { return null }
  view.el.scrollIntoView({block: "center"})
  const {x, y} = view.el.getBoundingClientRect()
  const across = (bars.left[0] + bars.right[0]) / 2, up = 0.9 * bars.top[0]
  return [x + view.frame.x_scale.compute(across), y + view.frame.y_scale.compute(up)]
})"""
"""Where a picture's first bar is on the screen, by the title of its axis."""


def train(name: str, error: str) -> None:
    """A training of that name that ends by an error."""
    with logger.watch(name) as told:
        for epoch in range(4):
            gradients = {name: np.ones((2, 3)) for name in (PAYLOADS[2], PAYLOADS[6])}
            told.log(epoch, loss=1 / (epoch + 1), gradients=gradients, parameters=gradients)
        raise ArithmeticError(error)


def hostile_recording(name: str) -> Recording:
    """A run whose every word comes from somebody else."""
    run = Run(settings=Settings(n=60, hidden=[3]))
    run.advance(5)
    found = run.recording(name)
    notes = {**found.notes, "page": PAYLOADS[0], "bookmarks": [["death", 3, PAYLOADS[2]]]}
    return replace(found, notes=notes, created=PAYLOADS[3])


def test_what_a_file_of_a_run_says_is_text(visit, server):
    """The name of a run in the list, beside the page's own, in legends; and settings that no run can have."""
    name = " ".join(PAYLOADS)[:90]
    archive = RunArchive(server.home)
    keys = [archive.keep(hostile_recording(name)).id for _ in range(3)]
    odd = hostile_recording("odd")
    odd = replace(odd, settings={**odd.settings, "activation": PAYLOADS[0]})
    strange = replace(odd, notes={**odd.notes, "kind": PAYLOADS[1]})
    odd_key, strange_key = archive.keep(odd).id, archive.keep(strange).id

    page = visit(f"?run={odd_key}", wait=False)
    hears(page, PAYLOADS[0][:40])
    calm(page)
    go(page, {"run": strange_key})
    hears(page, PAYLOADS[1][:30])
    calm(page)
    go(page, {"page": "playground", "run": keys[0]})
    page.ready()
    shows(page, PAYLOADS[2])
    page.press("Runs")
    for key in keys[1:]:
        page.window.locator(f"li[data-id='{key}'] input[type=checkbox]").check(timeout=LONG)

    def beside() -> set[str]:
        """The names of the runs that are shown beside the page's own."""
        told = page.window.locator("p.name").all_inner_texts()
        return {one.split(": ends at")[0] for one in told if one.startswith(name)}

    page.until(lambda: len(beside()) == 2, lambda: f"two runs of one name to be told apart: {beside()}", LONG / 1000)
    page.press("Close the kept runs")
    page.press("Step")
    calm(page)
    for key in (*keys, odd_key, strange_key):
        archive.delete(key)


def test_an_exported_page_shows_hostile_words_and_runs_none(windows, server, tmp_path):
    path = tmp_path / "page.html"
    link = "http://localhost/?x=" + PAYLOADS[3]
    path.write_bytes(static_page(PAGES["home"], hostile_recording(" ".join(PAYLOADS)), 2, link=link, seconds=1.0))
    page = Visit(windows(offline=True))
    listen(page, server)
    page.window.goto(path.as_uri(), timeout=LONG)
    page.window.wait_for_function("document.documentElement.dataset.ready != null", timeout=LONG)
    shows(page, PAYLOADS[0])
    calm(page)
    slipped = """new Promise((done) => {
      document.body.insertAdjacentHTML("beforeend", `<img src="data:," onerror="window.ran = 1">`)
      setTimeout(() => done(window.ran ?? null), 500)
    })"""
    assert page.ask(slipped) is None
    assert all("Content Security Policy" in trouble for trouble in page.troubles), page.troubles
    page.window.close()


def test_what_is_noted_and_what_a_training_logs_is_text(visit, server, monkeypatch):
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
    page.window.wait_for_function(f"() => ({BAR})('gradient norm')", timeout=LONG)
    page.window.mouse.move(*page.ask(BAR + "('gradient norm')"))
    shows(page, PAYLOADS[2])
    calm(page)


def test_what_a_table_says_is_text(visit, tmp_path):
    path = tmp_path / "<img src=x onerror=run>.csv"
    heads, cells = [*PAYLOADS[:2], "kind", ICON], [PAYLOADS[2].replace(",", ""), "$$x$$"]
    lines = [";".join(heads), *(f"{i / 7};{i % 3};{cells[i % 2]};{i % 5}" for i in range(40))]
    path.write_text("\n".join(lines))
    page = visit("?page=playground")
    page.press("Your own data")
    page.window.locator("input[type=file][accept*=csv]").set_input_files(path)
    for text in (path.name, PAYLOADS[0][:40], cells[0][:40]):
        shows(page, text)
    calm(page)
    shown = page.window.get_by_text(f":{JOINER}material/home:").locator("visible=true")
    page.until(lambda: shown.count() > 0, "the column whose name would be an icon", LONG / 1000)
    page.press("Use this data")
    page.until(lambda: page.link().get("dataset") == "own data", "the data are used", LONG / 1000)
    calm(page)
    page.press("Share")
    with page.window.expect_download(timeout=LONG) as download:
        page.press("Save for NumPy")
    code = ast.parse(Path(download.value.path()).read_text())
    assert "Trained on own data" in ast.get_docstring(code)
    page.window.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.window.get_by_label("Your name").fill(PAYLOADS[1][:40])
    page.window.keyboard.press("Tab")
    page.press("Let others follow")
    page.window.get_by_text("copied", exact=True).wait_for(timeout=LONG)
    link = page.ask("navigator.clipboard.readText()")
    calm(page)
    follower = visit(link[link.index("?") :], wait=False)
    follower.button("(Play|Pause)").wait_for(timeout=LONG)
    follower.window.wait_for_function("() => lab.everything().length > 1", timeout=LONG)
    shows(follower, f"You alone follow {PAYLOADS[1][:40]}’s run.")
    calm(follower)
