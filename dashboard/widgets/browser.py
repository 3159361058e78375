"""What only the browser knows: keys pressed, frames painted, pictures in view, a slider being moved."""

import time
from collections.abc import Callable
from typing import Any, ClassVar

import param
from bokeh.model import Model
from panel.custom import Child, JSComponent
from panel.io.notebook import Comm

from dashboard.server.host import Live, host
from dashboard.server.live_component import LiveComponent
from dashboard.state.store import Shown
from dashboard.widgets.beside import beside


class Browser(LiveComponent):
    """Receives keys, and acknowledges every painted frame, so that none is sent to a browser that is behind."""

    frame = param.Integer(default=0, doc="The newest frame that was sent.")
    shown = param.Integer(default=0, doc="The newest frame that was painted.")
    server_only: ClassVar[tuple[str, ...]] = ("frame",)

    received: ClassVar[tuple[str, ...]] = ("shown",)
    _esm = beside(__file__, "browser.js")

    def __init__(self, on_key: Callable[[str], None], live: Live | None = None, **params: Any) -> None:
        """Start without a frame.

        Args:
            on_key: Called with the name of a key that was pressed.
            live: Keeps everything that a notebook shows up to date.
            **params: As for any component.
        """
        super().__init__(width=0, height=0, margin=0, **params)
        self._on_key, self._live = on_key, live

    def count(self) -> list[str]:
        """Count a frame that was sent as JSON; return the message that sends it to every page."""
        with param.parameterized.discard_events(self):
            self.frame += 1
        change = f'"attr":"frame","new":{self.frame}'
        return [f'{{"kind":"ModelChanged","model":{{"id":"{one}"}},{change}}}' for one in self.model_ids]

    @property
    def behind(self) -> int:
        """Number of frames that were sent and are not painted yet."""
        return self.frame - self.shown

    def _handle_msg(self, msg: Any) -> None:
        self._on_key(msg)

    def rendered(self, root: Model, comm: Comm | None) -> None:
        """Have all that it is shown with kept up to date, where a notebook or somebody's app shows it."""
        if self._live and host().is_live(comm):
            host().show(root, self._live, leads=True)


class InView(JSComponent):
    """Reports whether its content is on the user's screen, and describes its figures to screen readers.

    A figure's description is the title of the card, the name of its run where there are several, and its caption,
    looked up once a second while it is seen. A figure takes no keys, so it is no tab stop.
    """

    content = Child()
    near = param.Boolean(default=True, doc="False while scrolled out of view or in a hidden tab.")
    server_only: ClassVar[tuple[str, ...]] = ("content",)

    _esm = beside(__file__, "in_view.js")


class Scrubber(LiveComponent):
    """A slider over all epochs, which follows the run, and reports only what a user does with it.

    A slider whose value both sides write may answer late, with a value that it was sent. Below it stand the epochs at
    which something happened, which a click goes to, and which epochs are recorded.
    """

    newest = param.Integer(default=0, doc="The newest epoch.")
    shown = param.Integer(default=0, doc="The epoch that is shown.")
    marks = param.List(default=[], doc="Epochs worth going to, each with why, in their order.")
    kept = param.String(default="", doc="Which epochs can be looked at, as a sentence.")
    server_only: ClassVar[tuple[str, ...]] = ("newest", "shown", "marks", "kept")

    FOLLOW_INTERVAL_S: ClassVar[float] = 0.4
    """Seconds from one move to the next while the run plays."""

    _esm = beside(__file__, "scrubber.js")
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "scrubber.css")]

    def __init__(self, moved: Callable[[int | None], None], **params: Any) -> None:
        """Start at epoch 0.

        Args:
            moved: Called with the epoch to which a user has moved it; None for the newest.
            **params: As for any component.
        """
        super().__init__(sizing_mode="stretch_width", margin=0, css_classes=["scrubber"], **params)
        self._moved, self._followed = moved, 0.0

    def show(self, run: Shown, shown: int, playing: bool) -> None:
        """Follows the run, but not at every frame while it plays."""
        now = time.perf_counter()
        if playing and now < self._followed + self.FOLLOW_INTERVAL_S:
            return
        self._followed = now
        newest = shown if run.looked_at is None else run.history[-1].index
        marks = [[mark.epoch, mark.title] for mark in run.bookmarks]
        found = {"shown": shown, "newest": newest, "marks": marks, "kept": run.kept}
        changed = {name: value for name, value in found.items() if getattr(self, name) != value}
        if changed:
            self.send(**changed)

    def _handle_msg(self, msg: Any) -> None:
        self._moved(None if msg == "newest" else int(msg))
