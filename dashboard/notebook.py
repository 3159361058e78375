"""Notebook: what makes pictures in the cells of a Jupyter notebook live, offline.

What a page needs is brought along once, in the output of the cell that first asks for a picture, and again when that
cell is run again. From then on a tick on the kernel's loop has everything shown draw what is new, and sends it as one
message; while the kernel is busy with a loop of its user's, whatever trains in that loop lends a hand (`attend`).
"""

import json
import logging
import re
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Protocol

import holoviews as hv
import panel as pn
from bokeh.document import Document
from bokeh.model import Model
from panel.io import block_comm
from panel.io.notebook import JupyterCommManagerBinary, load_notebook, push
from panel.io.state import state
from panel_material_ui.base import BUNDLE_PATH, MaterialComponent
from pyviz_comms import Comm

from dashboard.clock import Chore
from dashboard.store import Store

log = logging.getLogger(__name__)

PERIOD = 0.1
"""Seconds between two frames, at least."""

SHARE = 0.25
"""Of the time that a busy kernel may spend on frames."""

SCRIPT = "application/javascript"
LOADED = "application/vnd.holoviews_load.v0+json"
"""Where a page looks for scripts: the one is of any notebook, the other of JupyterLab."""

ONCE = "if (!window.Bokeh?.Panel) {\n%s\n}"
"""A page that has Bokeh keeps it: another one would cut off what is shown already."""

WIDGETS = """
window.descentLabWidgets ??= (async () => {
  while (!window.importShim) { await new Promise((resolve) => setTimeout(resolve, 20)) }
  return await importShim(URL.createObjectURL(new Blob([%s], {type: "text/javascript"})))
})()
"""
INSISTENT = """
(() => {
  const manager = window.PyViz?.comm_manager
  if (!manager || manager.insistent) { return }
  manager.insistent = true
  const {register_target, get_client_comm} = manager, answered = new Set()
  manager.register_target = (plot, target, hear) => {
    const kernel = window.PyViz.kernels[plot]
    if (!kernel) { return register_target.call(manager, plot, target, hear) }
    kernel.registerCommTarget(target, (comm) => { answered.add(plot); comm.onMsg = hear })
  }
  manager.get_client_comm = (plot, target, hear) => {
    let comm = get_client_comm.call(manager, plot, target, hear)
    const kernel = window.PyViz.kernels[plot]
    if (!kernel) { return comm }
    const insist = (wait) => {
      if (answered.has(plot)) { return }
      comm = kernel.connectToComm(target)
      comm.onMsg = hear
      comm.open()
      if (wait < 5000) { setTimeout(() => insist(2 * wait), wait) }
    }
    setTimeout(() => insist(600), 300)
    const newest = {open: () => comm.open(), send: (...message) => comm.send(...message)}
    Object.defineProperty(newest, "active", {get: () => comm.active})
    Object.defineProperty(newest, "connected", {get: () => comm.connected})
    return window.PyViz.comms[target] = newest
  }
})()
"""
"""A busy kernel hears only of what has a thread of its own there, and JupyterLab asks for that at the first try."""

FONT = """
document.fonts.add(new FontFace("Material Icons", "url(data:font/woff2;base64,%s)"));
"""
ICON = {
    "fontFamily": "Material Icons",
    "fontWeight": "normal",
    "fontStyle": "normal",
    "lineHeight": 1,
    "letterSpacing": "normal",
    "textTransform": "none",
    "whiteSpace": "nowrap",
    "direction": "ltr",
    "fontFeatureSettings": '"liga"',
}
"""What the widgets' own style sheet says of icons; of the rest of it they need nothing."""

IMPORTED = "export default (await window.descentLabWidgets).default"
"""Instead of the code of all widgets, 1.4 MB, in every one of them."""


class Live(Protocol):
    """What is shown in a cell and follows something."""

    def catch_up(self) -> None:
        """Draw what is new, if anything is."""

    def leave(self) -> None:
        """Hear that the cell does not show it any more."""


