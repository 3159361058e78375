"""The viewer serves a laboratory for one training, from a process of its own: `python -m dashboard.shell.viewer`.

It opens the browser when it is ready, and ends some time after the training when nobody watches any more.
"""

import argparse
import signal
import threading
import time
import webbrowser
from pathlib import Path
from typing import Any

import panel as pn

from dashboard.server import patches
from dashboard.tracking import discovery
from dashboard.tracking.run_log import is_running

LINGER = 120.0
"""Seconds without any viewers, after the training has ended, until the server ends."""

POLL_INTERVAL_S = 5.0


def main() -> None:
    """Serve until nobody needs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--open", default="", help="the query of the page to open in a browser")
    parser.add_argument("--of", type=int, default=0, help="the process whose training is watched")
    parser.add_argument("--born", default="", help="what tells that process from a later one with its number")
    wanted = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the training's Ctrl-C is not for the one who watches it
    address = f"http://localhost:{wanted.port}/dashboard"
    patches.install()
    server = pn.serve(
        {"dashboard": str(Path(__file__).parents[1] / "main.py")},
        port=wanted.port,
        address="localhost",
        websocket_origin=[f"localhost:{wanted.port}", f"127.0.0.1:{wanted.port}"],
        show=False,
        start=False,
        title="Descent Lab",
    )
    server.start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    discovery.announce(address)
    if wanted.open:
        threading.Thread(target=webbrowser.open, args=(address + wanted.open,), daemon=True).start()
    watchdog = Watchdog(server, wanted.of, wanted.born)
    server.io_loop.call_later(POLL_INTERVAL_S, watchdog.look)
    server.io_loop.start()


class Watchdog:
    """Ends a server that nobody needs any more."""

    def __init__(self, server: Any, pid: int, birth: str) -> None:
        self._server, self._pid, self._birth = server, pid, birth
        self._needed = time.monotonic()

    def look(self) -> None:
        """See whether anybody looks or trains, and end it if nobody has for a while."""
        training = self._pid and is_running(self._pid, self._birth)
        looking = any(session.connection_count for session in self._server.get_sessions())
        if training or looking:
            self._needed = time.monotonic()
        if time.monotonic() > self._needed + LINGER:
            self._server.io_loop.stop()
        else:
            self._server.io_loop.call_later(POLL_INTERVAL_S, self.look)


if __name__ == "__main__":
    main()
