"""From epoch to pixel: frames, sliders, crowds, pages and memory of the served laboratory, measured and printed.

    python -m benchmarks.frames                        # all parts, about five minutes on two cores
    python -m benchmarks.frames --only viewer --only slider

Progress goes to stderr, Markdown tables to stdout. Nothing is asserted: read the tables beside a quiet machine's.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.client import Client
from benchmarks.server import Server
from benchmarks.tab import Chromium
from dashboard.state.run import Run
from dashboard.state.settings import Settings

SPEEDS = {"100 epochs/s": 100, "as fast as it goes": 0}
WARM_UP = 3.0
LEARNING_RATE = "Learning rate"
NOISE = "Noise"
MEANING = {"examples": "afresh, other examples painted", "link": "retuned, the frame after it painted"}
FRAME_PARTS = ("drawing", "Bokeh serialization", "JSON encoding", "writing to the websocket")

Rows = list[Sequence[object]]


def viewer(seconds: float) -> None:
    """One viewer in Chromium, five pictures, training."""
    frames: Rows = []
    spans: dict[str, dict[str, str]] = {}
    with Server() as server, Chromium() as chromium:
        for name, speed in SPEEDS.items():
            say(f"viewer: {name}")
            unshown = throughput(speed, 2)
            tab = chromium.open(f"{server.url}?speed={speed}")
            tab.play()
            tab.wait(WARM_UP)
            server.ask("frames")
            before, _ = server.ask("runs"), tab.paintings()
            tab.wait(seconds)
            painted, measured, after = tab.paintings(), server.ask("frames"), server.ask("runs")
            tab.close()
            drawn = measured["frames"]
            shown = (max(after["runs"])[0] - max(before["runs"])[0]) / (after["time"] - before["time"])
            received = sum(one["work"]["heard"] for one in measured["heard"]) / max(1, len(drawn))
            frames.append(
                (
                    name,
                    both([one["wall"]["frame"] for one in drawn]),
                    both([one["work"]["frame"] for one in drawn]),
                    f"{received:.2f}",
                    both([one["bytes"] / 1000 for one in drawn]),
                    f"{np.mean([one['messages'] for one in drawn]):.1f}",
                    f"{np.median([one['fragments'] for one in drawn]):.0f}",
                    f"{len(painted) / seconds:.1f}",
                    f"{shown:,.0f} of {unshown:,.0f} ({shown / unshown:.0%})" if not speed else f"{shown:,.0f}",
                )
            )
            spans[name] = where(drawn)
            tab_rest(server)
    table(
        "One viewer, five pictures, in Chromium",
        "training|ms a frame, by the clock|ms a frame, the thread's work|ms of work hearing the browser|kB a frame|"
        "messages a frame|websocket parts|frames/s painted|epochs/s shown, of unshown",
        frames,
        "Median / 95th percentile. By the clock a frame also waits for the training's thread and for other processes.",
    )
    names = sorted({name for column in spans.values() for name in column})
    table(
        "Where a frame's time goes: ms of the thread's work / by the clock, means",
        "part|" + "|".join(SPEEDS),
        [(name, *(spans[speed].get(name, "–") for speed in SPEEDS)) for name in names],
        "Parts are nested: the page holds its instruments, an instrument its columns.",
    )


def tab_rest(server: Server) -> None:
    """Wait until the server has forgotten its last client's training."""
    until = time.monotonic() + 20
    while any(playing for _, playing in server.ask("runs")["runs"]) and time.monotonic() < until:
        time.sleep(0.5)


def where(frames: list[dict]) -> dict[str, str]:
    """What every measured part of a frame takes, on average over all frames."""
    names = {name for frame in frames for name in frame["wall"]}
    return {
        name: " / ".join(
            f"{sum(frame[clock].get(name, 0) for frame in frames) / len(frames):.2f}" for clock in ("work", "wall")
        )
        for name in names
    }


def throughput(speed: int, seconds: float) -> float:
    """Epochs a second of the default settings without anybody looking."""
    run = Run(Settings(speed=speed))
    run.advance(500)
    began, first = time.perf_counter(), run.history[-1].index
    while time.perf_counter() - began < seconds:
        run.advance(256)
    return (run.history[-1].index - first) / (time.perf_counter() - began)


