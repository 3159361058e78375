"""The host: what shows the laboratory's pictures, a served page or the page of a notebook.

The laboratory's own pages draw themselves. Where somebody's Panel app shows a picture or the whole laboratory, it is
kept up to date here, in the session's document. A notebook has to be told what its cells show: `dashboard.HOSTS` names
the module that does so, which is imported when the first picture is made.
"""

import logging
import sys
from functools import partial
from importlib import import_module
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import holoviews as hv
import panel as pn
from bokeh.document import Document
from bokeh.model import Model
from panel.io.notebook import Comm
from panel.io.state import set_curdoc

import dashboard
from dashboard.server.documents import is_ours
from dashboard.server.outbound import collected, send
from dashboard.state.clock import SCHEDULER
from dashboard.state.store import Shown

log = logging.getLogger(__name__)

PERIOD_MS = 100
"""Between two looks at what somebody's app shows."""


class Live(Protocol):
    """What is shown in a cell, or in somebody's app, and follows something."""

    def poll(self) -> None:
        """Look at what others have changed, on the disk say."""

    def catch_up(self) -> None:
        """Draw what is new, if anything is."""

    def leave(self) -> None:
        """Stop: it is not shown any more."""

    def leads(self, other: "Live") -> bool:
        """Whether it keeps something else up to date itself, as a page does its pictures."""

    @property
    def is_shown(self) -> bool:
        """Whether it is on any page."""

    @property
    def mark(self) -> object:
        """What is different once there is something else to be seen."""

    def settle(self) -> tuple[Shown, list[Any], str]:
        """Wait a moment for long work; returns the store, its pictures and their title as they are to be seen now."""


class Host:
    """The host of served pages and of scripts."""

    def load(self) -> None:
        """Have HoloViews draw with Bokeh."""
        hv.extension("bokeh", logo=False)

    def is_live(self, comm: Comm | None) -> bool:
        """Whether what is rendered for a comm is shown by a page that listens and is not the laboratory's own."""
        document = pn.state.curdoc if comm is None else None
        return document is not None and document.session_context is not None and not is_ours(document)

    def show(self, root: Model, live: Live, leads: bool = False) -> None:
        """Keep something up to date from now on, as long as it is shown.

        Args:
            root: Of the output of a cell.
            live: What is kept up to date.
            leads: Whether it keeps all else in the output of a cell up to date itself.
        """
        document = pn.state.curdoc
        if document not in _LIVES:
            _LIVES[document] = []
            document.add_periodic_callback(partial(_tick, document), PERIOD_MS)
            document.on_session_destroyed(lambda _: _leave(document))
        if live not in _LIVES[document]:
            _LIVES[document].append(live)

    def attend(self, store: Shown) -> None:
        """Have a store draw on the way when it is advanced in a cell."""

    def themed(self, theme: dict[str, Any]) -> dict[str, Any]:
        """A theme of widgets, with what the host's page lacks."""
        return theme


_HOST: Host | None = None


def host() -> Host:
    """The host of this process, made when it is first asked for."""
    global _HOST
    if _HOST is None:
        modules = [module for program, module in dashboard.HOSTS.items() if program in sys.modules]
        _HOST = import_module(modules[0]).find() if modules else Host()
        _HOST.load()
    return _HOST


_LIVES: WeakKeyDictionary[Document, list[Live]] = WeakKeyDictionary()
"""What the sessions of somebody's apps show."""


async def _tick(document: Document) -> None:
    """Bring everything up to date that a document shows, and send it as one message."""
    lives = _LIVES.get(document, [])
    with set_curdoc(document), SCHEDULER.still(), collected(document) as changes:
        for live in list(lives):
            try:
                if not live.is_shown:
                    lives.remove(live)
                    live.leave()
                elif not any(other.leads(live) for other in lives):
                    live.poll()
                    live.catch_up()
            except Exception:
                log.exception("what an app shows is not kept up to date any more, because of an error")
                lives.remove(live)
    await send(document, changes, SCHEDULER.still)


def _leave(document: Document) -> None:
    for live in _LIVES.pop(document, []):
        live.leave()
