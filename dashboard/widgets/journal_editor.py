"""The browser's side of the journal: the list of entries, the fields of one, the runs pinned to it."""

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.storage.journal_entry import MAX_TITLE_LENGTH, SECTIONS, Entry

LINES = """
:host { min-width: 0; }
input, textarea, select { font: inherit; color: inherit; background: none; border-radius: 8px; box-sizing: border-box;
  border: 1px solid color-mix(in srgb, currentColor 24%, transparent); }
input:hover, textarea:hover, select:hover { border-color: color-mix(in srgb, currentColor 50%, transparent); }
input:focus-visible, textarea:focus-visible, select:focus-visible { outline: 2px solid #5c7cfa; outline-offset: -1px; }
::placeholder { color: inherit; opacity: .6; }
[hidden] { display: none !important; }
"""


class EntryList(JSComponent):
    """The entries, newest first, with a search field. They are links: a click opens one in place."""

    entries = param.List(default=[], doc="For each its id, title, and a line about it.")
    shown = param.String(default="", doc="The id of the one that is open.")
    none = param.String(default="", doc="What is said where there are none.")

    _esm = """
    export function render({model, el}) {
      const search = document.createElement("input"), list = document.createElement("nav")
      search.type = "search"
      search.placeholder = "Search entries"
      search.setAttribute("aria-label", "Search entries")
      list.setAttribute("aria-label", "Entries")
      let later
      search.addEventListener("input", () => {
        clearTimeout(later)
        later = setTimeout(() => model.send_msg({search: search.value}), 200)
      })
      const line = (kind, text) => Object.assign(document.createElement(kind), {textContent: text})
      const card = (entry) => {
        const link = document.createElement("a")
        link.href = "?page=journal&entry=" + encodeURIComponent(entry.id)
        link.dataset.id = entry.id
        link.append(line("b", entry.title || "Untitled"), line("small", entry.about))
        link.addEventListener("click", (event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) { return }
          event.preventDefault()
          model.send_msg({open: entry.id})
        })
        return link
      }
      const mark = () => {
        for (const link of list.querySelectorAll("a")) {
          link.ariaCurrent = link.dataset.id == model.shown ? "page" : null
        }
      }
      // What has the keyboard keeps it when the list is written anew, as it is after every save.
      const fill = () => {
        const held = el.getRootNode().activeElement?.dataset?.id
        list.replaceChildren(...model.entries.map(card))
        if (!model.entries.length) { list.append(line("p", model.none)) }
        mark()
        if (held) { [...list.children].find((link) => link.dataset.id == held)?.focus() }
      }
      fill()
      model.on("entries", fill)
      model.on("none", fill)
      model.on("shown", mark)
      el.append(search, list)
    }
    """
    _stylesheets: ClassVar[list[str]] = [
        LINES,
        """
        input { width: 100%; padding: 7px 10px; font-size: 13px; }
        nav { display: flex; flex-flow: column; gap: 4px; margin-top: 8px; max-height: 70vh; overflow: auto; }
        a { display: flex; flex-flow: column; padding: 7px 10px; border-radius: 8px; color: inherit;
            text-decoration: none; border: 1px solid transparent; overflow-wrap: anywhere; }
        a:hover { background: color-mix(in srgb, currentColor 7%, transparent); }
        a:focus-visible { outline: 2px solid #5c7cfa; outline-offset: -2px; }
        a[aria-current] { border-color: #5c7cfa; background: color-mix(in srgb, #5c7cfa 12%, transparent); }
        b { font-size: 14px; font-weight: 600; }
        small { font-size: 12px; opacity: .75; }
        p { font-size: 13px; line-height: 1.45; opacity: .8; margin: 6px 2px; }
        @media (max-width: 799px) { nav { max-height: 34vh; } }
        """,
    ]

    def __init__(self, opened: Callable[[str], None], searched: Callable[[str], None], **params: Any) -> None:
        """Start without entries.

        Args:
            opened: Called with the id of an entry that was clicked.
            searched: Called with the words to search for.
            **params: As for any component.
        """
        super().__init__(**params)
        self._opened, self._searched = opened, searched

    def _handle_msg(self, msg: Any) -> None:
        if "open" in msg:
            self._opened(str(msg["open"]))
        else:
            self._searched(str(msg.get("search", "")))


