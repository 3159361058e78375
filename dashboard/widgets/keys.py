"""What can be done without a mouse: a list of the keys, a link past the controls, help that a touch opens."""

from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets.beside import beside
from dashboard.widgets.glossary import glossary

KEYS = (
    ("Space", "Play or pause"),
    ("→", "Step one epoch, or look one epoch on"),
    ("←", "Look one epoch back"),
    ("Home, End", "Look at epoch 0, at the newest epoch"),
    ("R", "Reset to the same weights"),
    ("Ctrl + Z", "Have back what a reset or a preset has replaced"),
    ("Escape", "Put an enlarged picture back; close what is open"),
    ("?", "These lists"),
)


class Keys(JSComponent):
    """The key ? opens the list of keys and the glossary, which can be searched; the help of a card leads there too.

    The first stop of the Tab key is a link that skips to Play.

    A click or a touch on the small icon of a control opens its help, which stays until it is closed.
    """

    keys = param.List(default=[], doc="Pairs of a key and what it does.")
    terms = param.List(default=[], doc="Pairs of a term and what it means.")
    server_only: ClassVar[tuple[str, ...]] = ("keys", "terms")

    _esm = beside(__file__, "keys.js")
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "keys.css")]

    def __init__(self, **params: Any) -> None:
        lists = {"keys": list(map(list, KEYS)), "terms": glossary()}
        super().__init__(**{**lists, "width": 0, "height": 0, "margin": 0, **params})
