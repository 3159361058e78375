"""Serves the laboratory by Panel's own command, from whatever folder it is called in."""

import argparse
import os
import secrets
import sys
from pathlib import Path

from dashboard.storage.home import home

FOLDER = Path(__file__).parents[1]


def run(wanted: argparse.Namespace) -> int:
    """Serve until the process is ended.

    Raises:
        ValueError: If an option is not possible.
        OSError: If the laboratory's folder cannot be made.
    """
    from panel.command import main

    home().mkdir(parents=True, exist_ok=True)
    sys.argv = ["panel", *arguments(wanted)]  # Panel's command reads them there, whatever it is given
    main()
    return 0


def arguments(wanted: argparse.Namespace) -> list[str]:
    """The arguments of `panel serve`.

    Raises:
        ValueError: If the port or the prefix is none.
    """
    if not 0 <= wanted.port < 65536:
        raise ValueError(f"{wanted.port} is no port; choose one from 0 to 65535")
    found = ["serve", str(FOLDER), "--port", str(wanted.port)]
    if wanted.address:
        found += ["--address", wanted.address]
    if prefix := wanted.prefix.strip("/"):
        if any(part in ("", ".", "..") for part in prefix.split("/")):
            raise ValueError(f"{wanted.prefix!r} is no path; give one such as /lab")
        found += ["--prefix", f"/{prefix}", "--use-xheaders"]
    for origin in wanted.origin:
        found += ["--allow-websocket-origin", origin]
    if password := wanted.password or os.environ.get("DESCENT_LAB_PASSWORD", ""):
        secret = os.environ.get("PANEL_COOKIE_SECRET") or secrets.token_urlsafe(32)
        found += ["--basic-auth", password, "--cookie-secret", secret]
    if wanted.show:
        found.append("--show")
    sys.stderr.write(f"Descent Lab: runs and notes are kept in {home()}\n")
    return found