class EntryEditor(JSComponent):
    """The fields of an entry, which save themselves shortly after typing, and at once when they lose focus.

    Unsaved text is also kept in the browser's tab, so that nothing is lost by a reload or a server that is gone. The
    server never writes into a field with unsaved text: a save that is based on an outdated file is answered with the id
    of another entry, under which it was saved.

    Attributes:
        state: `entry`, what is to be shown (its id, stamp and words, or None), and `answer` to the newest save: its
            number, the id that was sent, the id under which it was saved, the stamp of its file, and the problem, if it
            was not.
    """

    sections = param.List(default=[], doc="Of each text its name, heading and prompt.")
    state = param.Dict(default={"entry": None, "answer": None})
    longest = param.Integer(default=MAX_TITLE_LENGTH, doc="Letters of a title.")

    _esm = """
    const DRAFT = "descent-lab-entry:", SOON = 500, AGAIN = 5000

    // A tab's own memory may be full or forbidden.
    const kept = (key) => { try { return JSON.parse(sessionStorage.getItem(DRAFT + key)) } catch { return null } }
    const keep = (key, draft) => { try { sessionStorage.setItem(DRAFT + key, JSON.stringify(draft)) } catch {} }
    const forget = (key) => { try { sessionStorage.removeItem(DRAFT + key) } catch {} }

    export function render({model, el}) {
      const form = document.createElement("form"), status = document.createElement("output"), fields = {}
      const add = (kind, name, heading, prompt) => {
        const label = document.createElement("label"), field = document.createElement(kind)
        label.textContent = heading
        label.htmlFor = field.id = name
        field.placeholder = prompt
        fields[name] = field
        form.append(label, field)
        return field
      }
      const title = add("input", "title", "Title", "What this entry is about, in a line")
      title.maxLength = model.longest
      title.autocomplete = "off"
      for (const section of model.sections) { add("textarea", section.name, section.heading, section.prompt).rows = 3 }
      form.setAttribute("aria-label", "Entry")
      form.prepend(status)

      let id = null, base = "", saved = "", sent = [], later, number = Date.now()
      const names = () => Object.keys(fields)
      const written = () => JSON.stringify(Object.fromEntries(names().map((name) => [name, fields[name].value])))
      const fill = (words) => names().forEach((name) => { fields[name].value = words[name] })
      const say = (words, failed = false) => { status.textContent = words; status.classList.toggle("failed", failed) }

      const save = () => {
        clearTimeout(later)
        const words = written()
        if (!id || words == saved || sent.at(-1)?.id == id && sent.at(-1).words == words) { return }
        sent.push({number: ++number, id, words})
        model.send_msg({number, id, base, words: JSON.parse(words)})
      }
      const typed = () => {
        written() == saved ? forget(id) : keep(id, {base, words: written()})
        say(written() == saved ? "" : "…")
        clearTimeout(later)
        later = setTimeout(save, SOON)
      }
      const answered = (answer) => {
        const {words} = sent.find((one) => one.number == answer.number)
        sent = sent.filter((one) => one.number > answer.number)
        if (!answer.problem && kept(answer.asked)?.words == words) { forget(answer.asked) }
        if (id != answer.asked) { return }
        if (answer.problem) {
          say(answer.problem, true)
          later = setTimeout(save, AGAIN)
          return
        }
        id = answer.became
        base = answer.stamp
        saved = words
        if (written() != saved) { keep(id, {base, words: written()}) }
        say(`saved ${new Date().toTimeString().slice(0, 8)}`)
      }
      const open = (entry) => {
        save()
        say("")
        id = entry?.id ?? null
        form.hidden = !entry
        if (!entry) { return }
        fill(entry.words)
        base = entry.stamp
        saved = written()
        const draft = kept(id)
        if (draft && draft.words != saved) {
          fill(JSON.parse(draft.words))
          base = draft.base
          save()
        }
        if (!draft && Object.values(entry.words).every((text) => !text) && matchMedia("(min-width: 800px)").matches) {
          title.focus()
        }
      }
      const hear = () => {
        const {entry, answer} = model.state
        if (sent.some((one) => one.number == answer?.number)) { answered(answer) }
        if ((entry?.id ?? null) != id || !entry) { open(entry) }
        else if (entry.stamp != base && written() == saved) {
          fill(entry.words)
          base = entry.stamp
          saved = written()
        }
      }
      hear()
      model.on("state", hear)
      form.addEventListener("input", typed)
      form.addEventListener("focusout", save)
      form.addEventListener("submit", (event) => { event.preventDefault(); save() })
      form.addEventListener("keydown", (event) => {
        if (event.key == "s" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); save() }
      })
      window.addEventListener("pagehide", save)
      model.on("remove", () => { save(); window.removeEventListener("pagehide", save) })
      el.append(form)
    }
    """
    _stylesheets: ClassVar[list[str]] = [
        LINES,
        """
        form { display: flex; flex-flow: column; }
        label { font-size: 13px; font-weight: 600; margin: 14px 0 4px; }
        label:first-of-type { margin-top: 0; }
        input { font-size: 18px; font-weight: 600; padding: 8px 12px; width: 100%; }
        textarea { font-size: 14px; line-height: 1.5; padding: 9px 12px; width: 100%; resize: vertical;
                   field-sizing: content; min-height: 76px; }
        output { position: sticky; top: 66px; z-index: 1; align-self: flex-end; height: 18px; margin-bottom: -18px;
                 font-size: 12px; line-height: 18px; opacity: .75; font-variant-numeric: tabular-nums; }
        output.failed { height: auto; align-self: stretch; opacity: 1; font-size: 13px; font-weight: 600; color: #fff;
                        background: #c92a2a; padding: 6px 10px; border-radius: 8px; margin-bottom: 8px; }
        """,
    ]

    def __init__(self, saved: Callable[[str, str, dict[str, str]], Entry], **params: Any) -> None:
        """Start without an entry.

        If `saved` raises ValueError, the user reads why, and the text stays in the fields. The answer is sent together
        with the next entry to show: a user who leaves the page while it saves is no longer there to receive one at
        once.

        Args:
            saved: Called with an entry's id, the stamp on which its text is based, and the text; returns the outcome.
            **params: As for any component.
        """
        sections = [{"name": name, "heading": one.heading, "prompt": one.prompt} for name, one in SECTIONS.items()]
        super().__init__(sections=sections, sizing_mode="stretch_width", margin=0, **params)
        self._saved = saved
        self._answer: dict[str, Any] | None = None

    def show(self, entry: Entry | None) -> None:
        """Show an entry, or nothing, and answers the newest save; text being typed stays."""
        state = {"entry": _fields(entry), "answer": self._answer}
        if state != self.state:
            self.state = state

    def _handle_msg(self, msg: Any) -> None:
        words = {name: str(msg["words"].get(name, "")) for name in ("title", *SECTIONS)}
        key, number = str(msg["id"]), int(msg["number"])
        self._answer = {"number": number, "asked": key}
        try:
            entry = self._saved(key, str(msg["base"]), words)
            self._answer |= {"became": entry.id, "stamp": entry.stamp}
        except ValueError as error:
            self._answer |= {"problem": str(error)}


