"""The list of all run logs, newest first."""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from dashboard.tracking.run_log import RunLog, Status, run_logs

MAX_ENTRIES = 1000
"""Most run logs in a list."""

LOOK_INTERVAL_S = 0.5
"""Seconds between two looks at which run logs there are."""

DAMAGED = "damaged"
"""The state of a run log whose about.json cannot be read."""

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Entry:
    """A run log as the list shows it.

    Attributes:
        began: In seconds since 1970.
        problem: Why the run cannot be shown, as a sentence; empty where it can.
        tags, config: What the program says of the run.
    """

    id: str
    name: str
    began: float
    state: str
    end: str = ""
    epochs: int = 0
    epoch: int = 0
    loss: float = float("nan")
    problem: str = ""
    tags: tuple[str, ...] = ()
    config: tuple[tuple[str, Any], ...] = ()

    @property
    def created(self) -> str:
        """When the run began, in ISO 8601 in the laboratory's time zone; empty for moments that no calendar has."""
        with suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(self.began).astimezone().isoformat()
        return ""


class Listing:
    """The run logs in a folder, looked up at most twice a second, once for all who ask.

    A damaged one is listed as such, and does not affect the others.
    """

    _all: dict[Path, Self] = {}

    def __init__(self, folder: Path) -> None:
        self.version, self.unlisted = 0, 0
        self.entries: tuple[Entry, ...] = ()
        self._folder, self._looked = folder, -LOOK_INTERVAL_S
        self._known: dict[str, tuple[Stamp, RunLog | str, float]] = {}
        self._states: dict[str, tuple[Stamp, Status]] = {}

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The list of a folder, shared within the process."""
        return cls._all.setdefault(folder, cls(folder))

    @classmethod
    def all_of(cls, folder: Path) -> tuple[Entry, ...]:
        """The run logs that are in a folder at this moment, newest first."""
        listing = cls(folder)
        listing.look()
        return listing.entries

    @property
    def newest(self) -> str:
        """The id of the newest run that can be shown; empty where there is none."""
        return next((entry.id for entry in self.entries if not entry.problem), "")

    def look(self) -> None:
        """Look up what there is, unless the last look was a moment ago."""
        now = time.monotonic()
        if now < self._looked + LOOK_INTERVAL_S:
            return
        self._looked = now
        self._find()
        newest = sorted(self._known, key=lambda key: (self._known[key][2], key), reverse=True)
        self.unlisted = max(0, len(newest) - MAX_ENTRIES)
        newest = newest[:MAX_ENTRIES]
        entries = tuple(self._entry(key, *self._known[key][1:]) for key in newest)
        if entries != self.entries:
            self.entries = entries
            self.version += 1

    def _find(self) -> None:
        """Read every about.json that is new or changed."""
        found = {}
        for key in run_logs(self._folder):
            stamp = _stamp(self._folder / "live" / key / "about.json")
            if stamp is None:
                continue
            known = self._known.get(key)
            found[key] = known if known and known[0] == stamp else (stamp, *self._about(key, stamp))
        self._known = found

    def _about(self, key: str, stamp: Stamp) -> tuple[RunLog | str, float]:
        """A run log and when it began, or what is wrong with it and when it was written."""
        try:
            source = RunLog.found(key, self._folder)
            return source, source.began
        except Exception as error:  # whatever it is, it concerns this run log alone
            return str(error), stamp[0] / 1e9

    def _entry(self, key: str, source: RunLog | str, began: float) -> Entry:
        if isinstance(source, str):
            return Entry(key, key, began, DAMAGED, problem=source)
        stamp, known = source.stamp(), self._states.get(key)
        status = known[1] if known and known[0] == stamp else source.status()
        self._states[key] = stamp, status
        state = source.state(status)
        about = {"tags": source.tags, "config": tuple(source.config.items())}
        return Entry(key, source.name, began, state, status.end, status.epochs, status.epoch, status.loss, **about)


def _stamp(path: Path) -> Stamp | None:
    """A value that changes with the file; None where there is none."""
    try:
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    except FileNotFoundError:
        return None
    except OSError:
        return 0, 0
