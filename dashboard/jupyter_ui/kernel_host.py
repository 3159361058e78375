"""The host of a notebook: its cells show what is live."""

from collections.abc import Mapping
from typing import Any

import panel as pn
from bokeh.model import Model
from panel.io.notebook import Comm

from dashboard.instruments.standalone import Picture, cards
from dashboard.jupyter_ui import kernel, page_assets
from dashboard.server.host import Host, Live
from dashboard.state.store import Shown


class KernelHost(Host):
    """The kernel of a notebook."""

    def load(self) -> None:
        """Have the cells show what is live."""
        kernel.load(shown)

    def is_live(self, comm: Comm | None) -> bool:
        """Whether a page listens at the comm; a file's, and a server's, is none."""
        return comm is not None and type(comm) is not Comm

    def show(self, root: Model, live: Live, leads: bool = False) -> None:
        """Keep something up to date as long as the output of a cell shows it."""
        kernel.show(root, live, leads)

    def attend(self, store: Shown) -> None:
        """Have a store draw on the way: nothing else does while the kernel is busy."""
        kernel.attend(store)

    def themed(self, theme: Mapping[str, Any]) -> dict[str, Any]:
        """A theme with the icons that a notebook's page does not know."""
        return page_assets.themed(theme)


def find() -> Host:
    """The host of this process, which a program that has loaded ipykernel need not be a kernel for."""
    return KernelHost() if kernel.shell() else Host()


def shown(thing: Any) -> Any:
    """What is shown for a thing at the end of a cell; None for what is none of ours."""
    group = thing if isinstance(thing, tuple) else (thing,)
    if group and all(isinstance(getattr(one, "pane", None), Picture) for one in group):
        return cards(*group)
    return thing if isinstance(thing, pn.viewable.Viewable | pn.viewable.Viewer) else None