class Kernel:
    """The kernel of a notebook: what its cells show, and how that is kept up to date.

    Whatever draws holds the `lock`, and so do messages from the page: they may come in a thread of their own.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._outputs: dict[str, Output] = {}
        self._scripts: list[dict[str, str]] = []
        self._cell: str | None = None
        self._ticking = False
        self._next = 0.0
        self.lock = threading.RLock()

    def load(self) -> None:
        """Put into the output of this cell all that pages need."""
        from IPython.utils.capture import capture_output

        with capture_output():
            pn.extension(inline=True)
            hv.extension("bokeh", logo=False, inline=True)
        JupyterCommManagerBinary.client_comm = self._locked(JupyterCommManagerBinary.client_comm)
        MaterialComponent._render_esm = classmethod(lambda cls, compiled=True, server=False: IMPORTED)
        with capture_output() as told:
            load_notebook(inline=True)
        widgets = WIDGETS % json.dumps(BUNDLE_PATH.read_text(encoding="utf-8")) + FONT % _font() + INSISTENT
        self._scripts = [_guarded(output.data) for output in told.outputs]
        self._scripts.append({SCRIPT: widgets, LOADED: widgets})
        self._cell = self._shell.get_parent().get("metadata", {}).get("cellId")
        self._publish()
        self._shell.events.register("pre_run_cell", self._begin_cell)

    def show(self, root: Model, live: Live, leads: bool) -> None:
        """Keep something up to date in the output of a cell, and in no other, as long as it is there."""
        ref = root.ref["id"]
        with self.lock:
            for other in self._outputs.values():
                other.give_up(live)
            self._outputs.setdefault(ref, Output(ref)).add(live, leads)
        if not self._ticking:
            self._ticking = True
            self._shell.kernel.io_loop.add_callback(self._tick)

    def beat(self) -> None:
        """Bring everything up to date, if it is time; for a busy main thread, and no other."""
        if time.perf_counter() >= self._next and threading.current_thread() is threading.main_thread():
            self._catch_up()

    def interrupted(self, advance: Callable[..., int]) -> Callable[..., int]:
        """A store's `advance`, which brings everything up to date on the way."""

        @wraps(advance)
        def advance_and_show(epochs: int = 1, enough: Callable[[], bool] = lambda: False) -> int:
            def look() -> bool:
                self.beat()
                return enough()

            done = advance(epochs, look)
            self.beat()
            return done

        return advance_and_show

    def _tick(self) -> None:
        self._catch_up()
        with self.lock:
            self._ticking = bool(self._outputs)
        if self._ticking:
            self._shell.kernel.io_loop.call_later(PERIOD, self._tick)

    def _catch_up(self) -> None:
        began = time.perf_counter()
        with self.lock:
            self._outputs = {ref: output for ref, output in self._outputs.items() if output.catch_up()}
        ended = time.perf_counter()
        self._next = ended + max(PERIOD, (ended - began) / SHARE)

    def _locked(self, comm: type[Comm]) -> type[Comm]:
        """The kind of comm whose messages wait while something is drawn."""
        kernel = self

        class LockedComm(comm):
            def _handle_msg(self, msg: Any) -> None:
                with kernel.lock:
                    super()._handle_msg(msg)

        return LockedComm

    def _begin_cell(self, about: Any) -> None:
        if self._cell is not None and getattr(about, "cell_id", None) == self._cell:
            self._publish()

    def _publish(self) -> None:
        for scripts in self._scripts:
            self._shell.display_pub.publish(scripts)


