"""A static page shows a page's pictures at many recorded epochs, in one HTML file that needs no laboratory.

Nothing in the file is loaded from elsewhere. BokehJS, which is in it, draws the pictures as on the page; what the
instruments wrote into their sources, epoch by epoch, is an `Animation` that `player.js` plays. The file's security
policy names its scripts by their hashes: a browser runs no other, whatever a text of a user may look like.
"""

import json
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from bokeh.resources import Resources
from latex2mathml.converter import convert

from dashboard.export.animation import Animation
from dashboard.export.page_snapshot import PageSnapshot
from dashboard.pages.page import Page
from dashboard.state.choices import Choices
from dashboard.state.settings import COMMON, FAMILIES, OPTIONS, Settings
from dashboard.state.store import Shown
from dashboard.state.study import Result
from dashboard.widgets.beside import beside
from engine.recording import Recording, save

FRAMES = 120
FEWEST = 8
MAX_FILE_BYTES = 8 * 2**20
"""Bytes of a file that can still be sent by mail; a longer one is made again with half the frames."""

WITH_RECORDING = 5 * 2**20
"""Bytes of a recording that is still included in the file."""

SECONDS = 20.0
"""Seconds for what pictures compute besides the training, at the last epoch."""

MADE, COMPUTED, SHOT = 0.15, 0.3, 0.95
"""Progress after each part of the work."""

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'unsafe-eval' {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'"
)
"""BokehJS makes functions of the code of its hover tools, which needs 'unsafe-eval'."""

