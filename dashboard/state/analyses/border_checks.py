"""What the border on a map is worth: its box dimension, beside borders without a network, and what rounding decides."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from dashboard.state.run_map import RunMap
from dashboard.state.store import Shown
from engine.sweep import Sweep
from engine.sweep.axis import Axis
from engine.sweep.boundary import BoxDimension, boundary, box_dimension, one_ulp_on, trained_on_ripples

MEASURE = "trained"
"""Whose border it is: that between runs that have come down and others."""

FINEST, FEWEST = 256, 64
"""Pixels a side of the maps without a network; and those from which on a border's dimension can be told."""

TRIED = 200
"""Runs at the border that are trained once more, one rounding further, at most."""

TRIAL_S = 30
"""Seconds after which no further one is begun: the runs of a map may take long."""

RIPPLES = {"cosine": (0.05, (10**-0.4, 10**0.1)), "quadratic": (0.0, (10**-1.0, 10**0.5))}
"""Two numbers that descend, by name: the height of the cosine in their loss, and the rates of each."""


@dataclass(frozen=True, eq=False)
class BorderFound:
    """What is known of the border of a map at an epoch.

    Attributes:
        sweep: The map.
        mark: The epoch.
        problem: Why there is no border, empty where there is one.
        dimension: Its box dimension.
        references: Those of the borders without a network, by name.
        tried: How many runs at the border were trained one rounding further.
        flipped: How many of them came out otherwise.
        rounding: Why none was, empty where some were.
        is_done: Whether there is nothing more to find out.
    """

    sweep: Sweep
    mark: int
    problem: str = ""
    dimension: BoxDimension | None = None
    references: tuple[tuple[str, BoxDimension], ...] = ()
    tried: int = 0
    flipped: int = 0
    rounding: str = ""
    is_done: bool = False


class BorderChecks:
    """The newest of a page's map."""

    def __init__(self, run: Shown) -> None:
        self.run = run
        self.found: BorderFound | None = None

    def work(self, run_map: RunMap, mark: int) -> Iterator[object] | None:
        """Check the border of a finished map, in pieces; None where there is nothing to check or all is known."""
        sweep = run_map.sweep
        if sweep is None or not run_map.is_done or min(sweep.size) < FEWEST:
            return None
        found = self.of(sweep, mark)
        return None if found and found.is_done else self._check(sweep, mark)

    def of(self, sweep: Sweep | None, mark: int) -> BorderFound | None:
        """What is known of the border of a map at an epoch."""
        found = self.found
        return found if found and found.sweep is sweep and found.mark == mark else None

    def _check(self, sweep: Sweep, mark: int) -> Iterator[object]:
        yield from self._show(BorderFound(sweep, mark))
        try:
            found = BorderFound(sweep, mark, dimension=box_dimension(boundary(sweep.values(MEASURE, mark))))
        except ValueError as error:
            yield from self._show(BorderFound(sweep, mark, problem=str(error), is_done=True))
            return
        for name in RIPPLES:
            found = replace(found, references=(*found.references, (name, reference(name))))
            yield from self._show(found)
        until = time.monotonic() + TRIAL_S
        try:
            for flips in one_ulp_on(sweep, MEASURE, TRIED, mark):
                found = replace(found, tried=found.tried + 1, flipped=found.flipped + flips)
                yield from self._show(found)
                if time.monotonic() > until:
                    break
        except ValueError as error:
            found = replace(found, rounding=str(error))
        yield from self._show(replace(found, is_done=True))

    def _show(self, found: BorderFound) -> Iterator[object]:
        self.found = found
        self.run.touch()
        yield


@cache
def reference(name: str) -> BoxDimension:
    """The dimension of a border without a network."""
    ripple, ends = RIPPLES[name]
    rates = Axis("rate", *ends, "log").values(FINEST)
    with np.errstate(all="ignore"):
        return box_dimension(boundary(trained_on_ripples(rates, rates, ripple)))