class Output:
    """What one cell shows, from the time that it is made until the page has done away with it."""

    def __init__(self, ref: str) -> None:
        self._ref = ref
        self._lives: list[Live] = []
        self._led = self._seen = False

    def add(self, live: Live, leads: bool) -> None:
        """Have something in it kept up to date; once is enough."""
        if leads:
            self._lives, self._led = [live], True
        elif not self._led and live not in self._lives:
            self._lives.append(live)

    def give_up(self, live: Live) -> None:
        """Have it kept up to date elsewhere."""
        self._lives = [other for other in self._lives if other is not live]

    def catch_up(self) -> bool:
        """Draw what is new and send it; whether there will be a next time."""
        if self._ref not in state._views:
            return self._leave() if self._seen else True
        self._seen = True
        _, _, document, comm = state._views[self._ref]
        if comm is None or comm._comm is None:
            return comm is not None
        try:
            with block_comm():
                for live in self._lives:
                    live.catch_up()
            push(document, comm)
        except Exception:
            log.exception("what a cell shows is not kept up to date any more, because of an error")
            return self._leave()
        return True

    def _leave(self) -> bool:
        for live in self._lives:
            live.leave()
        return False


class Alone:
    """A picture in a cell that no page leads: it follows its run, and has its heavy work done, by itself."""

    def __init__(self, instrument: Any) -> None:
        self._instrument = instrument
        self._version = -1
        self._chore = Chore(iter(()))

    def catch_up(self) -> None:
        """Draw what is new in the run."""
        instrument, version = self._instrument, self._instrument.run.version
        if version != self._version:
            self._version, frame = version, instrument.run.frame()
            if not instrument.suits(frame):
                instrument.caption = f"Nothing to show: {instrument.missing}"
                return
            instrument.draw(frame)
        if not self._chore.busy:
            work = instrument.work(instrument.run.frame())
            self._chore = Chore(work) if work else self._chore

    def leave(self) -> None:
        """Leave its work undone."""
        self._chore.drop()


class Picture(pn.pane.Bokeh):
    """A figure of an instrument, which is kept up to date wherever a notebook shows it."""

    priority = -1
    """For no other figure."""

    def __init__(self, instrument: Any, **params: Any) -> None:
        super().__init__(**params)
        self._instrument = instrument
        self._alone: Alone | None = None

    def _get_model(
        self, doc: Document, root: Model | None = None, parent: Model | None = None, comm: Comm | None = None
    ) -> Model:
        model = super()._get_model(doc, root, parent, comm)
        if comm is not None:
            self._alone = self._alone or Alone(self._instrument)
            show(root or model, self._alone)
            attend(self._instrument.run)
        return model


KERNEL: Kernel | None = None


def load() -> None:
    """Have HoloViews draw with Bokeh; in a notebook, bring along all that its pages need."""
    global KERNEL
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if getattr(shell, "kernel", None) is None:
        hv.extension("bokeh", logo=False)
    elif KERNEL is None:
        KERNEL = Kernel(shell)
        KERNEL.load()


def show(root: Model, live: Live, leads: bool = False) -> None:
    """Keep something up to date from now on, as long as the output of a cell shows it.

    root    of that output
    leads   whether it keeps all else in the output up to date itself
    """
    if KERNEL:
        KERNEL.show(root, live, leads)


def attend(store: Store) -> None:
    """Have a store draw on the way when it is advanced in a cell: nothing else does while the kernel is busy."""
    if KERNEL and "advance" not in vars(store):
        store.advance = KERNEL.interrupted(store.advance)


def _font() -> str:
    """The widgets' icons, as text."""
    folder = BUNDLE_PATH.parent
    (name,) = re.findall(r"material-icons-(?!outlined)\w+\.woff2", (folder / "material-icons.css").read_text())
    return b64encode((folder / name).read_bytes()).decode()


def themed(theme: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A theme of widgets for light and dark, with the icons that a notebook's page does not know."""
    icon = {"MuiIcon": {"styleOverrides": {"root": ICON}}}
    return {mode: {**look, "components": {**look.get("components", {}), **icon}} for mode, look in theme.items()}


def _guarded(data: dict[str, str]) -> dict[str, str]:
    """The scripts of an output, run only where they are needed."""
    return {kind: ONCE % text if kind in (SCRIPT, LOADED) and "Bokeh" in text else text for kind, text in data.items()}
