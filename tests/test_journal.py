"""The journal without a screen: what is written is read back exactly, by whomever, and nothing is lost."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.pages.journal import Notebook, rendered
from dashboard.storage.home import LEFT_OVER_S
from dashboard.storage.journal import IN_TRASH, LIMIT, Journal, JournalError, OvertakenError
from dashboard.storage.journal_entry import MAX_TITLE_LENGTH, PINNED, SECTIONS, Entry, Pin

KEY = "20261123-190000-ab12cd"
RUN = "20261123-185900-aa11bb"
PIN = Pin(RUN, "moons 2-8-8-1 [sigmoid] *deep*", 120)
HEADINGS = [f"## {heading}" for heading in (PINNED, *(section.heading for section in SECTIONS.values()))]

WRITTEN = """# Why the deep one stands still

<!-- Descent Lab journal entry, begun 2026-11-23T19:00:00+01:00 -->

Said in the lecture, too.

## Pinned runs

- [moons 2-8-8-1 \\[sigmoid\\] \\*deep\\*](?run=20261123-185900-aa11bb) at epoch 120

## What I learned

The gradient is **gone** after three layers.

## What was difficult

## What I would do differently

## Connections to prior work

## Open questions

What of ReLU?
"""
ENTRY = Entry(
    KEY,
    "Why the deep one stands still",
    {"learned": "The gradient is **gone** after three layers.", "open": "What of ReLU?"},
    (PIN,),
    "Said in the lecture, too.",
    "2026-11-23T19:00:00+01:00",
)

lines = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            *HEADINGS,
            *(f"\\{heading}" for heading in HEADINGS),
            "## WHAT I LEARNED ##",
            "# A title",
            "#",
            "```",
            "",
            "  ",
        ]
    ),
    st.just("<!-- Descent Lab journal entry, begun 2020-01-01T00:00:00 -->"),
    st.just("- [a run](?run=x) at epoch 3"),
)
texts = st.lists(lines, max_size=6).map("\n".join)
pins = st.builds(Pin, st.from_regex(r"[0-9a-f-]{0,30}", fullmatch=True), st.text(max_size=40), st.integers(0, 10**9))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def place(journal: Journal, key: str) -> Path:
    return journal.folder / "journal" / f"{key}.md"


def edit(journal: Journal, key: str, old: str, new: str) -> None:
    """What a person does in an editor."""
    path = place(journal, key)
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_an_entry_is_a_file_that_reads_well_by_itself():
    assert ENTRY.markdown() == WRITTEN
    assert Entry.from_markdown(KEY, WRITTEN) == ENTRY


@given(st.text(max_size=60), st.dictionaries(st.sampled_from(list(SECTIONS)), texts), st.lists(pins, max_size=3), texts)
def test_what_is_written_is_read_back_exactly(title, found, pinned, opening):
    entry = Entry(KEY, title, found, tuple(pinned), opening)
    assert Entry.from_markdown(KEY, entry.markdown()) == entry


@given(texts)
def test_whatever_a_person_makes_of_a_file_none_of_their_lines_is_lost(text):
    entry = Entry.from_markdown(KEY, text)
    again = entry.markdown()
    assert Entry.from_markdown(KEY, again) == entry

    def words(text: str) -> Counter:
        """All lines that say something, but for headings and for what an entry writes in its own way."""
        kept = (line.strip().lstrip("\\") for line in text.removeprefix("\ufeff").replace("\r", "\n").split("\n"))
        own = ("##", "<!--", "- [")
        return Counter(" ".join(line.lstrip("#").split()) for line in kept if line and not line.startswith(own))

    missing = words(text) - words(again)
    assert set(missing) <= {""}


def test_a_file_edited_by_hand_keeps_what_has_no_place_in_the_template():
    text = "\ufeff# By hand\r\n\r\nA line of mine.\r\n## what I LEARNED ##\r\nmuch\r\n## My own heading\r\nmore\r\n"
    text += (
        "## Pinned runs\r\n* [it dies](http://localhost:5006/dashboard?run=20261123-185900-aa11bb)\r\n- not a link\r\n"
    )
    entry = Entry.from_markdown(KEY, text)
    assert entry.title == "By hand"
    assert entry.texts["learned"] == "much\n## My own heading\nmore"
    assert entry.pins == (Pin(RUN, "it dies"),)
    assert entry.opening == "A line of mine.\n- not a link"
    assert entry.created.startswith("2026-11-23T19:00:00")


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "?run=other", "https://elsewhere/?run=" + RUN, f"?run={RUN}&x=<b>", f"?run={RUN})"]
)
def test_a_pin_opens_its_own_run_in_this_laboratory_and_nothing_else(link):
    with pytest.raises(ValueError, match="does not open the run"):
        Pin(RUN, "x", 1, link)
    line = f"- [x]({link})"
    assert Entry.from_markdown(KEY, f"## {PINNED}\n{line}").pins in ((), (Pin("other", "x"),), (Pin(RUN, "x"),))


def test_an_entry_is_begun_with_a_run_and_written_on(journal):
    key = journal.begin({"run": RUN, "name": "it dies", "epoch": 7})
    begun = journal.read(key)
    assert (begun.pins, begun.title, begun.blank) == ((Pin(RUN, "it dies", 7),), "", False)
    saved = journal.write(replace(begun, title="Dead", texts={"learned": "Bias."}))
    assert saved == journal.read(key) == Journal(journal.folder).read(key)
    assert (saved.created, saved.stamp != begun.stamp) == (begun.created, True)


def test_a_blank_entry_is_taken_before_another_is_begun(journal):
    key = journal.begin()
    assert journal.begin() == key
    journal.write(replace(journal.read(key), title="Used"))
    other = journal.begin()
    assert other != key
    assert [entry.id for entry in journal.entries()] == [other, key]


def test_entries_are_found_by_all_words_anywhere_in_them(journal):
    key = journal.begin(PIN)
    journal.write(replace(journal.read(key), title="Größe zählt", texts={"open": "Why ReLU?"}))
    journal.write(replace(journal.read(journal.begin()), title="Other"))
    assert [entry.id for entry in journal.entries("relu GRÖSSE")] == [key]
    assert [entry.id for entry in journal.entries("sigmoid")] == [key]
    assert journal.entries("relu nowhere") == []
    assert len(journal.entries(" ")) == 2


def test_what_somebody_else_changed_meanwhile_is_not_overwritten_and_both_are_kept(journal):
    key = journal.begin(PIN)
    mine = journal.read(key)
    edit(journal, key, "## What I learned\n", "## What I learned\n\nTheirs.\n")
    mine = replace(mine, title="Mine")
    with pytest.raises(OvertakenError, match="Mine was changed elsewhere"):
        journal.write(mine)
    beside = journal.write_beside(mine)
    assert journal.read(key).texts["learned"] == "Theirs."
    assert (beside.title, beside.pins) == ("Mine (my version)", mine.pins)
    other = Journal(journal.folder)
    other.write(replace(other.read(key), title="Of another session"))
    with pytest.raises(OvertakenError):
        journal.write(mine)


def test_one_session_may_write_on_from_what_it_read_first(journal):
    """Letters typed while an earlier save is on its way are based on what was there before it."""
    first = journal.read(journal.begin(PIN))
    for title in ("a", "ab", "", "abc"):
        assert journal.write(replace(first, title=title)).title == title


def test_the_same_content_is_no_conflict(journal):
    first = journal.read(journal.begin(PIN))
    edit(journal, first.id, "#\n", "# Same\n")
    assert journal.write(replace(first, title="Same")).title == "Same"


def test_what_was_deleted_elsewhere_is_there_again_when_it_is_written_on(journal):
    entry = journal.read(journal.begin(PIN))
    Journal(journal.folder).delete(entry.id)
    assert journal.write(replace(entry, title="Still here")).title == "Still here"


def test_a_deleted_entry_comes_back_as_it_was(journal):
    entry = journal.read(journal.begin(PIN))
    journal.delete(entry.id)
    assert journal.entries() == []
    with pytest.raises(JournalError, match="may have been deleted"):
        journal.delete(entry.id)
    journal.restore(entry.id)
    journal.restore(entry.id)
    assert journal.entries() == [entry]


def test_the_trash_keeps_the_last_twenty(journal):
    keys = [journal.begin(PIN) for _ in range(IN_TRASH + 1)]
    for key in keys:
        journal.delete(key)
    with pytest.raises(JournalError, match="keeps the last 20"):
        journal.restore(keys[0])
    journal.restore(keys[1])


@pytest.mark.parametrize("key", ["", "../../etc/passwd", KEY + "\n", KEY.upper(), None, "x" * 9999])
def test_an_id_from_outside_is_checked_before_it_becomes_a_path(journal, key):
    for act in (journal.read, journal.delete, journal.restore):
        with pytest.raises(JournalError, match="an id looks like"):
            act(key)


def test_an_entry_has_its_bounds(journal):
    entry = journal.read(journal.begin(PIN))
    with pytest.raises(JournalError, match=r"100\.0 kB are the most"):
        journal.write(replace(entry, texts={"learned": "é" * (LIMIT // 2)}))
    with pytest.raises(JournalError, match="up to 200 letters"):
        journal.write(replace(entry, title="x" * (MAX_TITLE_LENGTH + 1)))
    assert journal.read(entry.id) == entry
    with pytest.raises(ValueError, match="no text conclusion"):
        Entry(KEY, texts={"conclusion": ""})


def test_what_cannot_be_read_is_reported_and_hides_nothing_else(journal):
    key = journal.begin(PIN)
    folder = place(journal, key).parent
    (folder / "20200101-000000-aaaaaa.md").write_bytes(b"\xff\xfe\x00")
    (folder / "20200101-000000-bbbbbb.md").write_text("x" * (LIMIT + 1))
    (folder / "20200101-000000-cccccc.md").mkdir()
    (folder / "notes.md").write_text("not of the journal")
    assert [entry.id for entry in journal.entries()] == [key]
    assert {name[-9:-3]: why.split("; ")[1] for name, why in journal.problems.items()} == {
        "aaaaaa": "save it as that in an editor.",
        "bbbbbb": "shorten it in an editor.",
    }


def test_a_file_in_the_folders_place_is_a_sentence_and_nothing_is_lost(tmp_path):
    (tmp_path / "journal").write_text("in the way")
    journal = Journal(tmp_path)
    for act in (journal.entries, journal.begin, lambda: journal.write(ENTRY), lambda: journal.delete(KEY)):
        with pytest.raises(JournalError, match=r"a file is in the place of a folder.*The folder is"):
            act()
    assert (tmp_path / "journal").read_text() == "in the way"


def test_a_full_disk_leaves_the_entry_as_it_was(journal, monkeypatch):
    entry = journal.read(journal.begin(PIN))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JournalError, match="the disk is full; make room"):
        journal.write(replace(entry, title="Too much"))
    assert journal.read(entry.id) == entry
    assert not list(place(journal, entry.id).parent.glob(".*.part"))


def test_a_process_that_holds_the_folder_is_not_waited_for_for_ever(journal, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    entry = journal.read(journal.begin(PIN))
    monkeypatch.setattr("dashboard.storage.journal.LOCK_TIMEOUT_S", 0.05)
    with (place(journal, entry.id).parent / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(JournalError, match="another process is writing"):
            journal.write(replace(entry, title="Now"))
    assert journal.write(replace(entry, title="Now")).title == "Now"


def test_only_old_leftovers_are_cleared_away(journal):
    folder = place(journal, journal.begin(PIN)).parent
    young, old = folder / f".{'a' * 32}.part", folder / f".{'b' * 32}.part"
    for path in (young, old):
        path.write_text("half")
    os.utime(old, (time.time() - LEFT_OVER_S - 60,) * 2)
    journal.begin(PIN)
    assert (young.exists(), old.exists()) == (True, False)
    assert len(journal.entries()) == 2


def test_the_stamp_changes_with_every_change_and_with_nothing_else(journal):
    stamps = [journal.stamp()]
    key = journal.begin(PIN)
    stamps.append(journal.stamp())
    journal.write(replace(journal.read(key), title="Title"))
    stamps.append(journal.stamp())
    journal.delete(key)
    assert len(set(stamps)) == 3
    assert journal.stamp() == stamps[0]
    assert journal.stamp() == stamps[0] == ()


def test_the_export_has_everything_the_newest_first_under_a_table_of_contents(journal):
    for title in ("First *one*", "Second"):
        fresh = replace(
            ENTRY, id=journal.begin(PIN), title=title, texts={"learned": "# Big\n```\n# code\n```"}, stamp=""
        )
        journal.write(replace(fresh, stamp=journal.read(fresh.id).stamp))
    newest, oldest = journal.entries()
    text = journal.export("http://here/dashboard")
    assert text.startswith(
        f"# Journal\n\n- [Second](#{newest.id}), 2026-11-23\n- [First \\*one\\*](#{oldest.id}), 2026-"
    )
    assert text.index("\n## Second") < text.index("\n## First *one*")
    assert f'<a id="{newest.id}"></a>' in text
    assert f"](http://here/dashboard?run={RUN}) at epoch 120" in text
    assert "### What I learned\n\n## Big\n```\n# code\n```" in text
    assert "Open questions" not in text
    assert "Nothing has been written yet." in Journal(journal.folder / "empty").export()


def test_a_process_killed_at_any_moment_leaves_whole_entries(journal):
    """It writes ever other texts of one entry as fast as it can; each is one letter, many times."""
    key = journal.begin(PIN)
    code = (
        "import itertools, sys\nfrom dataclasses import replace\nfrom pathlib import Path\n"
        "from dashboard.storage.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\nentry = journal.read(sys.argv[2])\nprint('ready', flush=True)\n"
        "for letter in itertools.cycle('abcdefgh'):\n"
        "    journal.write(replace(entry, title=letter, texts={'learned': letter * 50_000}))\n"
    )
    for moment in (0.0, 0.004, 0.011, 0.023):
        writer = subprocess.Popen(
            [sys.executable, "-c", code, str(journal.folder), key],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
        )
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(moment)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        entry = journal.read(key)
        assert entry.texts["learned"] == entry.title * 50_000
        fresh = Journal(journal.folder)
        fresh.write(replace(fresh.read(key), title="", texts={}))


def test_two_processes_never_lose_what_the_other_wrote(journal):
    """Each adds a line, again and again, and begins anew where it was overtaken: all lines are there in the end."""
    key = journal.begin(PIN)
    code = (
        "import sys\nfrom dataclasses import replace\nfrom pathlib import Path\n"
        "from dashboard.storage.journal import Journal, OvertakenError\n"
        "journal, done = Journal(Path(sys.argv[1])), 0\n"
        "while done < 40:\n"
        "    entry = Journal(journal.folder).read(sys.argv[2])\n"
        "    text = entry.texts['learned'] + f'\\n{sys.argv[3]}{done}'\n"
        "    try: Journal(journal.folder).write(replace(entry, texts={'learned': text}))\n"
        "    except OvertakenError: continue\n"
        "    done += 1\n"
    )
    command = [sys.executable, "-c", code, str(journal.folder), key]
    writers = [subprocess.Popen([*command, name], cwd=Path(__file__).parents[1]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert set(journal.read(key).texts["learned"].split()) == {f"{name}{i}" for name in "ab" for i in range(40)}


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![](http://elsewhere.example/p.png)",
        "[x](javascript:alert(1))",
        "```<img src=x>\n<script>alert(1)</script>\n```",
        "<!-- --><svg onload=alert(1)>",
        "[x]: http://elsewhere.example/p.png\n\n![x]",
    ],
)
def test_what_a_person_writes_is_shown_as_text_and_loads_nothing(hostile):
    entry = Entry(KEY, hostile, dict.fromkeys(SECTIONS, hostile), (Pin(RUN, hostile),), hostile)
    html = rendered(entry)
    assert not [tag for tag in ("<script", "<img", "<svg", "<!--", 'href="javascript') if tag in html.lower()]
    assert html.count("<h2>") == 1 + len(SECTIONS)


def test_the_page_follows_its_folder_and_its_link_names_the_entry_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("DESCENT_LAB_HOME", str(tmp_path))
    run, problems = Notebook.opened({"entry": KEY})
    page = Notebook(run)
    page.draw(run.frame(), run.version)
    assert (problems, page.query()) == ([], {"page": "journal"})
    assert "There is no entry" in page._words.object
    key = Journal(tmp_path).begin(PIN)
    page._next_look = 0.0
    page.poll()
    assert page.behind(run.version)
    page.draw(run.frame(), run.version)
    assert page.query() == {"page": "journal", "entry": key}
    assert [pin["label"] for pin in page._pins.pins] == [f"{PIN.name}, epoch 120"]
    page._delete()
    assert "Deleted" in page._words.object
    assert page._undo.visible
    page._restore()
    assert Notebook.opened({"entry": "../x"})[1] == [
        "entry=../x is not possible; choose the id of an entry, such as 20261123-190000-ab12cd"
    ]
