"""An export card offers something that a user may take along, with the buttons that deliver it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets.beside import beside


@dataclass(frozen=True)
class Payload:
    """What is delivered: a file of that name, a text to be copied, or the query of a link to be copied."""

    content: bytes
    name: str = ""


class ExportCard(JSComponent):
    """A title, a sentence, and buttons: to save a file, to copy a text, or to request something else.

    The payload is made on request and sent to the browser in pieces, so that other users' frames go between. Errors
    that say what to do, ValueError and OSError, are shown.
    """

    title = param.String(default="", doc="What is offered.")
    words = param.String(default="", doc="One sentence about it.")
    acts = param.List(
        default=[], doc="The buttons: of each its act, label and title, and what it does: save, copy, ask."
    )
    state = param.String(default="", doc="How far it is, or what went wrong.")
    share = param.Number(default=-1.0, doc="How far it is, from 0 to 1; less than 0 where nothing is under way.")
    server_only: ClassVar[tuple[str, ...]] = ("title", "words", "acts", "state", "share")

    PIECE: ClassVar[int] = 2**20

    _esm = beside(__file__, "export_card.js")
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "export_card.css")]

    def __init__(self, requests: Mapping[str, Callable[[], Payload | None]], **params: Any) -> None:
        """wished: by act, what makes the goods, or does what is asked for."""
        super().__init__(**{"sizing_mode": "stretch_width", "margin": (0, 0, 18, 0), **params})
        self._requests = requests
        self._handed = Payload(b"")

    def _handle_msg(self, msg: Any) -> None:
        act, start = str(msg.get("act")), msg.get("start")
        if act not in self._requests:
            return
        if start is None:
            self._requests[act]()
        else:
            self._send_msg(self.answer(act, int(start)))

    def answer(self, act: str, start: int) -> dict[str, Any]:
        """The piece of the payload that begins there; it is made for the first piece, and dropped after the last."""
        try:
            if start == 0:
                self._handed = self._requests[act]() or Payload(b"")
        except (ValueError, OSError) as error:
            return {"trouble": str(error)}
        handed = self._handed
        piece, size = handed.content[start : start + self.PIECE], len(handed.content)
        if start + len(piece) >= size:
            self._handed = Payload(b"")
        return {"data": piece, "size": size, "name": handed.name}
