"""Plain text: what comes from outside is shown as text everywhere, and only what is written here is HTML.

A link, a file, a name, a note, another program's words: all of them are `str`. HTML is a `Markup`, which is made of
constants alone; whatever is put into one with `format`, `join` or `phrase` is escaped on the way. Everything that draws
HTML is in this module, and escapes what is no `Markup`: a forgotten escape shows tags on the page, and nothing runs.
"""

import re
from collections.abc import Sequence
from functools import cache
from html.parser import HTMLParser
from typing import Any

import panel as pn
import param
from bokeh.models import Div, PlainText
from latex2mathml.converter import convert
from markupsafe import Markup, escape

from dashboard.server.text_panes import EncodedAlert, EncodedTypography

APART = " \N{EN SPACE} "
"""Separates two parts of a caption."""

JOINER = "\N{WORD JOINER}"
BREAK = Markup("<br>")

INK = Markup("color: color-mix(in srgb, {} 50%, currentColor)")
"""A color as words have it: half the page's own for text, so that it can be read on light and dark."""


def html(text: object) -> str:
    """What a browser receives: a `Markup` unchanged, any other text escaped."""
    return str(escape(text))


def phrase(*parts: object, between: object = " ") -> Markup:
    """Parts of a sentence, text or HTML, as one; empty ones are left out."""
    return escape(between).join(part for part in parts if part)


def bold(words: object, color: str = "") -> Markup:
    """Words that stand out, in a color if there is one."""
    ink = INK.format(color)
    return Markup('<b style="{}">{}</b>').format(ink, words) if color else Markup("<b>{}</b>").format(words)


def dot(color: str) -> Markup:
    """A dot in a color, as the key to what is drawn in it."""
    return Markup('<b style="color: {}">●</b>').format(color)


def colored(words: object, color: str) -> Markup:
    """Words in a color."""
    return Markup('<span style="{}">{}</span>').format(INK.format(color), words)


def element(tag: str, *parts: object, kind: str = "") -> Markup:
    """An element of HTML with its content; `kind` is its class."""
    opened = Markup('<{} class="{}">').format(tag, kind) if kind else Markup("<{}>").format(tag)
    return Markup("{}{}</{}>").format(opened, phrase(*parts, between=""), tag)


class _Inks(HTMLParser):
    """Collects the words of HTML made here, line by line, each with the color that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[list[tuple[str, str]]] = [[]]
        self._colors: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.lines.append([])
            return
        found = re.search(r"#[0-9a-f]{6}", dict(attrs).get("style") or "", re.IGNORECASE)
        self._colors.append(found[0] if found else "")

    def handle_endtag(self, tag: str) -> None:
        if self._colors and tag != "br":
            self._colors.pop()

    def handle_data(self, data: str) -> None:
        self.lines[-1].append((data, next(filter(None, reversed(self._colors)), "")))


def inked(text: object) -> list[list[tuple[str, str]]]:
    """A text as lines of words with their colors, empty where they have none; for what draws no HTML."""
    parser = _Inks()
    parser.feed(html(text))
    parser.close()
    return [line for line in parser.lines if line]


@cache
def formula(latex: str) -> Markup:
    """A formula, in our own LaTeX, as MathML, which browsers draw by themselves."""
    return Markup(convert(latex, display="block"))


def as_written(text: str) -> str | PlainText:
    """What Bokeh should draw on a canvas; it would typeset text between two $$ as LaTeX."""
    return PlainText(text=text) if any(delimiter in text for delimiter in ("$$", "\\(", "\\[")) else text


def in_a_menu(texts: Sequence[str]) -> list[str] | dict[str, str]:
    """The options of one of Material's menus, which would turn `:material/home:` into an icon.

    An invisible character prevents that; the option that is chosen is without it.
    """
    shown = {text.replace(":material/", f":{JOINER}material/"): text for text in texts}
    return list(texts) if all(label == text for label, text in shown.items()) else shown


def sheet(text: object = "", **params: Any) -> Div:
    """A piece of HTML among Bokeh's models; `write` changes its content."""
    return Div(**{"text": html(text), "disable_math": True, "margin": 0, **params})


def write(on: Div, text: object) -> None:
    """Show something else on a sheet."""
    on.text = html(text)


class HTML(pn.pane.HTML):
    """A piece of HTML; shows anything but a `Markup` as text."""

    sanitize_html = param.Boolean(default=True, constant=True)
    sanitize_hook = param.Callable(default=html, constant=True)


class Words(EncodedTypography):
    """A line of text in the page's font; Material's own would read it as Markdown."""

    def encoded(self, text: Any) -> str:
        """A text, as it is to be read, after one escaping has been taken away."""
        return html(html(text or ""))


class Alert(EncodedAlert):
    """A message on the page, as text; Material's own would read it as Markdown."""

    def encoded(self, text: Any) -> str:
        """A text, as it is to be read, after one escaping has been taken away."""
        return html(html(text))
