"""An export card offers something that a user may take along, with the buttons that deliver it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import param
from panel.custom import JSComponent


@dataclass(frozen=True)
class Payload:
    """What is delivered: a file of that name, a text to be copied, or the query of a link to be copied."""

    content: bytes
    name: str = ""


class ExportCard(JSComponent):
    """A title, a sentence, and buttons: to save a file, to copy a text, or to request something else.

    The payload is made on request and sent to the browser in pieces, so that other users' frames go between. Errors
    that say what to do, ValueError and OSError, are shown.
    """

    title = param.String(default="", doc="What is offered.")
    words = param.String(default="", doc="One sentence about it.")
    acts = param.List(
        default=[], doc="The buttons: of each its act, label and title, and what it does: save, copy, ask."
    )
    state = param.String(default="", doc="How far it is, or what went wrong.")
    share = param.Number(default=-1.0, doc="How far it is, from 0 to 1; less than 0 where nothing is under way.")

    PIECE: ClassVar[int] = 2**20

    _esm = """
    export function render({model, el}) {
      const title = document.createElement("h3"), words = document.createElement("p")
      const acts = document.createElement("menu"), line = document.createElement("progress")
      const state = document.createElement("span")
      state.setAttribute("role", "status")
      const say = (text) => { state.textContent = text }

      let heard = () => {}
      model.on("msg:custom", (message) => heard(message))
      const ask = (wish) => new Promise((resolve) => { heard = resolve; model.send_msg(wish) })
      const fetched = async (act) => {
        const pieces = []
        for (let start = 0, size = 1; start < size; ) {
          const piece = await ask({act, start})
          if (piece.trouble) { throw new Error(piece.trouble) }
          pieces.push(piece.data)
          start += piece.data.byteLength
          size = piece.size
          if (start >= size) { return {blob: new Blob(pieces), name: piece.name} }
        }
      }
      const save = async (act) => {
        const {blob, name} = await fetched(act), link = document.createElement("a")
        link.href = URL.createObjectURL(blob)
        link.download = name
        link.click()
        setTimeout(() => URL.revokeObjectURL(link.href), 10000)
        say("saved: " + name)
      }
      // Clipboards are there for pages from this machine or over https only; else what is selected can be copied.
      const copy = async (act) => {
        const {blob, name} = await fetched(act), text = await blob.text()
        const whole = name == "?" ? location.origin + location.pathname + text : text
        if (navigator.clipboard && window.isSecureContext) {
          await navigator.clipboard.writeText(whole)
        } else {
          const area = document.createElement("textarea")
          area.value = whole
          el.append(area)
          area.select()
          const done = document.execCommand("copy")
          area.remove()
          if (!done) { prompt("To be copied:", whole); return }
        }
        say("copied")
      }
      const DO = {save, copy, ask: async (act) => model.send_msg({act})}
      let doing = Promise.resolve()

      const offer = () => {
        acts.replaceChildren(...model.acts.map(({act, label, title, does}) => {
          const button = document.createElement("button")
          button.textContent = label
          button.title = title
          button.addEventListener("click", () => {
            say("")
            doing = doing.then(() => DO[does](act)).catch((error) => say(error.message))
          })
          return button
        }), line, state)
      }
      const follow = () => {
        title.textContent = model.title
        words.textContent = model.words
        say(model.state)
        line.hidden = model.share < 0
        line.value = Math.max(0, model.share)
      }
      for (const name of ["title", "words", "state", "share"]) { model.on(name, follow) }
      model.on("acts", offer)
      offer()
      follow()
      line.setAttribute("aria-label", "How far it is")
      el.append(title, words, acts)
    }
    """
    _stylesheets: ClassVar[list[str]] = [
        """
        :host { min-width: 0; }
        h3 { font-size: 15px; font-weight: 600; margin: 0; }
        p { font-size: 13px; line-height: 1.4; margin: 2px 0 6px; opacity: .8; }
        menu { margin: 0; padding: 0; display: flex; flex-flow: row wrap; align-items: center; gap: 6px; }
        button { padding: 3px 11px; min-height: 30px; font: inherit; font-size: 13px; color: inherit; background: none;
                 border-radius: 8px; cursor: pointer;
                 border: 1px solid color-mix(in srgb, currentColor 30%, transparent); }
        button:hover { border-color: #5c7cfa; }
        button:focus-visible { outline: 2px solid #5c7cfa; outline-offset: 1px; }
        progress { flex: 1 1 120px; height: 6px; border: 0; border-radius: 3px; overflow: hidden; appearance: none;
                   background: #8b95a355; }
        progress[hidden] { display: none; }
        progress::-webkit-progress-bar { background: #8b95a355; }
        progress::-webkit-progress-value { background: #3b5bdb; }
        progress::-moz-progress-bar { background: #3b5bdb; }
        span { font-size: 12.5px; opacity: .85; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
        """
    ]

    def __init__(self, requests: Mapping[str, Callable[[], Payload | None]], **params: Any) -> None:
        """wished: by act, what makes the goods, or does what is asked for."""
        super().__init__(**{"sizing_mode": "stretch_width", "margin": (0, 0, 18, 0), **params})
        self._requests = requests
        self._handed = Payload(b"")

    def _handle_msg(self, msg: Any) -> None:
        act, start = str(msg.get("act")), msg.get("start")
        if act not in self._requests:
            return
        if start is None:
            self._requests[act]()
        else:
            self._send_msg(self.answer(act, int(start)))

    def answer(self, act: str, start: int) -> dict[str, Any]:
        """The piece of the payload that begins there; it is made for the first piece, and dropped after the last."""
        try:
            if start == 0:
                self._handed = self._requests[act]() or Payload(b"")
        except (ValueError, OSError) as error:
            return {"trouble": str(error)}
        handed = self._handed
        piece, size = handed.content[start : start + self.PIECE], len(handed.content)
        if start + len(piece) >= size:
            self._handed = Payload(b"")
        return {"data": piece, "size": size, "name": handed.name}
