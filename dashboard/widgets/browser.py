"""What only the browser knows: keys pressed, frames painted, pictures in view, a slider being moved."""

import time
from collections.abc import Callable
from typing import Any, ClassVar

import param
from bokeh.model import Model
from panel.custom import Child, JSComponent
from panel.io.notebook import Comm

from dashboard.server.host import Live, host
from dashboard.server.live_component import LiveComponent
from dashboard.state.store import Shown


class Browser(LiveComponent):
    """Receives keys, and acknowledges every painted frame, so that none is sent to a browser that is behind."""

    frame = param.Integer(default=0, doc="The newest frame that was sent.")
    shown = param.Integer(default=0, doc="The newest frame that was painted.")

    received: ClassVar[tuple[str, ...]] = ("shown",)
    _esm = """
    const TYPING = "input:not([type=range], [type=checkbox]), textarea, [role=combobox], [role=option]"
    const PRESSING = "button, a, [role=button], [role=switch], [role=checkbox], summary, input[type=checkbox]"
    const SLIDING = "input[type=range], [role=slider], [role=radio], [role=tab]"
    const KEYS = {
      " ": "space", "r": "r", "R": "r", "ArrowRight": "right", "ArrowLeft": "left", "Home": "home", "End": "end",
    }
    const ALONG = ["right", "left", "home", "end"]

    const roots = () => Bokeh.documents.flatMap((document) => document.roots())
    const whole = () => roots().find((root) => root.class_name == "Page")

    // The page follows the visitor's system, or what they chose here before; on a phone its drawer starts closed.
    const suit = () => {
      const page = whole()
      if (!page) { return }
      const chosen = localStorage.getItem("descent-lab-theme")
      page.data.dark_theme = chosen ? chosen == "dark" : matchMedia("(prefers-color-scheme: dark)").matches
      if (innerWidth < 600) { page.data.sidebar_open = false }
      const keep = () => localStorage.setItem("descent-lab-theme", page.data.dark_theme ? "dark" : "light")
      page.data.properties.dark_theme.change.connect(keep)
    }

    export function render({model, el}) {
      el.style.display = "none"
      suit()
      // Where the laboratory is not the whole window, as in a notebook, only keys pressed within it are its own.
      const within = () => {
        let outermost = el
        while (outermost.getRootNode() != document) { outermost = outermost.getRootNode().host }
        return outermost.parentElement
      }
      const hear = (event) => {
        if (!whole() && !event.composedPath().includes(within())) { return }
        const undo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key == "z"
        const key = undo ? "undo" : KEYS[event.key], target = event.composedPath()[0]
        const is = (selector) => target instanceof Element && target.matches(selector)
        const along = ALONG.includes(key)
        const combined = !undo && (event.ctrlKey || event.metaKey) || event.altKey || event.repeat && !along
        if (!key || combined || is(TYPING)) { return }
        if (key == "space" && is(PRESSING) || along && is(SLIDING)) { return }
        event.preventDefault()
        model.send_msg(key)
      }
      window.addEventListener("keydown", hear)
      model.on("frame", () => requestAnimationFrame(() => setTimeout(() => { model.shown = model.frame }, 0)))
      model.on("remove", () => window.removeEventListener("keydown", hear))
    }
    """

    def __init__(self, on_key: Callable[[str], None], live: Live | None = None, **params: Any) -> None:
        """Start without a frame.

        Args:
            on_key: Called with the name of a key that was pressed.
            live: Keeps everything that a notebook shows up to date.
            **params: As for any component.
        """
        super().__init__(width=0, height=0, margin=0, **params)
        self._on_key, self._live = on_key, live

    def count(self) -> list[str]:
        """Count a frame that was sent as JSON; return the message that sends it to every page."""
        with param.parameterized.discard_events(self):
            self.frame += 1
        change = f'"attr":"frame","new":{self.frame}'
        return [f'{{"kind":"ModelChanged","model":{{"id":"{one}"}},{change}}}' for one in self.model_ids]

    @property
    def behind(self) -> int:
        """Number of frames that were sent and are not painted yet."""
        return self.frame - self.shown

    def _handle_msg(self, msg: Any) -> None:
        self._on_key(msg)

    def rendered(self, root: Model, comm: Comm | None) -> None:
        """Have all that it is shown with kept up to date, where a notebook shows it."""
        if self._live and host().is_live(comm):
            host().show(root, self._live, leads=True)


