"""When a session draws: a beat when a frame is due, or at once when its user has asked for something."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol
from weakref import WeakMethod

from bokeh.document import Document
from bokeh.document.events import DocumentPatchedEvent
from panel.io.state import set_curdoc

from dashboard.instruments.standalone import Standalone
from dashboard.server.frame_rate import FRAME_RATE, PERIOD
from dashboard.server.host import Live
from dashboard.server.inbound import WAKERS
from dashboard.server.outbound import collected, send
from dashboard.server.subscription import Host, Subscription
from dashboard.server.work_queue import WorkQueue
from dashboard.shell.workspace import Workspace
from dashboard.state.analyses.sharpness import monitors_of
from dashboard.state.clock import SCHEDULER
from dashboard.state.store import Shown
from dashboard.widgets.browser import Browser

IDLE_PERIOD_S, CALM_S = 0.4, 1.0
"""From one look at an idle page to the next, and how long nothing has happened on one."""

SETTLING_S = 1.0
"""For which an image of a page waits for what takes long to compute."""

FRAMES_AHEAD = 2
REFRESH_BEATS = 11
"""Between two looks at the folder of the archive, while its runs are listed."""


class Screen(Host, Protocol):
    """What is drawn."""

    browser: Browser
    lazy: bool

    def is_behind(self) -> bool:
        """Whether there is something new to draw."""

    def refresh(self) -> None:
        """Look at what others may have changed."""


class FrameLoop:
    """Draws a screen into a document, frame by frame, and has the long work of its pictures done.

    In a notebook the kernel calls `catch_up` instead, and in somebody's app the host.
    """

    def __init__(self, workspace: Workspace, screen: Screen) -> None:
        self._workspace, self._screen = workspace, screen
        self._document: Document | None = None
        self.subscription: Subscription | None = None
        self._work_queue: WorkQueue | None = None
        self._beats, self._turn = 0, 0
        self._due, self._noticed, self._stirred = 0.0, None, time.perf_counter()

    def attach(self, document: Document) -> None:
        """Draw into this document from now on."""
        self._document, self.subscription = document, Subscription(self._screen, document)
        self._workspace.is_served = True
        WAKERS[document] = WeakMethod(self.rouse)

    def start(self, document: Document, epoch: int = 0) -> None:
        """Draw frames into a document as long as its session lives; train up to an epoch at once."""
        self.attach(document)
        self._workspace.clock.go_to(epoch)
        self._workspace.write_link()
        self._tick_in(0)

    def begin(self) -> None:
        """Take up the long work of the page that has been opened."""
        page, monitors = self._workspace.shown, monitors_of(self._workspace.run)
        self._work_queue = WorkQueue(lambda: page.in_view, lambda: [*monitors, *page.companions])

    def drop(self) -> None:
        """Leave the long work undone."""
        self._work_queue.drop()

    def unsubscribe(self) -> None:
        """Be in no broadcast of the page that has been left; one without anybody ends."""
        if self.subscription:
            self.subscription.end()

    def rouse(self) -> None:
        """The user does something: have the page's own models as they should be, and soon draw what comes of it."""
        self.subscription.leave()
        self._stirred = time.perf_counter()
        self._tick_in(0)

    async def beat(self) -> None:
        """Draw what is new, unless the browser is behind."""
        self._beats += 1
        workspace, screen = self._workspace, self._screen
        self.poll()
        if workspace.run.outdated and not workspace.asked:
            workspace.follow(workspace.run.followed)
        if workspace.asked:
            await self._swap()
            return
        self._stand_where_looked_at()
        if screen.browser.behind > FRAMES_AHEAD:
            return
        received, began = self.subscription.news(), time.perf_counter()
        if self.subscription.is_on:
            await self._pass_on(received, began)
            return
        if screen.is_behind() or self.subscription.owes:
            with SCHEDULER.still(), collected(self._document) as changes:
                self._draw()
            await self._send([*changes, *self.subscription.owed()], began)
        self.end_beat()

    def end_beat(self) -> None:
        """Have long work done, and look at what others have changed."""
        self._work_queue.go_on(self._workspace.run.frame())
        if self._beats % REFRESH_BEATS == 0:
            self._screen.refresh()

    def catch_up(self) -> None:
        """One beat in a notebook or in somebody's app, which send what was drawn."""
        self._beats += 1
        self._screen.lazy = True
        self._stand_where_looked_at()
        if self._screen.browser.behind > FRAMES_AHEAD:
            return
        if self._screen.is_behind():
            with SCHEDULER.still():
                self._draw()
        self.end_beat()

    def leave(self) -> None:
        """The cell of the notebook that has shown the page is gone."""
        self._workspace.clock.pause()
        self._work_queue.drop()

    def leads(self, other: Live) -> bool:
        """Whether something is a picture of the page, which is drawn with it."""
        pictures = [one for card in self._workspace.shown.cards for one in (card, *card.compared)]
        return isinstance(other, Standalone) and any(one.instrument is other.instrument for one in pictures)

    @property
    def is_shown(self) -> bool:
        """Whether the screen is on any page."""
        return self._screen.browser.is_shown

    @property
    def mark(self) -> object:
        """What is different once there is something else to be seen."""
        workspace = self._workspace
        return workspace.shown.slug, workspace.run.version, workspace.clock.playing

    def settle(self) -> tuple[Shown, list[Any], str]:
        """Wait a moment for what takes long to compute; returns what is shown, its pictures and their title."""
        run, shown = self._workspace.run, self._workspace.shown
        until = time.perf_counter() + SETTLING_S
        self.poll()
        while time.perf_counter() < until:
            if self._screen.is_behind():
                self._screen.draw()
            self._work_queue.go_on(run.frame())
            if not (self._work_queue.under_way or self._screen.is_behind()):
                break
            time.sleep(0.01)
        return run, [] if shown.timeless else shown.shown, shown.title

    async def _tick(self, turn: int) -> None:
        """One beat when a frame is due, or before, when the user has asked for something."""
        if turn != self._turn:
            return
        began, period = time.perf_counter(), FRAME_RATE.period(id(self._screen))
        try:
            if began >= self._due or self._request != self._noticed:
                self._due = began + period
                with set_curdoc(self._document):  # else Panel puts off what it receives
                    await self.beat()
        finally:
            wait = min(self._due, began + max(PERIOD, period / 4)) - time.perf_counter()
            self._tick_in(IDLE_PERIOD_S if self._is_idle() else wait)

    def _tick_in(self, seconds: float) -> None:
        """Have the next tick so much later, instead of when it would have been."""
        self._turn += 1
        self._document.add_timeout_callback(partial(self._tick, self._turn), max(1, round(1e3 * seconds)))

    def _is_idle(self) -> bool:
        """Whether nothing has happened for a while, and nothing is on its way."""
        screen = self._screen
        under_way = self._work_queue.under_way or screen.browser.behind or not screen.is_calm or screen.is_behind()
        return not under_way and time.perf_counter() > self._stirred + CALM_S

    @property
    def _request(self) -> object:
        """What only the user changes."""
        workspace, run = self._workspace, self._workspace.run
        return workspace.asked, workspace.link_is_old, workspace.clock.playing, run.looked_at, run.refusals

    def poll(self) -> None:
        """Look at what others have changed."""
        self._workspace.run.poll()
        self._workspace.shown.poll()

    def _stand_where_looked_at(self) -> None:
        if self._workspace.run.looked_at is not None and self._workspace.clock.playing:
            self._workspace.clock.pause()

    def _draw(self) -> None:
        self._screen.draw()
        self._screen.browser.send(frame=self._screen.browser.frame + 1)

    async def _swap(self) -> None:
        """Open what was asked for."""
        swap, self._workspace.asked = self._workspace.asked, None
        with SCHEDULER.still(), collected(self._document) as changes:
            swap()
        await send(self._document, changes, SCHEDULER.still)

    async def _pass_on(self, received: Sequence[str], began: float) -> None:
        """Send the page what its broadcast has drawn, and what is its own."""
        changes = self.subscription.owed()
        if self._workspace.run.differs:
            with collected(self._document) as mirrored:
                self._workspace.run.mirror()
            changes += mirrored
        await self._send(changes, began, [*received, *self._screen.browser.count()] if received else ())

    async def _send(self, changes: Sequence[DocumentPatchedEvent], began: float, received: Sequence[str] = ()) -> None:
        """Send what was made since then."""
        self._noticed, making = self._request, time.perf_counter() - began
        if changes or received:
            self._stirred = began
            sending = await send(self._document, changes, SCHEDULER.still, received)
            FRAME_RATE.spent(id(self._screen), making + sending, bool(received))
