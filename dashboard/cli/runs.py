"""Lists, shows, exports and deletes the runs in the laboratory's folder: those that were kept, and run logs."""

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.storage.home import home
from dashboard.storage.run_archive import RunArchive
from dashboard.tracking import run_log
from dashboard.tracking.data_frame import data_frame
from dashboard.tracking.log_listing import Listing
from dashboard.tracking.run_log import RunLog
from dashboard.tracking.tracked_run import TrackedRun, WatchSettings
from engine.recording import save

KEPT, WATCHED = "kept", "watched"


@dataclass(frozen=True)
class Line:
    """A run in the list."""

    id: str
    kind: str
    name: str
    created: str
    state: str
    epoch: int
    loss: float
    tags: tuple[str, ...] = ()


def run(wanted: argparse.Namespace) -> int:
    """Do what was asked for.

    Raises:
        ValueError: If there is no such run, or it goes on.
    """
    return ACTIONS[wanted.action](wanted) or 0


def lines() -> list[Line]:
    """All runs, the newest first."""
    kept = [Line(one.id, KEPT, one.name, one.created, "kept", one.epoch, one.loss) for one in RunArchive().kept()]
    return sorted([*kept, *_watched()], key=lambda line: (line.created, line.id), reverse=True)


def _watched() -> Iterator[Line]:
    for entry in Listing.all_of(home()):
        yield Line(entry.id, WATCHED, entry.name, entry.created, entry.state, entry.epoch, entry.loss, entry.tags)


def _list(wanted: argparse.Namespace) -> None:
    found = [line for line in lines() if not wanted.tag or wanted.tag in line.tags]
    if wanted.json:
        for line in found:
            sys.stdout.write(json.dumps({**vars(line), "loss": _finite(line.loss)}) + "\n")
        return
    rows = [
        (line.id, line.kind, line.state, f"epoch {line.epoch:,}", "" if line.loss != line.loss else f"{line.loss:.4g}")
        for line in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for line, row in zip(found, rows, strict=True):
        padded = "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{padded}  {run_log.text(line.name, 80)}\n")
    if not found:
        sys.stdout.write("There are no runs here.\n")


def _show(wanted: argparse.Namespace) -> None:
    kind, found = _found(wanted.id)
    if kind == KEPT:
        about = {name: value for name, value in vars(found).items() if name != "settings"} | {
            "settings": found.settings
        }
    else:
        store = _store(wanted.id)
        about = {
            "id": found.id,
            "name": found.name,
            "created": found.created,
            "condition": store.condition,
            "readings": store.readings(store.frame()),
            "metrics": list(store.logbook.metrics),
            "layers": list(store.logbook.layers),
            "notes": [f"epoch {note.epoch:,}: {note.words}" for note in store.logbook.notes],
            "config": found.config,
            "tags": list(found.tags),
            "problems": store.problems,
        }
    sys.stdout.write(json.dumps(about, indent=2, default=str) + "\n")


def _export(wanted: argparse.Namespace) -> None:
    kind, _ = _found(wanted.id)
    path = Path(wanted.to or f"{wanted.id}.{wanted.format}")
    found = RunArchive().load(wanted.id) if kind == KEPT else _store(wanted.id)
    if wanted.format == "npz":
        save(path, found if kind == KEPT else found.recording())
    else:
        table = data_frame(found).reset_index()
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(table.columns)
            rows.writerows(table.itertuples(index=False, name=None))
    sys.stdout.write(f"{path}\n")


def _delete(wanted: argparse.Namespace) -> None:
    for key in wanted.id:
        kind, found = _found(key)
        if kind == KEPT:
            RunArchive().delete(key)
            sys.stdout.write(f"{key} is in the trash, from which the laboratory can bring it back for a while\n")
        elif found.state() == run_log.LIVE:
            raise ValueError(f"the run {key} goes on; it can be deleted when it has ended")
        else:
            shutil.rmtree(found.folder)
            sys.stdout.write(f"{key} is deleted\n")


def _found(key: str) -> tuple[str, Any]:
    """Which kind of run an id is of, and what is known of it."""
    try:
        return KEPT, RunArchive().about(key)
    except ValueError as error:
        try:
            return WATCHED, RunLog.found(key)
        except ValueError:
            raise error from None


def _store(key: str) -> TrackedRun:
    """A store that has read all of a run log."""
    store = TrackedRun(WatchSettings(feed=key))
    store.read_all()
    return store


def _finite(loss: float) -> float | None:
    return loss if abs(loss) < float("inf") else None


ACTIONS: dict[str, Callable[[argparse.Namespace], None]] = {
    "list": _list,
    "show": _show,
    "export": _export,
    "delete": _delete,
}
