"""Serves the dashboard, and beside it counts what its sessions hold: run with a port, ask /count."""

import gc
import sys
import threading
from functools import wraps
from pathlib import Path
from weakref import WeakSet

import panel as pn
from bokeh.document import Document
from bokeh.server.callbacks import SessionCallback
from tornado.web import RequestHandler

from dashboard.server import patches
from dashboard.shell.app import App
from dashboard.state.clock import SCHEDULER, Clock
from dashboard.state.run import Run

MAIN = Path(__file__).parents[2] / "dashboard" / "main.py"
KINDS = (Document, SessionCallback, App, Clock, Run)


LIVE: dict[type, WeakSet] = {kind: WeakSet() for kind in KINDS}


def note(kind: type) -> None:
    """Have every object of that kind noted down as long as it lives."""
    begin = kind.__init__

    @wraps(begin)
    def begin_and_note(thing: object, *args: object, **kwargs: object) -> None:
        begin(thing, *args, **kwargs)
        LIVE[kind].add(thing)

    kind.__init__ = begin_and_note


class Count(RequestHandler):
    """How many live objects of each kind there are, threads of the scheduler, and tasks it has."""

    def get(self) -> None:
        gc.collect()
        counts = {kind.__name__: len(things) for kind, things in LIVE.items()}
        threads = sum(thread.name == "scheduler" for thread in threading.enumerate())
        self.write(counts | {"scheduler threads": threads, "tasks": SCHEDULER.tasks})


if __name__ == "__main__":
    patches.install()
    for kind in KINDS:
        note(kind)
    pn.serve(
        {"dashboard": MAIN},
        port=int(sys.argv[1]),
        show=False,
        extra_patterns=[("/count", Count)],
        unused_session_lifetime_milliseconds=1000,
        check_unused_sessions_milliseconds=500,
    )
