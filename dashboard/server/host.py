"""The host: what shows the laboratory's pictures, a served page or the page of a notebook.

A served page needs nothing more than Panel. A notebook has to be told what its cells show: `dashboard.HOSTS` names the
module that does so, which is imported when the first picture is made.
"""

import sys
from importlib import import_module
from typing import Any, Protocol

import holoviews as hv
from bokeh.model import Model
from panel.io.notebook import Comm

import dashboard
from dashboard.state.store import Shown


class Live(Protocol):
    """What is shown in a cell and follows something."""

    def poll(self) -> None:
        """Look at what others have changed, on the disk say."""

    def catch_up(self) -> None:
        """Draw what is new, if anything is."""

    def leave(self) -> None:
        """Stop: the cell does not show it any more."""

    @property
    def mark(self) -> object:
        """What is different once there is something else to be seen."""

    def settle(self) -> tuple[Shown, list[Any], str]:
        """Wait a moment for long work; returns the store, its pictures and their title as they are to be seen now."""


class Host:
    """The host of served pages and of scripts: nothing is to be done beside what Panel does."""

    def load(self) -> None:
        """Have HoloViews draw with Bokeh."""
        hv.extension("bokeh", logo=False)

    def is_live(self, comm: Comm | None) -> bool:
        """Whether what is rendered for a comm is shown by a page of this host that listens."""
        return False

    def show(self, root: Model, live: Live, leads: bool = False) -> None:
        """Keep something up to date from now on, as long as the output of a cell shows it.

        Args:
            root: Of that output.
            live: What is kept up to date.
            leads: Whether it keeps all else in the output up to date itself.
        """

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
