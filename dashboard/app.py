"""App: the controls beside one page, under one clock."""

import sys
import time
from pathlib import Path
from urllib.parse import urlencode

import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document
from panel.util import edit_readonly
from threadpoolctl import threadpool_limits

from dashboard import style
from dashboard.browser import Browser
from dashboard.clock import CONDUCTOR, Chore, Clock
from dashboard.controls import Controls, Watchers
from dashboard.pages import PAGES
from dashboard.run import Run, Setup
from dashboard.settings import Settings
from dashboard.transport import Transport
from dashboard.wire import collected, send

PERIOD = 90
CROWD = 10
CHORE_EVERY = 1.0
FRAMES_AHEAD = 2
LOGO = Path(__file__).parent / "logo.svg"


class App(pn.viewable.Viewer):
    """The laboratory for one visitor: a run, its clock, its controls, and the page that shows it.

    Served, `page()` is the whole window; in a notebook the App itself is shown.
    """

    def __init__(
        self, run: Run | None = None, page: str = "playground", problems: list[str] | None = None, lazy: bool = False
    ) -> None:
        """problems: what was wrong with a link. lazy: leave the pictures to the ticks of a served session."""
        super().__init__()
        self.run = run or Run()
        self.clock = Clock(self.run)
        self._link_is_old = True
        self._watchers = Watchers(self.run.settings)
        with self._watchers.noted():
            self.controls = Controls(self.run.settings, self._watchers)
            self.transport = Transport(self.clock)
            self.run.settings.param.watch(self._age_link, Settings.names())
        self.browser = Browser(self._press)
        self.shown = PAGES[page](self.run)
        self._alert = pmui.Alert(
            severity="warning", closeable=True, visible=False, margin=(0, 0, 12, 0), sizing_mode="stretch_width"
        )
        self._document: Document | None = None
        self._drawn = -1
        self._ticks = 0
        self._chore = Chore(iter(()))
        self._worked_on: Setup | None = None
        self._chore_began = 0.0
        self._said = "", 0
        if problems:
            self.run.refuse("Part of this link could not be followed: " + "; ".join(problems) + ".")
        while not lazy and self._is_behind():
            self._draw()

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Row(self.controls, self._main(), sizing_mode="stretch_width")

    def page(self) -> pmui.Page:
        """The whole window, for a server."""
        page = pmui.Page(
            title="Descent Lab",
            logo=LOGO,
            header=[pmui.Typography(self._asks(), variant="body2", margin=(0, 20), sx=style.ASIDE)],
            sidebar=[self.controls],
            main=[self._main()],
            sidebar_width=300,
            busy_indicator=None,
            theme_config=style.THEME,
            sx=style.PAGE,
            raw_css=[style.BEFORE_LOADED],
            meta_description="A laboratory to see why a neural network trains, or does not.",
        )
        with edit_readonly(page):
            page.busy = pn.rx(False)  # else a watcher on the whole server's state holds the page after its session
        return page

    def start(self, document: Document) -> None:
        """Draw frames into a document as long as its session lives."""
        self._document = document
        self._write_link()
        document.add_periodic_callback(self._tick, PERIOD)

    def close(self) -> None:
        """Leave nothing behind: no clock, no work, no watcher. The run and its settings may live on."""
        self.clock.pause()
        self._chore.drop()
        self._watchers.close()

    def _main(self) -> pn.viewable.Viewable:
        return pn.Column(self._alert, self.transport, self.shown, self.browser, sizing_mode="stretch_width", margin=12)

    def _asks(self) -> str:
        return f"{self.shown.question} {self.shown.look_for}"

    def _press(self, key: str) -> None:
        self.transport.press(key)

    async def _tick(self) -> None:
        """One beat of the session: draw what is new, unless the browser is behind or the server crowded."""
        self._ticks += 1
        if self._ticks % (1 + CONDUCTOR.runs // (CROWD + 1)) or self.browser.behind > FRAMES_AHEAD:
            return
        if self._is_behind():
            with CONDUCTOR.still(), collected(self._document) as changes:
                self._draw()
                self.browser.frame += 1
            await send(self._document, changes, CONDUCTOR.still)
        self._work()

    def _is_behind(self) -> bool:
        return self.run.version != self._drawn or self.shown.behind(self._drawn)

    def _draw(self) -> None:
        self._drawn = self.run.version
        frame = self.run.frame()
        self.shown.draw(frame, self._drawn)
        self.transport.draw(frame)
        self._say()
        if self._link_is_old:
            self._write_link()

    def _say(self) -> None:
        """What there is to be told: why the run has ended, or what was wrong with a wish."""
        said = self.run.message or self.run.ended
        if "diverged" in self.run.ended and not self.run.message:
            said += ". The last finite epoch is shown. Lower the learning rate, then reset."
        if (said, self.run.refusals) != self._said:
            self._said = said, self.run.refusals
            severity = "warning" if self.run.message else "error" if "diverged" in said else "info"
            self._alert.param.update(
                object=said[:1].upper() + said[1:], severity=severity, visible=bool(said), closed=False
            )

    def _write_link(self) -> None:
        query = "?" + urlencode({"page": self.shown.slug, **self.run.settings.query()})
        if self._document and pn.state.location:
            pn.state.location.search = query
            self._link_is_old = False

    def _age_link(self, *_: object) -> None:
        self._link_is_old = True

    def _work(self) -> None:
        """Have heavy work done beside the training, one at a time, begun once a second and at a fresh start."""
        now, frame = time.perf_counter(), self.run.frame()
        if frame.setup is self._worked_on and (self._chore.busy or now - self._chore_began < CHORE_EVERY):
            return
        work = next(filter(None, (instrument.work(frame) for instrument in self.shown.in_view)), None)
        if work:
            self._chore.drop()
            self._chore, self._chore_began, self._worked_on = Chore(work), now, frame.setup


def serve() -> None:
    """The app of one visitor of a Panel server, from the link it came by to the end of its session."""
    query = {name: values[0].decode() for name, values in pn.state.session_args.items()}
    settings, problems = Settings.from_query(query)
    page = query.get("page", "playground")
    if page not in PAGES:
        problems.append(f"page={page} does not exist; choose one of {', '.join(PAGES)}")
        page = "playground"
    threadpool_limits(1, user_api="blas")  # the matrices are small: more threads only wait for one another
    sys.setswitchinterval(0.0005)  # the loop's many short calls wait less for the thread that trains
    run = _run(settings, problems)
    app = App(run, page, problems, lazy=True)
    app.page().servable(title="Descent Lab")
    document = pn.state.curdoc
    pn.state.onload(lambda: app.start(document))
    pn.state.on_session_destroyed(lambda _: (app.close(), run.close()))


def _run(settings: Settings, problems: list[str]) -> Run:
    """A run of these settings, or of the defaults where they do not go together."""
    try:
        return Run(settings)
    except ValueError as error:
        problems.append(str(error))
        return Run()
