"""Rows of cells out of a file in an unknown dialect: the rules here find the dialect, pandas reads."""

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
import pandas as pd

from dashboard.storage.csv_file.complaints import NONE, Complaints, lines_named, quoted
from dashboard.storage.csv_file.file_text import CONTROL, INSTEAD, text_of
from dashboard.storage.csv_file.header import INDEX_NAMES, Header, Row, header_of, names_of
from dashboard.storage.csv_file.number_style import looks_like_number
from dashboard.storage.csv_file.records import (
    BLANKS,
    COMMENTS,
    SEPARATORS,
    Dialect,
    Reading,
    Record,
    is_comment,
    lines_of,
)
from dashboard.storage.formulas import unguarded
from dashboard.storage.tables import MAX_COLUMNS
from engine.chance import stream

SNIFFED_LINES = 200
"""Lines by which the dialect of a file is judged."""

WIDEST = 1000
"""Columns of a file that are examined; most of them may be empty."""

SEP_LINE = re.compile(r"\s*[\"']?sep=(\\t|[^\w\"'])?[\"']?[,;\t| ]*", re.IGNORECASE)
WRAPPED = re.compile(r"\s*\"([^\"]*+(?:\"\"[^\"]*+)*+)\"[\s,;]*")
ATTRIBUTE = re.compile(r"\s*@attribute\s+('[^']*'|\"[^\"]*\"|[^\s{]+)", re.IGNORECASE)
DATA = re.compile(r"^[ \t]*@data\b", re.IGNORECASE | re.MULTILINE)
SINGLE_QUOTED = re.compile(r"(^|[,;\t| ])\s*'[^'\n]*'\s*($|[,;\t| ])")
# fmt: off
SUMS = frozenset([
    "total", "totals", "sum", "subtotal", "mean", "average", "avg", "median", "summe", "gesamt", "mittelwert",
    "durchschnitt",
])
# fmt: on


@dataclass(frozen=True)
class Grid:
    """Rows of cells under column names, each with the line of the file on which it begins.

    Attributes:
        left_out: The lines that are not rows.
        notes: What else was changed in reading, as sentences.
        unnamed: The columns that have no name in the file.
    """

    names: tuple[str, ...]
    rows: tuple[Row, ...]
    separator: str
    left_out: Complaints = NONE
    notes: tuple[str, ...] = ()
    unnamed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Layout:
    """A file's lines and its dialect.

    Attributes:
        first: Index of the first line that may belong to the table.
        names: Of the columns, where they stand outside of the table.
    """

    lines: list[str]
    dialect: Dialect
    first: int = 0
    names: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def reading(self, width: int = 0) -> Reading:
        """All rows of the file."""
        return Reading(self.lines, self.dialect, width, self.first)


def read_grid(content: bytes | str, most: int, seed: int = 0) -> Grid:
    """Read the rows of a file, however it separates their cells and whether or not it names its columns.

    Args:
        content: The file.
        most: Most rows that are examined; of more, a sample.
        seed: Of the sample.

    Raises:
        ValueError: With a sentence, if the file holds no table.
    """
    text, notes = text_of(content)
    layout = _layout(text)
    records, least, width = _counted(layout)
    controls = bool(CONTROL.search(text))

    def is_row(record: Record) -> bool:
        return least <= record.width and record.filled <= least and not (controls and CONTROL.search(record.text))

    head = list(islice(filter(is_row, layout.reading(least)), SNIFFED_LINES))
    if not head:
        raise ValueError(f"this is no text; {INSTEAD}" if controls else "the file is empty.")
    rows = _cells(head, layout.dialect, least)
    header, head_lines = _header(layout, rows, sum(many for one, many in records.items() if _fits(one, least)), least)
    below = sum(many for one, many in records.items() if _fits(one, least)) - header.height
    kept = None if below <= most else set(sample(below, most, seed, "rows read"))
    taken, wrong, reading = _taken(layout, least, is_row, header, kept, head_lines, width)
    if not taken:
        raise ValueError("the file holds only a header; there are no rows below it.")
    rows = _cells(taken, layout.dialect, least)
    rows = _without_sums(rows, wrong)
    notes = [*layout.notes, *notes, *_noted(reading, header, head_lines)]
    if kept:
        notes.append(f"{below:,} rows: a sample of {most:,} is looked at.")
    return _grid(header, rows, layout, Complaints.of(sorted(wrong)), notes)


