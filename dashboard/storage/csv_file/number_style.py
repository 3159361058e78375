"""Number styles: how a column writes its numbers, judged by all of its cells and by the file's separator."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

MAX_NUMBER_LENGTH = 400
"""Longest cell that may still be a number."""

LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2013\u2012\ufe63\uff0d\u2010\u2011", "-"),
        **dict.fromkeys("\uff0b\ufe62", "+"),
        **dict.fromkeys("\xa0\u2009\u202f\u2007\u2008\u2002\u2003\u2005\u2006\u200a", " "),
        **dict.fromkeys("\u2019\u02bc\u2018", "'"),
        "\uff0e": ".",
        "\uff0c": ",",
        **dict.fromkeys("\u200b\u200e\u200f\u2060\ufeff\xad"),
    }
)
"""Characters that people and typesetters write instead of those of a number, and invisible ones."""

INFINITE = re.compile(r"[-+]?(inf|infinity|∞|1\.#inf)", re.IGNORECASE)
CURRENCY = r"(?:US|R|A|C|HK|NZ|S)?[$€£¥₹₽₩₺₴₪฿¢₫₱₦]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|Rs|Fr|kr)\.?(?![A-Za-z])"
UNIT = r"%|‰|°|['′\"″](?!\d)|(?!e[-+]?\d|x[\da-f]|d[-+]?\d)[^\W\d_]"
AFFIXED = re.compile(
    rf"(?P<sign>[-+]?)(?P<before>(?:{CURRENCY})?) ?"
    r"(?P<body>[-+]?(?:\d|[.,]\d)(?:[\d.,]|[ '](?=\d))*(?:e[-+]?\d{1,4}(?!\w))?)"
    rf" ?(?P<after>(?:(?:{CURRENCY})|(?:{UNIT})[\w°%/²³·^*-]{{0,11}}\.?)?)",
    re.IGNORECASE,
)
FORTRAN = re.compile(r"([-+]?(?:\d+\.\d*|\.\d+))[dD]([-+]\d{1,3})")
SPACED = r"[1-9]\d{0,2}(?:(?P<gap>[ '])\d{3})(?:(?P=gap)\d{3})*"
POINT, COMMA = ".", ","


def _pattern(decimal: str, group: str) -> re.Pattern[str]:
    """Numbers with that decimal mark and that thousands separator, in groups of three (or as in India)."""
    lakhs = rf"|[1-9]\d?(?:{group}\d{{2}})+{group}\d{{3}}" if group == COMMA else ""
    grouped = rf"(?P<grouped>{SPACED}|[1-9]\d{{0,2}}(?:{re.escape(group)}\d{{3}})+{lakhs})"
    mark, last = re.escape(decimal), "*" if decimal == POINT else "+"
    bare = rf"(?:\d+(?:{mark}\d{last})?|{mark}\d+)(?:[eE][-+]?\d{{1,4}})?"
    return re.compile(rf"[-+]?(?:{bare}|{grouped}(?:{mark}\d+)?)")


PATTERNS = {POINT: _pattern(POINT, COMMA), COMMA: _pattern(COMMA, POINT)}
WHOLE = re.compile(r"[-+]?\d+")
OF_BOTH = re.compile(r"[-+]?[1-9]\d{0,2}[.,]\d{3}")
"""A number in both styles: 1.234 is a bit more than one, or more than a thousand."""


@dataclass(frozen=True)
class NumberStyle:
    """How the numbers of a column are written.

    Attributes:
        decimal: The decimal mark.
        before: What every cell has in front of its number, such as a currency.
        after: What every cell has behind its number, such as a unit.
        note: What is worth saying about it, as a sentence.
        doubt: Why the column cannot be read, as a sentence; empty if it can.
    """

    decimal: str = POINT
    before: str = ""
    after: str = ""
    note: str = ""
    doubt: str = ""

    def number(self, cell: str) -> float | None:
        """The number in a cell, None where it has none in this style."""
        if self.doubt:
            return None
        text = tidy(cell)
        if not (self.before or self.after):
            return _value(text, self.decimal)
        parts = _parts(text)
        if parts is None or _affix(parts) != (self.before.casefold(), self.after.casefold()):
            return None
        return _value(parts[1], self.decimal)


@dataclass(frozen=True)
class Evidence:
    """What the cells of one column show of their style.

    Attributes:
        decimal: The decimal mark that is proven; empty if none is.
        open: The mark that may be decimal or separate thousands; empty if there is none.
        likely: Whether it probably separates thousands: all whole numbers beside it are below one thousand.
    """

    decimal: str = ""
    open: str = ""
    likely: bool = False


def tidy(cell: str) -> str:
    """A cell in plain characters."""
    if cell.isascii():
        return cell.strip()
    text = cell.translate(LOOKALIKES).strip()
    return "".join(str(unicodedata.decimal(mark, mark)) for mark in text) if not text.isascii() else text


def is_bare(text: str) -> bool:
    """Whether a tidy text is a number in any style, with nothing around it."""
    return any(_value(text, mark) is not None for mark in PATTERNS)


def looks_like_number(cell: str) -> bool:
    """Whether a cell is a number in any style, with or without a unit or a currency."""
    text = tidy(cell)
    if is_bare(text):
        return True
    parts = _parts(text)
    return parts is not None and any(_value(parts[1], mark) is not None for mark in PATTERNS)


def styles(columns: Sequence[Sequence[tuple[int, str]]], separator: str) -> list[NumberStyle]:
    """The style of every column, given its cells with their lines, without missing ones.

    What a column leaves open is decided by the others of the file, then by the separator; otherwise it is in doubt.
    """
    bare = [_affixed(cells) for cells in columns]
    shown = [_evidence([body for _, body, _ in cells]) for _, cells in bare]
    proven = {one.decimal for one in shown} - {""}
    likely = any(one.likely and one.open == COMMA for one in shown)
    return [
        _decided(affix, cells, one, proven, likely, separator) for (affix, cells), one in zip(bare, shown, strict=True)
    ]


Body = tuple[int, str, str]
"""A line, the number in its cell as text, and the cell."""


def _affixed(cells: Sequence[tuple[int, str]]) -> tuple[NumberStyle, list[Body]]:
    """What nearly all cells of a column have around their numbers, and the numbers without it."""
    tidied = [(line, tidy(cell), cell) for line, cell in cells]
    numbers = [one for one in tidied if is_bare(one[1])]
    if len(numbers) * 2 > len(cells) or not cells:
        return NumberStyle(), numbers
    found = [(line, _parts(text), cell) for line, text, cell in tidied]
    counts = Counter(_affix(parts) for _, parts, _ in found if parts)
    if not counts or len(numbers) == len(cells):
        return NumberStyle(), numbers
    affix, many = counts.most_common(1)[0]
    if affix == ("", "") or many * 5 < len(cells) * 4:
        return NumberStyle(), numbers
    inside = [(line, parts[1], cell) for line, parts, cell in found if parts and _affix(parts) == affix]
    before, _, after = next(parts for _, parts, _ in found if parts and _affix(parts) == affix)
    return NumberStyle(before=before, after=after), inside


def _evidence(bodies: Iterable[str]) -> Evidence:
    """What numbers show of their decimal mark."""
    votes, wholes, both = Counter(), [], Counter()
    for body in bodies:
        if WHOLE.fullmatch(body):
            wholes.append(abs(int(body[:20])))
        elif OF_BOTH.fullmatch(body):
            both[COMMA if COMMA in body else POINT] += 1
        else:
            fits = [mark for mark, pattern in PATTERNS.items() if pattern.fullmatch(body)]
            if len(fits) == 1:
                votes[fits[0]] += 1
    if votes:
        return Evidence(decimal=votes.most_common(1)[0][0])
    if not both:
        return Evidence()
    mark = both.most_common(1)[0][0]
    return Evidence(open=mark, likely=bool(wholes) and 100 <= max(wholes) < 1000)


def _decided(
    style: NumberStyle, cells: list[Body], shown: Evidence, proven: set[str], likely: bool, separator: str
) -> NumberStyle:
    if shown.open:
        decimal = _of_open(shown, proven, likely, separator)
        if not decimal:
            line, body, cell = next(one for one in cells if OF_BOTH.fullmatch(one[1]))
            one, other = (_value(body, mark) for mark in (POINT, COMMA))
            values = " or ".join(shortest(value) for value in sorted([one or 0, other or 0]))
            return replace(
                style,
                doubt=f"{cell!r} in line {line} may be {values}; write its column without separators of thousands",
            )
    else:
        decimal = shown.decimal or POINT
    style = replace(style, decimal=decimal)
    usual = decimal == POINT and (separator == COMMA or POINT in proven)
    return replace(style, note=_note(style, cells, bool(shown.open) and not usual))


def _of_open(shown: Evidence, proven: set[str], likely: bool, separator: str) -> str:
    """The decimal mark of a column whose numbers leave it open; empty where nothing decides it."""
    if proven:
        mark = next(iter(proven)) if len(proven) == 1 else ""
        return "" if shown.open == mark == COMMA and shown.likely else mark
    if separator == COMMA:
        return POINT
    if shown.open == POINT:
        return "" if shown.likely or separator == ";" else POINT
    return POINT if shown.likely or likely else ""


def _note(style: NumberStyle, cells: list[Body], open_mark: bool) -> str:
    """A sentence on what a reader may not expect: thousands separators, and what is dropped."""
    grouped = next((one for one in cells if _grouped(one[1], style.decimal)), None)
    if style.before or style.after:
        line, body, cell = grouped or cells[0]
        what = " and ".join(part for part in (style.before, style.after) if part)
        return f"{what} is left off: {cell!r} (line {line}) is read as {shortest(_value(body, style.decimal) or 0)}."
    if grouped:
        line, body, cell = grouped
        value = shortest(_value(body, style.decimal) or 0)
        return f"{cell!r} (line {line}) is read as {value}, with a mark between thousands."
    if open_mark:
        line, body, cell = next(one for one in cells if OF_BOTH.fullmatch(one[1]))
        mark = "comma" if style.decimal == COMMA else "point"
        return f"{cell!r} (line {line}) is read as {shortest(_value(body, style.decimal) or 0)}, with a decimal {mark}."
    return ""


def shortest(value: float) -> str:
    """A number in the fewest characters that reproduce it exactly."""
    return str(int(value)) if value == math.floor(value) and abs(value) < 1e15 else repr(value)


def _grouped(body: str, decimal: str) -> bool:
    found = PATTERNS[decimal].fullmatch(body)
    return bool(found and found["grouped"])


def _parts(text: str) -> tuple[str, str, str] | None:
    """What stands before a number, the number, and what stands behind it."""
    found = AFFIXED.fullmatch(text) if len(text) <= MAX_NUMBER_LENGTH else None
    if found is None or (found["sign"] and found["body"][0] in "+-"):
        return None
    return found["before"], found["sign"] + found["body"], found["after"]


def _affix(parts: tuple[str, str, str]) -> tuple[str, str]:
    return parts[0].casefold(), parts[2].casefold()


def _value(text: str, decimal: str) -> float | None:
    """The number in a tidy text without affixes; None where it is none with that decimal mark."""
    if len(text) > MAX_NUMBER_LENGTH:
        return None
    found = PATTERNS[decimal].fullmatch(text)
    if found is None:
        if INFINITE.fullmatch(text):
            return -math.inf if text[0] == "-" else math.inf
        fortran = FORTRAN.fullmatch(text) if decimal == POINT else None
        return float(f"{fortran[1]}e{fortran[2]}") if fortran else None
    if found["grouped"]:
        text = text.replace(COMMA if decimal == POINT else POINT, "").replace(" ", "").replace("'", "")
    return float(text.replace(decimal, "."))
