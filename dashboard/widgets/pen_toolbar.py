"""The pen toolbar says what was drawn so far, and undoes it."""

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets.beside import beside


class PenTools(JSComponent):
    """A line below a picture that is drawn into: its words, and buttons to undo and to clear. Ctrl+Z undoes too."""

    words = param.String(default="", doc="What was drawn, or what is missing.")
    missing = param.Boolean(default=False, doc="Whether the words say what is missing.")
    undoes = param.Boolean(default=False, doc="Whether there is a change to take back.")
    server_only: ClassVar[tuple[str, ...]] = ("words", "missing", "undoes")

    _esm = beside(__file__, "pen_toolbar.js")
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "pen_toolbar.css")]

    def __init__(self, asked: Callable[[str], None], **params: Any) -> None:
        """Start with nothing drawn.

        Args:
            asked: Called with "undo" or "clear".
            **params: As for any component.
        """
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._asked = asked

    def _handle_msg(self, msg: Any) -> None:
        if msg in ("undo", "clear"):
            self._asked(msg)
