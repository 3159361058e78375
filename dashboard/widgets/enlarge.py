"""The button that enlarges a card to the whole window, and puts it back."""

from typing import Any, ClassVar

from panel.custom import JSComponent

from dashboard.widgets.beside import beside


class Enlarge(JSComponent):
    """A button in a card's head. Escape puts the card back too; meanwhile the focus stays in the card.

    The browser alone knows which card is enlarged.
    """

    _esm = beside(__file__, "enlarge.js")
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "enlarge.css")]

    def __init__(self, **params: Any) -> None:
        super().__init__(**{"margin": 0, **params})
