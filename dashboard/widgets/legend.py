"""The legend of a comparison: chips with names and colors, to hide and show what is compared."""

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets.beside import beside


class LegendChips(JSComponent):
    """A chip for each line of a comparison; the chips wrap on a narrow screen.

    A click hides or shows a line, a double click shows it alone.
    """

    items = param.List(default=[], doc="For each line: label, color, value and whether it is hidden.")
    picked = param.String(default="", doc="The single run that is picked, in words; empty for none.")
    server_only: ClassVar[tuple[str, ...]] = ("items", "picked")

    _esm = beside(__file__, "legend.js")
    _stylesheets = [beside(__file__, "legend.css")]

    def __init__(self, asked: Callable[[dict[str, Any]], None], **params: Any) -> None:
        """Start without chips.

        Args:
            asked: Called with what was clicked: `act` is toggle, only, watch or clear, `label` the line.
            **params: As for any component.
        """
        super().__init__(**params)
        self._asked = asked

    def _handle_msg(self, msg: Any) -> None:
        self._asked(dict(msg))
