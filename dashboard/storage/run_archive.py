"""The run archive holds archived runs, one file each, in a folder that several processes may share.

    archive = RunArchive()
    archived = archive.keep(run.recording("it dies"))
    run = Run.reopened(archive.load(archived.id))

Files appear, are renamed and vanish atomically: a process may be killed at any moment.
"""

import json
import os
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from dashboard.storage.home import BusyError, exclusive, home, is_id, new_id, reason, sweep
from engine.recording import Recording, load, recording_in, save, summary

ENDING = ".npz"
LOCK_TIMEOUT_S = 10
"""Seconds to wait for another process: no longer than it takes to write the largest file."""

IN_TRASH = 20
MAX_FILE_BYTES = 100 * 2**20
"""Largest file that can be added. The history of the largest network takes 72 MiB."""

MAX_NAME_LENGTH = 100
"""Longest name of a run."""

ASIDE = frozenset(["speed", "stop_epoch", "stop_loss", "stop_plateau"])
"""Settings that do not affect what is computed."""


class ArchiveError(ValueError):
    """What could not be done with an archived run, why, and what to do, in sentences for the page. Nothing was lost."""


@dataclass(frozen=True)
class ArchivedRun:
    """An archived run as a list shows it.

    Attributes:
        created: When it was archived, in ISO 8601, in the local time zone.
        kind: Of the store: "run" or "race".
        page: Slug of the page on which it was archived.
        epoch: Its last epoch, at which it had the loss `loss`.
        size: Of its file, in bytes.
        digest: Of the final weights.
    """

    id: str
    name: str
    created: str
    kind: str
    page: str
    settings: dict[str, Any] = field(hash=False)
    epoch: int
    loss: float
    size: int
    digest: str


