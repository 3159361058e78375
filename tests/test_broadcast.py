"""Broadcasts: users who see the same page receive what one page draws, and must not notice."""

import asyncio
import gc
import json
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from bokeh.core.serialization import Serialized
from bokeh.document import Document
from bokeh.model import Model
from bokeh.models import ColumnDataSource, Div, Range1d
from panel.io.state import set_curdoc

from dashboard.instruments.instrument import Instrument
from dashboard.pages import PAGES
from dashboard.server import broadcast, frame_rate, inbound, outbound, subscription
from dashboard.server.broadcast import groups_of
from dashboard.server.subscription import BROADCASTS, FEW
from dashboard.shell import frame_loop
from dashboard.shell.app import App
from dashboard.state.clock import SCHEDULER
from dashboard.state.followed import FollowedRun, SharedRun
from dashboard.state.run import Run

FOLLOWED = ["playground", "geometry"]
"""Pages all of whose pictures are compared; elsewhere two do, because every follower declares its own."""

TWO = ["Loss", "Gradient flow"]


class Pupil:
    """A served page of a follower, and what its browser knows by the messages that it got."""

    def __init__(self, shared: SharedRun, alone: bool = False) -> None:
        self.document = Document()
        with set_curdoc(self.document):
            self.app = App(FollowedRun(shared), shared.page, lazy=True)
            self.app.page().server_doc(self.document)
        self.app.loop.attach(self.document)
        if alone:
            self.app.loop.subscription._not_before = float("inf")
        self.document.models.flush_synced()
        self.browser = Document.from_json(self.document.to_json())
        self.messages: list[str] = []

    def beat(self) -> None:
        """One beat of the session, whose message the browser takes and answers."""
        with set_curdoc(self.document):
            asyncio.run(self.app.loop.beat())
        self.app.browser.shown = self.app.browser.frame

    def take(self, changes: list, told: list[str]) -> None:
        """Do with a message what a browser does."""
        message = outbound.packed(self.document, changes, told)
        self.messages.append(message.content_json)
        self.browser.apply_json_patch(Serialized(json.loads(message.content_json), message._buffers))

    @property
    def is_subscribed(self) -> bool:
        """Whether it subscribes to a broadcast."""
        return self.app.loop.subscription.is_on

    def known(self, kind: type[Model], of: Document | None = None) -> list[list[dict[str, Any]]]:
        """What the browser knows of all models of a kind, card by card; of: likewise another document."""
        document = of or self.browser
        names = {ColumnDataSource: ("data",), Range1d: ("start", "end"), Div: ("text",)}[kind]
        cards = [[model.id for model in group if isinstance(model, kind)] for group in groups_of(self.app)]
        cards = [card for card, counts in zip(cards, self._steady(), strict=True) if counts]
        return [
            [{name: listed(getattr(document.get_model_by_id(one), name)) for name in names} for one in card]
            for card in cards
        ]

    def _steady(self) -> list[bool]:
        """Which groups show nothing but the run: not the rate of frames, not what is computed now and then."""
        drawn = [type(card.instrument) for card in self.app.shown.cards]
        return [False, *(kind.work is Instrument.work for kind in drawn)]


def listed(value: Any) -> Any:
    """Arrays and what holds them as lists, to be compared."""
    if isinstance(value, np.ndarray):
        return [value.dtype.kind, *np.nan_to_num(value, nan=-1e99).ravel().tolist()]
    if isinstance(value, dict):
        return {name: flat(column) for name, column in value.items()}
    return value


def flat(column: Any) -> list:
    """All numbers and texts of a column, however it is put down."""
    if isinstance(column, np.ndarray | list | tuple):
        return [item for one in column for item in flat(one)]
    return ["nan" if isinstance(column, float | np.floating) and np.isnan(column) else column]


def speed(document: Document) -> list[Any]:
    """What the menu of speeds stands at."""
    return [model.value for model in document.models if getattr(model, "label", "") == "Epochs per second"]


