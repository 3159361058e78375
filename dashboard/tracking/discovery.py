"""Discovery lets the programs of a user find the laboratories that this user serves on the same machine."""

import atexit
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dashboard.storage.home import home
from dashboard.tracking.run_log import born, is_running
from engine import atomic_write


def announce(address: str) -> None:
    """Make this process known as a laboratory served at an address, until it ends. Errors are ignored.

    Args:
        address: The URL without a query, such as http://localhost:5006/dashboard.
    """
    path = home() / "live" / "servers" / f"{os.getpid()}.json"
    record = {"address": address, "pid": os.getpid(), "born": born(), "host": socket.gethostname()}
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write.write(path, json.dumps(record).encode())
        atexit.register(_withdraw, path, os.getpid())


def addresses() -> list[str]:
    """The addresses of all laboratories served on this machine right now, newest first."""
    found = []
    with suppress(OSError):
        paths = sorted((home() / "live" / "servers").glob("*.json"), key=lambda path: -path.stat().st_mtime)
        for path in paths:
            record = _read(path)
            if record and _is_here(record):
                found.append(record["address"])
            elif record is None or record["host"] == socket.gethostname():
                path.unlink(missing_ok=True)
    return found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_bytes()[:10_000])
        parts = urlsplit(record["address"])
        fits = parts.scheme in ("http", "https") and parts.netloc and type(record["pid"]) is int and record["pid"] > 0
        return record if fits and isinstance(record["host"], str) and isinstance(record["born"], str) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_here(record: dict[str, Any]) -> bool:
    if record["host"] != socket.gethostname():
        return False
    return is_running(record["pid"], record["born"])


def _withdraw(path: Path, pid: int) -> None:
    if os.getpid() == pid:
        with suppress(OSError):
            path.unlink(missing_ok=True)
