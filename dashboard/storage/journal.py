"""The journal keeps a learner's notes next to the runs, one Markdown file each, in a folder that several may share.

    journal = Journal()
    key = journal.begin({"run": archived.id, "name": archived.name, "epoch": archived.epoch})
    entry = journal.read(key)
    journal.write(replace(entry, title="It dies", texts={"learned": "A bias of -5 is too much."}))

Other processes, and people with an editor, may change the files at the same time: none of their changes is overwritten.
"""

import hashlib
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dashboard.storage.home import exclusive, home, is_id, reason, sweep
from dashboard.storage.journal_entry import MAX_TITLE_LENGTH, Entry, Pin, in_a_line
from engine import atomic_write

LIMIT = 100_000
"""Largest file of an entry, in bytes."""

IN_TRASH = 20
LOCK_TIMEOUT_S = 2.0
"""Seconds to wait while another process writes."""

Mark = tuple[str, int, int, int]
"""An entry's id, and what identifies a version of its file."""


class JournalError(ValueError):
    """What could not be done with an entry, why, and what to do, in sentences for the page. Nothing was lost."""


class OvertakenError(JournalError):
    """Somebody else has changed an entry since it was read."""


class Journal:
    """The entries in a folder, as one session sees and writes them.

    All methods raise JournalError, with a sentence for the user, if the folder cannot be read or written, or if an id
    is not an entry's. `write`, `delete` and `restore` wait for another process that does such a thing; see
    `WaitingWrites`.

    Args:
        folder: The folder that holds `journal` and `trash`; by default `home()`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = home() if folder is None else Path(folder)
        self.problems: dict[str, str] = {}
        """Why a file in the folder was not among the entries when they were last looked at, by its name."""

        self._entries, self._trash = self.folder / "journal", self.folder / "trash"
        self._found: dict[Mark, Entry | str] = {}
        self._written: dict[str, str] = {}

    def stamp(self) -> tuple[Mark, ...]:
        """A value that changes after anybody has begun, changed or deleted an entry."""
        with self._sentences("The journal cannot be read"):
            try:
                with os.scandir(self._entries) as files:
                    return tuple(sorted(_mark(file) for file in files if _is_entry(file)))
            except FileNotFoundError:
                return ()

    def entries(self, search: str = "") -> list[Entry]:
        """The entries that contain all these words, newest first. Only files that have changed are read again."""
        self._found = {mark: self._found.get(mark) or self._look(mark[0]) for mark in self.stamp()}
        self.problems = {f"{mark[0]}.md": why for mark, why in self._found.items() if isinstance(why, str)}
        entries = [entry for entry in self._found.values() if isinstance(entry, Entry)]
        words = search.casefold().split()
        return [entry for entry in reversed(entries) if all(word in entry.words.casefold() for word in words)]

    def read(self, key: str) -> Entry:
        """The entry as it is in its file now."""
        path = self._place(self._entries, key)
        try:
            changed = path.stat().st_mtime
            content = _bounded(path)
        except FileNotFoundError:
            raise JournalError(f"There is no entry {key}; it may have been deleted.") from None
        except OSError as error:
            raise JournalError(f"The entry {key} was not read: {reason(error)}.") from error
        if len(content) > LIMIT:
            raise JournalError(f"The entry {key} is longer than {_kilobytes(LIMIT)}; shorten it in an editor.")
        try:
            entry = Entry.from_markdown(key, content.decode())
        except UnicodeDecodeError:
            raise JournalError(f"The entry {key} is not in UTF-8; save it as that in an editor.") from None
        return replace(entry, changed=_local(changed), stamp=_stamp(content))

    def begin(self, pin: Pin | Mapping[str, Any] | None = None) -> str:
        """Begin an entry with this run pinned to it, and return its id.

        Args:
            pin: The run, as a `Pin` or as {"run", "name", "epoch", "link"}, of which the first two are needed. Without
                one, the newest entry is used again if it is still blank.

        Raises:
            ValueError: If `pin` is neither.
        """
        newest = next(iter(self.entries()), None)
        if pin is None and newest and newest.blank:
            return newest.id
        pins = () if pin is None else (pin if isinstance(pin, Pin) else Pin(**pin),)
        return self._write_new(Entry(_new_id(), pins=pins)).id

    def write(self, entry: Entry) -> Entry:
        """Save an entry, and return it as it is in its file then. One that was deleted meanwhile is created again.

        Raises:
            OvertakenError: If somebody else has changed the entry since it was read; see `write_beside`.
            JournalError: If it is too long.
        """
        content = _content(entry)
        path = self._place(self._entries, entry.id)
        with self._sentences("The entry was not saved"), self._alone():
            present = _bounded(path) if path.exists() else content
            ours = entry.stamp, self._written.get(entry.id), _stamp(content)
            if _stamp(present) not in ours:
                raise OvertakenError(f"{entry.title or 'The entry'} was changed elsewhere meanwhile.")
            if present != content or not path.exists():
                atomic_write.write(path, content)
        self._written[entry.id] = _stamp(content)
        return self.read(entry.id)

    def write_beside(self, entry: Entry) -> Entry:
        """Save an entry that was overtaken as a new one, so that both versions are kept."""
        title = f"{(entry.title or 'Untitled')[: MAX_TITLE_LENGTH - 20]} (my version)"
        return self._write_new(replace(entry, id=_new_id(), title=title, created="", stamp=""))

    def delete(self, key: str) -> None:
        """Move an entry into the trash, from which `restore` brings it back; the trash holds the last 20."""
        path = self._place(self._entries, key)
        with self._sentences("The entry was not deleted"), self._alone():
            if not path.exists():
                raise JournalError(f"There is no entry {key}; it may have been deleted elsewhere.")
            self._trash.mkdir(parents=True, exist_ok=True)
            os.replace(path, self._place(self._trash, key))
            self._empty_trash()

    def restore(self, key: str) -> None:
        """Restore a deleted entry; one that exists again stays as it is."""
        thrown, path = self._place(self._trash, key), self._place(self._entries, key)
        with self._sentences("The entry was not brought back"), self._alone():
            if not path.exists() and not thrown.exists():
                raise JournalError(f"The entry {key} is no longer in the trash, which keeps the last {IN_TRASH}.")
            if not path.exists():
                os.replace(thrown, path)

    def export(self, address: str = "") -> str:
        """All entries as one Markdown text, newest first, with a table of contents.

        Args:
            address: URL of the laboratory, so that the links of pinned runs lead there.
        """
        entries = self.entries()
        contents = [
            f"- [{in_a_line(entry.title or 'Untitled')}](#{entry.id}), {entry.created[:10]}" for entry in entries
        ]
        chapters = [entry.chapter().replace("](?run=", f"]({address}?run=") for entry in entries]
        return "\n\n".join(["# Journal", "\n".join(contents) or "Nothing has been written yet.", *chapters])

    def _write_new(self, entry: Entry) -> Entry:
        """Save an entry under an id that nobody else knows, which needs no lock."""
        content = _content(entry)
        with self._sentences("The entry was not saved"):
            self._entries.mkdir(parents=True, exist_ok=True)
            sweep(self._entries)
            atomic_write.write(self._place(self._entries, entry.id), content)
        self._written[entry.id] = _stamp(content)
        return self.read(entry.id)

    def _place(self, folder: Path, key: str) -> Path:
        """The path of the entry with this id."""
        if not is_id(key):
            raise JournalError(f"{str(key)[:MAX_TITLE_LENGTH]!r} is no entry; an id looks like 20261123-190000-ab12cd.")
        return folder / f"{key}.md"

    def _look(self, key: str) -> Entry | str:
        """The entry, or why it cannot be read."""
        try:
            return self.read(key)
        except JournalError as error:
            return str(error)

    def _empty_trash(self) -> None:
        """Keep only the newest files in the trash."""
        thrown = [path for path in self._trash.glob("*.md") if is_id(path.stem)]
        for path in sorted(thrown, key=lambda path: path.stat().st_ctime_ns, reverse=True)[IN_TRASH:]:
            path.unlink(missing_ok=True)

    @contextmanager
    def _sentences(self, failure: str) -> Iterator[None]:
        """Turn a refusal by the system within the context into what has failed, why, and where."""
        try:
            yield
        except OSError as error:
            raise JournalError(f"{failure}: {reason(error)}. The folder is {self.folder}.") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock out all other processes and sessions; the system releases the lock of a process that is killed."""
        self._entries.mkdir(parents=True, exist_ok=True)
        sweep(self._entries)
        with exclusive(self._entries, LOCK_TIMEOUT_S):
            yield


