"""Budget: how often a server's sessions may draw, so that its one loop has time left for what visitors do."""

import time
from collections.abc import Callable

PERIOD = 0.08
"""Seconds from one frame of a session to the next, at least."""

SHARE = 0.75
"""Of the loop's time that frames may take, together."""

RECENT = 1.5
"""Seconds after its last frame that a session still counts."""


class Budget:
    """Divides the time for frames fairly: every session that draws gets one frame in the same period.

    A frame costs its own work and what follows from it: its answer heard, what it was made of let go of. One that costs
    much more than those before, because a picture was made for it, counts as a little more: it is not the rule.
    """

    USUAL, AFTER, AFTER_TOLD = 0.005, 0.0015, 0.0005

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._costs: dict[int, tuple[float, float]] = {}

    def spent(self, session: int, seconds: float, told: bool = False) -> None:
        """A session has drawn a frame that took so long; told: it was drawn elsewhere, for many."""
        before = self._costs.get(session, (0.0, self.USUAL))[1]
        cost = min(seconds + (self.AFTER_TOLD if told else self.AFTER), 2 * before)
        self._costs[session] = self._now(), before + 0.2 * (cost - before)

    @property
    def period(self) -> float:
        """Seconds from one frame of a session to its next."""
        period = self._sum() / SHARE
        since = self._now() - RECENT - period
        self._costs = {session: drawn for session, drawn in self._costs.items() if drawn[0] > since}
        return self._sum() / SHARE

    def _sum(self) -> float:
        return sum(cost for _, cost in self._costs.values())


BUDGET = Budget()
