"""Many who watch one run: frames per second for each, how late they arrive, and what it costs the server.

    python -m benchmarks.viewers [--viewers 10 50] [--seconds 8]

Real websockets, light clients that answer every frame at once. The same file is the plugin that has the server share a
run: `/shared/start` begins one at 100 epochs a second and answers with its id, `/shared/times` with when epochs were.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
from tornado.web import RequestHandler

from benchmarks.client import Client
from benchmarks.frames import Rows, percentiles, say, table
from benchmarks.server import ROOT, TIMEOUT_S, Server

SPEED = 100
WARM_UP, PATIENT = 8, 120.0
"""Frames that all have had before anything is measured, and the seconds that is waited for them."""

TOGETHER = 5
"""Pages opened at once."""

EPOCH = re.compile(r"<dt>epoch</dt><dd>([\d,]+)<")


class SharingServer(Server):
    """A server with this file as its plugin."""

    def __enter__(self) -> "SharingServer":
        command = [sys.executable, "-m", "panel", "serve", "dashboard", "--plugins", "benchmarks.viewers"]
        lifetime = ["--unused-session-lifetime", str(self._lifetime), "--check-unused-sessions", "500"]
        self._process = subprocess.Popen(
            [*command, "--port", str(self.port), *lifetime],
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "BOKEH_LOG_LEVEL": "warn"},
        )
        until = time.monotonic() + TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the server did not come up:\n{self.log()[-3000:]}")
            time.sleep(0.1)
        return self

    def shared(self, what: str) -> Any:
        """What the plugin answers: `start` or `times`."""
        with urlopen(f"http://{self.address}/shared/{what}", timeout=TIMEOUT_S) as answer:
            return json.loads(answer.read())

    def seconds_worked(self) -> float:
        """Processor seconds that the server has used so far."""
        told = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


async def crowd(server: SharingServer, viewers: int, seconds: float) -> Sequence[object]:
    """So many viewers of one run: what each gets."""
    key = await asyncio.to_thread(server.shared, "start")
    clients: list[Client] = []
    for start in range(0, viewers, TOGETHER):
        count = min(TOGETHER, viewers - start)
        clients += await asyncio.gather(*(Client(server.address, f"?follow={key}").open() for _ in range(count)))
    until = time.monotonic() + PATIENT
    while min(len(one.arrivals) for one in clients) < WARM_UP and time.monotonic() < until:
        await asyncio.sleep(0.2)
    counts, worked, began = [len(one.arrivals) for one in clients], server.seconds_worked(), time.monotonic()
    seen = await asyncio.gather(*(epochs_seen(one, seconds) for one in clients))
    took, worked = time.monotonic() - began, server.seconds_worked() - worked
    rates = [(len(one.arrivals) - before) / took for one, before in zip(clients, counts, strict=True)]
    sizes = [arrival.bytes / 1000 for one in clients for arrival in one.arrivals[-10:]]
    times = {int(epoch): at for epoch, at in (await asyncio.to_thread(server.shared, "times")).items()}
    ages = [1000 * (at - times[epoch]) for one in seen for at, epoch in one if epoch in times]
    await asyncio.gather(*(one.close() for one in clients))
    frames = sum(rates) * took
    return (
        viewers,
        f"{np.median(rates):.1f}",
        f"{min(rates):.1f}",
        *percentiles(ages)[:2],
        f"{np.median(sizes or [np.nan]):.1f}",
        f"{100 * worked / took:.0f} %",
        f"{1000 * worked / max(1, frames):.1f}",
    )


async def epochs_seen(client: Client, seconds: float) -> list[tuple[float, int]]:
    """The epochs that a client is shown meanwhile, with when."""
    seen: list[tuple[float, int]] = []

    def note(content: str) -> bool:
        found = EPOCH.search(content)
        if found:
            seen.append((time.monotonic(), int(found[1].replace(",", ""))))
        return False

    with suppress(TimeoutError):
        await client.answer(note, seconds)
    return seen


def measure(crowds: Sequence[int], seconds: float) -> None:
    """A table with a row for each crowd."""
    rows: Rows = []
    for viewers in crowds:
        say(f"viewers: {viewers}")
        with SharingServer() as server:
            rows.append(asyncio.run(crowd(server, viewers, seconds)))
        say(f"viewers: {rows[-1]}")
    table(
        "Viewers of one run, 100 epochs a second, five pictures",
        "viewers|frames/s each, median|least|age p50 ms|p95|kB a frame|server's processor|its ms a frame",
        rows,
        "Age: from an epoch's being recorded to the message that shows it.",
    )


class Sharing(RequestHandler):
    """Shares runs of this process, and reports when their epochs were."""

    runs: list[Any] = []

    def initialize(self, **_: Any) -> None: ...

    def get(self, what: str) -> None:
        if what == "start":
            self.runs.append(Played())
            self.write(json.dumps(self.runs[-1].shared.id))
        else:
            self.write(json.dumps(self.runs[-1].times))


class Played:
    """A run that plays by itself, is shared, and notes when."""

    def __init__(self) -> None:
        from dashboard.state.clock import Clock
        from dashboard.state.followed import SharedRun
        from dashboard.state.run import Run
        from dashboard.state.settings import Settings

        run = Run(Settings(speed=SPEED))
        self.times: dict[int, float] = {}
        advance = run.advance

        def noted(*arguments: Any) -> int:
            before, done = run.history[-1].index, advance(*arguments)
            now = time.monotonic()
            self.times |= dict.fromkeys(range(before + 1, run.history[-1].index + 1), now)
            return done

        run.advance = noted
        self.shared = SharedRun(run, "playground")
        self.clock = Clock(run)
        self.clock.play()


def main() -> None:
    """Measure the wanted crowds, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--seconds", type=float, default=8)
    wanted = parser.parse_args()
    print(f"Load of the machine before: {Path('/proc/loadavg').read_text().split()[0]}.")
    measure(wanted.viewers, wanted.seconds)


if __name__ == "__main__":
    main()
elif "--plugins" in sys.argv:
    from benchmarks.probe import ROUTES as PROBED

    ROUTES = [*PROBED, (r"/shared/(\w+)", Sharing, {})]
