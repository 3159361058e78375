"""In somebody's app, what is live is kept up to date as long as it is shown, and nothing else is touched."""

import asyncio
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from bokeh.document import Document
from bokeh.models import Div
from panel.io.notebook import Comm
from panel.io.state import set_curdoc

from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.standalone import Standalone
from dashboard.server import host as hosts
from dashboard.server.documents import claim
from dashboard.server.host import Host
from dashboard.shell.app import App
from dashboard.state.run import Run
from dashboard.state.settings import Settings


class Thing:
    """Something live, which counts how often it is looked at and drawn."""

    def __init__(self, *led: Any, fails: bool = False) -> None:
        self.is_shown, self.fails, self.calls, self.led = True, fails, [], led

    def poll(self) -> None:
        self.calls.append("poll")

    def catch_up(self) -> None:
        self.calls.append("draw")
        assert not self.fails

    def leave(self) -> None:
        self.calls.append("leave")

    def leads(self, other: Any) -> bool:
        return other in self.led


@pytest.fixture
def document() -> Document:
    """The document of a session that no page has joined."""
    session = Document()
    session._session_context = lambda: SimpleNamespace(session=SimpleNamespace(_subscribed_connections=set()))
    return session


def shows(document: Document, *things: Any) -> None:
    with set_curdoc(document):
        for thing in things:
            Host().show(Div(), thing)


def ticks(document: Document) -> None:
    asyncio.run(hosts._tick(document))


def test_only_what_a_session_of_somebody_elses_app_renders_is_live(document):
    assert not Host().is_live(None), "outside of any session"
    with set_curdoc(Document()):
        assert not Host().is_live(None), "a document that nobody is served"
    with set_curdoc(document):
        assert Host().is_live(None)
        assert not Host().is_live(Comm())
        claim(document)
        assert not Host().is_live(None), "the laboratory's own pages draw themselves"


def test_what_is_shown_is_drawn_at_every_tick_and_once_in_it(document):
    thing = Thing()
    shows(document, thing, thing)
    assert len(document.session_callbacks) == 1
    ticks(document)
    ticks(document)
    assert thing.calls == ["poll", "draw"] * 2


def test_what_is_led_is_drawn_with_its_leader(document):
    led = Thing()
    shows(document, led, leader := Thing(led))
    ticks(document)
    assert (led.calls, leader.calls) == ([], ["poll", "draw"])


def test_what_is_no_longer_shown_or_fails_is_left_and_the_rest_goes_on(document, caplog):
    gone, failing, other = Thing(), Thing(fails=True), Thing()
    shows(document, gone, failing, other)
    gone.is_shown = False
    ticks(document)
    ticks(document)
    assert gone.calls == ["leave"]
    assert failing.calls == ["poll", "draw"]
    assert other.calls == ["poll", "draw"] * 2
    assert "because of an error" in caplog.text


def test_the_end_of_a_session_leaves_everything(document):
    shows(document, thing := Thing())
    (callback,) = document.callbacks.session_destroyed_callbacks
    callback(Mock())
    ticks(document)
    assert thing.calls == ["leave"]


def test_a_page_leads_its_own_pictures_and_no_others():
    run = Run(Settings(n=40, hidden=[3]))
    app, bars = App(run, "playground"), GradientBars(run)
    curve = next(one for one in app.shown.shown if isinstance(one, LossCurve))
    assert app.loop.leads(Standalone(curve))
    assert not app.loop.leads(Standalone(bars))
    assert not app.loop.leads(app.loop)
    assert not Standalone(curve).leads(app.loop)
