"""No event loop waits for a lock: what finds the folder locked is done later, in order, and nothing is lost."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard import Run, Settings
from dashboard.pages import PAGES
from dashboard.shell.runs_drawer import BUSY, RunsDrawer
from dashboard.storage.home import exclusive
from dashboard.storage.journal import Journal
from dashboard.storage.run_archive import RunArchive
from dashboard.storage.waiting_writes import WaitingWrites

HOLD = """
import sys
from filelock import FileLock

with FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(folder: Path) -> Iterator[Callable[[], None]]:
    """Another process holds the folder's lock until the function is called, or the context ends."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [sys.executable, "-c", HOLD, str(folder / ".lock")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        try:
            yield lambda: process.communicate()
        finally:
            if process.poll() is None:
                process.communicate()


class Laboratory:
    """What the app is to the drawer."""

    def __init__(self, folder: Path) -> None:
        self.archive, self.run = RunArchive(folder), Run(Settings(n=20, hidden=[2]))

    def keep(self, name: str = "") -> str:
        return self.archive.keep(self.run.recording(name, page="playground")).id


async def ticks(until: Callable[[], bool], most: int = 100_000) -> int:
    """How often the loop comes round until something holds."""
    for count in range(most):
        if until():
            return count
        await asyncio.sleep(0.001)
    raise AssertionError("it never came")


def drawer_of(laboratory: Laboratory) -> RunsDrawer:
    return RunsDrawer(laboratory.archive, laboratory)


def test_the_loop_ticks_while_another_process_holds_the_lock_of_the_archive(tmp_path):
    laboratory = Laboratory(tmp_path)
    key, drawer = laboratory.keep("old"), drawer_of(laboratory)

    def names() -> list[str]:
        drawer.refresh()
        return [row["name"] for row in drawer.rows]

    async def session() -> None:
        with held(tmp_path / "runs") as release:
            drawer.ask({"do": "rename", "id": key, "name": "new", "number": 7})
            drawer.ask({"do": "delete", "id": key, "number": 8})
            assert (drawer.said, drawer.answered) == (BUSY, 0)
            rounds = iter(range(50))
            assert await ticks(lambda: next(rounds) == 49) == 49
            assert names() == ["old"]
            release()
            await ticks(lambda: drawer.refresh() or drawer.answered == 8)
        assert names() == []
        assert drawer.said == "Deleted “old”."

    asyncio.run(session())
    assert laboratory.archive.restore(key).name == "new"


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setenv("DESCENT_LAB_HOME", str(tmp_path))
    return PAGES["journal"](PAGES["journal"].opened()[0])


def test_the_loop_ticks_while_another_process_holds_the_lock_of_the_journal(page, tmp_path):
    journal = Journal()
    key = journal.begin()
    page.draw(page.run.frame(), page.run.version)
    entry, answers = journal.read(key), []

    async def session() -> None:
        with held(tmp_path / "journal") as release:
            page.save(key, entry.stamp, {"title": "First"}, answers.append)
            page.save(key, entry.stamp, {"title": "Second"}, answers.append)
            rounds = iter(range(50))
            assert await ticks(lambda: page.poll() or next(rounds) == 49) == 49
            assert answers == [] and journal.read(key).title == ""
            release()
            await ticks(lambda: page.poll() or len(answers) == 2)

    asyncio.run(session())
    assert [answer.title for answer in answers] == ["First", "Second"]
    assert [one.title for one in journal.entries()] == ["Second"]


def test_a_new_entry_waits_for_no_lock(tmp_path):
    journal = Journal(tmp_path)
    with held(tmp_path / "journal"):
        key = journal.begin()
        assert journal.write_beside(replace(journal.read(key), title="Mine")).title == "Mine (my version)"


def test_writes_are_done_in_the_order_in_which_they_are_asked_for(tmp_path):
    writes, done, failed = WaitingWrites(), [], []

    def write(number: int) -> Callable[[], int]:
        def act() -> int:
            with exclusive(tmp_path, 60):
                if number == 2:
                    raise ValueError("not this one")
                return number

        return act

    with held(tmp_path):
        at_once = [writes.do(write(number), done.append, failed.append) for number in range(4)]
        writes.poll()
        assert at_once == [False] * 4 and writes.waiting == 4 and done == failed == []
    asyncio.run(ticks(lambda: writes.poll() or not writes.waiting))
    assert done == [0, 1, 3] and [str(error) for error in failed] == ["not this one"]
    assert writes.do(write(5), done.append, failed.append) and done[-1] == 5


def test_what_waits_too_long_is_said_to_have_failed(tmp_path):
    writes, failed = WaitingWrites(), []

    def act() -> None:
        with exclusive(tmp_path, 0.01):
            pass

    with held(tmp_path):
        assert not writes.do(act, pytest.fail, failed.append)
        asyncio.run(ticks(lambda: writes.poll() or bool(failed)))
    assert "another process is writing" in str(failed[0])


def test_an_error_of_ours_is_raised_where_the_outcome_is_heard(tmp_path):
    writes = WaitingWrites()

    def act() -> None:
        with exclusive(tmp_path, 60):
            raise ZeroDivisionError

    with held(tmp_path):
        writes.do(act, pytest.fail, pytest.fail)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(ticks(lambda: writes.poll() or not writes.waiting))
