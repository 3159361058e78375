"""The served laboratory in Chromium: the real server in a subprocess, one browser, pages free of errors."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dashboard.pages.short_link import completed

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000
"""Milliseconds until a condition that never comes true fails its test; pages are painted in software, on few cores."""

LONGEST = 4000
"""Letters of a server's log that a failed test quotes."""

PICTURES = {"x₂": "decision", "loss": "loss", "direction 2": "landscape", "gradient norm": "gradients"} | {
    "layer": "activations",
    "y": "fitted",
}
"""Every picture by what its y axis says."""

LAB = """
window.lab = {
  pictures: PICTURES,
  // Every figure on the page, by name; what has been taken off it stays in a document's list of models for a while.
  figures() {
    const found = {}
    const roots = (window.Bokeh?.documents ?? []).flatMap((document) => document.roots())
    for (const model of new Set(roots.flatMap((root) => [...root.references()]))) {
      if (!(model.type ?? "").endsWith("Figure")) { continue }
      const axis = model.left.find((axis) => axis.axis_label in this.pictures)
      if (axis) { found[this.pictures[axis.axis_label]] ??= model }
    }
    return found
  },
  // The data of a layer of a figure, by its name or the kind of its glyph.
  layer(figure, layer) {
    const renderers = this.figures()[figure]?.renderers ?? []
    return renderers.find((one) => one.name == layer || !one.name && one.glyph.type == layer)?.data_source.data
  },
  flat(value) { return typeof value == "object" ? Array.from(value, (part) => this.flat(part)).flat(Infinity) : value },
  column(figure, layer, name) { const data = this.layer(figure, layer); return data ? this.flat(data[name]) : null },
  // A number that changes with anything in any source of a figure.
  digest(figure) { return this.digest_of(this.figures()[figure]) },
  digest_of(figure) {
    const bits = new DataView(new ArrayBuffer(8))
    let hash = 2166136261
    const mix = (value) => {
      if (typeof value == "number") {
        bits.setFloat64(0, value)
        hash = Math.imul(Math.imul(hash ^ bits.getInt32(0), 16777619) ^ bits.getInt32(4), 16777619)
      } else if (typeof value == "string") { for (const letter of value) { mix(letter.charCodeAt(0)) } }
      else if (value != null) { mix(value.length); for (const part of value) { mix(part) } }
    }
    const renderers = figure?.renderers ?? []
    renderers.forEach((renderer) => Object.values(renderer.data_source.data).forEach(mix))
    return hash
  },
  // Every figure on the page, whatever it is called.
  everything() {
    const roots = (window.Bokeh?.documents ?? []).flatMap((document) => document.roots())
    const models = new Set(roots.flatMap((root) => [...root.references()]))
    return [...models].filter((model) => (model.type ?? "").endsWith("Figure"))
  },
  // A number that changes with anything in any figure's sources, and how many figures there are.
  state() {
    const figures = this.everything()
    return [figures.length, figures.map((figure) => this.digest_of(figure)).join()]
  },
  // What has the keyboard, inside all shadows.
  focused() {
    let found = document.activeElement
    while (found?.shadowRoot?.activeElement) { found = found.shadowRoot.activeElement }
    return found == document.body ? null : found
  },
  // The epoch a picture has been brought to.
  drawn() { return this.column("loss", "Scatter", "epoch")?.[0] ?? -1 },
}
""".replace("PICTURES", str(PICTURES))


