"""App: the controls beside one page, under one clock."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakMethod

import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document
from bokeh.document.events import DocumentPatchedEvent
from panel.io.state import set_curdoc
from panel.util import edit_readonly

from dashboard.pages import PAGES, page_of
from dashboard.pages.page import Page
from dashboard.server.bokeh_defaults import remember_defaults
from dashboard.server.frame_rate import FRAME_RATE, PERIOD
from dashboard.server.host import host
from dashboard.server.inbound import ATTENTIVE
from dashboard.server.outbound import collected, send
from dashboard.server.subscription import Subscription
from dashboard.server.work_queue import WorkQueue
from dashboard.shell.recent_runs import RecentRuns
from dashboard.shell.runs_drawer import RunsDrawer
from dashboard.shell.share_dialog import ShareDialog
from dashboard.state.analyses.sharpness import StabilityMonitor
from dashboard.state.clock import SCHEDULER
from dashboard.state.followed import FollowedRun, SharedRun
from dashboard.state.playback import clock_of
from dashboard.state.read_only import ReadOnly
from dashboard.state.run import Run
from dashboard.state.store import Store
from dashboard.storage.journal import Journal
from dashboard.storage.run_archive import ArchivedRun, RunArchive
from dashboard.widgets import style
from dashboard.widgets.address_bar import AddressBar
from dashboard.widgets.browser import Browser
from dashboard.widgets.controls import Controls, Watchers
from dashboard.widgets.gallery import Gallery
from dashboard.widgets.heartbeat import Heartbeat
from dashboard.widgets.plain_text import Alert
from dashboard.widgets.playback_bar import PlaybackBar
from engine.recording import Recording

IDLE, CALM = 0.4, 1.0
"""Seconds from one look at an idle page to the next, and how long nothing has happened on one."""

PATIENCE = 1.0
"""Seconds that an image of a page waits for what takes long to compute."""

FRAMES_AHEAD = 2
REFRESH = 11
"""Ticks between two looks at the folder of the kept runs, while they are shown."""

BESIDE = ":host { display: flex !important; flex-flow: row wrap-reverse; align-items: flex-end; }"
"""Controls beside the page, and below it where a cell is narrow."""

LOGO = Path(__file__).parents[1] / "logo.svg"


Opened = tuple[type[Page], Store, list[str], str]
"""What a link leads to: the page, what it shows, what could not be followed, and the id of the kept run."""


class App(pn.viewable.Viewer):
    """The laboratory for one visitor: a page and what it shows, its clock and its controls, one page at a time.

    Served, `page()` is the whole window; in a notebook the App itself is shown.
    """

    def __init__(
        self,
        run: Store | None = None,
        page: str = "home",
        problems: Sequence[str] = (),
        lazy: bool = False,
        key: str = "",
        reads: Callable[[Mapping[str, str]], Opened] | None = None,
    ) -> None:
        """problems: what was wrong with a link. lazy: leave the pictures to the ticks of a served session.

        key: the id under which the run is kept, if it is. reads: tells what a link leads to.
        """
        super().__init__()
        remember_defaults()
        self._lazy, self._document = lazy, None
        self._left: dict[str, dict[str, str]] = {}
        self._recent_runs, self._visits = RecentRuns(), 0
        self._asked: Callable[[], None] | None = None
        self._subscription: Subscription | None = None
        self.archive = RunArchive()
        self.shared: SharedRun | None = None
        self._kept: tuple[str, object] = ("", None)
        self._side, self.body = pn.Column(margin=0, sizing_mode="stretch_width"), pn.Column(margin=0)
        self.body.sizing_mode = "stretch_width"
        self._alert = Alert(
            severity="warning", closeable=True, visible=False, margin=(0, 0, 12, 0), sizing_mode="stretch_width"
        )
        self.browser = Browser(self._press, live=self)
        self.address = AddressBar(self._travel, self._open_link)
        self._read = reads or _opened
        self._pages = pmui.Dialog(
            title="Experiments", width_option="lg", title_variant="h6", close_on_click=True, show_close_button=True
        )
        self._runs = pmui.Drawer(anchor="right", size=420, sx={"maxWidth": "100vw"})
        self._sharing = pmui.Dialog(
            title="Share", width_option="sm", title_variant="h6", close_on_click=True, show_close_button=True
        )
        self._window: pmui.Page | None = None
        self._aside = self._side
        self._was_open = False
        self._ticks, self._said = 0, ("", 0)
        self._due, self._wished, self._turn, self._stirred = 0.0, None, 0, time.perf_counter()
        self._show(PAGES[page], run or PAGES[page].opened()[0], problems)
        self._kept = key, self._moment

    def __panel__(self) -> pn.viewable.Viewable:
        """What a cell of a notebook shows, where it is kept up to date as on a served page."""
        head = pn.Row(self._menu(), self._tools(), sizing_mode="stretch_width", margin=0)
        sizes = {"container": "lab / inline-size", "flex": "1 1 min(480px, 100%)"}
        main = pn.Column(self._main(), styles=sizes, sizing_mode="stretch_width", margin=0)
        self._aside = pn.Column(self._side, width=280, margin=0, visible=bool(self._side.objects))
        body = pn.Row(self._aside, main, stylesheets=[BESIDE], sizing_mode="stretch_width")
        return pmui.Column(head, body, theme_config=host().themed(style.THEME), sizing_mode="stretch_width")

    def open(self, slug: str, query: Mapping[str, str] | None = None) -> None:
        """Swap the page for another one, which comes back as it was left, or for what a link's query asks for.

        Raises ValueError when there is no such page.
        """
        if slug not in PAGES:
            raise ValueError(f"page {slug!r} does not exist; choose one of {', '.join(PAGES)}")
        if query is None and slug == self.shown.slug:
            self._pages.open = False
        elif query is None and slug in self._left:
            self._swap(lambda: self._as_left(self._left[slug]))
        else:
            self._swap(lambda: (PAGES[slug], *PAGES[slug].opened(query), ""))

    def reopened(self, recording: Recording) -> Store:
        """What a recording was made of, with what its page adds.

        Raises ValueError when it cannot be opened here.
        """
        return page_of(recording).reopened(recording)

    def reopen(self, recording: Recording, key: str = "") -> None:
        """Show a recording on its page; key: under which it is kept, if it is.

        Raises ValueError when it cannot be opened here.
        """
        run = self.reopened(recording)
        self._swap(lambda: (page_of(recording), run, [], key))

    def open_run(self, key: str) -> None:
        """Show the run that is kept under that id.

        Raises ValueError when it cannot be opened here.
        """
        self.reopen(self.archive.load(key), key)

    def keep(self, name: str = "") -> ArchivedRun:
        """Keep the run as it is now.

        Raises ShelfError when that is not possible.
        """
        kept = self.archive.keep(self.shown.recording(name))
        self._kept, self._link_is_old = (kept.id, self._moment), True
        return kept

    def query(self) -> dict[str, str]:
        """What a link to all this says."""
        if isinstance(self.run, FollowedRun):
            return {"follow": self.run.shared.id}
        kept = {"run": self._kept[0]} if self._kept[0] else {}
        return {**self.shown.query(), **kept}

    def let_follow(self) -> SharedRun:
        """Let others follow whatever is shown here, from now on; the same for all who are asked."""
        self.shared = self.shared or SharedRun(self.run, self.shown.slug)
        return self.shared

    def stop_following(self) -> None:
        """Let nobody follow any more."""
        if self.shared:
            self.shared.stop()
        self.shared = None

    def say(self, message: str, severity: str = "info") -> None:
        """Tell the visitor something on the page."""
        self._alert.param.update(object=message, severity=severity, visible=bool(message), closed=False)

    def _travel(self, query: Mapping[str, str]) -> None:
        """Show what was there when the address bar held this link: the run itself, if it is one of the last ones left.

        Other settings of the page that is open are set there.
        """
        self._link_is_old = True
        if query == self.query():
            return
        here = not isinstance(self.run, FollowedRun) and not {"run", "follow"} & query.keys()
        if here and query.get("page") == self.shown.slug and query not in self._recent_runs:
            self._set(query)
        else:
            self._swap(lambda: self._as_left(query), by_history=True)

    def _open_link(self, query: Mapping[str, str]) -> None:
        """Show what a link within the laboratory leads to."""
        if list(query) == ["page"] and query["page"] in PAGES:
            self.open(query["page"])
        else:
            self._swap(lambda: self._as_left(query))

    def _as_left(self, query: Mapping[str, str]) -> Opened:
        """What a link leads to, as it was left, if it is one of the last that were."""
        store, key = self._recent_runs.take(query), query.get("run", "")
        if store is None:
            return self._read(query)
        return PAGES[query["page"]], store, [], key

    def _set(self, query: Mapping[str, str]) -> None:
        """Set what a link to the page that is open asks for; a run that was left for another comes back."""
        asked, problems = self.shown.opened(query)
        asked.close()
        if not self.run.have_back(asked.settings.values()):
            self.run.settings.restore(asked.settings.values())
        self.run.view.restore(asked.view.values())
        if self.run.study and asked.study:
            self.run.study.restore(asked.study.values())
        if problems:
            self.run.refuse(_not_followed(problems))
        self.run.touch()

    def _swap(self, opened: Callable[[], Opened], by_history: bool = False) -> None:
        """Show another page; in a served document, between two frames.

        by_history: whether the address bar holds the link to it already.

        What Panel sends of an event may arrive after the next frame, which must not speak of models yet unknown there.
        """

        def swap() -> None:
            if self._link_is_old and not by_history:
                self._write_link()
            *shown, key = opened()
            lasts, left, query = self._lasts, self.run, self.query()
            self._left[self.shown.slug] = query if lasts else self.shown.query()
            self._leave(lasts)
            if lasts:
                self._recent_runs.put(query, left)
            self._show(*shown)
            self._kept = key, self._moment

        self._pages.open = self._runs.open = self._sharing.open = False
        if self._document is None:
            swap()
        else:
            self._asked = swap

    @property
    def _lasts(self) -> bool:
        """Whether what is shown can be come back to as it is."""
        return not (self.shown.timeless or isinstance(self.run, ReadOnly))

    @property
    def is_served(self) -> bool:
        """Whether it has an address of its own, as it has not in a notebook."""
        return self._document is not None

    @property
    def _moment(self) -> object:
        """What is different once the run has gone on or started afresh."""
        return self.run.history, self.run.history[-1].index

    def page(self) -> pmui.Page:
        """The whole window, for a server."""
        self._window = page = pmui.Page(
            title="Descent Lab",
            logo=LOGO,
            header=[self._menu(), self._tools()],
            site_url="?page=home",
            sidebar=[self._side],
            main=[self._main(), self.address, Heartbeat()],
            sidebar_width=300,
            busy_indicator=None,
            theme_config=style.THEME,
            sx=style.PAGE,
            raw_css=[style.BEFORE_LOADED],
            meta_description="A laboratory to see why a neural network trains, or does not.",
        )
        with edit_readonly(page):
            page.busy = pn.rx(False)  # else a watcher on the whole server's state holds the page after its session
        self._draw_aside()
        return page

    def start(self, document: Document, epoch: int = 0) -> None:
        """Draw frames into a document as long as its session lives; train up to an epoch at once."""
        self._document, self._subscription = document, Subscription(self, document)
        ATTENTIVE[document] = WeakMethod(self.rouse)
        self.clock.go_to(epoch)
        self._write_link()
        self._tick_in(0)

    def close(self) -> None:
        """Leave nothing behind: no clock, no work, no watcher. A run that was passed in lives on with its settings."""
        self.clock.pause()
        self._work_queue.drop()
        self._watchers.close()

    def end(self) -> None:
        """The session is over: let go of everything."""
        self.stop_following()
        if self._sharing.objects:
            self._share.close()
        self._leave()
        self._recent_runs.close()

    def _leave(self, for_a_while: bool = False) -> None:
        """Let go of the page that is shown; for a while, of all but what it shows."""
        self.close()
        if not for_a_while:
            self.run.close()
        if self._subscription:
            self._subscription.end()

    def _show(self, kind: type[Page], run: Store, problems: Sequence[str]) -> None:
        """Show a page of this kind on a run."""
        self.run, self.clock = run, clock_of(run)
        self._watchers = Watchers(run.settings)
        with self._watchers.noted():
            page = self.shown = kind(run)
            others = [run.view, run.study] if run.study else [run.view]
            self.controls = Controls(run.settings, others, kind.controls, self._watchers, self.say)
            self.playback_bar = PlaybackBar(self.clock)
            for choices in (run.settings, *others):
                choices.param.watch(self._age_link, choices.names())
        self.shown.play, self.shown.open, self.shown.open_run = self.clock.play, self.open, self.open_run
        self._link_is_old, self._drawn, self._visits = True, -1, self._visits + 1
        self._work_queue = WorkQueue(lambda: page.in_view, [StabilityMonitor(run)] if isinstance(run, Run) else [])
        self._side.objects = [] if kind.timeless or isinstance(run, ReadOnly) else [self.controls]
        self._draw_aside()
        self.body.objects = [self.shown.heading, *([] if kind.timeless else [self.playback_bar]), self.shown]
        if self.shared:
            self.shared.show(run, kind.slug)
        if problems:
            run.refuse(_not_followed(problems))
        while not self._lazy and self.is_behind():
            self.draw()

    def _draw_aside(self) -> None:
        """Put the side bar away where it is empty, and have it back as it was where it is not."""
        self._aside.visible = bool(self._side.objects)
        if self._window and not self._side.objects:
            self._was_open = self._was_open or self._window.sidebar_open
            self._window.sidebar_open = False
        elif self._window and self._was_open:
            self._window.sidebar_open, self._was_open = True, False

    def _main(self) -> pn.viewable.Viewable:
        return pn.Column(
            self._alert,
            self.body,
            self._pages,
            self._runs,
            self._sharing,
            self.browser,
            sizing_mode="stretch_width",
            margin=(10, 12),
        )

    def _menu(self) -> pmui.Button:
        return pmui.Button(
            label="Experiments",
            icon="apps",
            variant="outlined",
            stylesheets=[
                ".MuiButton-root { color: #5c7cfa !important; border-color: #5c7cfa66 !important; }",
                style.TIGHT,
            ],
            margin=(4, 4, 4, 12),
            on_click=self._open_menu,
        )

    def _open_menu(self, _: object) -> None:
        """Show all pages; their cards are made when they are first asked for."""
        if not self._pages.objects:
            self._gallery = Gallery(PAGES, self.open, styles={"width": "min(1100px, 80vw)"})
            self._pages.objects = [self._gallery]
        self._gallery.shown = self.shown.slug
        self._pages.open = True

    def _tools(self) -> pn.Row:
        """What can be done with the run that is shown."""
        tools = (
            ("inventory_2", "Runs: keep this one, open others, compare", self._open_runs),
            ("ios_share", "Share: a link, a file, a page, the network as code", self._open_sharing),
            ("edit_note", "Note: write into the journal about this run", self._note),
        )
        buttons = [
            pmui.IconButton(
                icon=icon,
                label=words.split(":")[0],
                description=words,
                on_click=action,
                margin=0,
                stylesheets=[style.HINT],
            )
            for icon, words, action in tools
        ]
        return pn.Row(*buttons, margin=0, styles={"margin-left": "auto"})

    def _open_runs(self, _: object) -> None:
        """Show the kept runs; the list is made when it is first asked for."""
        if not self._runs.objects:
            self._runs_drawer = RunsDrawer(self.archive, self, close=lambda: self._runs.param.update(open=False))
            self._runs.objects = [self._runs_drawer]
        self._runs_drawer.refresh()
        self._runs.open = True

    def _open_sharing(self, _: object) -> None:
        """Show the ways to hand on what is shown; a page that is being made goes on while they are put away."""
        if not self._sharing.objects:
            self._share = ShareDialog(self)
            self._sharing.objects = [self._share]
        self._share.refresh()
        self._sharing.open = True

    def _note(self, _: object) -> None:
        """Begin an entry of the journal about the run, which is kept for it."""
        try:
            pin = None
            if not self.shown.timeless:
                kept = self.keep()
                pin = {"run": kept.id, "name": kept.name, "epoch": kept.epoch}
            self.open("journal", {"entry": Journal().begin(pin)})
        except (OSError, ValueError) as error:
            self.say(str(error), "error")

    def _press(self, key: str) -> None:
        if not self.shown.timeless:
            self.playback_bar.press(key)

    async def _tick(self, turn: int) -> None:
        """One beat of the session when a frame is due, or before, when the visitor has wished for something."""
        if turn != self._turn:
            return
        began, period = time.perf_counter(), FRAME_RATE.period(id(self))
        try:
            if began >= self._due or self._request != self._wished:
                self._due = began + period
                with set_curdoc(self._document):  # else Panel puts off what it is told
                    await self._beat()
        finally:
            wait = min(self._due, began + max(PERIOD, period / 4)) - time.perf_counter()
            self._tick_in(IDLE if self._is_idle() else wait)

    def _tick_in(self, seconds: float) -> None:
        """Have the next tick so much later, instead of when it would have been."""
        self._turn += 1
        self._document.add_timeout_callback(partial(self._tick, self._turn), max(1, round(1e3 * seconds)))

    def _is_idle(self) -> bool:
        """Whether nothing has happened for a while, and nothing is on its way."""
        under_way = self._work_queue.under_way or self.browser.behind or not self.is_calm or self.is_behind()
        return not under_way and time.perf_counter() > self._stirred + CALM

    def rouse(self) -> None:
        """The visitor does something: have the page's own models as they should be, and soon see what comes of it."""
        self._subscription.leave()
        self._stirred = time.perf_counter()
        self._tick_in(0)

    @property
    def _request(self) -> object:
        """What only the visitor changes."""
        return self._asked, self._link_is_old, self.clock.playing, self.run.looked_at, self.run.refusals

    async def _beat(self) -> None:
        """Draw what is new, unless the browser is behind."""
        self._ticks += 1
        if isinstance(self.run, FollowedRun) and self.run.outdated and not self._asked:
            self._swap(lambda shared=self.run.shared: (PAGES[shared.page], FollowedRun(shared), [], ""))
        if self._asked:
            swap, self._asked = self._asked, None
            with SCHEDULER.still(), collected(self._document) as changes:
                swap()
            await send(self._document, changes, SCHEDULER.still)
            return
        self._stand_where_looked_at()
        if self.browser.behind > FRAMES_AHEAD:
            return
        told = self._subscription.news()
        began = time.perf_counter()
        if self._subscription.is_on:
            await self._pass_on(told, began)
            return
        if self.is_behind() or self._subscription.owes:
            with SCHEDULER.still(), collected(self._document) as changes:
                self.draw()
                self.browser.tell(frame=self.browser.frame + 1)
            await self._send([*changes, *self._subscription.owed()], began)
        self.end_beat()

    async def _pass_on(self, told: Sequence[str], began: float) -> None:
        """Tell the page what its convoy tells, and what is its own."""
        changes = self._subscription.owed()
        if self.run.differs:
            with collected(self._document) as mirrored:
                self.run.mirror()
            changes += mirrored
        await self._send(changes, began, [*told, *self.browser.count()] if told else ())

    async def _send(self, changes: Sequence[DocumentPatchedEvent], began: float, told: Sequence[str] = ()) -> None:
        """Send what was made since then."""
        self._wished, making = self._request, time.perf_counter() - began
        if changes or told:
            self._stirred = began
            FRAME_RATE.spent(id(self), making + await send(self._document, changes, SCHEDULER.still, told), bool(told))

    def catch_up(self) -> None:
        """One beat in a notebook, which sends what was drawn."""
        self._ticks, self._lazy = self._ticks + 1, True
        self._stand_where_looked_at()
        if self.browser.behind > FRAMES_AHEAD:
            return
        if self.is_behind():
            with SCHEDULER.still():
                self.draw()
                self.browser.tell(frame=self.browser.frame + 1)
        self.end_beat()

    @property
    def mark(self) -> object:
        """What is different once there is something else to be seen."""
        return self.shown.slug, self.run.version, self.clock.playing

    def settle(self) -> tuple[Store, list[Any], str]:
        """Wait a moment for what takes long to compute; returns what is shown, its pictures and their title."""
        until = time.perf_counter() + PATIENCE
        while time.perf_counter() < until:
            if self.is_behind():
                self.draw()
            self._work_queue.go_on(self.run.frame())
            if not (self._work_queue.under_way or self.is_behind()):
                break
            time.sleep(0.01)
        return self.run, [] if self.shown.timeless else self.shown.shown, self.shown.title

    def lead(self) -> "App":
        """A page that shows a follower the same, for many who see it."""
        view = self.run.view
        return App(FollowedRun(self.run.shared, type(view)(**view.values()), counts=False), self.shown.slug)

    @property
    def is_calm(self) -> bool:
        """Whether nothing is open beside the page."""
        return not (self._asked or self._pages.open or self._runs.open or self._sharing.open)

    def leave(self) -> None:
        """The cell that has shown it is gone."""
        self.clock.pause()
        self._work_queue.drop()

    def _stand_where_looked_at(self) -> None:
        if self.run.looked_at is not None and self.clock.playing:
            self.clock.pause()

    def end_beat(self) -> None:
        """Have work done, and see what else has been kept."""
        self._work_queue.go_on(self.run.frame())
        if self._runs.open and self._ticks % REFRESH == 0:
            self._runs_drawer.refresh()

    def is_behind(self) -> bool:
        return self.run.version != self._drawn or self.shown.behind(self._drawn)

    def draw(self) -> None:
        self._drawn = self.run.version
        frame = self.run.frame()
        self.shown.draw(frame, self._drawn)
        self.playback_bar.draw(frame)
        self._say()
        if self._kept[0] and self._moment != self._kept[1]:
            self._kept, self._link_is_old = ("", None), True
        if self._link_is_old:
            self._write_link()

    def _say(self) -> None:
        """What there is to be told: why the run has ended, or what was wrong with a wish."""
        said = self.run.message or self.run.ended
        if "diverged" in self.run.ended and not self.run.message:
            said += ". The last finite epoch is shown. Halve the learning rate and start again."
        if (said, self.run.refusals) != self._said:
            self._said = said, self.run.refusals
            severity = "warning" if self.run.message else "error" if "diverged" in said else "info"
            self._alert.param.update(
                object=said[:1].upper() + said[1:], severity=severity, visible=bool(said), closed=False
            )

    def _write_link(self) -> None:
        if self._document:
            self.address.show(self.query(), self._visits)
            self._link_is_old = False

    def _age_link(self, *_: object) -> None:
        self._link_is_old = True


def _opened(query: Mapping[str, str]) -> Opened:
    """What a page's own query leads to."""
    kind = PAGES[query["page"]]
    return kind, *kind.opened(query), ""


def _not_followed(problems: Sequence[str]) -> str:
    return "Part of this link could not be followed: " + "; ".join(problems) + "."
