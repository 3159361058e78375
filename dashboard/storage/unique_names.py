"""Names: what runs are called where several are listed, so that two of one name can be told apart. No Panel here."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

WAYS = ("{0.day} {0:%b %H:%M}", "{0.day} {0:%b %Y %H:%M:%S}")
"""How a moment is written: as short as tells the runs of one name apart."""


class Named(Protocol):
    """A run in a list. created: when, in ISO 8601."""

    id: str
    name: str
    created: str


def told_apart(runs: Iterable[Named]) -> dict[str, str]:
    """What each is called, by its id: its name, and where others have the same, when it began.

    Where that is the same too, a number follows, in the order of their ids: however they are listed, and wherever, they
    are called the same.
    """
    twins = defaultdict(dict)
    for run in runs:
        twins[run.name][run.id] = run.created
    return {
        key: name if len(created) == 1 else f"{name}, {mark}"
        for name, created in twins.items()
        for key, mark in _marks(created).items()
    }


def _marks(created: dict[str, str]) -> dict[str, str]:
    """What tells runs of one name apart, by their ids."""
    for way in WAYS:
        marks = {key: _written(moment, way) for key, moment in created.items()}
        if len(set(marks.values())) == len(marks):
            return marks
    counts: Counter[str] = Counter()
    for key in sorted(marks):
        counts[marks[key]] += 1
        marks[key] += f" ({counts[marks[key]]})"
    return marks


def _written(moment: str, way: str) -> str:
    try:
        return way.format(datetime.fromisoformat(moment).astimezone())
    except ValueError:
        return moment
