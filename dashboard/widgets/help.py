"""The help of a card: a button that opens a text, which stays until it is closed."""

from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets.beside import beside
from dashboard.widgets.glossary import terms_in


class Help(JSComponent):
    """A button and its text, with the terms that it uses.

    A click, a touch or Enter opens it; Escape or a press elsewhere closes it.
    """

    label = param.String(default="", doc="What the help is about.")
    text = param.String(default="", doc="The help; there is no button without one.")
    terms = param.List(default=[], doc="Pairs of a term that the help uses and what it means.")

    server_only: ClassVar[tuple[str, ...]] = ("label", "text", "terms")

    _esm = beside(__file__, "help.js")
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "help.css")]

    def __init__(self, **params: Any) -> None:
        super().__init__(**{"margin": 0, **params})

    def tell(self, label: str, text: str) -> None:
        """Have it say this."""
        self.param.update(label=label, text=text, terms=list(map(list, terms_in(text))))
