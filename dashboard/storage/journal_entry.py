"""A journal entry, as a person writes it and as one Markdown file.

    # Why the deep one stands still

    <!-- Descent Lab journal entry, begun 2026-11-23T19:00:00+01:00 -->

    ## Pinned runs

    - [moons 2-8-8-1 sigmoid](?run=20261123-185900-aa11bb) at epoch 120

    ## What I learned

    The gradient is gone after three layers.

The file may be edited by hand. A line that fits nowhere in an entry is preserved: under a heading of the template it
belongs to that text, before the first heading it stands under the title.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Section:
    """One question of the template: its heading, and a line that helps to begin."""

    heading: str
    prompt: str


SECTIONS = {
    "learned": Section("What I learned", "One thing you would tell a friend, and what you saw that shows it."),
    "difficult": Section("What was difficult", "Where you got stuck or guessed wrong, and what got you out."),
    "differently": Section("What I would do differently", "Another start, another picture, one knob at a time."),
    "prior": Section("Connections to prior work", "A lecture, a paper or an earlier entry that agrees, or does not."),
    "open": Section("Open questions", "What you cannot explain yet, and the run that would tell."),
}
"""The template, in reading order."""

PINNED = "Pinned runs"
MAX_TITLE_LENGTH = 200
"""Longest title, and longest name of a run."""

KEYS = {section.heading.casefold(): name for name, section in SECTIONS.items()} | {PINNED.casefold(): "pins"}
HEADING = re.compile(rf"(\\*)##[ \t]+({'|'.join(KEYS)})[ \t]*#*[ \t]*", re.IGNORECASE | re.ASCII)
"""A heading of the template; such a line within a text gets a backslash in front, one more than it had."""

BEGUN = re.compile(r"<!-- Descent Lab journal entry, begun ([0-9T:.+-]+) -->")
LINK = re.compile(r"\?[A-Za-z0-9%&=+_.~-]{0,4000}")
PIN = re.compile(
    r"[-*+] \[((?:[^\[\]\\]|\\.)*)\]"  # the name
    r"\((?:https?://[^\s()?]*)?(\?[^\s()]*)\)"  # the link, whose address may have been added by hand
    r"(?: at epoch ([0-9]{1,15}))?\s*"
)
MARKS = re.compile(r"([\\`*_\[\]<>])")
"""Characters with a meaning in the middle of a line of Markdown."""


@dataclass(frozen=True)
class Pin:
    """An archived run that an entry refers to.

    Attributes:
        run: Its id in the archive.
        epoch: Its last epoch.
        link: The query that opens it; without one, "?run=" and the id.

    Raises:
        ValueError: If the link does not open that run.
    """

    run: str
    name: str
    epoch: int = 0
    link: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", one_line(self.name)[:MAX_TITLE_LENGTH].strip())
        object.__setattr__(self, "link", self.link or f"?run={self.run}")
        if not LINK.fullmatch(self.link) or _run_of(self.link) != self.run:
            raise ValueError(
                f"the link {self.link[:MAX_TITLE_LENGTH]!r} does not open the run {self.run!r}: take ?run={self.run}"
            )

    @property
    def markdown(self) -> str:
        """The pin's line in an entry."""
        return f"- [{in_a_line(self.name)}]({self.link}) at epoch {self.epoch}"


