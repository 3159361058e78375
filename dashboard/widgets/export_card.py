"""An export card offers something that a user may take along, with the buttons that deliver it."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import param

from dashboard.widgets.beside import beside
from dashboard.widgets.download import Downloads, Payload


class ExportCard(Downloads):
    """A title, a sentence, and buttons: to save a file, to copy a text, or to request something else.

    Errors that say what to do, ValueError and OSError, are shown.
    """

    title = param.String(default="", doc="What is offered.")
    words = param.String(default="", doc="One sentence about it.")
    acts = param.List(
        default=[], doc="The buttons: of each its act, label and title, and what it does: save, copy, ask."
    )
    state = param.String(default="", doc="How far it is, or what went wrong.")
    share = param.Number(default=-1.0, doc="How far it is, from 0 to 1; less than 0 where nothing is under way.")
    server_only: ClassVar[tuple[str, ...]] = ("title", "words", "acts", "state", "share")

    _esm = beside(__file__, "export_card.js")
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "export_card.css")]

    def __init__(self, requests: Mapping[str, Callable[[], Payload | None]], **params: Any) -> None:
        """Offer something.

        Args:
            requests: By act, what makes the payload, or does what is requested.
            **params: As for any component.
        """
        made = {"sizing_mode": "stretch_width", "margin": (0, 0, 18, 0), **params}
        super().__init__(lambda act: self._requests[act]() if act in self._requests else None, **made)
        self._requests = requests

    def receive_other(self, message: Any) -> None:
        """Do what a button requests that hands out nothing."""
        act = message.get("act")
        if act in self._requests:
            self._requests[act]()
