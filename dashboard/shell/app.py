"""The laboratory for one user: the controls beside one page, under one clock."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import panel as pn
import panel_material_ui as pmui
import param
from panel.util import edit_readonly

from dashboard.pages import PAGES
from dashboard.pages.page import Page
from dashboard.server.host import host
from dashboard.shell.frame_loop import FrameLoop
from dashboard.shell.toolbar import Toolbar
from dashboard.shell.workspace import Opened, Workspace
from dashboard.state.clock import Clock
from dashboard.state.followed import FollowedRun
from dashboard.state.run import Run
from dashboard.state.store import Shown
from dashboard.widgets import style
from dashboard.widgets.beside import beside
from dashboard.widgets.browser import Browser
from dashboard.widgets.controls import Controls, knobs_of
from dashboard.widgets.crosshair import Crosshair
from dashboard.widgets.follow_band import FollowBand
from dashboard.widgets.followed_settings import FollowedSettings
from dashboard.widgets.heartbeat import Heartbeat
from dashboard.widgets.keys import Keys
from dashboard.widgets.plain_text import Alert
from dashboard.widgets.playback_bar import PlaybackBar
from dashboard.widgets.quiet_text import QuietText

BESIDE = ":host { display: flex !important; flex-flow: row wrap-reverse; align-items: flex-end; }"
"""Controls beside the page, and below it where a cell is narrow."""

HALVE = "Halve the rate and start again"
STYLE = beside(__file__, "app.css")
LOGO = Path(__file__).parents[1] / "logo.svg"


class App(pn.viewable.Viewer):
    """The layout around the page that is open: header, controls, playback bar, messages.

    What is open is the `workspace`, when it is drawn the `loop`. Served, `page()` is the whole window; in a notebook
    the App itself is shown.
    """

    def __init__(
        self,
        run: Shown | None = None,
        page: str = "home",
        problems: Sequence[str] = (),
        lazy: bool = False,
        key: str = "",
        reads: Callable[[Mapping[str, str]], Opened] | None = None,
    ) -> None:
        """Open a page.

        Args:
            run: What it shows; by default, what the page opens with.
            page: Its slug.
            problems: What was wrong with the link that led here.
            lazy: Leave the pictures to the ticks of a served session.
            key: The id under which the run is archived, if it is.
            reads: Tells what a link leads to.
        """
        super().__init__()
        self.lazy = lazy
        self._side, self.body = pn.Column(margin=0, sizing_mode="stretch_width"), pn.Column(margin=0)
        self.body.param.update(sizing_mode="stretch_width", stylesheets=[STYLE], css_classes=["stack", "body"])
        self._company = pn.Column(
            stylesheets=[STYLE], css_classes=["stack"], margin=0, visible=False, sizing_mode="stretch_width"
        )
        self._remedy: Callable[[], None] = lambda: None
        self.remedy = pmui.Button(
            size="small", variant="outlined", color="error", margin=0, visible=False, on_click=lambda _: self._remedy()
        )
        self.alert = Alert(
            self.remedy,
            severity="warning",
            closeable=True,
            visible=False,
            stylesheets=[STYLE],
            css_classes=["alert"],
            margin=(0, 0, 12, 0),
            sizing_mode="stretch_width",
        )
        self._window: pmui.Page | None = None
        self._aside, self._was_open = self._side, False
        self._drawn, self._noticed = -1, ("", 0)
        self._has_played, self._is_intro_open = False, True
        self.workspace = Workspace(self, reads)
        self.loop = FrameLoop(self.workspace, self)
        self.toolbar = Toolbar(self.workspace, self.say)
        self.browser = Browser(self._press, live=self.loop)
        self.workspace.show(PAGES[page], run or PAGES[page].opened()[0], problems, key)

    @property
    def run(self) -> Shown:
        """What the page shows."""
        return self.workspace.run

    @property
    def shown(self) -> Page:
        """The page that is open."""
        return self.workspace.shown

    @property
    def clock(self) -> Clock:
        """What moves time."""
        return self.workspace.clock

    @property
    def is_calm(self) -> bool:
        """Whether nothing covers the page, and it is to stay."""
        return not (self.workspace.asked or self.toolbar.is_open)

    def __panel__(self) -> pn.viewable.Viewable:
        """What a cell of a notebook shows, where it is kept up to date as on a served page."""
        head = pn.Row(self.toolbar.menu(), self.toolbar.buttons(), sizing_mode="stretch_width", margin=0)
        sizes = {"flex": "1 1 min(480px, 100%)"}
        main = pn.Column(self._main(), styles=sizes, sizing_mode="stretch_width", margin=0)
        self._aside = pn.Column(self._side, width=280, margin=0, visible=bool(self._side.objects))
        body = pn.Row(self._aside, main, stylesheets=[BESIDE], sizing_mode="stretch_width")
        return pmui.Column(
            head,
            body,
            stylesheets=[style.TOKENS],
            css_classes=["tokens"],
            theme_config=host().themed(style.THEME),
            sizing_mode="stretch_width",
        )

    def page(self) -> pmui.Page:
        """The whole window, for a server."""
        self.alert.css_classes = ["alert", "apart"]
        self._window = page = pmui.Page(
            title="Descent Lab",
            logo=LOGO,
            favicon=LOGO,
            header=[self.toolbar.menu(), self.toolbar.buttons()],
            site_url="?page=home",
            sidebar=[self._side],
            main=[self._main(), self.workspace.address, Heartbeat(), Keys()],
            sidebar_width=300,
            busy_indicator=None,
            theme_config=style.THEME,
            sx=style.PAGE,
            raw_css=[style.TOKENS, style.BEFORE_LOADED],
            meta_description="A laboratory to see why a neural network trains, or does not.",
        )
        with edit_readonly(page):
            page.busy = pn.rx(False)  # else a watcher on the whole server's state holds the page after its session
        self._draw_aside()
        return page

    def surround(self) -> None:
        """Make the controls and the playback bar of the page that has just been opened."""
        run, kind = self.run, self.shown
        self.controls = Controls(run.settings, self.workspace.choices, kind.controls, self.workspace.watchers, self.say)
        knobs = () if run.is_read_only else knobs_of(kind.main_controls, run.settings, self.workspace.choices)
        self.playback_bar = PlaybackBar(self.clock, knobs, self._fold_intro)

    def opened(self) -> None:
        """Show the page that has just been opened."""
        page = self.shown
        self._drawn = -1
        self.loop.begin()
        self._side.objects = [] if page.timeless else self._settings()
        self._company.objects = [FollowBand(self.run, self.take_over)] if isinstance(self.run, FollowedRun) else []
        self._company.visible = bool(self._company.objects)
        self._draw_aside()
        page.intro.is_open = self._is_intro_open
        page.intro.param.watch(self._note_intro, "is_open")
        self.body.objects = [page.heading, *([] if page.timeless else [self.playback_bar]), page]
        while not self.lazy and self.is_behind():
            self.draw()

    def take_over(self) -> None:
        """Go on with a copy of the run that is followed, as one's own."""
        try:
            self.workspace.take_over()
        except (ValueError, OSError) as error:
            self.say(str(error), "error")

    def put_away(self) -> None:
        """Close dialogs and drawers."""
        self.toolbar.put_away()

    def stop(self) -> None:
        """Leave undone what is being done for the page that is open."""
        self.loop.drop()

    def left(self) -> None:
        """Be in no broadcast of the page that has been left."""
        self.loop.unsubscribe()

    def close(self) -> None:
        """Leave nothing behind: no clock, no work, no watcher. A run that was passed in lives on with its settings."""
        self.workspace.close()

    def end(self) -> None:
        """The session is over: let go of everything."""
        self.toolbar.end()
        self.workspace.end()

    def say(
        self, message: str, severity: str = "info", remedy: str = "", does: Callable[[], None] = lambda: None
    ) -> None:
        """Show a message on the page.

        Args:
            message: Empty to show none.
            severity: As Material has it.
            remedy: The words of a button that does what helps.
            does: What the button does.
        """
        self._remedy = does
        self.remedy.param.update(label=remedy, visible=bool(remedy))
        self.alert.param.update(object=message, severity=severity, visible=bool(message), closed=False)

    def refresh(self) -> None:
        """Follow what others have changed among the archived runs."""
        self.toolbar.refresh()

    def is_behind(self) -> bool:
        """Whether there is something new to draw."""
        return self.run.version != self._drawn or self.shown.behind(self._drawn)

    def draw(self) -> None:
        """Bring the page to the newest frame."""
        self._drawn = self.run.version
        frame = self.run.frame()
        self.shown.draw(frame, self._drawn)
        shared = self.workspace.shared
        self.playback_bar.draw(frame, shared.following if shared else None)
        if self.clock.playing and self.run.view.step:
            self._fold_intro()
        self._report()
        self.workspace.note_progress()

    def end_beat(self) -> None:
        """Have long work done for the pictures."""
        self.loop.end_beat()

    def renderer(self) -> "App":
        """A page that shows the same shared run, which is drawn once for many who see it."""
        view = self.run.view
        return App(FollowedRun(self.run.followed, type(view)(**view.values()), counts=False), self.shown.slug)

    def _report(self) -> None:
        """Say why the run has ended, or what was wrong with a request."""
        run = self.run
        said = run.message or run.ended
        if (said, run.refusals) == self._noticed:
            return
        self._noticed = said, run.refusals
        diverged = "diverged" in run.ended and not run.message
        severity = "warning" if run.message else "error" if diverged else "info"
        remedy = (HALVE, self.clock.start_slower) if diverged and self._is_one_training else ()
        self.say(said[:1].upper() + said[1:] + ". The last finite epoch is shown." * diverged, severity, *remedy)

    @property
    def _is_one_training(self) -> bool:
        """Whether one learning rate, which may be changed, is the rate of all that is trained."""
        return isinstance(self.run, Run) and not self.run.is_read_only

    def _fold_intro(self) -> None:
        """Fold the intro when a user has Play pressed for the first time; a page that opens playing keeps its own."""
        if not self._has_played:
            self._has_played = True
            self.shown.intro.is_open = False

    def _note_intro(self, event: param.parameterized.Event) -> None:
        """Pages opened later have their intro open, or folded, as a user has left the last one."""
        self._is_intro_open = event.new

    def _settings(self) -> list[pn.viewable.Viewable]:
        """What the side bar has of the settings: controls, or of a run that is followed, what they are set to."""
        if self.run.is_read_only:
            return [FollowedSettings(self.run)] if isinstance(self.run, FollowedRun) else []
        return [self.controls]

    def _draw_aside(self) -> None:
        """Put the side bar away where it is empty, and have it back as it was where it is not."""
        self._aside.visible = bool(self._side.objects)
        if self._window and not self._side.objects:
            self._was_open = self._was_open or self._window.sidebar_open
            self._window.sidebar_open = False
        elif self._window and self._was_open:
            self._window.sidebar_open, self._was_open = True, False

    def _main(self) -> pn.viewable.Viewable:
        parts = self.alert, self._company, self.body, *self.toolbar.panels, self.browser, Crosshair(), QuietText()
        return pn.Column(
            *parts, stylesheets=[STYLE], css_classes=["stack"], sizing_mode="stretch_width", margin=(10, 12)
        )

    def _press(self, key: str) -> None:
        if not self.shown.timeless:
            self.playback_bar.press(key)
