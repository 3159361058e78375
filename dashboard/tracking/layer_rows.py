"""The rows in which the layers of a watched module are shown: the unusual ones first, or groups of the module tree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ONE, MOST_SCORE = 1e-12, 1e6
SPREAD_TO_DEVIATION = 1.4826
"""Of a normal distribution, the standard deviation over the median distance from the median."""


@dataclass(frozen=True)
class Row:
    """A layer, or a group of layers whose names begin alike.

    Attributes:
        places: Of its layers, in the order of the module.
        low, middle, high: The least, the median and the largest of their numbers.
    """

    name: str
    places: tuple[int, ...]
    low: float
    middle: float
    high: float

    @property
    def label(self) -> str:
        """The name, with how many layers there are if it is a group."""
        return self.name if len(self.places) == 1 else f"{self.name} ({len(self.places)} layers)"


def scores(values: np.ndarray, is_log: bool) -> np.ndarray:
    """(k,) how far each number lies from the median, in robust standard deviations; on a logarithmic scale zero is far.

    Where at least half of the numbers are the same, all others are equally far.
    """
    if not len(values):
        return np.empty(0)
    with np.errstate(all="ignore"):
        seen = np.log10(np.abs(values)) if is_log else values
    fine = np.isfinite(seen)
    if not fine.any():
        return np.full(len(values), MOST_SCORE)
    distance = np.abs(np.where(fine, seen, 0) - np.median(seen[fine]))
    spread = SPREAD_TO_DEVIATION * float(np.median(distance[fine]))
    return np.where(fine, np.minimum(distance / max(spread, ONE), MOST_SCORE), MOST_SCORE)


def unusual_first(names: Sequence[str], values: np.ndarray, is_log: bool, most: int) -> list[Row]:
    """The layers whose numbers are known, the one farthest from the median first; at most so many."""
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(-scores(values[known], is_log), kind="stable")][:most]
    return [Row(names[place], (place,), *[float(values[place])] * 3) for place in order.tolist()]


def in_order(names: Sequence[str], values: np.ndarray, most: int) -> list[Row]:
    """The layers in the order of the module; where there are more, groups as deep in the module tree as fit.

    Returns:
        The rows; of a flat list of too many layers the first ones.
    """
    known = np.flatnonzero(~np.isnan(values)).tolist()
    parts = {place: names[place].split(".") for place in known}
    deepest = max((len(part) for part in parts.values()), default=1)
    for depth in range(deepest, 0, -1):
        groups: dict[str, list[int]] = {}
        for place in known:
            groups.setdefault(".".join(parts[place][:depth]), []).append(place)
        if len(groups) <= most:
            break
    rows = []
    for name, places in list(groups.items())[:most] if known else ():
        some = values[places]
        whole = names[places[0]] if len(places) == 1 else name
        rows.append(Row(whole, tuple(places), float(some.min()), float(np.median(some)), float(some.max())))
    return rows
