"""Records: a file's physical lines, joined to rows where a quoted cell spans several."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

BLANKS = " "
"""The separator that stands for any number of blanks and tabs."""

SEPARATORS = (",", ";", "\t", "|", BLANKS)
COMMENTS = ("#", "%", "//", ";", "!")
NO_COMMENT = re.compile(r"\s*(#(N/A|NA|DIV/0!|VALUE!|REF!|NAME\?|NUM!|NULL!)|%\s*[,;\t|])", re.IGNORECASE)
"""Rows that begin like comments: with a spreadsheet's error, or with percent in a row of units."""

LINE_END = re.compile(r"\r\n|\r|\n")
RULED = frozenset("-=+|: \t")
MAX_CELL_LINES = 1000
"""Most physical lines in a quoted cell."""

MAX_LOOKAHEAD_CHARS = 50_000_000
"""Characters that are searched for closing quotation marks in all, which bounds the time for a hostile file."""


class Record(NamedTuple):
    """A row of a file as text.

    Attributes:
        line: The physical line on which it begins.
        text: All of it, without superfluous separators at its end.
        width: Number of cells.
        filled: Number of cells without empty ones at the end.
    """

    line: int
    text: str
    width: int
    filled: int


@dataclass(frozen=True)
class Dialect:
    """How a file writes rows: what separates cells, what quotes them, what begins comments."""

    separator: str
    quote: str = '"'
    comments: tuple[str, ...] = ()

    @property
    def arguments(self) -> dict[str, str]:
        """The arguments for `pandas.read_csv`."""
        return {"sep": r"\s+" if self.separator == BLANKS else self.separator, "quotechar": self.quote}


class Reading:
    """The rows of lines in a dialect; a quotation mark that is never closed quotes nothing."""

    def __init__(self, lines: list[str], dialect: Dialect, width: int = 0, first: int = 0) -> None:
        """Prepares the reading.

        Args:
            lines: Physical lines of the file.
            dialect: How the file writes rows.
            width: Cells of most rows, 0 if unknown.
            first: Lines before this one do not belong to the table.
        """
        self._lines, self._dialect, self._width, self._first = lines, dialect, width, first
        self._next = re.compile("[ \t]+" if dialect.separator == BLANKS else re.escape(dialect.separator))
        self._close = re.compile(f"[^{dialect.quote}]*+(?:{dialect.quote * 2}[^{dialect.quote}]*+)*+{dialect.quote}")
        self._skipped = " \t".replace(dialect.separator, "") if dialect.separator != BLANKS else " \t"
        self._ahead = MAX_LOOKAHEAD_CHARS
        self._last_quote = -1
        self.open: list[int] = []
        self.comments: list[int] = []
        self.longer: list[int] = []

    def __iter__(self) -> Iterator[Record]:
        """Yield the rows that are not blank; note comments, and quotation marks that are never closed."""
        lines, quote, comments = self._lines, self._dialect.quote, self._dialect.comments
        self.open, self.comments, self._ahead = [], [], MAX_LOOKAHEAD_CHARS
        self._last_quote = max((place for place, line in enumerate(lines) if quote in line), default=-1)
        at = self._first
        while at < len(lines):
            text, line = lines[at], at + 1
            at += 1
            if (comments and is_comment(text, comments)) or is_ruled(text):
                self.comments.append(line)
                continue
            if quote not in text:
                record = self._unquoted(line, text)
            else:
                record, at = self._quoted(line, text, at)
            if record is not None:
                yield record

    def _unquoted(self, line: int, text: str) -> Record | None:
        separator = self._dialect.separator
        if separator == BLANKS:
            text = text.strip()
            width = len(self._next.split(text)) if text else 0
            return Record(line, text, width, width) if text else None
        width = text.count(separator) + 1
        filled = text.rstrip(separator + " \t\f\v") if text[-1:] in (separator, " ", "\t", "\f", "\v") else text
        if not filled:
            return None
        if separator == "\t" or len(filled) < len(text):
            return Record(line, filled, width, filled.count(separator) + 1)
        return Record(line, text, width, width)

    def _quoted(self, line: int, text: str, at: int) -> tuple[Record | None, int]:
        """A row that holds quotation marks, and the index of the line behind it."""
        found = self._cells(text)
        if isinstance(found, int):
            whole, behind = self._spanning(text, found, at)
            found = self._cells(whole) if whole else found
            if isinstance(found, int) or self._looks_like_rows(whole):
                self.open.append(line)
                return None, at
            text, at = whole, behind
        return (Record(line, *found) if found[0] else None), at

    def _cells(self, text: str) -> tuple[str, int, int] | int:
        """The row without empty cells at its end, its cells with and without them; or where a mark stays open."""
        blanks = self._dialect.separator == BLANKS
        text = text.strip(" \t") if blanks else text
        place, width, filled, end = 0, 1, 0, 0
        while True:
            start = place
            while text[start : start + 1] and text[start] in self._skipped:
                start += 1
            if text.startswith(self._dialect.quote, start):
                closing = self._close.match(text, start + 1)
                if closing is None:
                    return start
                place = closing.end()
            following = self._next.search(text, place)
            stop = following.start() if following else len(text)
            if text[start:stop].strip():
                filled, end = width, stop
            if following is None:
                return text[:end], width, filled
            width, place = width + 1, following.end()

    def _spanning(self, text: str, start: int, at: int) -> tuple[str, int]:
        """The row with the lines below, up to the one that closes its mark at `start`; empty where none does."""
        parts, quote = [text], self._dialect.quote
        for place in range(at, min(at + MAX_CELL_LINES, len(self._lines), self._last_quote + 1)):
            parts.append(self._lines[place])
            self._ahead -= len(parts[-1]) + 1
            if self._ahead < 0:
                break
            if quote not in parts[-1]:
                continue
            whole = "\n".join(parts)
            found = self._cells(whole)
            if not isinstance(found, int):
                return (whole, place + 1) if self._closes_well(whole, start) else ("", at)
            parts = [whole]
            self._ahead -= len(whole)
        return "", at

    def _closes_well(self, whole: str, start: int) -> bool:
        """Whether a cell ends where its mark closes; otherwise it was no quotation."""
        closing = self._close.match(whole, start + 1)
        rest = whole[closing.end() :].lstrip(self._skipped) if closing else "x"
        return not rest or bool(self._next.match(rest)) or rest[0] == "\n"

    def _looks_like_rows(self, whole: str) -> bool:
        """Whether every line of a row is a row by itself: then the mark that joins them is a stray one."""
        lines = whole.split("\n")
        if self._width < 2 or len(lines) < 2:
            return False
        ends = f"{self._dialect.separator} \t"
        return all(len(self._next.split(line.strip().rstrip(ends))) == self._width for line in lines)


def lines_of(text: str) -> list[str]:
    """The physical lines of a text, whatever ends them; a paragraph separator does not."""
    return LINE_END.split(text)


def is_comment(text: str, comments: tuple[str, ...]) -> bool:
    """Whether a line is a comment, and not a row whose first cell only looks like one."""
    return text.lstrip().startswith(comments) and not NO_COMMENT.match(text)


def is_ruled(text: str) -> bool:
    """Whether a line only draws a rule, as below the names in a text table."""
    return ("---" in text or "===" in text) and RULED.issuperset(text)
