"""The list of archived runs, with what can be done with each, and the form that archives another."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

LOOK = """
:host { font-size: 13px; line-height: 1.4; }
button { font: inherit; color: inherit; background: none; border: none; cursor: pointer; border-radius: 6px;
  padding: 3px 6px; }
button:hover { background: color-mix(in srgb, currentColor 10%, transparent); }
button:focus-visible, input:focus-visible { outline: 2px solid #5c7cfa; outline-offset: 1px; }
input[type=text] { font: inherit; color: inherit; background: none; min-width: 0; box-sizing: border-box;
  border: 1px solid color-mix(in srgb, currentColor 28%, transparent); border-radius: 8px; padding: 7px 10px; }
"""


class KeepForm(JSComponent):
    """A name and a button that archives the run on the page. Below them, the outcome of the last action."""

    suggested = param.String(default="", doc="The name that the run gets without one.")
    said = param.String(default="", doc="What came of the last thing that was done.")
    failed = param.Boolean(default=False, doc="Whether that was a failure.")
    undo = param.String(default="", doc="The id of what can be undone, empty where nothing can.")
    closes = param.Boolean(default=False, doc="Whether there is a button that puts all of it away.")

    _esm = """
    export function render({model, el}) {
      const head = document.createElement("div"), title = document.createElement("h2")
      const close = document.createElement("button")
      head.className = "head"
      title.textContent = "Kept runs"
      close.textContent = "✕"
      close.title = "Close"
      close.setAttribute("aria-label", "Close the kept runs")
      close.hidden = !model.closes
      close.addEventListener("click", () => model.send_msg({do: "close"}))
      head.append(title, close)
      const form = document.createElement("form"), name = document.createElement("input")
      const keep = document.createElement("button")
      name.type = "text"
      name.maxLength = 100
      name.setAttribute("aria-label", "Name")
      keep.textContent = "Keep this run"
      keep.className = "keep"
      keep.title = "Write the run as it stands into a file: its settings, its history, and the way to go on exactly"
      form.append(name, keep)
      form.addEventListener("submit", (event) => {
        event.preventDefault()
        model.send_msg({do: "keep", name: name.value})
        name.value = ""
      })
      const line = document.createElement("p"), words = document.createElement("span")
      const undo = document.createElement("button")
      line.setAttribute("role", "status")
      undo.type = "button"
      undo.textContent = "Undo"
      undo.className = "undo"
      undo.addEventListener("click", () => model.send_msg({do: "restore", id: model.undo}))
      line.append(words, undo)
      const say = () => {
        words.textContent = model.said
        line.hidden = !model.said
        line.classList.toggle("failed", model.failed)
        undo.hidden = !model.undo
      }
      const suggest = () => { name.placeholder = model.suggested }
      for (const part of ["said", "failed", "undo"]) { model.on(part, say) }
      model.on("suggested", suggest)
      say()
      suggest()
      el.append(head, form, line)
    }
    """
    _stylesheets: ClassVar[list[str]] = [
        LOOK,
        """
        .head { display: flex; align-items: center; justify-content: space-between; min-height: 34px; }
        h2 { font-size: 16px; font-weight: 600; margin: 0; }
        form { display: flex; gap: 8px; margin-top: 4px; }
        form input { flex: 1 1 auto; }
        .keep { flex: none; background: #3b5bdb; color: white; border-radius: 8px; padding: 7px 14px; }
        .keep:hover { background: #364fc7; }
        [hidden] { display: none; }
        p { margin: 8px 0 0; padding: 6px 10px; border-radius: 8px; overflow-wrap: anywhere;
          background: color-mix(in srgb, #2f9e6e 16%, transparent); }
        p.failed { background: color-mix(in srgb, #e03131 18%, transparent); }
        .undo { text-decoration: underline; font-weight: 600; padding: 0 6px; }
        """,
    ]

    def __init__(self, asked: Callable[[Mapping[str, Any]], None], **params: Any) -> None:
        """Make an empty form.

        Args:
            asked: Called with what to `do`, and the `name` or the `id` for it.
            **params: As for any component.
        """
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._asked = asked

    def _handle_msg(self, msg: Any) -> None:
        self._asked(msg)


class RunList(JSComponent):
    """Archived runs, one below the other. It reports what a user does with one; `runs` says what is shown.

    Attributes:
        runs: For each run its id, name, what it is called among the others, about (a line), beside (whether it is
            compared with the page's own) and color.
    """

    runs = param.List(default=[], doc="The kept runs.")
    empty = param.String(default="", doc="What stands here while there are none.")
    answered = param.Integer(default=0, doc="The number of the last request that was answered.")

    PIECE: ClassVar[int] = 2**20

    _esm = """
    const make = (tag, name, words) => {
      const found = document.createElement(tag)
      found.className = name
      found.textContent = words ?? ""
      return found
    }
    // In a notebook there is no address that would open anything.
    const served = () => Bokeh.documents.some((one) => one.roots().some((root) => root.class_name == "Page"))
    // Clipboards are there for pages from this machine or over https only; else what is selected can be copied.
    const copy = async (text, near) => {
      if (navigator.clipboard && window.isSecureContext) { return navigator.clipboard.writeText(text) }
      const area = make("textarea", "hidden")
      area.value = text
      near.append(area)
      area.select()
      const done = document.execCommand("copy")
      area.remove()
      if (!done) { prompt("The link to this run:", text) }
    }

    export function render({model, el}) {
      const list = make("ul", ""), empty = make("p", "empty"), rows = new Map()
      let wishes = 0
      const ask = (wish) => {
        wishes = Math.max(wishes, model.answered) + 1
        model.send_msg({...wish, number: wishes})
        return wishes
      }

      let heard = () => {}
      model.on("msg:custom", (message) => heard(message))
      const download = async (id) => {
        const pieces = []
        for (let start = 0, size = 1; start < size; ) {
          const answered = new Promise((resolve) => { heard = resolve })
          ask({do: "download", id, start})
          const piece = await answered
          if (!piece.size) { return }
          size = piece.size
          start += piece.data.byteLength
          pieces.push(piece.data)
          if (start >= size) { save(pieces, piece.name) }
        }
      }
      const save = (pieces, name) => {
        const link = document.createElement("a")
        link.href = URL.createObjectURL(new Blob(pieces, {type: "application/octet-stream"}))
        link.download = name
        link.click()
        setTimeout(() => URL.revokeObjectURL(link.href), 60000)
      }
      let downloading = Promise.resolve()

      const row = (id) => {
        const item = make("li", ""), top = make("div", "top"), acts = make("div", "acts")
        const name = make("input", "name"), about = make("p", "about")
        const beside = make("label", "beside"), box = make("input", ""), chip = make("span", "chip")
        item.dataset.id = id
        name.type = "text"
        name.maxLength = 100
        name.title = "Click to give it another name"
        name.addEventListener("change", () => { item.wish = ask({do: "rename", id, name: name.value}) })
        name.addEventListener("keydown", (event) => {
          if (event.key == "Escape") { name.value = item.run.name; event.stopPropagation() }
          if (event.key == "Enter" || event.key == "Escape") { name.blur() }
        })
        box.type = "checkbox"
        box.addEventListener("change", () => { item.wish = ask({do: "beside", id, on: box.checked}) })
        beside.append(box, "Show beside")
        beside.title = "Show it beside the page's own run, at the same epoch"
        const act = (words, title, action) => {
          const button = make("button", "", words)
          button.title = title
          button.addEventListener("click", () => action(button))
          acts.append(button)
          return button
        }
        acts.append(beside)
        const buttons = [
          act("Open", "Go on with it, exactly where it was", () => ask({do: "open", id})),
          act("Download", "One file, to keep elsewhere or to hand on", () => {
            downloading = downloading.then(() => download(id))
          }),
          ...(served() ? [act("Copy link", "A link that opens it", async (button) => {
            await copy(`${location.origin}${location.pathname}?run=${id}`, item)
            button.textContent = "Copied"
            setTimeout(() => { button.textContent = "Copy link" }, 1500)
          })] : []),
          act("Delete", "It can be had back", () => ask({do: "delete", id})),
        ]
        top.append(chip, name)
        item.append(top, about, acts)
        item.follow = (run) => {
          item.run = run
          // What was changed stands until it is answered, and nobody's typing is taken away.
          const waits = item.wish > model.answered
          if (!waits && el.getRootNode().activeElement != name) { name.value = run.name }
          name.setAttribute("aria-label", `Name of ${run.called}`)
          about.textContent = run.about
          if (!waits) { box.checked = run.beside }
          box.setAttribute("aria-label", `Show ${run.called} beside`)
          chip.style.background = run.color || "transparent"
          item.classList.toggle("shown", run.beside)
          for (const button of buttons) { button.setAttribute("aria-label", `${button.textContent} ${run.called}`) }
        }
        return item
      }

      const follow = () => {
        const there = new Set(model.runs.map((run) => run.id))
        for (const [id, item] of rows) { if (!there.has(id)) { item.remove(); rows.delete(id) } }
        model.runs.forEach((run, place) => {
          if (!rows.has(run.id)) { rows.set(run.id, row(run.id)) }
          const item = rows.get(run.id)
          item.follow(run)
          if (list.children[place] != item) { list.insertBefore(item, list.children[place] ?? null) }
        })
        empty.textContent = model.empty
        empty.hidden = there.size > 0
      }
      for (const part of ["runs", "empty", "answered"]) { model.on(part, follow) }
      follow()
      list.setAttribute("aria-label", "Kept runs")
      el.append(list, empty)
    }
    """
    _stylesheets: ClassVar[list[str]] = [
        LOOK,
        """
        ul { list-style: none; margin: 0; padding: 0; display: flex; flex-flow: column; gap: 8px; }
        li { border: 1px solid color-mix(in srgb, currentColor 16%, transparent); border-radius: 10px;
          padding: 6px 8px; }
        .top { display: flex; align-items: center; gap: 6px; }
        .chip { flex: none; width: 12px; height: 12px; border-radius: 50%; display: none; }
        .shown .chip { display: block; }
        input.name { flex: 1 1 auto; font-weight: 600; border-color: transparent; padding: 3px 6px; margin-left: -2px; }
        input.name:hover, input.name:focus { border-color: color-mix(in srgb, currentColor 28%, transparent); }
        .about { margin: 1px 5px 3px; font-size: 12.5px; opacity: .75; font-variant-numeric: tabular-nums; }
        .acts { display: flex; flex-wrap: wrap; align-items: center; gap: 0 2px; }
        .beside { display: flex; align-items: center; gap: 4px; padding: 3px 8px 3px 3px; cursor: pointer; }
        .beside input { margin: 0 1px; width: 15px; height: 15px; accent-color: #3b5bdb; cursor: pointer; }
        .empty { margin: 4px 2px; opacity: .75; }
        .hidden { position: absolute; opacity: 0; }
        """,
    ]

    def __init__(self, asked: Callable[[Mapping[str, Any]], None], **params: Any) -> None:
        """Start without runs.

        Args:
            asked: Called with what to `do` with the run `id`, and the request's `number`, under which it is `answered`;
                a download is answered by `hand_out`.
            **params: As for any component.
        """
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._asked = asked

    def hand_out(self, name: str, piece: bytes, size: int) -> None:
        """Send a piece of the requested file, which has that name and size; size 0 ends the download without one."""
        self._send_msg({"name": name, "data": piece, "size": size})

    def _handle_msg(self, msg: Any) -> None:
        self._asked(msg)