@pytest.fixture
def pupils(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Pupil]]]:
    made: list[Pupil] = []

    async def send(document: Document, changes: list, alone: object, told: list[str] = ()) -> float:
        next(pupil for pupil in made if pupil.document is document).take(changes, told)
        return 0.0

    def make(shared: SharedRun, count: int = FEW, **how: bool) -> list[Pupil]:
        found = [Pupil(shared, **how) for _ in range(count)]
        made.extend(found)
        return found

    monkeypatch.setattr(frame_loop, "send", send)
    monkeypatch.setattr(subscription, "QUIET", 0.0)
    monkeypatch.setattr(frame_rate, "PERIOD", 1e-9)
    monkeypatch.setattr(broadcast.FRAME_RATE, "_drawn", {})
    yield make
    for pupil in made:
        pupil.app.end()
    assert not any(BROADCASTS.values())


@pytest.fixture
def shared(request: pytest.FixtureRequest) -> Iterator[SharedRun]:
    slug = getattr(request, "param", "playground")
    run, _ = PAGES[slug].opened({"n": "40"} if PAGES[slug].store is Run else {})
    if not hasattr(request, "param"):
        run.view.pictures = TWO
    run.advance(9)
    found = SharedRun(run, slug)
    yield found
    found.stop()
    found.store.close()
    BROADCASTS.pop(found, None)


def beats(pupils: list[Pupil], count: int = 1) -> None:
    for _ in range(count):
        for pupil in pupils:
            broadcast.FRAME_RATE._drawn.clear()
            for one in BROADCASTS.get(pupil.app.run.followed, {}).values():
                one._due = 0.0
            pupil.beat()


def settle(pupils: list[Pupil]) -> None:
    """Make all pictures, one per beat, and subscribe everybody who may to a broadcast."""
    beats(pupils, len(pupils[0].app.shown.cards) + 3)


def agree(pupils: list[Pupil]) -> None:
    """All browsers know the same of the run."""
    first, *others = pupils
    for kind in (ColumnDataSource, Range1d, Div):
        known = first.known(kind)
        assert any(known)
        for other in others:
            assert other.known(kind) == known


@pytest.mark.parametrize("shared", FOLLOWED, indirect=True)
def test_a_subscriber_is_shown_what_it_would_have_drawn(shared, pupils):
    alone, subscribers = pupils(shared, 1, alone=True), pupils(shared)
    everybody = alone + subscribers
    settle(everybody)
    assert [one.is_subscribed for one in everybody] == [False, *[True] * FEW]
    for _ in range(6):
        shared.store.advance(7)
        beats(everybody)
    agree(everybody)
    shared.store.reset()
    shared.store.advance(3)
    beats(everybody, 3)
    agree(everybody)
    assert len(subscribers[0].messages[-1]) > 200


def test_a_frame_is_drawn_once_and_costs_the_others_little(shared, pupils, monkeypatch):
    subscribers, drawn = pupils(shared, 6), []
    settle(subscribers)
    monkeypatch.setattr(App, "draw", lambda app, draw=App.draw: (drawn.append(app), draw(app)))
    for _ in range(5):
        shared.store.advance(4)
        beats(subscribers)
    assert len(set(map(id, drawn))) == 1
    assert 5 <= len(drawn) <= 10  # what is computed beside the run asks for a drawing too
    assert not {id(pupil.app) for pupil in subscribers} & set(map(id, drawn))


def test_another_speed_is_seen_by_all(shared, pupils):
    subscribers = pupils(shared)
    settle(subscribers)
    before = speed(subscribers[0].browser)
    shared.store.settings.speed = 20
    shared.store.advance(2)
    beats(subscribers)
    assert [one.is_subscribed for one in subscribers] == [True] * FEW
    assert [one.app.run.settings.speed for one in subscribers] == [20] * FEW
    assert all(speed(one.browser) == speed(one.document) != before for one in subscribers)


def test_another_architecture_has_all_draw_their_pictures_and_subscribe_again(shared, pupils):
    alone, subscribers = pupils(shared, 1, alone=True), pupils(shared)
    everybody = alone + subscribers
    settle(everybody)
    shared.store.settings.hidden = [3, 4, 5]
    shared.store.advance(5)
    settle(everybody)
    assert all(one.is_subscribed for one in subscribers)
    shared.store.advance(5)
    beats(everybody)
    agree(everybody)