class Server:
    """`panel serve dashboard` from the repository's root, with its log."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}/dashboard"
        self.home = folder / "home"
        self._log = folder / f"server-{self.port}.log"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "panel", "serve", "dashboard", "--port", str(self.port)]
        self._process = start(command, self._log, {"DESCENT_LAB_HOME": str(self.home)})
        wait_until(self._answers, lambda: f"the server to answer:\n{self.log()}", 4 * PATIENCE / 1000)

    def stop(self) -> None:
        """End the process."""
        if self._process:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def complaints(self, since: int = 0) -> list[str]:
        """The lines of the log after its first `since` letters that report an error."""
        return [line for line in self.log()[since:].splitlines() if re.search(r"Traceback|ERROR|Error", line)]

    def _answers(self) -> bool:
        assert self._process.poll() is None, f"the server has ended:\n{self.log()}"
        return answer(self.url) is not None


@dataclass
class Visit:
    """A page as a user has it: what it shows, what can be done, and which errors it reported."""

    window: Any
    troubles: list[str] = field(default_factory=list)

    def button(self, name: str) -> Any:
        return self.window.get_by_role("button", name=re.compile(f"^{name}")).first

    def press(self, name: str) -> None:
        """Click the button whose name begins so."""
        self.button(name).click()

    def slider(self, name: str) -> Any:
        return self.window.get_by_role("slider", name=re.compile(f"^{name}"))

    def choose(self, menu: str, option: str) -> None:
        """Take an option of a menu."""
        self.window.get_by_role("combobox", name=re.compile(f"^{menu}")).click()
        self.window.get_by_role("menuitem", name=option, exact=True).click()

    def key(self, key: str) -> None:
        """Press a key with nothing focused that would take it."""
        self.ask("lab.focused()?.blur()")
        self.window.keyboard.press(key)

    def wait(self, condition: str, argument: Any = None) -> Any:
        """Wait until an expression of JavaScript in `lab` and `x`, the argument, is true; its value."""
        return self.window.wait_for_function(f"(x) => {condition}", arg=argument, polling=50).json_value()

    def ask(self, expression: str, argument: Any = None) -> Any:
        """The value of such an expression now."""
        return self.window.evaluate(f"(x) => {expression}", argument)

    def ready(self, pictures: int = 5) -> "Visit":
        """Wait until the page can be used and all its pictures are there."""
        self.button("(Play|Pause)").wait_for()
        self.wait("Object.keys(lab.figures()).length >= x", pictures)
        return self

    def number(self, name: str) -> str:
        """A number of the bar on top, as it is written there."""
        return (
            self.window.locator("dl > div", has=self.window.locator(f"dt:text-is('{name}')")).locator("dd").inner_text()
        )

    def epoch(self) -> int:
        """The epoch that the bar shows."""
        return int(self.number("epoch").replace(",", ""))

    def reach(self, epoch: int) -> int:
        """Wait until bar and pictures show exactly this epoch."""
        self.until(lambda: self.epoch() == epoch == self.ask("lab.drawn()"), lambda: f"epoch {epoch}: {self.where()}")
        return epoch

    def pass_by(self, epoch: int) -> int:
        """Wait until an epoch after this one is shown; that epoch."""
        self.until(lambda: self.epoch() > epoch, lambda: f"an epoch after {epoch}: {self.where()}")
        return self.epoch()

    def playing(self) -> bool:
        return self.window.get_by_role("button", name="Pause", exact=True).count() == 1

    def stand(self) -> int:
        """Pause, wait until it stands, and say where."""
        self.press("Pause")
        self.until(lambda: not self.playing(), lambda: f"Play to be offered: {self.where()}")
        self.until(lambda: self.ask("lab.drawn()") == self.epoch(), "pictures and bar agree")
        return self.epoch()

    def where(self) -> str:
        """Where the page stands, for a message."""
        drawn, alerts = self.ask("lab.drawn()"), self.alerts()
        return f"the bar says {self.epoch()}, the pictures {drawn}, playing {self.playing()}, alerts {alerts}"

    def loss(self) -> float:
        """The training loss, in all its digits."""
        return self.ask("lab.column('loss', 'Scatter', 'loss')")[0]

    def digests(self) -> dict[str, int]:
        """A number for each picture that changes with what it shows."""
        return self.ask("Object.fromEntries(Object.keys(lab.figures()).map((name) => [name, lab.digest(name)]))")

    def address(self) -> dict[str, str]:
        """What the address bar holds."""
        return {name: values[0] for name, values in parse_qs(self.ask("location.search.slice(1)"), True).items()}

    def link(self) -> dict[str, str]:
        """What the link in the address bar means, with the defaults that it leaves out."""
        held = self.address()
        return completed(held.get("page", "home"), held)[0]

    def press_hidden(self, name: str) -> None:
        """Press the button of that name without scrolling to it."""
        self.button(name).dispatch_event("click")

    def alerts(self) -> list[str]:
        """The messages on the page, except that the server is slow."""
        told = self.window.get_by_role("alert").all_inner_texts()
        return [text for text in told if not text.startswith("The server has not answered")]

    def alert(self) -> str:
        """The message on the page, once there is one."""
        self.until(lambda: any(text.strip() for text in self.alerts()), lambda: f"an alert: {self.where()}")
        return "\n".join(self.alerts())

    def until(
        self, true: Callable[[], bool], what: "str | Callable[[], str]", seconds: float = PATIENCE / 1000
    ) -> None:
        """Wait for something that takes more than one look."""
        wait_until(true, what, seconds)

    def come_to(self, state: Callable[[], Any], wanted: Any, what: str) -> None:
        """Wait until a state is the one that is wanted, however long that takes as long as it goes on changing."""
        now = state()
        while now != wanted:
            before = now
            self.until(lambda before=before: state() != before, lambda: f"{what}: {wanted}, it stays at {state()}")
            now = state()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("server"))
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[test]'"
    )
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as play:
        found = play.chromium.launch(executable_path=chromium, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="session")
def windows(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens windows, which share their cache where they can: that spares the loading of scripts for every test.

    Size and color scheme belong to a window; what else is asked for makes a context of its own.
    """
    contexts: dict[tuple, Any] = {}

    def window(viewport: dict | None = None, color_scheme: str | None = None, **kind: Any) -> Any:
        key = tuple(sorted((name, str(value)) for name, value in kind.items()))
        if key not in contexts:
            contexts[key] = browser.new_context(**kind)
            contexts[key].set_default_timeout(PATIENCE)
            contexts[key].add_init_script(LAB)
        found = contexts[key].new_page()
        found.set_viewport_size(viewport or {"width": 1400, "height": 1700})
        if color_scheme:
            found.emulate_media(color_scheme=color_scheme)
        return found

    yield window
    for context in contexts.values():
        context.close()