class InView(JSComponent):
    """Reports whether its content is on the user's screen, and describes its figures to screen readers.

    A figure's description is the title of the card, the name of its run where there are several, and its caption,
    looked up once a second while it is seen. A figure takes no keys, so it is no tab stop.
    """

    content = Child()
    near = param.Boolean(default=True, doc="False while scrolled out of view or in a hidden tab.")

    _esm = """
    export function render({model, el}) {
      el.style.minWidth = "0"
      el.append(model.get_child("content"))
      // Told a moment later: a page that is being closed is hidden first, and has gone before the answer.
      let scrolled = true, later
      const tell = () => {
        const near = scrolled && !document.hidden
        if (near != model.near) { model.near = near }
      }
      const soon = () => { clearTimeout(later); later = setTimeout(tell, 150) }
      const look = (entries) => { scrolled = entries[entries.length - 1].isIntersecting; soon() }
      const observer = new IntersectionObserver(look, {rootMargin: "60px"})
      observer.observe(el)
      document.addEventListener("visibilitychange", soon)
      const described = () => {
        const pictures = [{name: "", caption: "", figures: []}]
        let title = ""
        const walk = (node, picture) => {
          if (node.classList.contains("guest-picture")) {
            picture = {name: "", caption: "", figures: []}
            pictures.push(picture)
          }
          if (node.matches("h2")) { title = node.textContent }
          if (node.matches("p.name")) { picture.name = node.textContent }
          if (node.classList.contains("caption")) {
            picture.caption = node.shadowRoot?.querySelector("p")?.innerText.replace(/●/g, "") ?? ""
            return
          }
          if (node.classList.contains("bk-Figure")) { picture.figures.push(node) }
          if (node.matches(".bk-events")) { node.tabIndex = -1 }
          for (const part of [...node.shadowRoot?.children ?? [], ...node.children]) { walk(part, picture) }
        }
        walk(el, pictures[0])
        for (const {name, caption, figures} of pictures) {
          const parts = [title, name, caption].map((text) => text.replace(/\\s+/g, " ").trim())
          const label = parts.filter(Boolean).join(". ")
          for (const figure of figures) {
            figure.setAttribute("role", "img")
            if (figure.getAttribute("aria-label") != label) { figure.setAttribute("aria-label", label) }
          }
        }
      }
      const describing = setInterval(() => { if (scrolled && !document.hidden) { described() } }, 1000)
      model.on("remove", () => {
        clearInterval(describing)
        observer.disconnect()
        document.removeEventListener("visibilitychange", soon)
      })
    }
    """


