"""The picture of a compared run, in the same card as that of the page's own run."""

import time
from collections.abc import Iterator

import panel as pn
import param
from bokeh.models import Div
from markupsafe import Markup

from dashboard.instruments.instrument import Instrument
from dashboard.server.work_queue import Worker
from dashboard.state.store import ComparedRun, Frame
from dashboard.widgets.beside import beside
from dashboard.widgets.plain_text import element, sheet, write

REDRAW_INTERVAL_S = 0.3
"""Seconds from one drawing of a compared run's picture to the next: it must not slow the page's own run."""

STYLE = beside(__file__, "card.css")
EVEN_WIDTH = {"flex": "1 1 240px", "min-width": "0"}
"""Pictures of a card stand side by side as long as each has this much room."""

OWN = "this run"
"""Name of the page's own run among the compared ones."""


class ComparedPicture(pn.viewable.Viewer):
    """The same instrument on the store of a compared run, under the run's name, or a line that says why there is none.

    The page has moved the compared run to its own epoch. What is chosen in the card's head holds for this picture too.
    It is made when it is first drawn.
    """

    def __init__(self, compared: ComparedRun, own: Instrument) -> None:
        super().__init__()
        self.compared, self.own = compared, own
        self.instrument: Instrument | None = None
        self.why_not = own.why_not(compared, own.run)
        self.made = bool(self.why_not)
        self._name, self._caption = (sheet(stylesheets=[STYLE], css_classes=[one]) for one in ("named", "caption"))
        self._view = pn.Column(_words(self._name), margin=0, styles=EVEN_WIDTH, css_classes=["compared-picture"])
        self._drawn, self._drawn_at = (-1, -1), 0.0
        self._controls = [name for name in own.controls if name not in own.tools]
        self._watcher = own.param.watch(self._follow, self._controls) if self._controls else None
        write(self._name, self._named(self.why_not))

    def __panel__(self) -> pn.viewable.Viewable:
        return self._view

    def behind(self, version: int) -> bool:
        """Whether it does not show the compared run as it is now, along with that version of the page's run."""
        return not self.why_not and self._drawn != (version, self.compared.store.version)

    def draw(self, version: int) -> None:
        """Draw the compared run as it is now, unless it has just been drawn."""
        if not self.behind(version) or time.perf_counter() - self._drawn_at < REDRAW_INTERVAL_S:
            return
        self._drawn = version, self.compared.store.version
        frame = self.compared.store.frame()
        self.instrument.draw(frame) if self.instrument else self._make()
        last = frame.epoch.index < self.own.shown
        write(self._name, self._named(self._stands(frame) if last else ""))
        write(self._caption, element("p", self.instrument.caption))
        self._drawn_at = time.perf_counter()

    @property
    def heavy(self) -> bool:
        """Whether pieces of its work may take long."""
        return self.instrument.heavy

    def work(self, frame: Frame) -> Iterator[object] | None:
        """The work of the instrument for the compared run's frame, whatever the page's."""
        return self.instrument.work(self.compared.store.frame())

    @property
    def companion(self) -> Worker | None:
        """What computes beside the picture."""
        return self.instrument.companion

    def give_up(self, error: Exception) -> None:
        """Says that the work was stopped by an error."""
        self.instrument.give_up(error)

    def leave(self) -> None:
        """Detaches from the page's own picture, which may stay."""
        if self._watcher:
            self.own.param.unwatch(self._watcher)
            self._watcher = None

    def _make(self) -> None:
        chosen = {name: getattr(self.own, name) for name in self._controls}
        self.instrument, self.made = type(self.own)(self.compared.store, **chosen), True
        self._view.objects = [_words(self._name), self.instrument, _words(self._caption)]

    def _follow(self, *events: param.parameterized.Event) -> None:
        """Draw like the page's own picture."""
        if self.instrument:
            self.instrument.param.update(**{event.name: event.new for event in events})

    def _named(self, words: str) -> Markup:
        name = f"{self.compared.name}: {words}" if words else self.compared.name
        return element("p", chip(self.compared), name, kind="name")

    def _stands(self, frame: Frame) -> str:
        return f"ends at epoch {frame.epoch.index:,}"


def with_own_name(own: Instrument) -> pn.viewable.Viewable:
    """The picture of the page's own run, under a line like those of the compared runs."""
    name = sheet(element("p", OWN, kind="name"), stylesheets=[STYLE], css_classes=["named"])
    return pn.Column(_words(name), own, margin=0, styles=EVEN_WIDTH)


def chip(compared: ComparedRun) -> Markup:
    """The compared run's color, as HTML."""
    return Markup('<i style="background: {}"></i>').format(compared.color)


def _words(div: Div) -> pn.viewable.Viewable:
    return pn.pane.Bokeh(div, margin=0, sizing_mode="stretch_width")
