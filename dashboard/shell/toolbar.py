"""The buttons of the header, and the dialogs and drawers that they open."""

from collections.abc import Callable
from functools import partial

import panel as pn
import panel_material_ui as pmui

from dashboard.pages import PAGES
from dashboard.shell.runs_drawer import RunsDrawer
from dashboard.shell.share_dialog import ShareDialog
from dashboard.shell.workspace import Workspace
from dashboard.storage.journal import Journal
from dashboard.widgets import style
from dashboard.widgets.gallery import Gallery


class Toolbar:
    """Experiments, runs, sharing and notes. What a button opens is made when it is first asked for."""

    def __init__(self, workspace: Workspace, say: Callable[[str, str], None]) -> None:
        """say: shows a message of a severity on the page."""
        self._workspace, self._say = workspace, say
        self._pages = pmui.Dialog(
            title="Experiments", width_option="lg", title_variant="h6", close_on_click=True, show_close_button=True
        )
        self._runs = pmui.Drawer(anchor="right", size=420, sx={"maxWidth": "100vw"})
        self._sharing = pmui.Dialog(
            title="Share", width_option="sm", title_variant="h6", close_on_click=True, show_close_button=True
        )

    @property
    def panels(self) -> tuple[pn.viewable.Viewable, ...]:
        """The dialogs and drawers, to be placed anywhere on the page."""
        return self._pages, self._runs, self._sharing

    @property
    def is_open(self) -> bool:
        """Whether one of them covers the page."""
        return any(panel.open for panel in self.panels)

    def put_away(self) -> None:
        """Close them."""
        for panel in self.panels:
            panel.open = False

    def refresh(self) -> None:
        """Follow what others have changed among the archived runs, while these are listed."""
        if self._runs.open:
            self._runs_drawer.refresh()

    def end(self) -> None:
        """Leave what they are at undone."""
        if self._sharing.objects:
            self._share.close()

    def menu(self) -> pmui.Button:
        """The button that shows all pages."""
        return pmui.Button(
            label="Experiments",
            icon="apps",
            variant="outlined",
            stylesheets=[
                ".MuiButton-root { color: var(--accent) !important; border-color: var(--accent) !important; }",
                style.TIGHT,
            ],
            margin=(4, 4, 4, 12),
            on_click=self._open_menu,
        )

    def buttons(self) -> pn.Row:
        """What can be done with the run that is shown."""
        tools = (
            ("inventory_2", "Runs: keep this one, open others, compare", self._open_runs),
            ("ios_share", "Share: a link, a file, a page, the network as code", self._open_sharing),
            ("edit_note", "Note: write into the journal about this run", self.note),
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
        return pn.Row(*buttons, margin=0, styles={"margin-left": "auto", "align-self": "center"})

    def _open_menu(self, _: object) -> None:
        """Show all pages; their cards are made when they are first asked for."""
        if not self._pages.objects:
            self._gallery = Gallery(PAGES, self._workspace.open, styles={"width": "min(1100px, 80vw)"})
            self._pages.objects = [self._gallery]
        self._gallery.shown = self._workspace.shown.slug
        self._pages.open = True

    def _open_runs(self, _: object) -> None:
        """Show the kept runs; the list is made when it is first asked for."""
        if not self._runs.objects:
            put_away = partial(self._runs.param.update, open=False)
            self._runs_drawer = RunsDrawer(self._workspace.archive, self._workspace, close=put_away)
            self._runs.objects = [self._runs_drawer]
        self._runs_drawer.refresh()
        self._runs.open = True

    def _open_sharing(self, _: object) -> None:
        """Show the ways to hand on what is shown; a page that is being made goes on while they are put away."""
        if not self._sharing.objects:
            self._share = ShareDialog(self._workspace)
            self._sharing.objects = [self._share]
        self._share.refresh()
        self._sharing.open = True

    def note(self, _: object = None) -> None:
        """Begin an entry of the journal about the run, which is kept for it."""
        try:
            pin = None
            if not self._workspace.shown.timeless:
                kept = self._workspace.keep()
                pin = {"run": kept.id, "name": kept.name, "epoch": kept.epoch}
            self._workspace.open("journal", {"entry": Journal().begin(pin)})
        except (OSError, ValueError) as error:
            self._say(str(error), "error")
