"""Headers: which of a file's first rows names the columns, and which are titles or units."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dashboard.storage.csv_file.column import is_date, is_missing
from dashboard.storage.csv_file.complaints import quoted
from dashboard.storage.csv_file.file_text import plain
from dashboard.storage.csv_file.number_style import is_bare, looks_like_number, tidy
from dashboard.storage.tables import MAX_NAME_LENGTH

MAX_HEADER_ROWS = 6
"""Most rows above the first one of numbers that may be titles, names and units."""

INDEX_NAMES = ("", "unnamed: 0", "unnamed:0")
Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Header:
    """What stands above the rows of a table.

    Attributes:
        cells: Names of the columns; None where no row has them.
        height: Rows of full width that belong to the header: all before the first of the table.
        aside: The rows among them that are not names, with what they are.
    """

    cells: list[str] | None
    height: int = 0
    aside: tuple[tuple[int, str], ...] = ()


def header_of(rows: Sequence[Row], total: int) -> Header:
    """The header of a table.

    Args:
        rows: The first rows of the table.
        total: Number of all rows, including what stands above them.
    """
    if _counts(rows[0][1], total):
        rest = header_of(rows[1:], 0) if len(rows) > 1 else Header(None)
        aside = ((rows[0][0], "it only counts the rows and columns"), *rest.aside)
        return Header(rest.cells, rest.height + 1, aside)
    body = rows[min(3, len(rows) - 1) :] if len(rows) > 1 else []
    typed = [_is_typed([cells[place] for _, cells in body]) for place in range(len(rows[0][1]))]
    if not any(typed):
        first = rows[0][1]
        named = not any(map(_is_value, first)) and not _recurs(rows)
        return Header(first, 1) if named else Header(None)
    bare = [_is_bare([cells[place] for _, cells in body]) for place in range(len(typed))]
    if _counts_up(rows[0][1], typed, body):
        return Header(rows[0][1], 1)
    above = []
    for row in rows[:MAX_HEADER_ROWS]:
        if not _is_above(row[1], typed, bare):
            break
        above.append(row)
    return _chosen(above, typed)


def _chosen(above: Sequence[Row], typed: list[bool]) -> Header:
    """Which row names the columns: the fullest. Those above it are titles, those below it units, or faulty rows."""
    if not above:
        return Header(None)
    fullest = max(range(len(above)), key=lambda place: (sum(map(bool, above[place][1])), -place))
    aside = [(line, f"{quoted(_first(cells))} stands above the names") for line, cells in above[:fullest]]
    height = fullest + 1
    for line, cells in above[height:]:
        if any(under and _is_value(cell) for cell, under in zip(cells, typed, strict=True)):
            break
        aside.append((line, f"{quoted(_first(cells))} is no number, as in a row of units"))
        height += 1
    return Header(above[fullest][1], height, tuple(aside))


def names_of(cells: Sequence[str]) -> tuple[list[str], list[str]]:
    """A name for every column, short and all different; and notes on those that differ from the file."""
    names: list[str] = []
    notes = []
    for place, cell in enumerate(cells, 1):
        name = base = plain(cell)[: MAX_NAME_LENGTH - 8].rstrip() or f"x{place}"
        again = 1
        while name in names:
            again += 1
            name = f"{base} ({again})"
        names.append(name)
        if name != cell:
            notes.append(f"column {place}, {quoted(cell)}, is called {name} here.")
    return names, notes


def _is_typed(cells: Sequence[str]) -> bool:
    """Whether most cells are numbers or dates, which names are not."""
    present = [cell for cell in cells if not is_missing(cell)]
    return sum(_is_value(cell) for cell in present) * 2 > len(present)


def _is_value(cell: str) -> bool:
    return looks_like_number(cell) or is_date(cell)


def _is_bare(cells: Sequence[str]) -> bool:
    """Whether most cells are numbers with nothing around them: then 1st is a name, and so is 2024-03-01."""
    present = [cell for cell in cells if not is_missing(cell)]
    return sum(is_bare(tidy(cell)) for cell in present) * 2 > len(present)


def _is_above(cells: list[str], typed: list[bool], bare: list[bool]) -> bool:
    """Whether a row holds other things than values: words where the rows below have numbers."""
    over = [
        (cell, plain) for cell, under, plain in zip(cells, typed, bare, strict=True) if under and not is_missing(cell)
    ]
    numbers = [cell for cell, plain in over if is_bare(tidy(cell)) or (not plain and _is_value(cell))]
    words = len(over) - len(numbers)
    return words > 0 and (len(numbers) <= words or all(_is_year(cell) for cell in numbers))


def _is_year(cell: str) -> bool:
    text = tidy(cell)
    return len(text) == 4 and text.isdecimal() and 1800 <= int(text) <= 2100


def _counts_up(cells: list[str], typed: list[bool], body: Sequence[Row]) -> bool:
    """Whether the columns are called 0, 1, 2 and so on, as programs do in the absence of names, or by years."""
    indexed = is_missing(cells[0])
    over = [tidy(cell) for cell, under in zip(cells[indexed:], typed[indexed:], strict=True) if under]
    if _are_years(over):
        return not all(_is_year(cell) for _, row in body for cell, under in zip(row, typed, strict=True) if under)
    if len(over) < 3 or over != list(map(str, range(len(over)))):
        return False
    return indexed or any(not cell.isdecimal() for _, row in body for cell in row)


def _are_years(cells: Sequence[str]) -> bool:
    """Whether cells are consecutive years."""
    return len(cells) > 1 and all(map(_is_year, cells)) and {int(b) - int(a) for a, b in pairwise(cells)} == {1}


def _counts(cells: list[str], total: int) -> bool:
    """Whether a first row gives the numbers of rows and inputs, as in scikit-learn's files."""
    return len(cells) > 2 and cells[:2] == [str(total - 1), str(len(cells) - 1)]


def _recurs(rows: Sequence[Row]) -> bool:
    """Whether all words of a first row occur in rows below too, so that they are not names."""
    below = [{cells[place] for _, cells in rows[1:]} for place in range(len(rows[0][1]))]
    return len(rows) > 2 and all(cell in others for cell, others in zip(rows[0][1], below, strict=True))


def _first(cells: Sequence[str]) -> str:
    return next(filter(None, cells), "")