@pytest.fixture
def visit(browser: Any, server: Server, windows: Callable[..., Any]) -> Iterator[Callable[..., Visit]]:
    """Opens pages of the laboratory; neither they nor the server may have had anything to complain about in the end."""
    said = len(server.log())
    visits: list[Visit] = []

    def open_page(query: str = "?page=playground", wait: bool = True, pictures: int = 5, **kind: Any) -> Visit:
        window = windows(**kind)
        found = Visit(window)
        visits.append(found)
        listen(found, server)
        window.goto(server.url + query, wait_until="commit", timeout=2 * PATIENCE)
        return found.ready(pictures) if wait else found

    yield open_page
    for one in visits:
        if not one.window.is_closed():
            if one.window.url.startswith(server.url):
                one.window.evaluate("() => localStorage.clear()")
            one.window.close()
    assert [trouble for one in visits for trouble in one.troubles] == []
    assert server.complaints(said) == [], server.log()[said:][:LONGEST]


@pytest.fixture
def page(visit: Callable[..., Visit]) -> Visit:
    """The laboratory as it opens."""
    return visit()


def listen(visit: Visit, server: Server) -> None:
    """Note down all that should not happen on a page."""
    own = urlsplit(server.url).netloc
    window, troubles = visit.window, visit.troubles

    def hear(request: Any) -> None:
        host = urlsplit(request.url).netloc
        if host and host != own:
            troubles.append(f"asked another host: {request.url}")

    window.on("pageerror", lambda error: troubles.append(f"page error: {error.stack or error}"))
    window.on("console", lambda told: told.type == "error" and troubles.append(f"console: {told.text}"))
    window.on("request", hear)


def start(command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen:
    """A process at the repository's root that writes what it says into a log."""
    with log.open("a") as out:
        return subprocess.Popen(
            command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        )


def end(process: subprocess.Popen) -> None:
    """End a process, one that does not do so when it is asked too."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def answer(url: str) -> str | None:
    """What a server answers; None while there is none."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def wait_until(true: Callable[[], bool], what: str | Callable[[], str], seconds: float = PATIENCE / 1000) -> None:
    """Ask again and again until it is true; `what` says what was waited for."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            pytest.fail(f"waited {seconds:.0f} s in vain for {what if isinstance(what, str) else what()}")
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]
