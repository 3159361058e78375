"""One page is drawn for all who follow a run and see the same; each of them gets the changes for its own models.

Thirty students look at one run: thirty drawings of the same pictures would leave each of them a frame a second.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakSet

from bokeh.document import Document
from bokeh.document.events import DocumentPatchedEvent
from bokeh.model import Model
from bokeh.model.util import collect_models
from panel.io.state import set_curdoc, state

from dashboard.server.frame_rate import FRAME_RATE
from dashboard.server.outbound import anew, collected, plain
from dashboard.state.clock import SCHEDULER

KEPT = 16
"""The most frames that a page may be late by."""

Groups = Sequence[Sequence[Model]]


class Renderer(Protocol):
    """The page that is drawn, which nobody looks at."""

    body: Any
    shown: Any

    def is_behind(self) -> bool:
        """Whether there is something new to draw."""

    def draw(self) -> None:
        """Bring it to the newest frame."""

    def end_beat(self) -> None:
        """Have work done for its pictures."""

    def end(self) -> None:
        """Let go of everything."""


@dataclass(frozen=True, slots=True)
class Part:
    """A change of the model at a place of a group, as JSON without that model."""

    group: int
    place: int
    text: str


class Broadcast:
    """A page in a document of its own that nobody looks at, and what has changed in it, frame by frame."""

    def __init__(self, make: Callable[[], Renderer]) -> None:
        """make: makes the page."""
        self.subscribers: WeakSet[Subscriber] = WeakSet()
        self.number = 0
        self._due = 0.0
        self._frames: deque[list[Part]] = deque(maxlen=KEPT)
        self._touched: dict[tuple[Model, str], None] = {}
        self._whole: tuple[int, list[Part]] = (-1, [])
        self._document = Document()
        with set_curdoc(self._document):
            self._renderer = make()
            self._document.add_root(self._renderer.body.get_root(self._document))
        self._find()

    @property
    def touched(self) -> list[tuple[int, int, str]]:
        """All that has ever changed: group, place, and the name of an attribute."""
        return [(*self._places[model], name) for model, name in self._touched if model in self._places]

    def advance(self, period: float = 0.0, at_once: bool = False) -> None:
        """Draw the newest frame, if it is time for one; period: seconds from one frame to the next where it is sent."""
        began = time.perf_counter()
        if not self._renderer.is_behind() or (began < self._due and not at_once):
            return
        self._due = began + 0.9 * max(period, FRAME_RATE.period(id(self)))
        with SCHEDULER.still(), set_curdoc(self._document), collected(self._document) as changes:
            self._renderer.draw()
        self._take(changes)
        FRAME_RATE.spent(id(self), time.perf_counter() - began, viewers=max(1, len(self.subscribers)))
        self._renderer.end_beat()

    def since(self, number: int) -> list[Part] | None:
        """What has changed since that frame; None where it is not known any more."""
        late = self.number - number
        return [part for frame in self._last(late) for part in frame] if late <= len(self._frames) else None

    def whole(self) -> list[Part]:
        """All that has ever changed, as it is now."""
        if self._whole[0] != self.number:
            known = [anew(model, name) for model, name in self._touched if model in self._places]
            self._whole = self.number, self._parts(known) or []
        return self._whole[1]

    def suits(self, groups: Groups, shown: Sequence[int]) -> bool:
        """Whether a page that shows these of its groups is made as this one is."""
        return all(list(map(type, groups[i])) == list(map(type, self._groups[i])) for i in shown)

    def end(self) -> None:
        """Let go of the page."""
        self._renderer.end()
        for root in self._document.roots:
            state._views.pop(root.ref["id"], None)
        self._document.clear()

    def _last(self, count: int) -> list[list[Part]]:
        return list(self._frames)[len(self._frames) - count :]

    def _take(self, changes: Sequence[DocumentPatchedEvent]) -> None:
        parts = self._parts(changes)
        self.number += 1
        if parts is None:  # the page is made of other models now: all draw it themselves, and look at it anew
            self.number += KEPT
            self._frames.clear()
            self._find()
        else:
            self._touched |= dict.fromkeys((change.model, change.attr) for change in changes)
            self._frames.append(parts)

    def _parts(self, changes: Sequence[DocumentPatchedEvent]) -> list[Part] | None:
        """The changes as parts; None where one is more than a value of a known model."""
        found = [
            (self._places.get(getattr(change, "model", None)), plain(self._document, change)) for change in changes
        ]
        return None if any(None in one for one in found) else [Part(*place, text) for place, text in found]

    def _find(self) -> None:
        self._groups = groups_of(self._renderer)
        self._places = {model: (i, j) for i, models in enumerate(self._groups) for j, model in enumerate(models)}


class Subscriber:
    """A page that takes part, by the models that it is made of; shown: the groups that are in view there."""

    def __init__(self, broadcast: Broadcast, groups: Groups, shown: Sequence[int]) -> None:
        self.broadcast = broadcast
        self._groups, self._shown = groups, frozenset(shown)
        self._number, self._parts = broadcast.number, broadcast.whole()
        broadcast.subscribers.add(self)

    def news(self, period: float) -> list[str] | None:
        """The events to send now, as JSON; None where the page is too late, or made otherwise by now.

        period: seconds from one frame of the page to its next
        """
        self.broadcast.advance(period)
        since = self.broadcast.since(self._number)
        if since is None:
            return None
        parts, self._parts, self._number = [*self._parts, *since], [], self.broadcast.number
        return [self._about_mine(part) for part in parts if part.group in self._shown]

    def leave(self) -> list[tuple[Model, str]]:
        """Take part no longer; returns the attributes that may have another value on the page than here."""
        self.broadcast.subscribers.discard(self)
        return [(self._groups[i][j], name) for i, j, name in self.broadcast.touched if i in self._shown]

    def _about_mine(self, part: Part) -> str:
        return f'{{"model":{{"id":"{self._groups[part.group][part.place].id}"}},{part.text[1:]}'


def groups_of(page: Renderer) -> list[list[Model]]:
    """The models of a page's playback bar, and of each of its cards; their order is the same on all pages of a kind."""
    _, playback_bar, *_ = _model(page.body).children
    return [collect_models(part) for part in (playback_bar, *(_model(card.view) for card in page.shown.cards))]


def _model(shown: Any) -> Model:
    ((model, _),) = shown._models.values()
    return model