def sample(many: int, some: int, seed: int, purpose: str) -> list[int]:
    """So many of the numbers below `many`, in order."""
    return np.sort(stream(seed, purpose).choice(many, some, replace=False)).tolist()


def _layout(text: str) -> Layout:
    """How a file is written, by what its first lines declare, else by what fits most of its lines."""
    lines = lines_of(text)
    if DATA.search(text[:200_000]) and any(map(ATTRIBUTE.match, lines[:SNIFFED_LINES])):
        return _arff(lines)
    first, separator, notes = 0, "", []
    said = SEP_LINE.fullmatch(lines[0]) if lines else None
    if said:
        first, separator = 1, {"\\t": "\t", " ": BLANKS}.get(said[1] or "", said[1] or "")
        notes.append(f"line 1, {quoted(lines[0].strip())}, says what separates the cells.")
    shown = [line for line in islice(lines, first, first + 20 * SNIFFED_LINES) if line.strip()]
    if not any(line.strip(",;\t| \f\v") for line in shown):
        raise ValueError("the file is empty.")
    if all(_is_wrapped(line) for line in shown[:SNIFFED_LINES]):
        lines = [_unwrapped(line) for line in lines]
        shown = [_unwrapped(line) for line in shown]
        notes.append("Every line is in quotation marks as a whole; they are taken off.")
    single = '"' not in text[:1_000_000] and sum(bool(SINGLE_QUOTED.search(line[:WIDEST])) for line in shown) * 2 > len(
        shown
    )
    quote = "'" if single else '"'
    comments = _comments(shown)
    shown = (
        [line for line in shown if not is_comment(line, comments)][:SNIFFED_LINES]
        if comments
        else shown[:SNIFFED_LINES]
    )
    if separator and any(separator in line for line in shown):
        dialect = Dialect(separator, quote, comments)
    else:
        dialect = _dialect(shown, quote, comments)
    comments = tuple(mark for mark in dialect.comments if mark != dialect.separator)
    return Layout(lines, replace(dialect, comments=comments), first, notes=notes)


def _arff(lines: list[str]) -> Layout:
    """A file of Weka's, which names its columns above its rows."""
    start = next(place for place, line in enumerate(lines) if line.strip().lower().startswith("@data"))
    names = [found[1].strip("'\"") for line in lines[:start] if (found := ATTRIBUTE.match(line))]
    data = [line for line in islice(lines, start + 1, start + SNIFFED_LINES) if line.strip()]
    if data and sum(line.lstrip().startswith("{") for line in data) * 2 > len(data):
        raise ValueError("this is a sparse ARFF file; write it with all its values, or save the table as CSV.")
    quote = "'" if any("'" in line for line in data) and not any('"' in line for line in data) else '"'
    return Layout(
        lines, Dialect(",", quote, ("%",)), start + 1, tuple(names), ["The file is ARFF: @attribute names the columns."]
    )


def _comments(lines: Sequence[str]) -> tuple[str, ...]:
    """What comments begin with: it stands before a few lines, or before all those on top."""
    found = []
    for mark in COMMENTS:
        places = [place for place, line in enumerate(lines) if is_comment(line, (mark,))]
        top = next((place for place, line in enumerate(lines) if not is_comment(line, (mark,))), len(lines))
        below = sum(place > top for place in places)
        if places and top < len(lines) and below * 2 < len(lines) - top:
            found.append(mark)
    return tuple(found)


def _dialect(lines: list[str], quote: str, comments: tuple[str, ...]) -> Dialect:
    """What separates the cells: with the right separator rows are equally long, and cells are numbers."""
    every = [Dialect(separator, quote, comments) for separator in SEPARATORS]
    best = max(every, key=lambda dialect: _plausibility(lines, dialect))
    if not _plausibility(lines, best)[0]:
        raise ValueError(
            "only one column was found; separate columns by commas, semicolons or tabs, "
            "or say in a first line what separates them, such as sep=:"
        )
    return best


def _is_wrapped(line: str) -> bool:
    """Whether whole rows are quoted, as when a spreadsheet has taken each for one cell."""
    found = WRAPPED.fullmatch(line)
    return bool(found) and any(mark in found[1] for mark in ",;\t|")


def _unwrapped(line: str) -> str:
    found = WRAPPED.fullmatch(line)
    return found[1].replace('""', '"') if found else line