DOCUMENT = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
<script type="application/json" id="page">{page}</script>
<script type="text/plain" id="animation">{animation}</script>
<script type="text/plain" id="recording">{recording}</script>
<script>{bokeh}</script>
<script type="module">{player}</script>
</body>
</html>
"""
BODY = """\
<header>{logo}<b>Descent Lab</b><span>{name}</span>
<button id="theme" title="Light or dark" aria-label="Light or dark">◐</button></header>
<main>
<section class="ask"><div><h1>{question}</h1><p>{look_for}</p>{trap}</div>
<div class="formulas">{formulas}</div></section>
<section class="player" aria-label="Player">
{buttons}
<dl id="readings"></dl>
<input id="epoch" type="range" min="0" max="{last}" value="{last}" aria-label="Epoch">
<p id="trouble" role="alert" hidden></p>
</section>
<section class="grid">
{cards}
</section>
<details class="settings"><summary>Settings</summary><dl>{settings}</dl></details>
<footer>{foot}</footer>
</main>"""
BUTTONS = {
    "first": ("The first epoch (Home)", "M6 6h2v12H6zm3.500 6 8.500 6V6z"),
    "back": ("Back (arrow left)", "M15.400 7.400 14 6l-6 6 6 6 1.400-1.400L10.800 12z"),
    "play": ("Play (space)", ""),
    "on": ("On (arrow right)", "M10 6 8.600 7.400 13.200 12l-4.600 4.600L10 18l6-6z"),
    "last": ("The last epoch (End)", "m6 18 8.500-6L6 6zM16 6v12h2V6z"),
}
"""What each button does, and its icon as a path in SVG; Play has a word."""

CARD = """\
<article class="card {share}"><h2>{title}</h2><p class="question">{question}</p>
<details><summary title="How to read it">?</summary><p>{reading}</p></details>
<div class="picture" data-card="{place}"></div><p class="caption" data-card="{place}"></p></article>"""


def static_page(kind: type[Page], recording: Recording, frames: int = FRAMES, **more: Any) -> bytes:
    """The file at once; `StaticPage` explains the arguments."""
    page = StaticPage(kind, recording, frames, **more)
    for _ in page.pieces():
        pass
    return page.file


class StaticPage:
    """A page of a recording as one file, made in `pieces` in the background.

    Attributes:
        file: The HTML, empty until it is made.
        frames: Number of epochs in it.
        progress: Of making it, from 0 to 1.
    """

    def __init__(
        self,
        kind: type[Page],
        recording: Recording,
        frames: int = FRAMES,
        results: Mapping[str, Result] | None = None,
        pictures: Mapping[str, Mapping[str, Any]] | None = None,
        link: str = "",
        seconds: float = SECONDS,
    ) -> None:
        """Prepares the file.

        Args:
            kind: Class of the page.
            recording: Made by `Page.recording`.
            frames: Number of epochs, evenly spaced; there are fewer where the file would be larger than 8 MiB.
            results: Of the page's study, so that they need not be computed again.
            pictures: What is chosen in each card, by the name of the instrument's class.
            link: To the page in a laboratory.
            seconds: For what pictures compute besides the training.

        Raises:
            ValueError: If the page cannot show the recording.
        """
        self.file, self.frames, self.progress = b"", max(2, frames), 0.0
        self._kind, self._recording, self._link = kind, recording, link
        self._pictures, self._seconds = pictures or {}, seconds
        self._store = kind.reopened(recording)
        if results and self._store.study:
            self._store.study.results, self._store.study.progress = dict(results), 1.0

    @property
    def title(self) -> str:
        """The page's title."""
        return self._recording.name or self._kind.title

    def pieces(self) -> Iterator[None]:
        """Make the file, in pieces."""
        try:
            self._store.shows_future = False
            snapshot = PageSnapshot(self._kind(self._store), self._store)
            yield from self._declare(snapshot)
            yield from self._compute(snapshot)
            yield from self._capture(snapshot)
        finally:
            self._store.close()

    def _declare(self, snapshot: PageSnapshot) -> Iterator[None]:
        """Make all pictures, with what was chosen in their cards."""
        for _ in snapshot.draw():
            self.progress = min(MADE, self.progress + 0.02)
            yield
        for instrument in snapshot.instruments:
            instrument.param.update(**self._pictures.get(type(instrument).__name__, {}))
            yield

    def _compute(self, snapshot: PageSnapshot) -> Iterator[None]:
        """Let the pictures compute what they show of the newest epoch, as long as there is time."""
        until, instruments = time.monotonic() + self._seconds, snapshot.instruments
        for place, instrument in enumerate(instruments):
            works = (worker.work(self._store.frame()) or () for worker in instrument.workers)
            for _ in chain.from_iterable(works):
                if time.monotonic() > until:
                    break
                yield
            self.progress = MADE + (COMPUTED - MADE) * (place + 1) / len(instruments)
        yield from snapshot.draw()

    def _capture(self, snapshot: PageSnapshot) -> Iterator[None]:
        """Draw and captures every frame; once more with half as many where that is too much for one file."""
        snapshot.open()
        epochs, file = _evenly(self._store, self.frames), b""
        while not file or (len(file) > MAX_FILE_BYTES and len(epochs) > FEWEST):
            epochs = [*epochs[:-1:2], epochs[-1]] if file else epochs
            animation = Animation()
            for place, epoch in enumerate(epochs):
                yield from self._capture_frame(snapshot, animation, epoch)
                self.progress = COMPUTED + (SHOT - COMPUTED) * (place + 1) / len(epochs)
            file = self._written(snapshot, animation, epochs)
            yield
        self.file, self.frames, self.progress = file, len(epochs), 1.0

    def _capture_frame(self, snapshot: PageSnapshot, animation: Animation, epoch: int) -> Iterator[None]:
        self._store.look_at(epoch)
        yield from snapshot.draw()
        snapshot.capture(animation)
        yield

    def _written(self, snapshot: PageSnapshot, animation: Animation, epochs: list[int]) -> bytes:
        """The file."""
        page = {"epochs": epochs, "epoch": epochs[-1], "cards": snapshot.cards, "figures": snapshot.figures}
        renders = ",".join(f"(() => {{{module};return render}})()" for module in snapshot.modules)
        bokeh, player = _bokeh(), _script(f"const RENDERS = [{renders}]\n{beside(__file__, 'player.js')}")
        recording = packed(self._recording)
        recording = recording if len(recording) <= WITH_RECORDING else b""
        return DOCUMENT.format(
            policy=POLICY.format(scripts=" ".join(map(_hash, (bokeh, player)))),
            title=escape(f"{self.title} – Descent Lab"),
            style=(HERE / "player.css").read_text("utf-8"),
            body=self._body(snapshot, len(epochs), bool(recording)),
            page=_script(json.dumps(page, separators=(",", ":"))),
            animation=b64encode(animation.packed()).decode(),
            recording=b64encode(recording).decode(),
            bokeh=bokeh,
            player=player,
        ).encode()

    def _body(self, snapshot: PageSnapshot, frames: int, with_recording: bool) -> str:
        kind = self._kind
        trap = f'<p class="trap"><b>What textbooks get wrong.</b> {kind.trap}</p>' if kind.trap else ""
        return BODY.format(
            logo=(HERE.parent / "logo.svg").read_text("utf-8"),
            name=escape(self.title),
            question=escape(kind.question),
            look_for=escape(kind.look_for),
            trap=trap,
            formulas="".join(convert(formula, display="block") for formula in kind.formulas),
            buttons="".join(_button(name, *button) for name, button in BUTTONS.items()),
            last=frames - 1,
            cards="\n".join(_card(place, *part) for place, part in enumerate(snapshot.shares)),
            settings="".join(_pair(*pair) for pair in self._choices()),
            foot="".join(f"<p>{line}</p>" for line in self._foot(frames, with_recording)),
        )

    def _choices(self) -> Iterator[tuple[str, str]]:
        """All choices, in words."""
        store = self._store
        yield from in_words(store.settings)
        for choices in filter(None, (store.view, store.study)):
            changed = [name for name, value in choices.values().items() if value != choices.param[name].default]
            yield from in_words(choices, changed)

    def _foot(self, frames: int, with_recording: bool) -> Iterator[str]:
        """Where the page comes from, and how to go on."""
        history, created = self._store.history, self._recording.created
        first, last = history[0].index, history[-1].index
        when = f" on {escape(created)}" if created else ""
        yield f"Recorded{when} in Descent Lab: {frames:,} of the epochs from {first:,} to {last:,}."
        if self._link:
            where = escape(urlsplit(self._link).netloc)
            yield f'<a href="{escape(self._link)}">Open this page in the laboratory</a> at {where}, if that is there.'
        if with_recording:
            name = escape(file_name(self.title, "npz"))
            yield f'<button id="save" data-name="{name}">Save the recording</button> to open it in any laboratory.'


