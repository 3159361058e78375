"""Serves the dashboard, and beside it counts what its sessions hold: run with a port, ask /count."""

import gc
import sys
import threading
from pathlib import Path

import panel as pn
from bokeh.document import Document
from bokeh.server.callbacks import SessionCallback
from tornado.web import RequestHandler

from dashboard.app import App
from dashboard.clock import CONDUCTOR, Clock
from dashboard.run import Run

MAIN = Path(__file__).parents[2] / "dashboard" / "main.py"
KINDS = (Document, SessionCallback, App, Clock, Run)


class Count(RequestHandler):
    """How many live objects of each kind there are, threads of the conductor, and players it has."""

    def get(self) -> None:
        gc.collect()
        live = [type(thing) for thing in gc.get_objects()]
        counts = {kind.__name__: sum(issubclass(one, kind) for one in live) for kind in KINDS}
        threads = sum(thread.name == "conductor" for thread in threading.enumerate())
        self.write(counts | {"conductor threads": threads, "players": CONDUCTOR.players})


if __name__ == "__main__":
    pn.serve(
        {"dashboard": MAIN},
        port=int(sys.argv[1]),
        show=False,
        extra_patterns=[("/count", Count)],
        unused_session_lifetime_milliseconds=1000,
        check_unused_sessions_milliseconds=500,
    )