def _plausibility(lines: list[str], dialect: Dialect) -> tuple[bool, float]:
    records = list(Reading(lines, replace(dialect, comments=())))
    widths, filled = (Counter(getattr(one, name) for one in records) for name in ("width", "filled"))
    if not records or max(widths.most_common(1)[0][0], filled.most_common(1)[0][0]) == 1:
        return False, 0.0
    most = max(widths.most_common(1)[0][1], filled.most_common(1)[0][1])
    width = min(max(widths), WIDEST)
    rows = _cells([one for one in records if one.width <= width], dialect, width)
    cells = [cell for _, row in rows for cell in row if cell]
    numbers = sum(map(looks_like_number, cells)) / max(len(cells), 1)
    if dialect.separator == BLANKS and not numbers:
        return False, 0.0
    return True, most / len(records) + numbers - 0.01 * (dialect.separator == BLANKS)


def _counted(layout: Layout) -> tuple[Counter[tuple[int, int]], int, int]:
    """How many rows there are of each width, the cells of a row, and those with empty cells at its end."""
    widths = Counter((one.width, one.filled) for one in islice(layout.reading(), SNIFFED_LINES))
    if not widths:
        raise ValueError("the file is empty.")
    records = Counter((one.width, one.filled) for one in layout.reading(_least(widths)[0]))
    least, width = _least(records)
    if width == 1:
        raise ValueError("only one column was found; separate columns by commas, semicolons or tabs.")
    if least > WIDEST or (least > MAX_COLUMNS + 1 and sum(records.values()) == 1):
        raise ValueError(_too_wide(least))
    return records, least, width


def _least(records: Counter[tuple[int, int]]) -> tuple[int, int]:
    """The cells of most rows without and with trailing columns that are empty in all of them."""
    widths = Counter()
    for (width, _), many in records.items():
        widths[width] += many
    width = max(widths, key=lambda one: (widths[one] if one > 1 else 0, one))
    return max(filled for one, filled in records if one == width), width


def _fits(shape: tuple[int, int], least: int) -> bool:
    return shape[1] <= least <= shape[0]


def _cells(records: Sequence[Record], dialect: Dialect, width: int) -> list[Row]:
    """The cells of rows, as pandas splits them."""
    if not records:
        return []
    text = "\n".join(one.text for one in records)
    frame = pd.read_csv(
        io.StringIO(text, newline=""),
        header=None,
        names=range(width),
        index_col=False,
        dtype=str,
        na_filter=False,
        skipinitialspace=True,
        skip_blank_lines=False,
        **dialect.arguments,
    )
    if len(frame) != len(records):
        raise ValueError("its quotation marks do not go with its lines; save the table anew from a spreadsheet.")
    cells = frame.to_numpy(dtype=object).tolist()
    return [(one.line, [unguarded(cell.strip()) for cell in row]) for one, row in zip(records, cells, strict=True)]


def _header(layout: Layout, rows: list[Row], total: int, width: int) -> tuple[Header, dict[int, str]]:
    """The header, and the lines outside of the table that were used for it."""
    if layout.names:
        return Header(list(layout.names)[:width] + [""] * (width - len(layout.names))), {}
    header = header_of(rows, total)
    if header.cells is not None:
        return header, {}
    above = _line_above(layout, rows[0][0])
    if above is None:
        return header, {}
    line, text, is_remark = above
    cells = _split(text, layout.dialect)
    words = bool(cells) and not any(map(looks_like_number, cells))
    if len(cells) == width and words:
        return Header(cells), {line: "names"}
    if is_remark or not words:
        return header, {}
    if len(cells) == width - 1 and len(cells) > 1 and _are_row_names(rows):
        return Header(["", *cells]), {line: "names"}
    if len(cells) > 1:
        return header, {line: f"{len(cells)} names for {width} columns: they are called x1, x2 and so on here"}
    return header, {}


def _line_above(layout: Layout, line: int) -> tuple[int, str, bool] | None:
    """The last line with words above the table, without its comment mark, and whether it had one."""
    for place in range(line - 2, layout.first - 1, -1):
        text = layout.lines[place].strip()
        if text:
            remark = bool(layout.dialect.comments) and is_comment(text, layout.dialect.comments)
            return place + 1, text.lstrip("#%/!; ") if remark else text, remark
    return None


