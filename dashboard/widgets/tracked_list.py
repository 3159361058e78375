"""The list of tracked runs to choose from, and what to type where there are none."""

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

CODE = """\
from dashboard import watch

with watch("my run") as lab:
    for epoch in range(100):
        ...                                  # train for an epoch
        lab.log(epoch, loss=loss, gradients=[...], activations=[...])
"""


class TrackedList(JSComponent):
    """Trainings as buttons: whether they run, their epochs and loss. Without any it shows the lines that start one."""

    items = param.List(default=[], doc="For each training: id, name, state, words, detail and when it began.")
    chosen = param.String(default="", doc="The id of the one that is shown.")
    following = param.Boolean(default=True, doc="Whether the newest one is shown, whichever that is.")
    said = param.String(default="", doc="What the chosen one is doing, and what is wrong with it.")
    code = param.String(default=CODE, doc="What to type.")

    _esm = """
    export function render({model, el}) {
      const make = (kind, name, text) => {
        const made = document.createElement(kind)
        if (name) { made.className = name }
        if (text) { made.textContent = text }
        return made
      }
      let opened = false
      const list = make("div", "list"), said = make("p", "said"), how = make("details", "how")
      list.setAttribute("role", "group")
      list.setAttribute("aria-label", "Trainings")
      said.setAttribute("aria-live", "polite")
      const summary = make("summary", "", "How to watch a training of your own"), box = make("div", "box")
      const code = make("pre", "", model.code), copy = make("button", "copy", "Copy")
      const other = make("p", "", "It appears here within a second. For a PyTorch module, watch(\\"my run\\", " +
        "module=model) reads gradients and activations by itself; for this laboratory's own engine, " +
        "for epoch in observe(train(network, data)) shows every picture.")
      copy.title = "Copy these lines"
      copy.addEventListener("click", () => {
        const done = () => { copy.textContent = "Copied"; setTimeout(() => { copy.textContent = "Copy" }, 1500) }
        const select = () => { getSelection().selectAllChildren(code); document.execCommand("copy"); done() }
        navigator.clipboard ? navigator.clipboard.writeText(model.code).then(done, select) : select()
      })
      summary.addEventListener("click", () => { opened = !how.open })
      box.append(code, copy, other)
      how.append(summary, box)
      const entry = () => {
        const made = make("button", "feed")
        made.append(make("i"), make("b"), make("span", "words"), make("span", "detail"))
        made.addEventListener("click", () => model.send_msg(made.dataset.id))
        return made
      }
      const newest = make("button", "newest", "Always the newest")
      newest.title = "Show the newest training, and the next one as soon as it begins"
      newest.addEventListener("click", () => model.send_msg(model.following ? model.chosen : ""))
      const draw = () => {
        newest.hidden = !model.items.length
        if (newest.parentNode != list) { list.prepend(newest) }
        while (list.children.length - 1 > model.items.length) { list.lastChild.remove() }
        model.items.forEach((item, place) => {
          const made = list.children[place + 1] ?? list.appendChild(entry())
          const [dot, name, words, detail] = made.children
          made.dataset.id = item.id
          made.dataset.state = dot.className = item.state
          name.textContent = item.name
          words.textContent = item.words
          detail.textContent = item.detail
          made.title = `${item.name}: ${item.words}, began ${item.began}`
        })
        how.open = opened || !model.items.length
        mark()
      }
      const mark = () => {
        newest.setAttribute("aria-pressed", String(model.following))
        for (const made of list.children) {
          if (made.dataset.id) { made.setAttribute("aria-pressed", String(made.dataset.id == model.chosen)) }
        }
        said.textContent = model.said
        said.hidden = !model.said
      }
      draw()
      model.on("items", draw)
      model.on("chosen", mark)
      model.on("following", mark)
      model.on("said", mark)
      el.append(list, said, how)
    }
    """
    _stylesheets: ClassVar[list[str]] = [
        """
        :host { min-width: 0; font-size: 13px; }
        .list { display: flex; flex-flow: row wrap; gap: 6px; max-height: 190px; overflow: auto; padding: 2px; }
        button { font: inherit; color: inherit; background: none; cursor: pointer; border-radius: 10px;
                 border: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: 6px 10px; }
        button:hover, button:focus-visible { border-color: #5c7cfa; outline: none; }
        button[aria-pressed=true] { border-color: #5c7cfa; box-shadow: inset 0 0 0 1px #5c7cfa; }
        button.newest { border-color: transparent; box-shadow: none; opacity: .8; }
        button.newest::before { content: "\\2610\\00a0"; }
        button.newest[aria-pressed=true]::before { content: "\\2611\\00a0"; }
        button.newest:hover, button.newest:focus-visible { border-color: #5c7cfa; }
        .feed { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0 7px; align-items: center;
                text-align: left; min-width: 170px; max-width: 260px; }
        .feed b { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
        .feed span { grid-column: 2; font-size: 12px; opacity: .75; font-variant-numeric: tabular-nums;
                     overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
        @media (max-width: 700px) { .feed b, .feed span { white-space: normal; overflow-wrap: anywhere; } }
        i { width: 9px; height: 9px; border-radius: 50%; background: #8b95a3; }
        i.live { background: #2f9e6e; animation: live 1.6s ease-in-out infinite; }
        i.killed, i.failed, i.damaged { background: #e03131; }
        i.stopped { background: #f59f00; }
        @keyframes live { 50% { opacity: .35; } }
        @media (prefers-reduced-motion: reduce) { i.live { animation: none; } }
        .said { margin: 6px 3px 0; opacity: .85; white-space: pre-line; overflow-wrap: anywhere; }
        .said::before { content: var(--last-heard, ""); }
        [hidden] { display: none; }
        .how { margin: 8px 3px 0; }
        .how p { opacity: .8; margin: 8px 0 0; max-width: 86ch; line-height: 1.45; }
        summary { cursor: pointer; opacity: .85; }
        .box { position: relative; padding-top: 6px; }
        pre { margin: 0; padding: 12px 14px; border-radius: 10px; overflow: auto; font-size: 12.5px; line-height: 1.5;
              background: color-mix(in srgb, currentColor 7%, transparent); }
        .copy { position: absolute; top: 12px; right: 8px; padding: 2px 9px; font-size: 12px; }
        @media (max-width: 599px) { .feed { max-width: none; width: 100%; } }
        """
    ]

    def __init__(self, picked: Callable[[str], None], **params: Any) -> None:
        """Start without trainings.

        Args:
            picked: Called with the id of the training that was clicked; empty for the newest.
            **params: As for any component.
        """
        super().__init__(**params)
        self._picked = picked

    def _handle_msg(self, msg: Any) -> None:
        self._picked(str(msg))
