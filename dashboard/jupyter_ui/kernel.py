"""Keeps what the cells of a Jupyter notebook show up to date.

What the notebook keeps of an output is an image of it, drawn here, with the state in words. A page that has the kernel
requests the live page, and gets it past the notebook, with the scripts that it needs, once. From then on a tick on the
kernel's loop has everything shown draw what is new, and sends it as one message; while the kernel is busy with a loop
of its user's, whatever trains in that loop lends a hand (`attend`). When what is shown stands still, or has ended, the
image is drawn anew.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from importlib import import_module
from itertools import groupby
from operator import itemgetter
from secrets import token_hex
from typing import Any

import holoviews as hv
import panel as pn
from bokeh.model import Model
from panel.io import block_comm
from panel.io.notebook import Comm, load_notebook, push, render_model
from panel.io.state import state

from dashboard.jupyter_ui import page_assets, still_page
from dashboard.server import patches
from dashboard.server.host import Live
from dashboard.server.inbound import drop_echoes
from dashboard.state.store import Shown, Trainable
from dashboard.widgets.plain_text import phrase

log = logging.getLogger(__name__)

PERIOD = 0.1
"""Seconds between two frames, at least."""

SHARE = 0.25
"""Of the time that a busy kernel may spend on frames."""

LONGEST = 1.0
"""Seconds without a frame that a busy kernel may make up for a slow one with."""

CALM = 1.0
"""Seconds for which something has to stand still before its image is drawn anew."""

REQUEST_TARGET = "descent-lab"
"""The comm by which a page requests what is live."""


class Kernel:
    """The kernel of a notebook: what its cells show, and how that is kept up to date.

    Whatever draws holds the `lock`, and so do messages from the page: they may come in a thread of their own.
    """

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self._outputs: dict[str, Output] = {}
        self._scripts: list[str] = []
        self._refs: dict[str, str] = {}
        self._lines: dict[str, Any] = {}
        self._ticking = False
        self._next = 0.0
        self.lock = threading.RLock()

    def load(self, shown: Callable[[Any], Any]) -> None:
        """Have the cells show what is live.

        shown: what is shown for a thing at the end of a cell; None for any other.
        """
        caught = import_module("IPython.utils.capture").capture_output
        patches.install()
        patches.install(patches.notebook(self._locked, page_assets.imported, page_assets.with_styles))
        with caught():
            pn.extension(inline=True, console_output="disable")  # it would be an empty output of every cell
            hv.extension("bokeh", logo=False, inline=True)
        with caught() as captured:
            load_notebook(inline=True)
        self._scripts = page_assets.scripts([output.data for output in captured.outputs])
        self.shell.kernel.comm_manager.register_target(REQUEST_TARGET, self._answer)
        self.shell.display_formatter.ipython_display_formatter = _formatter(self, shown)
        self.shell.events.register("post_run_cell", lambda _: self.draw_stills())

    def display(self, thing: Any) -> None:
        """Show something below the cell that runs, as an image that a page with the kernel makes live."""
        data, about = thing._repr_mimebundle_()
        ref = about.get(page_assets.EXECUTED, {}).get("id")
        if ref is None:
            self.shell.display_pub.publish(data, about)
            return
        key = f"descent-lab-{token_hex(8)}"
        self._refs[key] = ref
        output = self._outputs.get(ref, Output(ref))
        output.keep(key, self._put_out)

    def drop_echoes(self, message: dict[str, Any]) -> None:
        """Drop what a page has mixed up of what the laboratory shows; the next tick sends it once more."""
        events = message.get("content", {}).get("events", [])
        for document in [state._views[ref][2] for ref in self._outputs if ref in state._views]:
            for change in drop_echoes(document, events):
                document.callbacks.trigger_on_change(change)

    def draw_stills(self) -> None:
        """Draw the images anew of all that has changed since they were drawn."""
        with self.lock:
            for output in self._outputs.values():
                output.draw_still()

    def _put_out(self, key: str, still: str, update: bool) -> None:
        """Put out the image of an output, or another one in its place."""
        data = page_assets.kept(key, self._refs[key], still)
        about = {page_assets.EXECUTED: {"id": key}}
        self.shell.display_pub.publish(data, about, transient={"display_id": key}, update=update)

    def _answer(self, line: Any, message: Mapping[str, Any]) -> None:
        """Give a page what is live in an output, as it is now."""
        if line.comm_id in self._lines:
            line._closed = True  # the page, which knows one line of this name, is to be told once when it ends
            return  # a page requests until it is answered; what has happened since then is sent, not in another answer
        self._lines[line.comm_id] = line  # what is dropped is closed, on the page too
        request = message["content"]["data"]
        key = str(request.get("key"))
        with self.lock:
            view = state._views.get(self._refs.get(key, ""))
            html = None
            if view is not None:
                _, root, document, comm = view
                document.callbacks._held_events = []  # what they say is in the page that is sent
                html = render_model(root, comm)[0]["text/html"]
        answer = page_assets.packed(html, self._scripts if request.get("scripts") else None)
        create_comm = import_module("comm").create_comm
        create_comm(target_name=key, data={}, buffers=[answer])

    def show(self, root: Model, live: Live, leads: bool) -> None:
        """Keep something up to date in the output of a cell, and in no other, as long as it is there."""
        ref = root.ref["id"]
        with self.lock:
            for other in self._outputs.values():
                other.give_up(live)
            self._outputs.setdefault(ref, Output(ref)).add(live, leads)
        if not self._ticking:
            self._ticking = True
            self.shell.kernel.io_loop.add_callback(self._tick)

    def beat(self) -> None:
        """Bring everything up to date, if it is time; for a busy main thread, and no other.

        It waits for nobody: a message from the page may be waiting for what the caller does.
        """
        due = time.perf_counter() >= self._next and threading.current_thread() is threading.main_thread()
        if due and self.lock.acquire(blocking=False):
            try:
                self._catch_up()
            finally:
                self.lock.release()

    def interrupted(self, store: Trainable) -> Callable[..., int]:
        """A store's `advance`, which brings everything up to date between two blocks, where it holds no lock."""
        advance = store.advance

        @wraps(advance)
        def advance_and_show(epochs: int = 1, enough: Callable[[], bool] = lambda: False) -> int:
            done, wanted = 0, min(epochs, store.block)
            while wanted and (trained := advance(wanted, enough)):
                self.beat()
                done += trained
                wanted = min(epochs - done, store.block) if trained == wanted and not enough() else 0
            return done

        return advance_and_show

    def _tick(self) -> None:
        self._catch_up()
        with self.lock:
            for output in self._outputs.values():
                output.draw_still_when_calm()
        with self.lock:
            self._ticking = bool(self._outputs)
        if self._ticking:
            self.shell.kernel.io_loop.call_later(PERIOD, self._tick)

    def _catch_up(self) -> None:
        with self.lock:
            began = time.perf_counter()
            for ref, output in list(self._outputs.items()):
                if not output.catch_up():
                    del self._outputs[ref]
            ended = time.perf_counter()
        self._next = ended + min(max(PERIOD, (ended - began) / SHARE), LONGEST)

    def _locked(self, comm: type[Comm]) -> type[Comm]:
        """The kind of comm whose messages wait while something is drawn."""
        kernel = self

        class LockedComm(comm):
            def _handle_msg(self, msg: Any) -> None:
                message = self.decode(msg)
                comm_id = message.pop("comm_id", None)
                reply = {"msg_type": "Ready", "content": ""}
                with kernel.lock:  # and nobody's output is caught meanwhile, as the original does: it may be a cell's
                    try:
                        kernel.drop_echoes(message)
                        for part in _parts(message):
                            self._on_msg(part)
                    except Exception as error:
                        log.exception("a message from the page could not be followed")
                        reply = {"msg_type": "Error", "traceback": str(error)}
                self.send(metadata=reply | ({"comm_id": comm_id} if comm_id else {}))

            def _handle_open(self, comm: Any, msg: Any) -> None:
                if self._comm is None or self._comm.comm_id != comm.comm_id:
                    super()._handle_open(comm, msg)
                else:
                    self._comm._closed = True  # the same line once more: when it ends the page is to be told once
                    self._comm = comm
                    comm.on_msg(self._handle_msg)

        return LockedComm