def _split(text: str, dialect: Dialect) -> list[str]:
    """The cells of a line above the table."""
    found = list(Reading([text], replace(dialect, comments=())))
    return _cells(found, dialect, found[0].filled)[0][1] if found and found[0].filled <= WIDEST else []


def _are_row_names(rows: list[Row]) -> bool:
    """Whether a first column without a name holds row names: all different words, or 1, 2, 3."""
    cells = [row[0] for _, row in rows]
    counts = cells == [str(place) for place in range(1, len(cells) + 1)]
    return counts or (len(set(cells)) == len(cells) and not any(map(looks_like_number, cells)))


def _taken(
    layout: Layout,
    least: int,
    is_row: object,
    header: Header,
    kept: set[int] | None,
    head_lines: dict[int, str],
    width: int,
) -> tuple[list[Record], list[tuple[int, str]], Reading]:
    """The rows that are examined, what is wrong with the other lines, and how it was read."""
    reading, taken, wrong = layout.reading(least), [], []
    place = -header.height
    for record in reading:
        if is_row(record):
            reading.longer += [record.line] * (record.width > least)
            if place >= 0 and (kept is None or place in kept):
                taken.append(record)
            place += 1
        elif record.line not in head_lines:
            wrong.append((record.line, _fault(record, width)))
    wrong += [(line, "a quotation mark opens here and does not close") for line in reading.open]
    return taken, wrong, reading


def _fault(record: Record, width: int) -> str:
    control = CONTROL.search(record.text)
    if control:
        return f"it holds the control character U+{ord(control[0]):04X}"
    return f"{record.width:,} {'cell' if record.width == 1 else 'cells'} where most lines have {width:,}"


def _without_sums(rows: list[Row], wrong: list[tuple[int, str]]) -> list[Row]:
    """The rows without a total at their end, which is no example."""
    while len(rows) > 1 and rows[-1][1][0].lower().rstrip(":") in SUMS:
        word = rows[-1][1][0]
        if sum(cells[0].lower() == word.lower() for _, cells in rows) > 1:
            break
        wrong.append((rows[-1][0], f"{quoted(word)} is a sum, no row of the table"))
        rows = rows[:-1]
    return rows


def _noted(reading: Reading, header: Header, head_lines: dict[int, str]) -> list[str]:
    """Sentences about lines that are neither rows nor errors."""
    remarks = [line for line in reading.comments if line not in head_lines]
    notes = []
    if reading.longer:
        many = f"{len(reading.longer):,} lines end" if len(reading.longer) > 1 else f"line {reading.longer[0]} ends"
        notes.append(f"{many} in a separator too many: the column without a name or a cell is left out.")
    if remarks:
        notes.append(f"{lines_named(remarks)}: {'comments' if len(remarks) > 1 else 'a comment'}; left out.")
    for line, words in (*header.aside, *head_lines.items()):
        notes.append(f"line {line}: {'it names the columns' if words == 'names' else words + '; left out'}.")
    return notes


def _grid(header: Header, rows: list[Row], layout: Layout, left_out: Complaints, notes: list[str]) -> Grid:
    """The table without the columns that have neither name nor cells."""
    width = len(rows[0][1])
    cells = header.cells or [""] * width
    full = [place for place in range(width) if cells[place] or any(row[place] for _, row in rows)]
    empty = [str(place + 1) for place in range(width) if place not in full]
    if empty:
        listed = ", ".join(empty[:5]) + (" …" if len(empty) > 5 else "")
        notes.append(f"column{'s' if len(empty) > 1 else ''} {listed} without a name or a cell; left out.")
    if len(full) < 2:
        raise ValueError("only one column was found; separate columns by commas, semicolons or tabs.")
    if len(full) > MAX_COLUMNS + 1:
        raise ValueError(_too_wide(len(full)))
    names, renamed = names_of([cells[place] for place in full])
    unnamed = frozenset(name for name, place in zip(names, full, strict=True) if cells[place].lower() in INDEX_NAMES)
    return Grid(
        tuple(names),
        tuple((line, [row[place] for place in full]) for line, row in rows),
        layout.dialect.separator,
        left_out,
        (*notes, *(renamed if header.cells else ())),
        unnamed,
    )


def _too_wide(width: int) -> str:
    return f"the file has {width:,} columns; {MAX_COLUMNS + 1} are the most. Leave some out."
