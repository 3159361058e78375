"""The gallery of pages: each with a picture and a sentence, one click away."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

PICTURES = Path(__file__).parents[1] / "pictures"


class Gallery(JSComponent):
    """The pages as cards. They are links: a click swaps the page, a middle click opens another tab."""

    cards = param.List(default=[], doc="For each page its slug, title, sentence and picture.")
    shown = param.String(default="", doc="The slug of the page that is open.")

    _esm = """
    export function render({model, el}) {
      const grid = document.createElement("nav")
      grid.setAttribute("aria-label", "Pages")
      for (const card of model.cards) {
        const link = document.createElement("a")
        link.href = "?page=" + encodeURIComponent(card.slug)
        link.dataset.slug = card.slug
        const picture = document.createElement(card.picture ? "img" : "span")
        if (card.picture) { picture.src = card.picture; picture.alt = "" }
        const title = document.createElement("b"), sentence = document.createElement("p")
        title.textContent = card.title
        sentence.textContent = card.sentence
        link.append(picture, title, sentence)
        link.addEventListener("click", (event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) { return }
          event.preventDefault()
          model.send_msg(card.slug)
        })
        grid.append(link)
      }
      const mark = () => {
        for (const link of grid.children) {
          link.toggleAttribute("aria-current", link.dataset.slug == model.shown)
        }
      }
      mark()
      model.on("shown", mark)
      el.append(grid)
    }
    """
    _stylesheets = [
        """
        nav { display: grid; gap: 12px; width: 100%;
              grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); }
        a { display: flex; flex-flow: column; color: inherit; text-decoration: none; border-radius: 12px;
            border: 1px solid color-mix(in srgb, currentColor 16%, transparent);
            overflow: hidden; transition: border-color .15s, transform .15s; }
        a:hover, a:focus-visible { border-color: #3b5bdb; transform: translateY(-2px); outline: none; }
        a[aria-current] { border-color: #3b5bdb; }
        img { width: 100%; aspect-ratio: 16 / 9; object-fit: cover; display: block; }
        span { aspect-ratio: 16 / 9; background: linear-gradient(135deg, #1f77d033, #e8590c33); }
        b { font-size: 14px; font-weight: 600; padding: 10px 12px 0; }
        p { font-size: 12.5px; line-height: 1.4; opacity: .78; margin: 2px 12px 12px; }
        """
    ]

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
