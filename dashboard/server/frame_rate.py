"""How often the sessions of a server may draw, so that its one loop has time left for what users do."""

import time
from collections.abc import Callable
from typing import NamedTuple

PERIOD = 0.08
"""Seconds from one frame of a session to the next, at least."""

SHARE = 0.75
"""Of the loop's time that frames may take, together."""

RECENT = 1.5
"""Seconds after its last frame that a session still counts."""


class Drawn(NamedTuple):
    """What a session has drawn: when at last, what a frame costs in seconds, and for how many viewers it is."""

    at: float
    cost: float
    viewers: int = 1

    @property
    def each(self) -> float:
        """What it costs for one of them."""
        return self.cost / self.viewers


class FrameRate:
    """Divides the time for frames fairly: no session gets less of it than another, unless it asks for less.

    Sessions with frames of the same cost get equally many. One whose frames are dear, because its network or its data
    are large, gets fewer of them, not everybody.

    A frame costs its own work and what follows from it: its answer is received, what it was made of is let go of. One
    that costs much more than those before, because a picture was made for it, counts as a little more: it is not the
    rule.
    """

    USUAL, AFTER, AFTER_RELAYED = 0.005, 0.0015, 0.0005

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._drawn: dict[int, Drawn] = {}

    def spent(self, session: int, seconds: float, is_relayed: bool = False, viewers: int = 1) -> None:
        """A session has drawn a frame that took so long, for so many viewers; is_relayed: it was drawn elsewhere."""
        before = self._drawn[session].cost if session in self._drawn else self.USUAL
        cost = min(seconds + (self.AFTER_RELAYED if is_relayed else self.AFTER), 2 * before)
        self._drawn[session] = Drawn(self._now(), before + 0.2 * (cost - before), viewers)

    def period(self, session: int) -> float:
        """Seconds from one frame of a session to its next, at least PERIOD."""
        self._forget()
        own = self._drawn.get(session) or Drawn(self._now(), self.USUAL)
        return max(PERIOD, own.each / _largest_share([*self._drawn.values()]))

    def _forget(self) -> None:
        """Leave out whoever draws no more."""
        slowest = sum(one.cost for one in self._drawn.values()) / SHARE
        since = self._now() - RECENT - slowest
        self._drawn = {session: one for session, one in self._drawn.items() if one.at > since}


def _largest_share(drawn: list[Drawn]) -> float:
    """The share of the time that each viewer may have at most, so that all who want less of it get what they want."""
    left, viewers = SHARE, sum(one.viewers for one in drawn)
    for one in sorted(drawn, key=lambda one: one.each):
        fair = left / viewers
        if one.each / PERIOD > fair:
            return fair
        left, viewers = left - one.cost / PERIOD, viewers - one.viewers
    return 1.0


FRAME_RATE = FrameRate()
