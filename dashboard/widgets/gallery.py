"""The gallery of pages: each with a picture and a sentence, one click away."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets.beside import beside

PICTURES = Path(__file__).parents[1] / "pictures"


class Gallery(JSComponent):
    """The pages as cards. They are links: a click swaps the page, a middle click opens another tab."""

    cards = param.List(default=[], doc="For each page its slug, title, sentence and picture.")
    shown = param.String(default="", doc="The slug of the page that is open.")
    server_only: ClassVar[tuple[str, ...]] = ("cards", "shown")

    _esm = beside(__file__, "gallery.js")
    _stylesheets = [beside(__file__, "gallery.css")]

    def __init__(self, pages: Mapping[str, Any], opened: Callable[[str], None], **params: Any) -> None:
        """Make a card for every page.

        Args:
            pages: Classes of pages by their slug.
            opened: Called with the slug of a page that was clicked.
            **params: As for any component.
        """
        cards = [
            {"slug": slug, "title": page.title, "sentence": page.question, "picture": _picture(slug)}
            for slug, page in pages.items()
        ]
        super().__init__(cards=cards, **params)
        self._opened = opened

    def _handle_msg(self, msg: Any) -> None:
        self._opened(str(msg))


@cache
def _picture(slug: str) -> str:
    """The picture of a page for the browser; empty where there is none."""
    path = PICTURES / f"{slug}.webp"
    return f"data:image/webp;base64,{b64encode(path.read_bytes()).decode()}" if path.exists() else ""
