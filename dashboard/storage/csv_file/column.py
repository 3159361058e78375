"""Columns of a file: whether their cells are numbers, truth values, dates or words, and why."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from dashboard.storage.csv_file.complaints import quoted
from dashboard.storage.csv_file.number_style import (
    PATTERNS,
    WHOLE,
    NumberStyle,
    is_bare,
    looks_like_number,
    shortest,
    styles,
    tidy,
)
from dashboard.storage.tables import MAX_CLASSES, MAX_NAME_LENGTH, MAX_VALUE

# fmt: off
MISSING = frozenset([
    "na", "n/a", "n.a.", "n.a", "nan", "-nan", "+nan", "null", "(null)", "none", "nil", "?", "??", "-", "--", "---",
    ".", "..", "...", "…", "–", "—", "―", "*", "**", "\\n", "<na>", "#n/a", "#na", "#null!", "#div/0!", "#value!",
    "#ref!", "#name?", "#num!", "missing", "(missing)", "nat", "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind",
    "1.#snan", "#nv", "n/d", "n.d.", "k.a.", "", "#n/a n/a", "no data", "not applicable", "not available",
])
# fmt: on
"""What people and programs write for a missing value, in lower case."""

TRUTHS = (
    ("true", "false"),
    ("yes", "no"),
    ("t", "f"),
    ("y", "n"),
    ("on", "off"),
    ("wahr", "falsch"),
    ("ja", "nein"),
    ("vrai", "faux"),
    ("oui", "non"),
)
MONTH = r"(jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-zäé]*\.?"
TIME = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[ap]m)?( ?(z|utc|[-+]\d{2}:?\d{2}))?"
DAY = (
    r"\d{4}[-/]\d{1,2}|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|"
    rf"\d{{1,2}}[-. ]{{1,2}}{MONTH}([-. ]{{1,2}}\d{{2,4}})?"
)
DATE = re.compile(rf"({DAY}|{MONTH} (\d{{1,2}},? )?\d{{4}})([ t]{{1,2}}{TIME})?|{TIME}", re.IGNORECASE)
DATE_NUMBER = re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
SENTINELS = frozenset([-1, -9, -99, -999, -9999, -99999, -200, -8888, 99, 999, 9999, 99999, 999999, 1e20, -1e20])
"""Numbers that programs write for a missing value."""


def is_missing(cell: str) -> bool:
    """Whether a cell marks a missing value."""
    return cell.strip().lower() in MISSING


def is_date(cell: str) -> bool:
    """Whether a cell is a date or a time of day."""
    return len(cell) <= 40 and bool(DATE.fullmatch(cell.strip()))


def folded(label: str) -> str:
    """A label for comparison: without case, superfluous blanks and a full stop at its end."""
    text = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
    return text.rstrip(".").rstrip() or text


@dataclass(frozen=True, eq=False)
class Column:
    """The cells of one column.

    Attributes:
        cells: Line number and cell of every row.
        style: How its numbers are written, if it has any.
    """

    name: str
    cells: Sequence[tuple[int, str]]
    style: NumberStyle = field(default_factory=NumberStyle)

    @cached_property
    def present(self) -> list[tuple[int, str]]:
        """The cells that are not missing."""
        return [(line, cell) for line, cell in self.cells if not is_missing(cell)]

    @cached_property
    def values(self) -> dict[str, float | None]:
        """The number in each distinct cell; None where it has none."""
        truth = self.truth
        if truth:
            return {cell: float(folded(cell) == truth[0]) for _, cell in self.present}
        return {cell: self.style.number(cell) for _, cell in self.present}

    @cached_property
    def kind(self) -> str:
        """What most cells are: "numbers", "truths", "dates", "words", or "nothing" where all are missing."""
        if not self.present:
            return "nothing"
        if self.truth:
            return "truths"
        numbers = sum(self.style.number(cell) is not None for _, cell in self.present)
        if numbers * 2 > len(self.present):
            whole = all(DATE_NUMBER.fullmatch(cell.strip()) for _, cell in self.present)
            return "dates" if whole and len(self.distinct) > MAX_CLASSES else "numbers"
        dates = sum(is_date(cell) for _, cell in self.present)
        return "dates" if dates * 5 >= len(self.present) * 4 else "words"

    @cached_property
    def truth(self) -> tuple[str, str] | None:
        """The words for true and false, if there are no others."""
        found = {folded(cell) for _, cell in self.present}
        if not found or len(found) > 2:
            return None
        return next((pair for pair in TRUTHS if found <= set(pair) and (len(found) == 2 or len(pair[1]) > 1)), None)

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers."""
        return self.kind == "numbers"

    @property
    def is_input(self) -> bool:
        """Whether a network can use it: numbers, or truth values as 1 and 0."""
        return self.kind in ("numbers", "truths")

    @cached_property
    def distinct(self) -> dict[object, list[str]]:
        """The distinct values, each with the spellings that occur."""
        ways: dict[object, dict[str, None]] = {}
        for _, cell in self.present:
            ways.setdefault(self.key(cell), {}).setdefault(cell.strip())
        return {key: list(cells) for key, cells in ways.items()}

    def key(self, cell: str) -> object:
        """What a cell is compared by: its number, or its letters without case, blanks and full stop."""
        number = self.style.number(cell) if not self.truth else None
        return folded(cell) if number is None else number

    @cached_property
    def numbers(self) -> list[float]:
        """All its numbers, in the order of the file."""
        return [value for _, cell in self.present if (value := self.values[cell]) is not None and math.isfinite(value)]

    def trouble(self, cell: str) -> str:
        """Why a cell is not the number that it should be; empty if it is."""
        if is_missing(cell):
            return f"{self.name} has no value"
        number = self.values[cell]
        if number is None:
            return f"{quoted(cell)} in column {self.name} is no number{self._why(cell)}"
        return (
            "" if abs(number) <= MAX_VALUE else f"{quoted(cell)} in column {self.name} is no number up to {MAX_VALUE:g}"
        )

    def _why(self, cell: str) -> str:
        """What a cell that looks like a number lacks or has too much."""
        if not looks_like_number(cell):
            return ""
        around = self.style.before or self.style.after
        if around:
            return f" with {around} as the others"
        if any(mark.fullmatch(tidy(cell)) for mark in PATTERNS.values()):
            return f" with a decimal {'comma' if self.style.decimal == ',' else 'point'} as the others"
        return " written as the others are"

    @property
    def note(self) -> str:
        """What a reader may not expect of how it is read, as a sentence; empty if nothing."""
        if self.truth:
            words = [next((cells[0] for key, cells in self.distinct.items() if key == one), "") for one in self.truth]
            said = [f"{word} is read as {value}" for word, value in zip(words, (1, 0), strict=True) if word]
            return f"{self.name}: {' and '.join(said)}."
        cut = next(((at, cell) for at, cell in self.present if self._is_cut(cell)), None) if self.is_numeric else None
        if cut:
            line, cell = cut
            return f"{self.name}: {quoted(cell)} (line {line}) has more digits than are kept: about 16."
        return f"{self.name}: {self.style.note}" if self.style.note else ""

    def _is_cut(self, cell: str) -> bool:
        """Whether a whole number is too long for float64 to represent exactly."""
        text = tidy(cell)
        number = self.values[cell]
        if not 15 < len(text) < 300 or not WHOLE.fullmatch(text) or number is None:
            return False
        return int(text) != int(number)

    @property
    def why_no_input(self) -> str:
        """Why it cannot be an input, as a sentence with an example; empty if it can."""
        if self.is_input:
            return ""
        if self.kind == "nothing":
            return f"{self.name} is empty."
        line, cell = self.present[0]
        if self.kind == "dates":
            return f"{self.name} is a date or time, such as {quoted(cell)} (line {line}): no number to learn from."
        if self.style.doubt:
            return f"{self.name}: {self.style.doubt}."
        line, cell = next(((at, one) for at, one in self.present if self.style.number(one) is None), (line, cell))
        some = sum(looks_like_number(one) for _, one in self.present)
        if some:
            odd = next(((at, one) for at, one in self.present if not looks_like_number(one)), None)
            if odd:
                return (
                    f"{self.name} is text: {quoted(odd[1])} (line {odd[0]}) is no number; "
                    f"{some:,} of {len(self.present):,} cells are."
                )
            if all(is_bare(tidy(one)) for _, one in self.present):
                at, other = self.present[0]
                return (
                    f"{self.name}: some of its numbers have a decimal point and some a decimal comma, "
                    f"such as {quoted(other)} (line {at}) and {quoted(cell)} (line {line})."
                )
            return f"{self.name} is text: the units around its numbers differ, such as {quoted(cell)} (line {line})."
        return f"{self.name} is text, such as {quoted(cell)} (line {line})."

    @cached_property
    def sentinel(self) -> str:
        """A number far from all others that may stand for a missing value, as a sentence; empty if there is none."""
        if not self.is_numeric or len(self.numbers) < 5:
            return ""
        counts = Counter(self.numbers)
        for number in {min(counts), max(counts)} & SENTINELS:
            others = [one for one in counts if one != number]
            far = len(others) > 2 and min(abs(number - one) for one in others) > max(max(others) - min(others), 1.0)
            if far and counts[number] * 2 < len(self.numbers):
                rows = f"{counts[number]:,} row" + ("s" if counts[number] > 1 else "")
                line = next(at for at, cell in self.present if self.values[cell] == number)
                return (
                    f"{self.name} is {shortest(number)} in {rows} (first in line {line}), far from its other values "
                    f"({min(others):g} to {max(others):g}): if it stands for a missing value, leave these cells empty."
                )
        return ""


def columns_of(names: Sequence[str], rows: Sequence[tuple[int, list[str]]], separator: str) -> dict[str, Column]:
    """All columns of a table by name."""
    cells = [[(line, row[place]) for line, row in rows] for place in range(len(names))]
    present = [[(line, cell) for line, cell in one if not is_missing(cell)] for one in cells]
    found = styles(present, separator)
    return {name: Column(name, one, style) for name, one, style in zip(names, cells, found, strict=True)}


def label_of(ways: Sequence[str], key: object) -> str:
    """The name of a class that is spelled in several ways."""
    if isinstance(key, float) and len(ways) > 1:
        return shortest(key)
    plain = " ".join(ways[0].split()).rstrip(".")
    return plain if len(ways) > 1 and plain else ways[0]


def labels_of(column: Column, order: Sequence[object]) -> list[str]:
    """The names of classes, short and all different."""
    labels: list[str] = []
    for key in order:
        full = plain = label_of(column.distinct[key], key)[:MAX_NAME_LENGTH]
        again = 1
        while full in labels:
            again += 1
            full = f"{plain[: MAX_NAME_LENGTH - 8]} ({again})"
        labels.append(full)
    return labels
