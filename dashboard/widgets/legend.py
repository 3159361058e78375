"""The legend of a comparison: chips with names and colors, to hide and show what is compared."""

from collections.abc import Callable
from typing import Any

import param
from panel.custom import JSComponent


class Legend(JSComponent):
    """A chip for each line of a comparison; the chips wrap on a narrow screen.

    A click hides or shows a line, a double click shows it alone.
    """

    items = param.List(default=[], doc="For each line: label, color, value and whether it is hidden.")
    picked = param.String(default="", doc="The single run that is picked, in words; empty for none.")

    _esm = """
    export function render({model, el}) {
      const chips = document.createElement("div"), mine = document.createElement("div")
      chips.className = "chips"; mine.className = "picked"
      const button = (text, title, message) => {
        const made = document.createElement("button")
        made.textContent = text; made.title = title
        made.addEventListener("click", () => model.send_msg(message))
        return made
      }
      let waiting
      const chip = (item) => {
        const made = document.createElement("button")
        made.append(document.createElement("i"), document.createElement("span"), document.createElement("b"))
        made.addEventListener("click", (event) => {
          clearTimeout(waiting)
          const act = event.detail > 1 ? "only" : "toggle"
          waiting = setTimeout(() => model.send_msg({act, label: item.label}), event.detail > 1 ? 0 : 220)
        })
        return made
      }
      const draw = () => {
        while (chips.children.length > model.items.length) { chips.lastChild.remove() }
        model.items.forEach((item, place) => {
          let made = chips.children[place]
          if (!made || made.dataset.label != item.label) {
            const fresh = chip(item)
            made ? made.replaceWith(fresh) : chips.append(fresh)
            made = fresh
            made.dataset.label = item.label
          }
          const [line, name, value] = made.children
          line.style.background = item.color
          name.textContent = item.label
          value.textContent = item.value
          made.disabled = item.fixed
          made.title = item.fixed ? "the run on this page" : "click: hide or show; double click: show this one alone"
          made.setAttribute("aria-pressed", String(!item.hidden))
        })
      }
      const name = () => {
        mine.replaceChildren()
        if (!model.picked) { return }
        const words = document.createElement("span")
        words.textContent = model.picked
        mine.append(words, button("Watch this run", "Make it the run of this page", {act: "watch"}),
                    button("\u00d7", "Pick none", {act: "clear"}))
      }
      draw(); name()
      model.on("items", draw)
      model.on("picked", name)
      el.append(chips, mine)
    }
    """
    _stylesheets = [
        """
        :host { min-width: 0; }
        .chips, .picked { display: flex; flex-flow: row wrap; gap: 2px 4px; align-items: center; }
        button { display: inline-flex; align-items: center; gap: 5px; padding: 1px 7px; font: inherit; font-size: 12px;
                 color: inherit; background: none; border: 1px solid transparent; border-radius: 9px; cursor: pointer; }
        button:hover:enabled, button:focus-visible { outline: none;
                 border-color: color-mix(in srgb, currentColor 35%, transparent); }
        button:disabled { cursor: default; color: inherit; }
        i { width: 14px; height: 3px; border-radius: 2px; flex: none; }
        b { font-weight: 500; opacity: .68; font-variant-numeric: tabular-nums; }
        button[aria-pressed=false] { opacity: .42; text-decoration: line-through; }
        button[aria-pressed=false] b { display: none; }
        .picked { font-size: 12px; padding-left: 7px; }
        .picked button { border-color: color-mix(in srgb, currentColor 25%, transparent); }
        """
    ]

    def __init__(self, asked: Callable[[dict[str, Any]], None], **params: Any) -> None:
        """Start without chips.

        Args:
            asked: Called with what was clicked: `act` is toggle, only, watch or clear, `label` the line.
            **params: As for any component.
        """
        super().__init__(**params)
        self._asked = asked

    def _handle_msg(self, msg: Any) -> None:
        self._asked(dict(msg))
