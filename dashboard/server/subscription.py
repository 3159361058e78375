"""A follower's page takes part in a broadcast as long as its user does nothing but look."""

import time
from collections.abc import Hashable, Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

from bokeh.document import Document
from bokeh.document.events import DocumentPatchedEvent
from bokeh.model import Model
from panel.io.state import set_curdoc

from dashboard.server.broadcast import Broadcast, Renderer, Subscriber, groups_of
from dashboard.server.frame_rate import FRAME_RATE
from dashboard.server.outbound import anew, collected
from dashboard.state.clock import SCHEDULER
from dashboard.state.followed import FollowedRun, SharedRun
from dashboard.state.store import Shown

FEW = 3
"""Fewer followers than this draw for themselves."""

MANY = 4
"""The most broadcasts of one run: one for each way of looking at it."""

QUIET = 1.0
"""Seconds after a user did something before the page may subscribe again."""

BROADCASTS: WeakKeyDictionary[SharedRun, dict[Hashable, Broadcast]] = WeakKeyDictionary()


class Host(Renderer, Protocol):
    """A page that may subscribe."""

    run: Shown

    @property
    def is_calm(self) -> bool:
        """Whether nothing is open beside the page."""

    def renderer(self) -> Renderer:
        """A page that shows the same, which nobody looks at."""


class Subscription:
    """A page's part in a broadcast: when it joins, what it receives, and what it has to send when it leaves.

    While it receives, its own models stay as they were. As soon as the user does anything, it draws for itself.
    """

    def __init__(self, host: Host, document: Document) -> None:
        self._host, self._document = host, document
        self._subscriber: Subscriber | None = None
        self._owed: dict[tuple[Model, str], None] = {}
        self._not_before = 0.0

    @property
    def is_on(self) -> bool:
        """Whether it receives what changes."""
        return self._subscriber is not None

    @property
    def owes(self) -> bool:
        """Whether there are changes that the page has not received."""
        return bool(self._owed)

    def news(self) -> list[str]:
        """The events of the broadcast, as JSON; joins one, or leaves it, where it is time to."""
        fits = self._fits()
        if self._subscriber is None and fits and time.monotonic() >= self._not_before:
            self._join()
        received = self._subscriber.news(FRAME_RATE.period(id(self._host))) if self._subscriber and fits else None
        if received is None:
            self.leave()
        return received or []

    def owed(self) -> list[DocumentPatchedEvent]:
        """What the page may not know, as it is now."""
        owed, self._owed = self._owed, {}
        return [anew(model, name) for model, name in owed if model.document is self._document]

    def leave(self) -> None:
        """Have the page's own models as they should be, and draw for itself from now on."""
        if self._subscriber is None:
            return
        touched, self._subscriber = self._subscriber.leave(), None
        self._not_before = time.monotonic() + QUIET
        self._owed |= dict.fromkeys(touched)
        self._host.shown.forget()
        self._draw()

    def end(self) -> None:
        """The page is closed, or shows something else: leave, and end the broadcasts without subscribers."""
        if self._subscriber:
            self._subscriber.leave()
        self._subscriber, self._owed = None, {}
        run = self._host.run
        if run.followed and (run.outdated or not run.followed.following):
            _disband(run.followed)

    def _draw(self) -> None:
        """Draw the page, and send that later."""
        with SCHEDULER.still(), set_curdoc(self._document), collected(self._document) as changes:
            self._host.draw()
        self._owed |= dict.fromkeys((change.model, change.attr) for change in changes if hasattr(change, "attr"))

    def _fits(self) -> bool:
        """Whether the page shows what others may see too."""
        run = self._host.run
        if not run.followed or run.followed.left or run.outdated or run.followed.following < FEW:
            return False
        usual = all(card.is_usual for card in self._host.shown.cards if card.view.near)
        return usual and run.looked_at is None and not run.compared_runs and self._host.is_calm

    def _join(self) -> None:
        self._not_before = time.monotonic() + QUIET
        broadcast = self._broadcast()
        if broadcast is None:
            return
        broadcast.advance(at_once=True)
        groups, shown = groups_of(self._host), self._shown()
        if broadcast.suits(groups, shown):
            self._draw()
            self._subscriber = Subscriber(broadcast, groups, shown)

    def _shown(self) -> Sequence[int]:
        """The playback bar, and the cards in view."""
        return [0, *(i for i, card in enumerate(self._host.shown.cards, 1) if card.view.near)]

    def _broadcast(self) -> Broadcast | None:
        """The broadcast for those who see the same; None where they are few, or there are too many broadcasts."""
        shared, sight = self._host.run.followed, _sight(self._host.run)
        broadcasts = BROADCASTS.setdefault(shared, {})
        if sight not in broadcasts:
            _disband(shared)
            alike = sum(_sight(one) == sight for one in list(shared.followers))
            if alike < FEW or len(broadcasts) >= MANY:
                return None
            broadcasts[sight] = Broadcast(self._host.renderer)
        return broadcasts[sight]


def _sight(run: FollowedRun) -> Hashable:
    """What followers have in common who see the same."""
    return id(run.followed.store), run.looked_at, tuple(run.view.query().items())


def _disband(shared: SharedRun) -> None:
    """End the broadcasts without subscribers."""
    broadcasts = BROADCASTS.get(shared, {})
    for sight in [sight for sight, broadcast in broadcasts.items() if not broadcast.subscribers]:
        broadcasts.pop(sight).end()