def slider(seconds: float) -> None:
    """From a key on a slider to the painted answer, while training."""
    rows: Rows = []
    with Server() as server, Chromium() as chromium:
        for name, speed in SPEEDS.items():
            tab = chromium.open(f"{server.url}?speed={speed}")
            tab.play()
            tab.wait(WARM_UP)
            for moved, changes in ((NOISE, "examples"), (LEARNING_RATE, "link")):
                say(f"slider: {moved}, {name}")
                tab.press_on(moved, "ArrowRight", changes)
                delays = []
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    key = "ArrowLeft" if len(delays) % 2 else "ArrowRight"
                    tab.wait(random.uniform(0.1, 0.4))
                    delays.append(1000 * tab.press_on(moved, key, changes))
                rows.append((name, f"{moved}: {MEANING[changes]}", len(delays), *percentiles(delays)))
            tab.close()
            tab_rest(server)
    table(
        "From a key on a slider to the painted picture, in Chromium while training",
        "training|slider|presses|p50 ms|p95 ms|most ms",
        rows,
        "From the browser's key event to the first painted frame that shows it.",
    )


def crowd(seconds: float, crowds: Sequence[int] = (10, 20)) -> None:
    """Ten and twenty sessions, each training as fast as it goes, each moving its sliders now and then."""
    rows: Rows = []
    for sessions in crowds:
        say(f"crowd: {sessions} sessions")
        with Server() as server:
            rows.append((sessions, *asyncio.run(_crowd(server, sessions, seconds))))
        say(f"crowd: {rows[-1]}")
    table(
        "Many sessions, all training as fast as it goes",
        "sessions|frames/s each, median|least|kB a frame|slider afresh p50 ms|p95|slider retuned p50 ms|p95|"
        "epochs/s, all together|ms of the loop's work a frame|moves without an answer",
        rows,
        "Light clients over real websockets that answer every frame at once. "
        "From the patch of a widget's value to the frame that shows it.",
    )


async def _crowd(server: Server, sessions: int, seconds: float) -> Sequence[object]:
    clients = [await Client(server.address, "?speed=0").open() for _ in range(sessions)]
    say("crowd: all are open")
    for client in clients:
        await client.press("space")
    await asyncio.sleep(WARM_UP)
    server_before, _ = await asyncio.to_thread(server.ask, "runs"), await asyncio.to_thread(server.ask, "frames")
    counts = [len(client.arrivals) for client in clients]
    await asyncio.sleep(seconds)
    rates = [(len(v.arrivals) - before) / seconds for v, before in zip(clients, counts, strict=True)]
    sizes = [one.bytes / 1000 for v in clients for one in v.arrivals[-20:]]
    after, measured = await asyncio.to_thread(server.ask, "runs"), await asyncio.to_thread(server.ask, "frames")
    epochs = sum(index for index, _ in after["runs"]) - sum(index for index, _ in server_before["runs"])
    afresh, lost = await _delays(clients, _remake, seconds)
    retuned, more = await _delays(clients, _retune, seconds)
    for client in clients:
        await client.close()
    work = [sum(one["work"].get(part, 0) for part in FRAME_PARTS) for one in measured["frames"]]
    return (
        *(f"{rate:.1f}" for rate in (np.median(rates), min(rates))),
        f"{np.median(sizes):.1f}",
        *percentiles(afresh)[:2],
        *percentiles(retuned)[:2],
        f"{epochs / (after['time'] - server_before['time']):,.0f}",
        both(work),
        f"{lost + more} of {len(afresh) + len(retuned) + lost + more}",
    )


async def _delays(clients: list[Client], move: Callable, seconds: float) -> tuple[list[float], int]:
    """Milliseconds of every move of a slider, about five in a second by all together, and how many had no answer."""
    until, delays, lost = time.monotonic() + seconds, [], 0

    async def live(client: Client) -> None:
        nonlocal lost
        for turn in range(1000):
            await asyncio.sleep(random.uniform(0.5, len(clients) / 2.5 - 0.5))
            if time.monotonic() > until:
                return
            began = time.perf_counter()
            try:
                delays.append(1000 * (await move(client, turn) - began))
            except TimeoutError:
                lost += 1

    await asyncio.gather(*map(live, clients))
    return delays, lost


async def _remake(client: Client, turn: int) -> float:
    """Move the noise: the examples, which have a column `class`, come anew."""
    await client.set(NOISE, 0.25 + 0.05 * (turn % 2))
    return await client.answer(lambda content: '"class"' in content)


async def _retune(client: Client, turn: int) -> float:
    """Move the learning rate: the link that comes with the next frame says so."""
    options = client.control(LEARNING_RATE)[1]["options"]
    place = options.index("0.3") + turn % 2
    await client.set(LEARNING_RATE, place)
    return await client.answer(lambda content: f"learning_rate={options[place]}&" in content)