class RunArchive:
    """Archived runs in a folder. Any number of processes may use it at once.

    All methods raise ArchiveError, with a sentence for the user, if the folder cannot be read or written, or if an id
    is not a run's. `add`, `rename`, `delete` and `restore` wait for another process that does such a thing; see
    `WaitingWrites`.

    Args:
        folder: The folder that holds `runs` and `trash`; by default `home()`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = home() if folder is None else Path(folder)
        self._runs, self._trash = self.folder / "runs", self.folder / "trash"

    def kept(self) -> list[ArchivedRun]:
        """All archived runs, newest first. Files that have not changed are not opened again."""
        return sorted(self._contents()[0], key=lambda kept: (_moment(kept.created), kept.id), reverse=True)

    @property
    def problems(self) -> dict[str, str]:
        """By file name, why a file in the folder is not among the archived runs."""
        return self._contents()[1]

    def stamp(self) -> Hashable:
        """A value that changes after any process has archived, renamed or deleted a run."""
        try:
            return tuple(sorted((entry.name, _mark(entry.stat())) for entry in self._entries()))
        except OSError as error:
            return error.errno

    def keep(self, recording: Recording) -> ArchivedRun:
        """Write a recording into a file of its own; one without a name is named after its settings."""
        now = datetime.now().astimezone()
        with self._written("The run was not kept"):
            return self._save(recording, new_id(now), now)

    def add(self, content: bytes, filename: str) -> ArchivedRun:
        """Archives an uploaded file, under the id that it has, if it has one.

        A run that is archived already, judged by its final weights and settings, is returned instead of a second copy.
        """
        if len(content) > MAX_FILE_BYTES:
            size, most = len(content) / 2**20, MAX_FILE_BYTES // 2**20
            raise ArchiveError(f"“{filename}” is too large: it has {size:,.0f} MiB, and {most} MiB are the most.")
        try:
            recording = recording_in(content)
        except ValueError as error:
            raise ArchiveError(f"“{filename}” is not a kept run: {_cause(error)}.") from error
        now = datetime.now().astimezone()
        with self._written(f"“{filename}” was not added"), self._alone():
            return self._twin(recording) or self._save(
                recording, self._id_for(recording, now), now, Path(filename).stem
            )

    def path(self, key: str) -> Path:
        """The file of an archived run."""
        path = self._place(self._runs, key)
        if not path.is_file():
            raise ArchiveError(
                f"The run {key} is not kept in {self.folder}; it was deleted, or kept on another machine."
            )
        return path

    def about(self, key: str) -> ArchivedRun:
        """The list's entry for one archived run."""
        path = self.path(key)
        found = _read_entry(path, _mark(path.stat()))
        if isinstance(found, str):
            raise ArchiveError(f"The run {key} cannot be read: {found}.")
        return found

    def load(self, key: str) -> Recording:
        """The whole recording of an archived run."""
        path = self.path(key)
        try:
            return load(path)
        except OSError as error:
            raise ArchiveError(f"The run {key} was not read: {reason(error)}.") from error
        except ValueError as error:
            raise ArchiveError(f"The run {key} cannot be opened: {_cause(error)}.") from error

    def rename(self, key: str, name: str) -> ArchivedRun:
        """Rename an archived run; an empty name is replaced by one made of its settings."""
        with self._written("The run kept its old name"), self._alone():
            recording = self.load(key)
            name = title(name) or described(recording.settings)
            if name != recording.name:
                save(self.path(key), replace(recording, name=name))
        return self.about(key)

    def delete(self, key: str) -> None:
        """Move an archived run into the trash, from which `restore` brings it back; the trash holds the last 20."""
        with self._written("The run was not deleted"), self._alone():
            path = self.path(key)
            self._trash.mkdir(parents=True, exist_ok=True)
            os.utime(path)
            os.replace(path, self._place(self._trash, key))
            self._empty_trash()

    def restore(self, key: str) -> ArchivedRun:
        """Restore a deleted run."""
        with self._written("The run was not brought back"), self._alone():
            thrown, path = self._place(self._trash, key), self._place(self._runs, key)
            if not path.exists() and not thrown.exists():
                raise ArchiveError(
                    f"The run {key} is no longer in the trash, which keeps the last {IN_TRASH} that came."
                )
            if not path.exists():
                os.replace(thrown, path)
        return self.about(key)

    def _save(self, recording: Recording, key: str, now: datetime, otherwise: str = "") -> ArchivedRun:
        name = title(recording.name) or described(recording.settings) or title(otherwise) or "run"
        created = recording.created or now.isoformat(timespec="milliseconds")
        notes = {**recording.notes, "id": key}
        save(self._place(self._runs, key), replace(recording, name=name, created=created, notes=notes))
        sweep(self._runs)
        return self.about(key)

    def _contents(self) -> tuple[list[ArchivedRun], dict[str, str]]:
        """What of the folder can be read, and why the rest cannot."""
        kept, problems = [], {}
        try:
            entries = self._entries()
        except OSError as error:
            return kept, {str(self._runs): reason(error)}
        for entry in entries:
            try:
                found = _read_entry(Path(entry.path), _mark(entry.stat()))
            except FileNotFoundError:
                continue
            except OSError as error:
                found = reason(error)
            if isinstance(found, ArchivedRun):
                kept.append(found)
            else:
                problems[entry.name] = found
        return kept, problems

    def _entries(self) -> list[os.DirEntry]:
        """The files in the folder that are not hidden."""
        try:
            with os.scandir(self._runs) as entries:
                return [entry for entry in entries if not entry.name.startswith(".")]
        except FileNotFoundError:
            return []

    def _place(self, folder: Path, key: str) -> Path:
        """The path of the run with this id."""
        if not is_id(key):
            raise ArchiveError(
                f"{str(key)[:MAX_NAME_LENGTH]!r} is no kept run; an id looks like 20261123-190000-ab12cd."
            )
        return folder / f"{key}{ENDING}"

    def _id_for(self, recording: Recording, now: datetime) -> str:
        """The id under which a recording was archived elsewhere, where it is free; else a new one."""
        key = recording.notes.get("id")
        return key if is_id(key) and not self._place(self._runs, key).exists() else new_id(now)

    def _twin(self, recording: Recording) -> ArchivedRun | None:
        """The archived run with the same final weights and the same settings."""
        wanted = recording.digest, recording.epochs[-1].index, _essence(recording.settings)
        return next(
            (kept for kept in self.kept() if (kept.digest, kept.epoch, _essence(kept.settings)) == wanted), None
        )

    def _empty_trash(self) -> None:
        """Keep only the newest files in the trash."""
        thrown = [path for path in self._trash.glob(f"*{ENDING}") if is_id(path.stem)]
        for path in sorted(thrown, key=lambda path: path.stat().st_mtime_ns, reverse=True)[IN_TRASH:]:
            path.unlink(missing_ok=True)

    @contextmanager
    def _written(self, failure: str) -> Iterator[None]:
        """Create the folder, and turn a refusal by the system into what has failed, why, and where."""
        try:
            self._runs.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise ArchiveError(f"{failure}: {reason(error)}. The folder is {self.folder}.") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock out all other processes and threads; the system releases the lock of a process that is killed."""
        try:
            with exclusive(self._runs, LOCK_TIMEOUT_S):
                yield
        except BusyError as error:
            raise ArchiveError(
                f"Another process has been busy in {self._runs} for {LOCK_TIMEOUT_S} s; try again later."
            ) from error


def title(name: str) -> str:
    """A name on one line, of printable characters, and not too long."""
    return "".join(letter for letter in " ".join(name.split()) if letter.isprintable())[:MAX_NAME_LENGTH].strip()


def described(settings: Mapping[str, Any]) -> str:
    """A run in a few words made of its settings, such as "moons 16-16 relu, sgd 0.1"; empty for other settings."""
    if "surface" in settings:
        return title(f"{settings['surface']} race, {' '.join(map(str, _listed(settings.get('optimizers'))))}")
    if not {"dataset", "hidden", "activation", "optimizer", "learning_rate"} <= settings.keys():
        return ""
    layers = "-".join(map(str, _listed(settings["hidden"])))
    network = f"{layers} {settings['activation']}" if layers else "without hidden layers"
    seed = f", seed {settings['seed']}" if settings.get("seed") else ""
    return title(f"{settings['dataset']} {network}, {settings['optimizer']} {settings['learning_rate']}{seed}")


def _essence(settings: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in settings.items() if name not in ASIDE}, sort_keys=True)


def _listed(value: Any) -> list:
    return value if isinstance(value, list) else []


def _mark(found: os.stat_result) -> tuple[int, int, int]:
    """What identifies a version of a file."""
    return found.st_mtime_ns, found.st_size, found.st_ino


@lru_cache(maxsize=4096)
def _read_entry(path: Path, mark: tuple[int, int, int]) -> ArchivedRun | str:
    """The list's entry in the file of an archived run, or why there is none. Raises OSError when it cannot be read."""
    if path.suffix != ENDING or not is_id(path.stem):
        return "its name is not that of a kept run; to add it, drop it on the page"
    if not path.is_file():
        return "it is no file"
    try:
        found = summary(path)
    except ValueError as error:
        return _cause(error)
    return ArchivedRun(
        id=path.stem,
        name=title(found.name) or described(found.settings) or "run",
        created=_local(found.created, mark[0]),
        kind=title(str(found.notes.get("kind", ""))),
        page=title(str(found.notes.get("page", ""))),
        settings=found.settings,
        epoch=found.epoch,
        loss=found.loss,
        size=found.size,
        digest=found.digest,
    )


def _local(created: str, changed: int) -> str:
    """A time in the local time zone; unchanged where it cannot be parsed."""
    try:
        moment = datetime.fromisoformat(created).astimezone()
    except (ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(changed / 1e9).astimezone()
    return moment.isoformat(timespec="milliseconds")


def _moment(created: str) -> float:
    return datetime.fromisoformat(created).timestamp()


def _cause(error: ValueError) -> str:
    return str(error.__cause__ or error)
