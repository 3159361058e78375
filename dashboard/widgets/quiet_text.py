"""Quiet texts in pictures, in a color for light and one for dark."""

from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets import style
from dashboard.widgets.beside import beside


class QuietText(JSComponent):
    """Has every text that is drawn in `style.GHOST` drawn in the color of the page's theme.

    No single color has a contrast of 4.5 on both grounds. The browser changes it by itself: a server knows no theme.
    """

    colors = param.List(default=[], doc="The quiet color as it is declared, the one for light, and the one for dark.")
    server_only: ClassVar[tuple[str, ...]] = ("colors",)

    _esm = beside(__file__, "quiet_text.js")

    def __init__(self, **params: Any) -> None:
        colors = [style.GHOST, *style.GHOST_TEXT]
        super().__init__(**{"colors": colors, "width": 0, "height": 0, "margin": 0, **params})