class PinnedRuns(JSComponent):
    """The runs pinned to an entry. They are links: a click opens one as it was archived. More can be pinned."""

    pins = param.List(default=[], doc="Of each its run's id, what it is called, its link, and whether it is gone.")
    runs = param.List(default=[], doc="Of each kept run its id and what it is called.")

    _esm = """
    export function render({model, el}) {
      const row = document.createElement("div"), menu = document.createElement("select")
      menu.setAttribute("aria-label", "Pin a run")
      menu.addEventListener("change", () => {
        if (menu.value) { model.send_msg({pin: menu.value}) }
        menu.value = ""
      })
      const chip = (pin) => {
        const [box, link, off] = ["span", "a", "button"].map((kind) => document.createElement(kind))
        link.textContent = pin.label
        link.href = pin.link
        link.addEventListener("click", (event) => {
          const apart = event.ctrlKey || event.metaKey || event.shiftKey || event.button
          if (apart || pin.gone || pin.link != `?run=${pin.run}`) { return }
          event.preventDefault()
          model.send_msg({open: pin.run})
        })
        link.title = pin.gone ? "This run is not among the kept ones any more" : "Open this run as it was kept"
        box.classList.toggle("gone", pin.gone)
        off.type = "button"
        off.textContent = "×"
        off.title = "Take this run off the entry"
        off.setAttribute("aria-label", `Take ${pin.label} off`)
        off.addEventListener("click", () => model.send_msg({remove: pin.run}))
        box.append(link, off)
        return box
      }
      const option = (value, text) => Object.assign(document.createElement("option"), {value, textContent: text})
      const fill = () => {
        const pinned = new Set(model.pins.map((pin) => pin.run))
        const others = model.runs.filter((run) => !pinned.has(run.id))
        menu.replaceChildren(option("", "Pin a run …"), ...others.map((run) => option(run.id, run.label)))
        menu.disabled = !others.length
        menu.title = others.length ? "Pin a kept run to this entry" : "Keep a run first: then it can be pinned here"
        row.replaceChildren(...model.pins.map(chip), menu)
      }
      fill()
      model.on("pins", fill)
      model.on("runs", fill)
      el.append(row)
    }
    """
    _stylesheets: ClassVar[list[str]] = [
        LINES,
        """
        div { display: flex; flex-flow: row wrap; gap: 6px; align-items: center; }
        span { display: inline-flex; align-items: center; max-width: 100%; border-radius: 16px; font-size: 13px;
               border: 1px solid color-mix(in srgb, #5c7cfa 60%, transparent);
               background: color-mix(in srgb, #5c7cfa 10%, transparent); }
        a { color: inherit; text-decoration: none; padding: 4px 2px 4px 11px; overflow: hidden; text-overflow: ellipsis;
            white-space: nowrap; border-radius: 16px; }
        a:hover { text-decoration: underline; }
        .gone a { opacity: .6; text-decoration: line-through; }
        button { font: inherit; color: inherit; background: none; border: none; cursor: pointer; opacity: .7;
                 padding: 4px 9px 4px 5px; border-radius: 16px; }
        button:hover { opacity: 1; }
        a:focus-visible, button:focus-visible { outline: 2px solid #5c7cfa; outline-offset: -2px; }
        select { font-size: 13px; padding: 4px 8px; max-width: min(100%, 320px); cursor: pointer; border-radius: 16px; }
        select:disabled { opacity: .5; cursor: default; }
        option { color: #222; background: #fff; }
        """,
    ]

    def __init__(
        self,
        pinned: Callable[[str], None],
        removed: Callable[[str], None],
        opened: Callable[[str], None],
        **params: Any,
    ) -> None:
        """All are told the id of a run: one that was chosen, taken off, clicked."""
        super().__init__(sizing_mode="stretch_width", **params)
        self._acts = {"pin": pinned, "remove": removed, "open": opened}

    def _handle_msg(self, msg: Any) -> None:
        for name in self._acts.keys() & msg.keys():
            self._acts[name](str(msg[name]))


def _fields(entry: Entry | None) -> dict[str, Any] | None:
    """What the editor shows of an entry."""
    if entry is None:
        return None
    return {"id": entry.id, "stamp": entry.stamp, "words": {"title": entry.title, **entry.texts}}