def test_before_a_users_event_is_handled_the_pages_own_models_are_as_they_should_be(shared, pupils):
    (alone,), subscribers = pupils(shared, 1, alone=True), pupils(shared)
    settle([alone, *subscribers])
    shared.store.advance(30)
    beats([alone, *subscribers])
    one = subscribers[0]
    stale = one.known(ColumnDataSource, one.document)
    assert stale != alone.known(ColumnDataSource)
    inbound._wake(one.document)
    assert not one.is_subscribed
    assert one.known(ColumnDataSource, one.document) == alone.known(ColumnDataSource)
    one.app.run.look_at(12)
    beats([one])
    assert one.app.shown.shown[0].shown == 12
    assert one.known(ColumnDataSource) == one.known(ColumnDataSource, one.document)
    assert not one.is_subscribed
    one.app.run.look_at(None)
    shared.store.advance(4)
    beats([alone, *subscribers], 2)
    assert one.is_subscribed
    agree([alone, *subscribers])


def test_a_page_that_is_late_gets_all_that_it_missed_and_one_too_late_draws_anew(shared, pupils):
    prompt, late, later = subscribers = pupils(shared)
    settle(subscribers)
    for place in range(broadcast.KEPT + 3):
        shared.store.advance(2)
        beats([prompt])
        if place == 5:
            beats([late])
            assert late.is_subscribed
            agree([prompt, late])
    assert later.is_subscribed
    beats([later])
    assert not later.is_subscribed
    beats(subscribers, 2)
    assert all(one.is_subscribed for one in subscribers)
    shared.store.advance(2)
    beats(subscribers)
    agree(subscribers)


def test_cards_out_of_view_are_not_sent_and_whole_when_they_are_back(shared, pupils):
    (alone,), subscribers = pupils(shared, 1, alone=True), pupils(shared)
    one = subscribers[0]
    settle([alone, *subscribers])
    card = one.app.shown.cards[1]
    inbound._wake(one.document)
    card.view.near = False
    beats([alone, *subscribers], 2)
    assert one.is_subscribed
    shared.store.advance(40)
    beats([alone, *subscribers])
    figure = one.app.shown.cards[1].instrument
    ids = [source.id for source in figure.sources.values()]
    assert not any(i in one.messages[-1] for i in ids)
    inbound._wake(one.document)
    card.view.near = True
    beats([alone, *subscribers], 2)
    agree([alone, *subscribers])


def test_few_who_see_the_same_draw_for_themselves(shared, pupils):
    two = pupils(shared, FEW - 1)
    settle(two)
    assert not any(one.is_subscribed for one in two)
    third = pupils(shared, 1)[0]
    third.app.run.view.unit = [1, 2]
    settle([*two, third])
    assert not any(one.is_subscribed for one in [*two, third])
    third.app.run.view.unit = []
    beats([*two, third], 2)
    assert all(one.is_subscribed for one in [*two, third])


def test_a_broadcast_ends_with_its_last_follower_and_leaves_nothing(shared, pupils):
    subscribers = pupils(shared)
    settle(subscribers)
    (found,) = BROADCASTS[shared].values()
    gone = [weakref.ref(found), weakref.ref(found._document)]
    for one in subscribers:
        one.app.end()
    assert not BROADCASTS[shared]
    del found, one
    gc.collect()
    assert [reference() for reference in gone] == [None, None]
    assert SCHEDULER.tasks == 0


def test_when_the_teacher_goes_to_another_page_all_follow_and_subscribe_there(shared, pupils):
    subscribers = pupils(shared)
    settle(subscribers)
    before, there = shared.store, PAGES["geometry"].opened()[0]
    there.advance(5)
    shared.show(there, "geometry")
    beats(subscribers, 2)
    settle(subscribers)
    assert all(one.app.shown.slug == "geometry" and one.is_subscribed for one in subscribers)
    assert len(BROADCASTS[shared]) == 1
    before.close()


def test_when_the_teacher_leaves_everybody_is_informed(shared, pupils):
    subscribers = pupils(shared)
    settle(subscribers)
    shared.stop()
    beats(subscribers, 2)
    assert not any(one.is_subscribed for one in subscribers)
    assert all("Whoever shared this run has left" in one.app.alert.object for one in subscribers)
