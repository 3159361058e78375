"""Unique names for runs in lists: runs with the same name are distinguished by when they began."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

WAYS = ("{0.day} {0:%b %H:%M}", "{0.day} {0:%b %Y %H:%M:%S}")
"""Formats of a moment, shortest first; the first one that distinguishes the runs of one name is used."""


class Named(Protocol):
    """A run in a list; `created` is in ISO 8601."""

    id: str
    name: str
    created: str


def unique_names(runs: Iterable[Named]) -> dict[str, str]:
    """The name of each run by its id and, where others have the same name, when it began.

    Where that is the same too, a number follows, in the order of their ids: a run has the same name in every list.
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
    """What distinguishes runs of one name, by their ids."""
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
