"""What the server withstands: crowds, viewers, sessions that come and go, bad neighbors, full disks, and a restart.

    python -m benchmarks.load                                # everything, about four minutes
    python -m benchmarks.load --only neighbors --seconds 5

Progress goes to stderr, Markdown tables to stdout. Nothing is asserted: read the tables beside a quiet machine's.
"""

import argparse
import asyncio
import os
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from html import unescape
from pathlib import Path

import numpy as np

from benchmarks import frames, viewers
from benchmarks.client import Client
from benchmarks.frames import LEARNING_RATE, WARM_UP, Rows, percentiles, say, table
from benchmarks.server import Server

LARGEST_RUN = "?page=playground&hidden=[128,128,60]&n=2000&optimizer=adam&learning_rate=0.001&activation=tanh&speed=0"
DIVERGING = "?page=playground&dataset=sine&loss=mse&learning_rate=10&speed=0"
OTHERS = 4
TIMEOUT_S = 60
Neighbor = Callable[[Server], Awaitable[Client | None]]


async def nobody(server: Server) -> None:
    """No neighbor at all."""


async def diverging(server: Server) -> Client:
    """A run that diverges at once, is reset and played, again and again."""
    client = await Client(server.address, DIVERGING).open()

    async def live() -> None:
        with suppress(asyncio.CancelledError, Exception):
            while True:
                await client.press("r")
                await client.press("space")
                await asyncio.sleep(0.5)

    client.living = asyncio.create_task(live())
    return client


async def largest(server: Server) -> Client:
    """A run of about the largest network and data there may be."""
    client = await Client(server.address, LARGEST_RUN).open()
    await client.press("space")
    return client


async def deaf(server: Server) -> Client:
    """A client that plays, and reads no more."""
    client = await Client(server.address, "?page=playground&speed=0").open()
    await client.press("space")
    await asyncio.sleep(1)
    client._listener.cancel()
    return client


NEIGHBORS: dict[str, Neighbor] = {
    "nobody": nobody,
    "one that diverges, again and again": diverging,
    "one with the largest network": largest,
    "one that stops reading": deaf,
}


def neighbors(seconds: float) -> None:
    """What others notice of one that asks much."""
    rows: Rows = []
    for name, neighbor in NEIGHBORS.items():
        say(f"neighbors: {name}")
        with Server() as server:
            before = server.ask("census")["resident KiB"]
            measured = asyncio.run(_beside(server, neighbor, seconds))
            grown = (server.ask("census")["resident KiB"] - before) / 1024
            rows.append((name, *measured, f"{grown:.0f}", server.log().count("Traceback")))
        say(f"neighbors: {rows[-1]}")
    table(
        f"{OTHERS} sessions training beside a neighbor",
        "neighbor|frames/s each, median|least|slider p50 ms|p95|without an answer|MiB more in the end|tracebacks",
        rows,
        "The memory holds all sessions' pages.",
    )


async def _beside(server: Server, neighbor: Neighbor, seconds: float) -> Sequence[object]:
    clients = [await Client(server.address, "?page=playground&speed=100").open() for _ in range(OTHERS)]
    for client in clients:
        await client.press("space")
    other = await neighbor(server)
    await asyncio.sleep(WARM_UP)
    counts = [len(one.arrivals) for one in clients]
    await asyncio.sleep(seconds)
    rates = [(len(one.arrivals) - before) / seconds for one, before in zip(clients, counts, strict=True)]
    delays, lost = await frames._delays(clients, frames._retune, seconds)
    for one in [*clients, *([other] if other else [])]:
        if hasattr(one, "living"):
            one.living.cancel()
        await one.close()
    return f"{np.median(rates):.1f}", f"{min(rates):.1f}", *percentiles(delays)[:2], lost


