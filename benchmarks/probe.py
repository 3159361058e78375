"""What the served laboratory spends its time on, measured from inside its process.

A plugin of `panel serve dashboard --plugins benchmarks.probe`: importing it wraps the calls that make a frame, and its
routes tell what was measured. Nothing in the dashboard knows of it.
"""

import ctypes
import functools
import gc
import json
import os
import sys
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import panel as pn
from bokeh.document import Document
from bokeh.protocol.message import Message
from bokeh.server.session import ServerSession
from bokeh.server.views.ws import WSHandler
from tornado.ioloop import PeriodicCallback
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from dashboard.instruments.instrument import Instrument
from dashboard.pages import PAGES
from dashboard.server import outbound
from dashboard.server.work_queue import WorkQueue
from dashboard.shell.app import App
from dashboard.shell.frame_loop import FrameLoop
from dashboard.shell.workspace import Workspace
from dashboard.widgets.playback_bar import PlaybackBar


class Spans:
    """Milliseconds by name, in this thread's work and by the clock; what is nested counts in both."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.work: dict[str, float] = defaultdict(float)
        self.messages = self.fragments = self.bytes = 0

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        wall, work = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            self.wall[name] += 1e3 * (time.perf_counter() - wall)
            self.work[name] += 1e3 * (time.thread_time() - work)

    def row(self) -> dict[str, Any]:
        return {
            "wall": dict(self.wall),
            "work": dict(self.work),
            "messages": self.messages,
            "fragments": self.fragments,
            "bytes": self.bytes,
        }


FRAMES: list[Spans] = []
RECEIVED: list[Spans] = []
OPENED: list[float] = []
APPS: "weakref.WeakSet[App]" = weakref.WeakSet()
CURRENT: ContextVar[Spans | None] = ContextVar("frame", default=None)


def time_calls(owner: type, name: str, label: str) -> None:
    """Count a method's time in the frame that is being drawn."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def timed(*arguments: Any, **named: Any) -> Any:
        spans = CURRENT.get()
        if spans is None:
            return method(*arguments, **named)
        with spans.measure(label):
            return method(*arguments, **named)

    setattr(owner, name, timed)


def watch_frames() -> None:
    """Keep the spans of every tick of an app that sent something."""
    tick, initialize = FrameLoop._tick, App.__init__

    async def timed(loop: FrameLoop, *turn: int) -> None:
        spans = Spans()
        token = CURRENT.set(spans)
        try:
            with spans.measure("frame"):
                await tick(loop, *turn)
        finally:
            CURRENT.reset(token)
        if spans.messages:
            FRAMES.append(spans)

    def known(app: App, *arguments: Any, **named: Any) -> None:
        began = time.perf_counter()
        initialize(app, *arguments, **named)
        OPENED.append(1e3 * (time.perf_counter() - began))
        APPS.add(app)

    FrameLoop._tick, App.__init__ = timed, known


def watch_messages() -> None:
    """Count what a frame serializes and writes, and time what is received from browsers."""
    pack, encode = outbound.packed, Message.content_json.fget
    write, hear = WebSocketHandler.write_message, WSHandler.on_message

    def packed(*arguments: Any) -> Message:
        spans = CURRENT.get()
        if spans is None:
            return pack(*arguments)
        spans.messages += 1
        with spans.measure("Bokeh serialization"):
            return pack(*arguments)

    def encoded(message: Message) -> str:
        spans = CURRENT.get()
        if spans is None:
            return encode(message)
        with spans.measure("JSON encoding"):
            return encode(message)

    def written(handler: WebSocketHandler, part: str | bytes, binary: bool = False) -> Any:
        spans = CURRENT.get()
        if spans is None:
            return write(handler, part, binary)
        spans.fragments += 1
        spans.bytes += len(part)
        with spans.measure("writing to the websocket"):
            return write(handler, part, binary)

    async def received(handler: WSHandler, fragment: str | bytes) -> None:
        spans = Spans()
        with spans.measure("heard"):
            await hear(handler, fragment)
        RECEIVED.append(spans)

    outbound.packed, Message.content_json = packed, property(encoded)
    WebSocketHandler.write_message, WSHandler.on_message = written, received


def subclasses(kind: type) -> Iterator[type]:
    """All classes that inherit from one."""
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def watch_drawing() -> None:
    """Time the parts of a drawing: every instrument, the numbers, the link."""
    for kind in subclasses(Instrument):
        time_calls(kind, "draw", kind.__name__)
        time_calls(kind, "columns", f"{kind.__name__}, its columns")
    time_calls(App, "draw", "drawing")
    time_calls(Workspace, "write_link", "the link")
    time_calls(App, "_report", "the notice")
    time_calls(PlaybackBar, "draw", "the numbers")
    time_calls(Instrument, "_declare", "pictures declared anew")
    time_calls(WorkQueue, "go_on", "finding heavy work")
    for page in PAGES.values():
        time_calls(page, "draw", "the page")


def census() -> dict[str, float]:
    """What is alive in this process, after everything unreachable has been let go."""
    for _ in range(3):
        gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    objects = gc.get_objects()

    def alive(kind: type) -> int:
        return sum(issubclass(type(one), kind) for one in objects)

    return {
        "resident KiB": _resident(),
        "blocks": sys.getallocatedblocks(),
        "objects": len(objects),
        "documents": alive(Document),
        "sessions": alive(ServerSession),
        "apps": alive(App),
        "timers": sum(isinstance(one, PeriodicCallback) and one.is_running() for one in objects if type(one)),
        "threads": threading.active_count(),
    }


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


class Answer(RequestHandler):
    """Tells as JSON what has been measured since it was last asked."""

    def initialize(self, **_: Any) -> None: ...

    def get(self, what: str) -> None:
        if what == "frames":
            self.write(json.dumps({"frames": [f.row() for f in FRAMES], "heard": [h.row() for h in RECEIVED]}))
            FRAMES.clear()
            RECEIVED.clear()
        elif what == "runs":
            now = time.perf_counter()
            rows = [[app.run.history[-1].index, app.clock.playing] for app in APPS]
            self.write(json.dumps({"time": now, "runs": rows, "opened": list(OPENED)}))
        elif what == "census":
            self.write(json.dumps(census()))


watch_drawing()
watch_frames()
watch_messages()
pn.config.session_history = 0
ROUTES = [(r"/probe/(\w+)", Answer, {})]
