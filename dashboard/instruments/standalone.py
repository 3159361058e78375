"""Standalone instruments, in a notebook's cell or in somebody's Panel app: each follows its run without a page."""

import time
from typing import Any

import panel as pn
from bokeh.model import Model
from panel.io.notebook import Comm

from dashboard.server.host import Live, host
from dashboard.server.live_component import LivePane
from dashboard.state.store import Shown
from dashboard.state.thread_task import ThreadTask
from dashboard.widgets.plain_text import HTML, element

HEADING = """
h2 { font-size: 15px; font-weight: 600; margin: 0; line-height: 1.3; }
p { font-size: 12.5px; margin: 1px 0 0; opacity: .72; line-height: 1.35; }
"""
CAPTION = """
:host { font-size: 12.5px; color: color-mix(in srgb, currentColor 86%, transparent);
  font-variant-numeric: tabular-nums; }
"""
ROW = ":host { display: flex !important; flex-flow: row wrap; } :host > * { flex: 1 1 320px; }"


IMAGE_TIMEOUT_S = 1.0
"""Seconds that an image of a picture waits for what takes long to compute."""


class Standalone:
    """A picture without a page: it follows its run, and has its heavy work done, by itself."""

    def __init__(self, instrument: Any) -> None:
        self.instrument = instrument
        self._version = -1
        self._job: ThreadTask | None = None

    def poll(self) -> None:
        """Look at what others have changed in the run."""
        self.instrument.run.poll()

    def catch_up(self) -> None:
        """Draw what is new in the run."""
        instrument, version = self.instrument, self.instrument.run.version
        if version != self._version:
            self._version, frame = version, instrument.run.frame()
            if not instrument.suits(frame):
                instrument.caption = f"Nothing to show: {instrument.missing}"
                return
            instrument.draw(frame)
        if self._job is None or not self._job.busy:
            frame = instrument.run.frame()
            work = next(filter(None, (worker.work(frame) for worker in instrument.workers)), None)
            self._job = ThreadTask(work, in_turn=True) if work else None

    def leave(self) -> None:
        """Drop its work."""
        if self._job:
            self._job.drop()

    def leads(self, other: Live) -> bool:
        """Nothing else is its own."""
        return False

    @property
    def is_shown(self) -> bool:
        """Whether its pane is on a page."""
        return self.instrument.pane.is_shown

    @property
    def mark(self) -> object:
        return self.instrument.run.version, self.instrument.caption

    def settle(self) -> tuple[Shown, list[Any], str]:
        """Wait a moment for what takes long to compute; returns the store and its picture."""
        self.poll()
        self.catch_up()
        until = time.perf_counter() + IMAGE_TIMEOUT_S
        while self._job and self._job.busy and time.perf_counter() < until:
            time.sleep(0.01)
        return self.instrument.run, [self.instrument], ""


class Keeper:
    """Has a part of an instrument kept up to date, wherever something shows it; it can be in one place only."""

    def __init__(self, instrument: Any) -> None:
        host()
        self._instrument = instrument
        self._alone: Standalone | None = None

    def rendered(self, root: Model, comm: Comm | None) -> None:
        """Called when the part is on a page."""
        if host().is_live(comm):
            self._alone = self._alone or Standalone(self._instrument)
            host().show(root, self._alone)
            host().attend(self._instrument.run)


class Picture(LivePane):
    """A figure of an instrument, which is kept up to date wherever a notebook or an app shows it."""

    def __init__(self, instrument: Any, **params: Any) -> None:
        self._keeper = Keeper(instrument)
        super().__init__(**params)

    def rendered(self, root: Model, comm: Comm | None) -> None:
        self._keeper.rendered(root, comm)


class Card(pn.viewable.Viewer):
    """An instrument as the output of a cell shows it: with its title, what can be chosen, and its caption."""

    def __init__(self, instrument: Any) -> None:
        super().__init__()
        chosen = {name: getattr(instrument, name) for name in instrument.controls}
        self._instrument = type(instrument)(instrument.run, **chosen) if instrument.pane.is_shown else instrument

    def __panel__(self) -> pn.viewable.Viewable:
        one = self._instrument
        words = element("h2", one.title) + element("p", one.question)
        choices = pn.Param(one, parameters=list(one.controls), show_name=False, default_layout=pn.Row, margin=0)
        return pn.Column(
            pn.Row(HTML(words, stylesheets=[HEADING], sizing_mode="stretch_width", margin=0), choices),
            one.__panel__(),
            HTML(one.param.caption, stylesheets=[CAPTION], sizing_mode="stretch_width", margin=(2, 0)),
            sizing_mode="stretch_width",
            min_width=320,
            margin=(4, 12, 8, 4),
        )


def cards(*instruments: Any) -> pn.viewable.Viewable:
    """Instruments beside one another, as the output of a cell shows them."""
    return pn.Row(*map(Card, instruments), stylesheets=[ROW], sizing_mode="stretch_width")