class Scrubber(LiveComponent):
    """A slider over all epochs, which follows the run, and reports only what a user does with it.

    A slider whose value both sides write may answer late, with a value that it was sent. Below it stand the epochs at
    which something happened, which a click goes to, and which epochs are recorded.
    """

    newest = param.Integer(default=0, doc="The newest epoch.")
    shown = param.Integer(default=0, doc="The epoch that is shown.")
    marks = param.List(default=[], doc="Epochs worth going to, each with why, in their order.")
    kept = param.String(default="", doc="Which epochs can be looked at, as a sentence.")

    FOLLOW_INTERVAL_S: ClassVar[float] = 0.4
    """Seconds from one move to the next while the run plays."""

    _esm = """
    export function render({model, el}) {
      const make = (kind, name, parent) => {
        const made = document.createElement(kind)
        made.className = name
        parent.append(made)
        return made
      }
      const track = make("div", "track", el), words = make("div", "words", el)
      const slider = make("input", "", track), ticks = make("div", "ticks", track)
      const kept = make("span", "kept", words), list = make("span", "marks", words)
      slider.type = "range"
      slider.min = 0
      slider.setAttribute("aria-label", "Epoch")
      slider.title = "Take all pictures back to an epoch (arrow keys, Home, End)"
      const share = (epoch) => epoch / Number(slider.max)
      const fill = () => slider.style.setProperty("--share", `${100 * share(slider.value)}%`)
      const follow = () => {
        slider.max = Math.max(1, model.newest)
        slider.value = model.shown
        slider.disabled = !model.newest
        fill()
        // The thumb is 14 pixels wide and stays inside the track.
        for (const tick of ticks.children) {
          const at = share(tick.dataset.epoch)
          tick.style.left = `calc(${100 * at}% + ${7 - 14 * at}px)`
        }
      }
      const mark = () => {
        ticks.replaceChildren()
        list.replaceChildren()
        for (const [epoch, title] of model.marks) {
          const tick = make("i", "", ticks), button = make("button", "", list)
          tick.dataset.epoch = epoch
          make("b", "", button).textContent = epoch.toLocaleString("en")
          button.append(` ${title}`)
          button.title = `Take all pictures to epoch ${epoch}: ${title}`
          button.addEventListener("click", () => model.send_msg(epoch))
        }
        follow()
      }
      const say = () => { kept.textContent = model.kept }
      // Its end is the newest epoch, which is another one by the time that this is heard.
      const chosen = () => slider.value == slider.max ? "newest" : Number(slider.value)
      slider.addEventListener("input", () => { fill(); model.send_msg(chosen()) })
      mark()
      say()
      model.on("newest", follow)
      model.on("shown", follow)
      model.on("marks", mark)
      model.on("kept", say)
    }
    """
    _stylesheets: ClassVar[list[str]] = [
        """
        .track { position: relative; height: 18px; }
        .ticks i { position: absolute; top: 1px; width: 2px; height: 16px; margin-left: -1px; border-radius: 1px;
          background: #d6336c; pointer-events: none; }
        .words { display: flex; flex-flow: row wrap; gap: 2px 12px; min-height: 18px; font-size: 12px; }
        .kept { opacity: .68; }
        .marks { display: contents; }
        button { all: unset; cursor: pointer; color: inherit; }
        button b { font-weight: 600; color: #d6336c; margin-right: 4px; font-variant-numeric: tabular-nums; }
        button:hover { text-decoration: underline; }
        button:focus-visible { outline: 2px solid #5c7cfa; border-radius: 3px; }
        input { width: 100%; height: 18px; margin: 0; appearance: none; background: none; cursor: pointer; }
        input::-webkit-slider-runnable-track { height: 4px; border-radius: 2px;
          background: linear-gradient(to right, #3b5bdb var(--share), #8b95a355 var(--share)); }
        input::-moz-range-track { height: 4px; border-radius: 2px; background: #8b95a355; }
        input::-moz-range-progress { height: 4px; border-radius: 2px; background: #3b5bdb; }
        input::-webkit-slider-thumb { appearance: none; width: 14px; height: 14px; margin-top: -5px;
          border-radius: 50%; background: #3b5bdb; }
        input::-moz-range-thumb { width: 14px; height: 14px; border: none; border-radius: 50%; background: #3b5bdb; }
        input:focus-visible { outline: 2px solid #5c7cfa; outline-offset: 2px; border-radius: 6px; }
        input:disabled { opacity: .4; cursor: default; }
        """
    ]

    def __init__(self, moved: Callable[[int | None], None], **params: Any) -> None:
        """Start at epoch 0.

        Args:
            moved: Called with the epoch to which a user has moved it; None for the newest.
            **params: As for any component.
        """
        super().__init__(sizing_mode="stretch_width", margin=(2, 14, 2, 14), styles={"flex": "1 1 100%"}, **params)
        self._moved, self._followed = moved, 0.0

    def show(self, run: Shown, shown: int, playing: bool) -> None:
        """Follows the run, but not at every frame while it plays."""
        now = time.perf_counter()
        if playing and now < self._followed + self.FOLLOW_INTERVAL_S:
            return
        self._followed = now
        newest = shown if run.looked_at is None else run.history[-1].index
        marks = [[mark.epoch, mark.title] for mark in run.bookmarks]
        found = {"shown": shown, "newest": newest, "marks": marks, "kept": run.kept}
        changed = {name: value for name, value in found.items() if getattr(self, name) != value}
        if changed:
            self.tell(**changed)

    def _handle_msg(self, msg: Any) -> None:
        self._moved(None if msg == "newest" else int(msg))
