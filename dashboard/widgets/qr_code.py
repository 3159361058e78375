"""A link as a QR code, for phones that look at a projected page."""

from typing import Any, ClassVar

import param
import segno
from panel.custom import JSComponent

from dashboard.widgets.beside import beside

LONGEST_LINK = 1000
"""Letters of a link; a code of more could not be read from the back of a room."""


class QRCode(JSComponent):
    """Draws the code of a link, and the link below it to be typed; nothing without one.

    It is black on white in dark pages too: readers of phones do not agree on inverted codes.
    """

    link = param.String(default="", doc="The link; empty for none.")
    rows = param.List(default=[], doc="Rows of the code from the top, as text: 1 for dark, 0 for light.")
    server_only: ClassVar[tuple[str, ...]] = ("link", "rows")

    _esm = beside(__file__, "qr_code.js")
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "qr_code.css")]

    def __init__(self, **params: Any) -> None:
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})

    def show(self, link: str) -> None:
        """Show the code of a link; of one that is empty, or too long to be read, nothing."""
        if link != self.link:
            self.param.update(link=link, rows=rows_of(link) if 0 < len(link) <= LONGEST_LINK else [])


def rows_of(text: str) -> list[str]:
    """The QR code of a text, row by row, without its quiet zone; a sixth of it may be illegible."""
    code = segno.make(text, micro=False, error="m")
    return ["".join("1" if dark else "0" for dark in row) for row in code.matrix]
