"""The laboratory's page in Chromium, with a stopwatch inside."""

import shutil
from types import TracebackType
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WINDOW = {"width": 1600, "height": 1100}
STOPWATCH = """
const lab = window.lab = {painted: [], first: null, all: null, armed: false, pressed: null, answered: null}
const models = () => Bokeh.documents.flatMap((document) => [...document._all_models.values()])
const figures = () => models().filter((model) => (model.type || "").endsWith("Figure"))
const laid = (figure) => figure.properties.inner_width && !figure.properties.inner_width.is_unset
const after_paint = (tell) => requestAnimationFrame(() => setTimeout(tell, 0))
const look = () => {
  if (window.Bokeh && Bokeh.documents && Bokeh.documents.length) {
    const there = figures(), drawn = there.filter(laid).length
    if (drawn && lab.first == null) { lab.first = -1; after_paint(() => { lab.first = performance.now() }) }
    if (there.length && drawn == there.length) { return after_paint(() => { lab.all = performance.now() }) }
  }
  setTimeout(look, 10)
}
look()
lab.browser = () => models().find((model) => model.properties.frame && model.properties.shown)
lab.watch = () => lab.browser().properties.shown.change.connect(() => {
  lab.painted.push(performance.now())
  if (lab.armed && lab.pressed != null && lab.changed()) { lab.armed = false; lab.answered = performance.now() }
})
// The examples in the decision map, as text: they change when a run of other data has been drawn.
const sources = () => models().filter((model) => (model.type || "").endsWith("ColumnDataSource") && model.data)
lab.examples = () => sources().filter((source) => source.data.class)
  .map((model) => Array.from(Object.values(model.data)[0]).slice(0, 4).join()).sort().join(" ")
const places = () => models().filter((model) => (model.type || "").endsWith("Location"))
lab.link = () => places().map((place) => place.search).join()
lab.arm = (what) => {
  const before = lab[what]()
  lab.pressed = lab.answered = null
  lab.changed = () => lab[what]() != before
  lab.armed = true
}
const press = (event) => { if (lab.armed && lab.pressed == null) { lab.pressed = event.timeStamp } }
window.addEventListener("keydown", press, true)
"""


class Chromium:
    """A browser without a window, as long as the `with` block lasts."""

    def __enter__(self) -> "Chromium":
        self._playwright = sync_playwright().start()
        self._browser: Browser = self._playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=FLAGS
        )
        self._context = self._browser.new_context(viewport=WINDOW)
        self._context.add_init_script(STOPWATCH)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._browser.close()
        self._playwright.stop()

    def open(self, url: str) -> "Tab":
        """A new tab of the same browser, so that a second visit finds its cache warm."""
        return Tab(self._context.new_page(), url)


class Tab:
    """One visit, from the request to the last picture."""

    def __init__(self, page: Page, url: str) -> None:
        self._page = page
        page.goto(url, wait_until="commit", timeout=60_000)
        page.wait_for_function("() => window.lab && lab.all", timeout=60_000, polling=50)
        self.first_picture, self.all_pictures = (self._ask(f"lab.{name}") / 1000 for name in ("first", "all"))
        page.wait_for_timeout(1000)
        self._ask("lab.watch()")

    def play(self) -> None:
        """Start or pause the training, by the space bar."""
        self._page.keyboard.press("Space")

    def wait(self, seconds: float) -> None:
        """Let the page live."""
        self._page.wait_for_timeout(1000 * seconds)

    def paintings(self) -> list[float]:
        """When each frame was painted since this was last asked, in seconds."""
        return [milliseconds / 1000 for milliseconds in self._ask("lab.painted.splice(0)")]

    def press_on(self, slider: str, key: str, changes: str) -> float:
        """Press a key on a slider; the seconds from its event until a painted frame has changed something.

        changes: `examples`, what the decision map shows of the data, or `link`, the settings in the address.
        """
        self._page.get_by_role("slider", name=slider, exact=True).focus()
        self._page.evaluate("(what) => lab.arm(what)", changes)
        self._page.keyboard.press(key)
        self._page.wait_for_function("() => lab.answered != null", timeout=60_000, polling=20)
        return self._ask("lab.answered - lab.pressed") / 1000

    def close(self) -> None:
        """Close the tab."""
        self._page.close()

    def _ask(self, expression: str) -> Any:
        return self._page.evaluate(f"() => {expression}")
