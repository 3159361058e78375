"""The crosshair: one epoch, seen in all pictures of a page that have an epoch axis."""

from typing import Any

from panel.custom import JSComponent

from dashboard.widgets.beside import beside


class Crosshair(JSComponent):
    """While the pointer is over a picture with an epoch axis, a thin line shows its epoch in the others.

    The browser draws it by itself; the server learns nothing of it.
    """

    _esm = beside(__file__, "crosshair.js")

    def __init__(self, **params: Any) -> None:
        super().__init__(**{"width": 0, "height": 0, "margin": 0, **params})
