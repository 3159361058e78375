"""The pen toolbar says what was drawn so far, and undoes it."""

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent


class PenToolbar(JSComponent):
    """A line below a picture that is drawn into: its words, and buttons to undo and to clear. Ctrl+Z undoes too."""

    words = param.String(default="", doc="What was drawn, or what is missing.")
    missing = param.Boolean(default=False, doc="Whether the words say what is missing.")
    undoes = param.Boolean(default=False, doc="Whether there is a change to take back.")

    _esm = """
    export function render({model, el}) {
      const bar = document.createElement("div"), words = document.createElement("span")
      bar.append(words)
      words.setAttribute("role", "status")
      const button = (text, title) => {
        const made = document.createElement("button")
        made.type = "button"
        made.textContent = text
        made.title = title
        made.addEventListener("click", () => model.send_msg(text.toLowerCase()))
        bar.append(made)
        return made
      }
      const undo = button("Undo", "Take the last change of the points back (Ctrl+Z)")
      button("Clear", "Begin with an empty plane")
      const follow = () => {
        words.textContent = model.words
        words.classList.toggle("missing", model.missing)
        undo.disabled = !model.undoes
      }
      // Heard before the page hears it, which would take back more.
      const hear = (event) => {
        const typing = event.composedPath()[0].matches?.("input:not([type=range], [type=checkbox]), textarea")
        const undoing = event.key == "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey
        if (!undoing || typing || !model.undoes) { return }
        event.preventDefault()
        event.stopImmediatePropagation()
        model.send_msg("undo")
      }
      window.addEventListener("keydown", hear, true)
      model.on("remove", () => window.removeEventListener("keydown", hear, true))
      for (const part of ["words", "missing", "undoes"]) { model.on(part, follow) }
      follow()
      el.append(bar)
    }
    """
    _stylesheets: ClassVar[list[str]] = [
        """
        div { display: flex; flex-flow: row wrap; align-items: center; gap: 2px 6px; font-size: 12.5px; }
        span { flex: 1 1 160px; font-variant-numeric: tabular-nums; }
        .missing { color: #e8590c; font-weight: 600; }
        button { padding: 2px 9px; font: inherit; color: inherit; background: none; border-radius: 9px; cursor: pointer;
                 border: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
        button:hover:enabled { border-color: #5c7cfa; }
        button:focus-visible { outline: 2px solid #5c7cfa; outline-offset: 1px; }
        button:disabled { opacity: .4; cursor: default; }
        """
    ]

    def __init__(self, asked: Callable[[str], None], **params: Any) -> None:
        """Start with nothing drawn.

        Args:
            asked: Called with "undo" or "clear".
            **params: As for any component.
        """
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._asked = asked

    def _handle_msg(self, msg: Any) -> None:
        if msg in ("undo", "clear"):
            self._asked(msg)
