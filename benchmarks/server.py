"""The laboratory, served by a process of its own, with the probe inside."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 60


class Server:
    """`panel serve dashboard` on a free port, as long as the `with` block lasts.

    lifetime: seconds after which a session that nobody looks at is discarded.
    Raises RuntimeError with the end of its log where it does not come up.
    """

    def __init__(self, lifetime: float = 15) -> None:
        self.port = _free_port()
        self.address = f"localhost:{self.port}"
        self.url = f"http://{self.address}/dashboard"
        self._lifetime = round(1000 * lifetime)
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115

    def __enter__(self) -> "Server":
        command = [sys.executable, "-m", "panel", "serve", "dashboard", "--plugins", "benchmarks.probe"]
        options = ["--port", str(self.port), "--unused-session-lifetime", str(self._lifetime)]
        self._process = subprocess.Popen(
            [*command, *options, "--check-unused-sessions", "500"],
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "BOKEH_LOG_LEVEL": "warn"},
        )
        until = time.monotonic() + TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self._process.kill()
                raise RuntimeError(f"the server did not come up:\n{self.log()[-3000:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        troubles = self.log().count("Traceback")
        if troubles:
            print(f"the server's log holds {troubles} tracebacks; the last:\n{self.log()[-1500:]}", file=sys.stderr)
        self._log.close()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def ask(self, what: str) -> Any:
        """What the probe knows: `frames`, `runs` or `census`."""
        with urlopen(f"http://{self.address}/probe/{what}", timeout=TIMEOUT_S) as answer:
            return json.loads(answer.read())

    def log(self) -> str:
        """All that the server has said."""
        self._log.seek(0)
        return self._log.read()

    def _answers(self) -> bool:
        try:
            self.ask("runs")
        except (URLError, ConnectionError):
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]