def _content(entry: Entry) -> bytes:
    """The content of an entry's file.

    Raises:
        JournalError: If it is too long.
    """
    content = entry.markdown().encode()
    if len(content) > LIMIT:
        raise JournalError(
            f"The entry was not saved: it has {_kilobytes(len(content))}, and {_kilobytes(LIMIT)} are the most. "
            "Shorten it, or go on in a new one."
        )
    if len(entry.title) > MAX_TITLE_LENGTH:
        raise JournalError(
            f"The entry was not saved: a title has up to {MAX_TITLE_LENGTH} letters, not {len(entry.title)}."
        )
    return content


def _bounded(path: Path) -> bytes:
    """A file's content, up to a little more than an entry may have."""
    with path.open("rb") as file:
        return file.read(LIMIT + 1)


def _is_entry(file: os.DirEntry) -> bool:
    return file.name.endswith(".md") and is_id(file.name[:-3]) and file.is_file()


def _mark(file: os.DirEntry) -> Mark:
    found = file.stat()
    return file.name[:-3], found.st_mtime_ns, found.st_size, found.st_ino


def _title(entry: Entry) -> str:
    return in_a_line(entry.title or "Untitled")


def _new_id() -> str:
    """The time to the microsecond, so that ids sort by time, and random digits."""
    now = datetime.now()
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond:05x}{uuid.uuid4().hex[0]}"


def _local(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def _stamp(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _kilobytes(size: int) -> str:
    return f"{size / 1000:,.1f} kB"