def page(visits: int = 6) -> None:
    """From the request to the first picture, server and browser warm."""
    say("page")
    with Server() as server:
        with Chromium() as chromium:
            visited = [_visited(chromium, server.url) for _ in range(visits + 1)]
        asked = asyncio.run(_opened(server, visits))
        made = server.ask("runs")["opened"][1:]
    firsts, alls = zip(*visited[1:], strict=True)
    html, sizes = zip(*asked, strict=True)
    rows = [
        ("first picture, first visit of a new browser and server", f"{visited[0][0]:.2f}", ""),
        ("first picture", f"{np.median(firsts):.2f}", f"{max(firsts):.2f}"),
        ("all five pictures", f"{np.median(alls):.2f}", f"{max(alls):.2f}"),
        ("the page's HTML, in which the session is made", f"{np.median(html):.2f}", f"{max(html):.2f}"),
        ("of which App()", f"{np.median(made) / 1000:.2f}", f"{max(made) / 1000:.2f}"),
    ]
    note = f"The document is {sizes[0] / 1000:.0f} kB."
    table("Page to picture, warm, in Chromium", "what|median s|most s", rows, note)


def _visited(chromium: Chromium, url: str) -> tuple[float, float]:
    tab = chromium.open(url)
    tab.close()
    return tab.first_picture, tab.all_pictures


async def _opened(server: Server, visits: int) -> list[tuple[float, int]]:
    seen = []
    for _ in range(visits):
        client = await Client(server.address).open()
        seen.append((client.page_seconds, client.document_bytes))
        await client.close()
    return seen


def memory(sessions: int = 100, before: int = 10) -> None:
    """What stays in the server's process after sessions have come, trained and gone."""
    with Server(lifetime=1) as server:
        say(f"memory: {before} sessions to warm up")
        asyncio.run(_come_and_go(server, before))
        first = _settled(server)
        say(f"memory: {sessions} sessions")
        asyncio.run(_come_and_go(server, sessions))
        last = _settled(server)
    held = {name: last[name] - first[name] for name in last}
    rows: Rows = [
        ("KiB resident, each", f"{held['resident KiB'] / sessions:.1f}"),
        ("allocated blocks, each", f"{held['blocks'] / sessions:.0f}"),
        ("objects, each", f"{held['objects'] / sessions:.1f}"),
        *((f"{name} left, of all", f"{last[name]:.0f}") for name in ("documents", "sessions", "apps")),
        *((f"{name} more than before", f"{held[name]:.0f}") for name in ("timers", "threads")),
    ]
    table(f"{sessions} sessions opened, trained and closed", "what|held", rows, f"After {before} others.")


async def _come_and_go(server: Server, sessions: int) -> None:
    async def one() -> None:
        client = await Client(server.address, "?speed=0").open()
        await client.press("space")
        await asyncio.sleep(0.4)
        await client.close()

    for start in range(0, sessions, 4):
        await asyncio.gather(*(one() for _ in range(min(4, sessions - start))))


def _settled(server: Server) -> dict[str, float]:
    """The census, once the server has discarded what nobody looks at."""
    until = time.monotonic() + 15
    time.sleep(2)
    while (counted := server.ask("census"))["sessions"] and time.monotonic() < until:
        time.sleep(1)
    return counted


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "viewer": lambda wanted: viewer(wanted.seconds),
    "slider": lambda wanted: slider(wanted.seconds),
    "crowd": lambda wanted: crowd(wanted.seconds, wanted.sessions),
    "page": lambda _: page(),
    "memory": lambda wanted: memory(wanted.opened),
}


def percentiles(values: Iterable[float]) -> tuple[str, str, str]:
    """Median, 95th percentile and the most, as text."""
    values = list(values) or [np.nan]
    return tuple(f"{value:.0f}" for value in (*np.percentile(values, (50, 95)), max(values)))


def both(values: Iterable[float]) -> str:
    """Median / 95th percentile, as text."""
    return " / ".join(f"{value:.1f}" for value in np.percentile(list(values) or [np.nan], (50, 95)))


def table(title: str, columns: str, rows: Iterable[Sequence[object]], note: str = "") -> None:
    """Print a Markdown table."""
    heads = columns.split("|")
    print(f"\n## {title}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")
    print(f"\n{note}" if note else "", flush=True)


def say(progress: str) -> None:
    """Tell on stderr what is being measured."""
    print(f"{time.strftime('%H:%M:%S')} {progress}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure the wanted parts, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(PARTS), action="append", help="run this part; may be given again")
    parser.add_argument("--seconds", type=float, default=6, help="how long each measurement lasts")
    parser.add_argument("--sessions", type=int, nargs="+", default=[10, 20], help="how many sessions each crowd has")
    parser.add_argument("--opened", type=int, default=100, help="how many sessions come and go for the memory")
    wanted = parser.parse_args()
    busy = Path("/proc/loadavg").read_text().split()[0] if Path("/proc/loadavg").exists() else "unknown"
    print(f"Load of the machine before: {busy}.")
    for name in wanted.only or PARTS:
        PARTS[name](wanted)


if __name__ == "__main__":
    main()