def in_words(choices: Choices, names: list[str] | None = None) -> Iterator[tuple[str, str]]:
    """Labels and values of choices: the named ones, or all that have an effect."""
    for name in choices.names() if names is None else names:
        value = getattr(choices, name)
        if value != "" and (names is not None or _counts(choices, name)):
            yield choices.param[name].label, _value_in_words(value)


def file_name(title: str, ending: str) -> str:
    """A name for a file, of letters that every system accepts."""
    letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in title)
    return "-".join(filter(None, letters.split("-")))[:60] + f".{ending}" if letters.strip("-") else f"run.{ending}"


def packed(recording: Recording) -> bytes:
    """A recording as the content of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.npz"
        save(path, recording)
        return path.read_bytes()


def _evenly(store: Shown, frames: int) -> list[int]:
    """At most so many recorded epochs, as evenly spaced as possible, including the first and the last."""
    first, last = store.history[0].index, store.history[-1].index
    found = set()
    for wanted in np.linspace(first, last, frames):
        store.look_at(round(wanted))
        found.add(store.frame().epoch.index)
    return sorted(found | {last})


def _card(place: int, kind: type, share: str) -> str:
    return CARD.format(
        place=place, share=share, title=escape(kind.title), question=escape(kind.question), reading=escape(kind.reading)
    )


def _button(name: str, title: str, path: str) -> str:
    face = f'<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{path}"/></svg>' if path else "Play"
    label = f' aria-label="{title}"' if path else ""
    return f'<button id="{name}" title="{title}"{label}>{face}</button>'


def _counts(choices: Choices, name: str) -> bool:
    """Whether a choice has an effect: options of what was not chosen, and the speed, have none."""
    if isinstance(choices, Settings) and name in OPTIONS and name not in COMMON:
        return any(name in choices.options(family) for family in FAMILIES)
    return name != "speed"


def _value_in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_value_in_words, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _pair(name: str, value: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"


@cache
def _bokeh() -> str:
    """BokehJS, without widgets, tables and WebGL."""
    return _script("\n".join(Resources(mode="inline", components=["bokeh"]).js_raw))


def _script(text: str) -> str:
    """A script as it may stand in HTML: nothing in it ends it."""
    return text.replace("</", "<\\/").replace("<!--", "<\\!--")


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
