"""The journal: what is written is there again, the run pinned to it opens as it was, and no text is more than text."""

import re
from collections.abc import Callable

import pytest
from conftest import Server, Visit

from dashboard.pages import PAGES
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.storage.journal import Journal
from dashboard.storage.journal_entry import SECTIONS
from dashboard.storage.run_archive import RunArchive

pytestmark = pytest.mark.ui

WORDS = {name: f"About *{name}*:\n\n- **one** & two\n- {name} three" for name in SECTIONS}
HOSTILE = "<script>window.hit = 1</script><img src=x onerror='window.hit = 2'> ![p](http://elsewhere.example/p.png)"
RUN = "it *dies* [at once] <b>"


class Desk:
    """The journal as a user has it."""

    def __init__(self, visit: Visit) -> None:
        self.visit, self.window = visit, visit.window
        visit.button("New entry").wait_for()

    def field(self, name: str):
        return self.window.get_by_label("Title" if name == "title" else SECTIONS[name].heading, exact=True)

    def words(self) -> dict[str, str]:
        return {name: self.field(name).input_value() for name in ("title", *SECTIONS)}

    def press(self, name: str) -> None:
        self.window.get_by_role("button", name=name, exact=True).click()

    def wait_for_title(self, title: str) -> None:
        self.field("title").wait_for()
        self.visit.until(lambda: self.field("title").input_value() == title, lambda: f"the entry {title!r}")

    def wait_until_saved(self) -> None:
        self.window.get_by_text(re.compile(r"^saved \d\d:\d\d:\d\d$")).wait_for()

    def titles(self) -> list[str]:
        return self.window.get_by_role("navigation", name="Entries").locator("b").all_inner_texts()


@pytest.fixture
def journal(server: Server) -> Journal:
    """The server's journal, empty."""
    found = Journal(server.home)
    for entry in found.entries():
        found.delete(entry.id)
    return found


@pytest.fixture
def desk(visit: Callable[..., Visit], journal: Journal) -> Desk:
    return Desk(visit("?page=journal", wait=False))


def test_an_entry_is_written_and_pinned_and_is_there_again_with_its_run_as_it_was(
    server: Server, visit: Callable[..., Visit], journal: Journal
):
    run = Run(Settings(n=60, hidden=[4]))
    run.advance(33)
    kept = RunArchive(server.home).keep(run.recording(RUN, page="playground"))
    desk = Desk(visit("?page=journal", wait=False))
    desk.window.get_by_text("No entries yet").wait_for()

    desk.press("New entry")
    desk.wait_for_title("")
    for name, text in {**WORDS, "title": "Dead"}.items():
        desk.field(name).fill(text)
    desk.wait_until_saved()
    desk.window.get_by_label("Pin a run").select_option(kept.id)
    desk.window.get_by_role("link", name=f"{RUN}, epoch 33").wait_for()
    desk.field("open").press_sequentially(HOSTILE)
    desk.window.reload(wait_until="commit")
    desk.wait_for_title("Dead")
    whole = {**WORDS, "title": "Dead", "open": WORDS["open"] + HOSTILE}
    desk.visit.until(lambda: desk.words() == whole, lambda: f"all that was typed: {desk.words()}")
    (entry,) = journal.entries()
    desk.visit.until(lambda: journal.read(entry.id).texts == {name: whole[name] for name in SECTIONS}, "it in the file")
    assert desk.visit.link() == {"page": "journal", "entry": entry.id}

    desk.press("Preview")
    desk.window.locator("strong", has_text="one").first.wait_for()
    assert HOSTILE.split(" ![")[0] in desk.window.get_by_text("window.hit = 1").inner_text()
    assert desk.visit.ask("window.hit") is None
    with desk.window.expect_download() as download:
        desk.press("Export all")
    exported = download.value.path().read_text(encoding="utf-8")
    assert f"](#{entry.id})" in exported and "\n## Dead\n" in exported and WORDS["learned"] in exported
    assert f"]({server.url}?run={kept.id}) at epoch 33" in exported

    desk.visit.ask("window.stays = true")
    desk.window.get_by_role("link", name=f"{RUN}, epoch 33").click()
    desk.visit.ready()
    desk.visit.reach(33)
    assert desk.visit.ask("window.stays")
    assert desk.visit.loss() == run.history[-1].loss


def test_entries_are_searched_deleted_brought_back_and_followed(
    desk: Desk, visit: Callable[..., Visit], journal: Journal
):
    first = journal.begin({"run": "20261123-190000-ab12cd", "name": "gone", "epoch": 5})
    desk.wait_for_title("")
    desk.field("title").fill("First")
    desk.wait_until_saved()
    desk.press("New entry")
    desk.visit.until(lambda: desk.visit.link()["entry"] != first, "the new entry")
    desk.wait_for_title("")
    desk.field("title").fill("Second")
    desk.field("learned").fill("about momentum")
    desk.visit.until(lambda: desk.titles() == ["Second", "First"], lambda: f"both: {desk.titles()}")
    search = desk.window.get_by_role("searchbox", name="Search entries")
    search.fill("MOMENTUM")
    desk.visit.until(lambda: desk.titles() == ["Second"], lambda: f"the one with the word: {desk.titles()}")
    search.fill("")
    desk.visit.until(lambda: len(desk.titles()) == 2, "both")

    other = Desk(visit(f"?page=journal&entry={first}", wait=False, viewport={"width": 390, "height": 844}))
    other.wait_for_title("First")
    other.field("title").fill("First, on a phone")
    desk.window.get_by_role("link", name="First, on a phone").click()
    desk.wait_for_title("First, on a phone")
    assert other.visit.ask("document.documentElement.scrollWidth <= innerWidth")

    desk.press("Delete")
    desk.window.get_by_text("Deleted “First, on a phone”.").wait_for()
    desk.wait_for_title("Second")
    other.visit.until(lambda: other.titles() == ["Second"], lambda: f"the other session to follow: {other.titles()}")
    desk.press("Undo")
    desk.wait_for_title("First, on a phone")
    assert journal.read(first).pins[0].name == "gone"


def test_what_two_write_at_once_is_kept_twice_and_what_cannot_be_saved_stays(
    desk: Desk, server: Server, journal: Journal
):
    key = journal.begin({"run": "20261123-190000-ab12cd", "name": "gone", "epoch": 5})
    desk.wait_for_title("")
    file = server.home / "journal" / f"{key}.md"
    hidden = server.home / "journal.hidden"
    file.parent.rename(hidden)
    file.parent.write_text("in the way")
    desk.field("title").fill("Mine")
    desk.window.locator("output", has_text="a file is in the place of a folder").wait_for()
    assert desk.words()["title"] == "Mine"
    file.parent.unlink()
    hidden.rename(file.parent)
    file.write_text(file.read_text().replace("#\n", "# Theirs\n", 1))
    desk.visit.until(lambda: desk.titles() == ["Mine (my version)", "Theirs"], lambda: f"both: {desk.titles()}")
    assert desk.field("title").input_value() == "Mine"
    assert journal.read(key).title == "Theirs"
    desk.window.get_by_text("Both are kept").wait_for()


def test_a_link_to_no_entry_says_so(visit: Callable[..., Visit], journal: Journal):
    desk = Desk(visit("?page=journal&entry=20200101-000000-aaaaaa", wait=False))
    desk.window.get_by_text("There is no entry 20200101-000000-aaaaaa").wait_for()
    assert PAGES["journal"].question in desk.window.get_by_role("heading", level=1).inner_text()