@dataclass(frozen=True)
class Entry:
    """An entry of the journal. Two are equal if they say the same.

    Attributes:
        texts: By the names in `SECTIONS`.
        opening: What stands under the title, before the first heading of the template.
        created: When it was begun, in ISO 8601, like `changed`.
        stamp: Identifies the version of the file it was read from; empty where there was none.

    Raises:
        ValueError: If a text has no place in the template.
    """

    id: str
    title: str = ""
    texts: Mapping[str, str] = field(default_factory=dict, hash=False)
    pins: tuple[Pin, ...] = ()
    opening: str = ""
    created: str = ""
    changed: str = field(default="", compare=False)
    stamp: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        unknown = ", ".join(sorted(set(self.texts) - set(SECTIONS)))
        if unknown:
            raise ValueError(f"an entry has no text {unknown}; choose from {', '.join(SECTIONS)}")
        object.__setattr__(self, "title", one_line(self.title))
        object.__setattr__(self, "texts", {name: _cleaned(self.texts.get(name, "")) for name in SECTIONS})
        object.__setattr__(self, "opening", _cleaned(self.opening))
        object.__setattr__(self, "created", self.created or _time_in(self.id))

    @classmethod
    def from_markdown(cls, key: str, text: str) -> Self:
        """Read the entry with that id from its file, also after a person has edited it."""
        opening: list[str] = []
        parts: dict[str, list[str]] = {}
        lines = opening
        for line in _with_plain_ends(text).removeprefix("\ufeff").split("\n"):
            found = HEADING.fullmatch(line)
            if found and not found[1]:
                lines = parts.setdefault(KEYS[found[2].casefold()], [])
            else:
                lines.append(line[1:] if found else line)
        title, created, opening = _top(opening)
        pins, others = _pins(parts.pop("pins", []))
        texts = {name: "\n".join(lines) for name, lines in parts.items()}
        return cls(key, title, texts, pins, "\n".join([_cleaned("\n".join(opening)), *others]), created)

    def markdown(self, empty: bool = True) -> str:
        """The entry as a file that reads well by itself.

        Args:
            empty: Whether to include headings without a text, to be filled in.
        """
        begun = f"<!-- Descent Lab journal entry, begun {self.created} -->" if self.created else ""
        pins = "\n".join(pin.markdown for pin in self.pins)
        parts = [f"# {self.title}".rstrip(), begun, _escaped(self.opening), f"## {PINNED}\n\n{pins}" if pins else ""]
        for name, section in SECTIONS.items():
            text = _escaped(self.texts[name])
            parts.append(f"## {section.heading}" + f"\n\n{text}" * bool(text) if text or empty else "")
        return "\n\n".join(filter(None, parts)) + "\n"

    def chapter(self) -> str:
        """The entry as a part of a longer text: every heading a level deeper, with an anchor above it."""
        whole = replace(self, title=self.title or "Untitled").markdown(empty=False)
        lines, fenced = whole.split("\n"), False
        for i, line in enumerate(lines):
            fenced ^= bool(re.match(r" {0,3}(```|~~~)", line))
            if not fenced and re.match(r"#{1,5}(\s|$)", line):
                lines[i] = f"#{line}"
        return f'<a id="{self.id}"></a>\n\n' + "\n".join(lines)

    @property
    def blank(self) -> bool:
        """Whether nothing is written or pinned yet."""
        return not (self.title or self.opening or self.pins or any(self.texts.values()))

    @property
    def words(self) -> str:
        """All of its searchable text."""
        return "\n".join([self.title, self.opening, *self.texts.values(), *(pin.name for pin in self.pins)])


def one_line(text: str) -> str:
    """A text without line ends, and without more than one space in a row."""
    return " ".join(_cleaned(text).split())


def in_a_line(text: str) -> str:
    """A text as Markdown that shows it unchanged in the middle of a line."""
    return MARKS.sub(r"\\\1", text)


def _top(lines: list[str]) -> tuple[str, str, list[str]]:
    """Title and time in the lines before the first heading of the template, and the rest of these lines."""
    title, created, others = None, "", []
    for line in lines:
        begun = BEGUN.fullmatch(line.strip())
        if title is None and re.match(r"#(\s|$)", line):
            title = line[1:]
        elif begun and not created and _is_time(begun[1]):
            created = begun[1]
        else:
            others.append(line)
    return title or "", created, others


def _pins(lines: list[str]) -> tuple[tuple[Pin, ...], list[str]]:
    """The runs in the lines of a list, and the lines that are something else."""
    pins, others = [], []
    for line in filter(str.strip, lines):
        pin = _pin(line)
        if pin:
            pins.append(pin)
        else:
            others.append(line)
    return tuple(pins), others


def _pin(line: str) -> Pin | None:
    found = PIN.fullmatch(line)
    if found:
        name, link, epoch = found.groups()
        with suppress(ValueError):
            return Pin(_run_of(link), re.sub(r"\\(.)", r"\1", name), int(epoch or 0), link)
    return None


def _run_of(link: str) -> str:
    return parse_qs(link[1:]).get("run", [""])[0]


def _escaped(text: str) -> str:
    """A text in which no line can be taken for a heading of the template."""
    return "\n".join(f"\\{line}" if HEADING.fullmatch(line) else line for line in text.split("\n"))


def _cleaned(text: str) -> str:
    """A text without blank lines around it, and without what UTF-8 cannot encode."""
    return _with_plain_ends(text).encode("utf-8", "replace").decode().strip("\n")


def _with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _time_in(key: str) -> str:
    """When the entry with this id was begun."""
    with suppress(ValueError):
        return datetime.strptime(key[:15], "%Y%m%d-%H%M%S").astimezone().isoformat()
    return ""


def _is_time(text: Any) -> bool:
    with suppress(ValueError):
        return bool(datetime.fromisoformat(text))
    return False