def _parts(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A message of a page as several, of one event each; of changes of one thing that follow one another, the last.

    Of several events in one message Panel would receive the first, and send the changes after it back as if they were
    its own.
    """
    content = message.get("content")
    if content is None:  # it says that an output is gone
        yield message
        return
    for kind, events in groupby(content["events"], key=itemgetter("kind")):
        changes = {(event["model"]["id"], event["attr"]): event for event in events} if kind == "ModelChanged" else {}
        for event in changes.values() or events:
            yield {**message, "content": {**content, "events": [event]}}


class Output:
    """What one cell shows, from the time that it is made until the page has done away with it."""

    def __init__(self, ref: str) -> None:
        self._ref = ref
        self._lives: list[Live] = []
        self._led = self._seen = False
        self._put_out: Callable[[str, bool], None] = lambda still, update: None
        self._drawn: object = None
        self._mark, self._since = object(), 0.0

    def add(self, live: Live, leads: bool) -> None:
        """Have something in it kept up to date; once is enough."""
        if leads:
            self._lives, self._led = [live], True
        elif not self._led and live not in self._lives:
            self._lives.append(live)

    def give_up(self, live: Live) -> None:
        """Have it kept up to date elsewhere."""
        self._lives = [other for other in self._lives if other is not live]

    def keep(self, key: str, put_out: Callable[[str, str, bool], None]) -> None:
        """Put out an image of it, and the newest one whenever it is drawn."""
        self._put_out = partial(put_out, key)
        self._put_out(self._still(), False)

    def draw_still(self) -> None:
        """Draw the image anew, unless it shows what is to be seen."""
        try:  # a training that closes its log in a cell must not fail by what is shown of it
            self._poll()
        except Exception:
            log.exception("what a cell shows could not be looked at")
        if self._marks != self._drawn:
            self._put_out(self._still(), True)

    def _poll(self) -> None:
        """Look at what others have changed."""
        for live in self._lives:
            live.poll()

    @property
    def _marks(self) -> list[object]:
        return [live.mark for live in self._lives]

    def _still(self) -> str:
        try:
            with block_comm():  # what is drawn for it is sent with the next frame, once the page listens
                still = phrase(*(still_page.of(*live.settle()) for live in self._lives), between="")
        except Exception:
            log.exception("an image for the notebook could not be drawn")
            still = ""
        self._drawn = self._marks
        return still

    def draw_still_when_calm(self) -> None:
        """Draw the image anew once what is to be seen has stood still for a while."""
        marks, now = self._marks, time.perf_counter()
        if marks != self._mark:
            self._mark, self._since = marks, now
        elif now - self._since > CALM:
            self.draw_still()

    def catch_up(self) -> bool:
        """Draw what is new and send it; whether there will be a next time."""
        view = state._views.get(self._ref)
        if view is None:
            return self._leave() if self._seen else True
        self._seen = True
        _, _, document, comm = view
        try:
            self._poll()
            if comm._comm is None:
                return True
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


KERNEL: Kernel | None = None


def shell() -> Any:
    """The shell of IPython that has a kernel; None in any other program."""
    found = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return found if getattr(found, "kernel", None) else None


def load(shown: Callable[[Any], Any]) -> None:
    """Have the cells of the notebook show what is live.

    shown: what is shown for a thing at the end of a cell; None for any that shows itself.
    """
    global KERNEL
    if KERNEL is None:
        KERNEL = Kernel(shell())
        KERNEL.load(shown)


def _formatter(kernel: Kernel, shown: Callable[[Any], Any]) -> Any:
    """IPython's formatter of things that display themselves, which our things do by an image."""
    usual = import_module("IPython.core.formatters").IPythonDisplayFormatter

    class Formatter(usual):
        def __call__(self, thing: Any) -> Any:
            found = shown(thing)
            if found is None:
                return super().__call__(thing)
            kernel.display(found)
            return True

    return Formatter(parent=kernel.shell.display_formatter)


def show(root: Model, live: Live, leads: bool = False) -> None:
    """Keep something up to date from now on, as long as the output of a cell shows it.

    root    of that output
    leads   whether it keeps all else in the output up to date itself
    """
    if KERNEL:
        KERNEL.show(root, live, leads)


def beat() -> None:
    """Bring what cells show up to date, if it is time: called again and again by a loop that keeps the kernel busy."""
    if KERNEL:
        KERNEL.beat()


def attend(store: Shown) -> None:
    """Have a store draw on the way when it is advanced in a cell: nothing else does while the kernel is busy."""
    if KERNEL and isinstance(store, Trainable) and "advance" not in vars(store):
        store.advance = KERNEL.interrupted(store)


def draw_stills() -> None:
    """Draw the images anew that a notebook keeps of what has changed."""
    if KERNEL:
        KERNEL.draw_stills()
