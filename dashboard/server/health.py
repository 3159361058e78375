"""Says at `/health` that the server answers, and how much it has to do: numbers alone, no names."""

import json
import time

import psutil
from bokeh.server.urls import toplevel_patterns
from tornado.web import RequestHandler

from dashboard.state.followed import SharedRun

PATH = "/health"
_BEGAN = time.monotonic()


class Health(RequestHandler):
    """Answers without a password, for whatever watches over the server; a proxy keeps it from the outside."""

    def get(self) -> None:
        """Write what the server has to do as JSON."""
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(self.load()))

    def load(self) -> dict[str, object]:
        """Sessions, who looks at them, shared runs and memory."""
        sessions = [one for path in self.application.app_paths for one in self.application.get_sessions(path)]
        shared = SharedRun.everything()
        return {
            "status": "ok",
            "seconds": round(time.monotonic() - _BEGAN),
            "sessions": len(sessions),
            "connections": sum(one.connection_count for one in sessions),
            "shared_runs": len(shared),
            "followers": sum(one.following for one in shared),
            "memory_mib": round(psutil.Process().memory_info().rss / 2**20),
            "threads": psutil.Process().num_threads(),
        }


def install() -> None:
    """Have servers answer there that are made from now on."""
    if (PATH, Health) not in toplevel_patterns:
        toplevel_patterns.append((PATH, Health))
