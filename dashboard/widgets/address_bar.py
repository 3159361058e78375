"""The browser's address bar shows the link to what is open, and its history leads back through earlier ones."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import param

from dashboard.server.live_component import LiveComponent

MAX_ADDRESS_LENGTH = 100_000
"""Longest query that is read."""


class AddressBar(LiveComponent):
    """Writes links into the browser's history, and follows its Back and Forward.

    Opening another page is a step of the history, and so is a change of settings. Everything that one drag, one press
    or a burst of keys changes is a single step. Changes that the user did not make replace the current step.
    """

    entry = param.Dict(
        default={},
        doc="""
        The link to what is shown as `query`; `visit`, which counts the pages opened; `answers`, the number of the
        visitor's last way through the history that this already shows.""",
    )

    _esm = """
    const SAME = 1000, OTHER = 250  // ms from one change of a setting to the next, and to one of another setting
    const UNSEEN = ["run", "epoch", "weights"]  // said of a run, not set

    export function render({model, el}) {
      el.style.display = "none"
      let press = 0, pressed = -Infinity, target = null, asked = 0
      let visit = null, answered = 0, stepped = 0, changed = -Infinity, names = new Set()

      // One press is all from a pointer's going down to the next, or keys on one thing in quick succession.
      const input = (event) => {
        const now = performance.now(), at = event.composedPath()[0]
        const afresh = {
          pointerdown: true, keydown: at != target || now - pressed > SAME, click: now - pressed > OTHER, drop: true,
        }
        if (afresh[event.type]) { press += 1 }
        pressed = now
        target = at
      }
      const INPUTS = ["pointerdown", "pointerup", "keydown", "click", "drop"]
      INPUTS.forEach((name) => window.addEventListener(name, input, {capture: true, passive: true}))

      const differing = (query) => {
        const [before, after] = [location.search, query].map((text) => new URLSearchParams(text))
        const all = new Set([...before.keys(), ...after.keys()])
        return [...all].filter((name) => !UNSEEN.includes(name) && before.get(name) != after.get(name))
      }
      const write = () => {
        const {query, visit: here, answers} = model.entry
        if (!query || answers < asked) { return }
        const now = performance.now(), first = visit == null, answer = answers > answered
        const opened = !first && visit != here, different = differing(query)
        const goesOn = press == stepped || now - changed < (different.every((name) => names.has(name)) ? SAME : OTHER)
        const isStep = !first && !answer && (opened || different.length > 0 && !goesOn)
        visit = here
        answered = answers
        if (first || answer || opened || isStep) { names = new Set(); stepped = press; changed = -Infinity }
        if (query == location.search) { return }
        if (!opened && different.length) { different.forEach((name) => names.add(name)); changed = now }
        history[isStep ? "pushState" : "replaceState"](history.state, "", location.pathname + query + location.hash)
      }

      const travel = () => {
        if (asked == answered && location.search == model.entry.query) { return }
        asked += 1
        model.send_msg({query: location.search, step: asked})
      }
      window.addEventListener("popstate", travel)

      // A link within the laboratory swaps the page, as its menu does; with a key held it opens another window.
      const click = (event) => {
        const held = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button
        const link = event.composedPath().find((one) => one instanceof Element && one.matches("a[href^='?']"))
        if (!link || held || event.defaultPrevented || link.target && link.target != "_self") { return }
        if (link.download || new URLSearchParams(link.search).has("epoch")) { return }
        event.preventDefault()
        model.send_msg({query: link.getAttribute("href"), step: null})
      }
      window.addEventListener("click", click)

      // Back and Forward as keys, which a slider that has the keyboard would take for its own arrows.
      const ways = (event) => {
        const way = {ArrowLeft: -1, ArrowRight: 1}[event.key], target = event.composedPath()[0]
        const alone = event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey
        if (!way || !alone || !(target instanceof Element && target.matches("[type=range], [role=slider]"))) { return }
        event.preventDefault()
        event.stopImmediatePropagation()
        if (!event.repeat) { history.go(way) }
      }
      window.addEventListener("keydown", ways, {capture: true})

      write()
      model.on("entry", write)
      model.on("remove", () => {
        INPUTS.forEach((name) => window.removeEventListener(name, input, {capture: true}))
        window.removeEventListener("popstate", travel)
        window.removeEventListener("click", click)
        window.removeEventListener("keydown", ways, {capture: true})
      })
    }
    """

    def __init__(
        self, travelled: Callable[[Mapping[str, str]], None], opened: Callable[[Mapping[str, str]], None], **params: Any
    ) -> None:
        """Start with an empty query.

        Args:
            travelled: Called with the query to which the browser has gone back or forward.
            opened: Called with the query of a link that was opened.
            **params: As for any component.
        """
        super().__init__(width=0, height=0, margin=0, **params)
        self._travelled, self._opened = travelled, opened
        self._answers = 0

    def show(self, query: Mapping[str, str], visit: int) -> None:
        """Put the link to what is shown into the address bar; `visit` counts the pages opened before it."""
        self.tell(entry={"query": f"?{urlencode(query)}", "visit": visit, "answers": self._answers})

    def _handle_msg(self, msg: Any) -> None:
        query = dict(parse_qsl(str(msg["query"])[:MAX_ADDRESS_LENGTH].lstrip("?"), keep_blank_values=True))
        if msg["step"] is None:
            self._opened(query)
        else:
            self._answers = int(msg["step"])
            self._travelled(query)
