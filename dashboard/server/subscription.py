"""Ride: a follower's page in a convoy, for as long as its visitor does nothing but look."""

import time
from collections.abc import Hashable, Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

from bokeh.document import Document
from bokeh.document.events import DocumentPatchedEvent
from bokeh.model import Model
from panel.io.state import set_curdoc

from dashboard.server.broadcast import Convoy, Lead, Seat, groups_of
from dashboard.server.frame_rate import BUDGET
from dashboard.server.outbound import anew, collected
from dashboard.state.clock import CONDUCTOR
from dashboard.state.followed import Follower, Shared
from dashboard.state.store import Store

FEW = 3
"""Fewer followers than this draw for themselves."""

MANY = 4
"""Convoys of one run, at most: so many ways of looking at it."""

QUIET = 1.0
"""Seconds after a visitor did something before the page is one of many again."""

CONVOYS: WeakKeyDictionary[Shared, dict[Hashable, Convoy]] = WeakKeyDictionary()


class Host(Lead, Protocol):
    """A page that may ride."""

    run: Store

    @property
    def is_calm(self) -> bool:
        """Whether nothing is open beside the page."""

    def lead(self) -> Lead:
        """A page that shows the same, which nobody looks at."""


class Ride:
    """What a page is told in a convoy, when it joins one, and what it owes its visitor when it leaves.

    While it is told, its own models stay as they were. As soon as the visitor does anything, it draws for itself.
    """

    def __init__(self, host: Host, document: Document) -> None:
        self._host, self._document = host, document
        self._seat: Seat | None = None
        self._owed: dict[tuple[Model, str], None] = {}
        self._not_before = 0.0

    @property
    def is_on(self) -> bool:
        """Whether it is told what changes."""
        return self._seat is not None

    @property
    def owes(self) -> bool:
        """Whether the page has to be told what it was not."""
        return bool(self._owed)

    def news(self) -> list[str]:
        """The events that the convoy tells of, as JSON; joins one, or leaves it, where it is time to."""
        fits = self._fits()
        if self._seat is None and fits and time.monotonic() >= self._not_before:
            self._join()
        told = self._seat.news(BUDGET.period(id(self._host))) if self._seat and fits else None
        if told is None:
            self.leave()
        return told or []

    def owed(self) -> list[DocumentPatchedEvent]:
        """What the page may not know, as it is now."""
        owed, self._owed = self._owed, {}
        return [anew(model, name) for model, name in owed if model.document is self._document]

    def leave(self) -> None:
        """Have the page's own models as they should be, and draw for itself from now on."""
        if self._seat is None:
            return
        touched, self._seat = self._seat.leave(), None
        self._not_before = time.monotonic() + QUIET
        self._owed |= dict.fromkeys(touched)
        self._host.shown.forget()
        self._draw()

    def end(self) -> None:
        """The page is closed, or shows something else: be gone, and so the convoys without anybody."""
        if self._seat:
            self._seat.leave()
        self._seat, self._owed = None, {}
        run = self._host.run
        if isinstance(run, Follower) and (run.outdated or not run.shared.following):
            _disband(run.shared)

    def _draw(self) -> None:
        """Draw the page, and tell of it later."""
        with CONDUCTOR.still(), set_curdoc(self._document), collected(self._document) as changes:
            self._host.draw()
        self._owed |= dict.fromkeys((change.model, change.attr) for change in changes if hasattr(change, "attr"))

    def _fits(self) -> bool:
        """Whether the page shows what others may see too."""
        run = self._host.run
        if not isinstance(run, Follower) or run.shared.left or run.outdated or run.shared.following < FEW:
            return False
        usual = all(slot.is_usual for slot in self._host.shown.slots if slot.view.near)
        return usual and run.looked_at is None and not run.guests and self._host.is_calm

    def _join(self) -> None:
        self._not_before = time.monotonic() + QUIET
        convoy = self._convoy()
        if convoy is None:
            return
        convoy.advance(at_once=True)
        groups, shown = groups_of(self._host), self._shown()
        if convoy.suits(groups, shown):
            self._draw()
            self._seat = Seat(convoy, groups, shown)

    def _shown(self) -> Sequence[int]:
        """The transport, and the cards in view."""
        return [0, *(i for i, slot in enumerate(self._host.shown.slots, 1) if slot.view.near)]

    def _convoy(self) -> Convoy | None:
        """The convoy of those who see the same; None where they are few, or there are too many others."""
        shared, sight = self._host.run.shared, _sight(self._host.run)
        convoys = CONVOYS.setdefault(shared, {})
        if sight not in convoys:
            _disband(shared)
            alike = sum(_sight(one) == sight for one in list(shared.followers))
            if alike < FEW or len(convoys) >= MANY:
                return None
            convoys[sight] = Convoy(self._host.lead)
        return convoys[sight]


def _sight(run: Follower) -> Hashable:
    """What followers have in common who see the same."""
    return id(run.shared.store), run.looked_at, tuple(run.view.query().items())


def _disband(shared: Shared) -> None:
    """End the convoys in which nobody is."""
    convoys = CONVOYS.get(shared, {})
    for sight in [sight for sight, convoy in convoys.items() if not convoy.seats]:
        convoys.pop(sight).end()