def restart(pages: int = 10) -> None:
    """A server that is restarted under open pages, which all come back at once, as browsers do."""
    say(f"restart: {pages} pages")
    with Server() as server:
        before = asyncio.run(_opened(server, pages))
        server._process.kill()
        server._process.wait()
        began = time.monotonic()
        server.__enter__()
        up = time.monotonic() - began
        after = asyncio.run(_opened(server, pages))
        troubles = server.log().count("Traceback")
    rows = [
        ("the server answers again after", f"{up:.1f} s"),
        ("all pages were open, at first", f"{before:.1f} s"),
        ("all pages are back after another", f"{after:.1f} s"),
        ("tracebacks in the log", troubles),
    ]
    table(f"A restart under {pages} open pages", "what|measured", rows)


async def _opened(server: Server, pages: int) -> float:
    """Seconds until so many pages, asked for at once, have each had a frame."""
    began = time.monotonic()

    async def one() -> None:
        client = await Client(server.address, f"?page=playground&{LEARNING_RATE.lower().replace(' ', '_')}=0.2").open()
        await client.press("space")
        until = time.monotonic() + TIMEOUT_S
        while not client.arrivals and time.monotonic() < until:
            await asyncio.sleep(0.05)
        await client.close()

    await asyncio.gather(*(one() for _ in range(pages)))
    return time.monotonic() - began


def full(server: Server) -> None:
    """No file grows beyond two KiB any more."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (2048, 2048))


FOLDERS: dict[str, tuple[str, Callable[[Server], None]]] = {
    "as it should be": ("", lambda _: None),
    "on a full disk": ("", full),
    "read-only": ("/proc/descent-lab", lambda _: None),
}
"""Where the folder is, if not in a place of its own, and what happens to it once the server is up."""


def folders(seconds: float) -> None:
    """What a client notices of a full disk: a message, and training all the same."""
    rows: Rows = []
    for name, (place, happen) in FOLDERS.items():
        say(f"folders: {name}")
        with tempfile.TemporaryDirectory() as apart:
            os.environ["DESCENT_LAB_HOME"] = place or apart
            with Server() as server:
                happen(server)
                measured = asyncio.run(_noting(server, seconds))
                rows.append((name, *measured, server.log().count("Traceback")))
            del os.environ["DESCENT_LAB_HOME"]
        say(f"folders: {rows[-1]}")
    table("A visitor who notes something", "the folder|frames/s|the page says|tracebacks", rows)


async def _noting(server: Server, seconds: float) -> Sequence[object]:
    """A run that plays and is noted: its frames a second after that, and what is said."""
    client = await Client(server.address, "?page=playground&speed=100").open()
    await client.press("space")
    await asyncio.sleep(WARM_UP)
    said: list[str] = []

    def told(content: str) -> bool:
        found = re.search(r'"new":"([^"]*(?:cannot|could not|not be|No space|too large|kept)[^"]*)"', content)
        said.extend([re.sub("<.*?>", "", unescape(found[1])).removesuffix("\\n")] if found else ())
        return bool(found)

    await client.click("Note")
    with suppress(TimeoutError):
        await client.answer(told, 5)
    before = len(client.arrivals)
    await asyncio.sleep(seconds)
    rate = (len(client.arrivals) - before) / seconds
    await client.close()
    return f"{rate:.1f}", said[0] if said else "nothing: the note is open"


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "crowd": lambda wanted: frames.crowd(wanted.seconds, (10, 20)),
    "viewers": lambda wanted: viewers.measure((50,), wanted.seconds),
    "neighbors": lambda wanted: neighbors(wanted.seconds),
    "folders": lambda wanted: folders(wanted.seconds),
    "restart": lambda _: restart(),
    "memory": lambda wanted: frames.memory(wanted.opened),
}


def main() -> None:
    """Measure the wanted parts, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(PARTS), action="append", help="run this part; may be given again")
    parser.add_argument("--seconds", type=float, default=6, help="how long each measurement lasts")
    parser.add_argument("--opened", type=int, default=100, help="how many sessions come and go for the memory")
    wanted = parser.parse_args()
    print(f"Load of the machine before: {Path('/proc/loadavg').read_text().split()[0]}.")
    for name in wanted.only or PARTS:
        try:
            PARTS[name](wanted)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            say(f"{name}: {error}")


if __name__ == "__main__":
    main()
