"""Sheet: a file of comma-separated values as somebody has it, read with patience. No Panel here."""

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dashboard.own_data.tables import FEWEST_ROWS, LARGEST, LONGEST_NAME, MOST_CLASSES, MOST_COLUMNS, MOST_ROWS, Table
from engine.chance import stream

LARGEST_FILE = 10 * 10**6
"""Bytes of a file that are read."""

MOST_READ = 10_000
"""Rows that are looked at; of more, a sample."""

MOST_SAID = 10
"""Problems that are spelled out."""

DELIMITERS = (",", ";", "\t", " ")
MISSING = frozenset(["", "na", "n/a", "nan", "null", "none", "?", "-"])
UNREADABLE = {*map(chr, range(32)), "\x7f"} - set("\t\n\r\f\v")
Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Complaints:
    """What is wrong with lines of a file, in their order: the first ten are spelled out, the others counted."""

    first: tuple[tuple[int, str], ...] = ()
    more: int = 0

    def __add__(self, other: "Complaints") -> "Complaints":
        """Those of both, line by line."""
        both = sorted([*self.first, *other.first])
        return Complaints(tuple(both[:MOST_SAID]), self.more + other.more + len(both[MOST_SAID:]))

    def told(self) -> list[str]:
        """All of them as sentences."""
        rest = [f"… and {self.more:,} more lines like these"] if self.more else []
        return [f"line {line}: {problem}; left out" for line, problem in self.first] + rest


@dataclass(frozen=True, eq=False)
class Sheet:
    """Rows of cells under names, each with the line of the file on which it begins.

    delimiter  what separates the cells; where it is no comma, 2,5 is a number
    left_out   the lines that are no rows
    notes      what else was done in reading, as sentences
    """

    names: tuple[str, ...]
    rows: tuple[Row, ...]
    delimiter: str
    left_out: Complaints = Complaints()
    notes: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """What was left out or changed in reading, as sentences."""
        return [*self.left_out.told(), *self.notes]

    @cached_property
    def numeric(self) -> tuple[str, ...]:
        """The columns most of whose cells are numbers."""
        return tuple(name for place, name in enumerate(self.names) if self._is_numeric(place))

    def values(self, name: str) -> set[str]:
        """All the different cells of a column that are not missing."""
        place = self.names.index(name)
        return {cells[place] for _, cells in self.rows} - MISSING

    def task(self, answer: str) -> str:
        """What is most likely wanted of a column: to tell "classes" apart, or a "regression"."""
        few = len(self.values(answer)) <= MOST_CLASSES
        return "classes" if few or answer not in self.numeric else "regression"

    def table(
        self, inputs: Sequence[str], answer: str, task: str, rescale: bool = False, seed: int = 0
    ) -> tuple[Table, list[str]]:
        """The table of these columns, and what was left out of it, line by line.

        task     "classes" or "regression"
        rescale  bring the values of a regression to mean 0 and standard deviation 1
        seed     of the sample that is taken where there are too many rows

        Raises ValueError with what to choose instead where there is nothing to learn from.
        """
        self._check(inputs, answer, task)
        rows, wrong = self._complete(inputs, answer, task)
        left_out = (self.left_out + wrong).told()
        problems = [*left_out, *self.notes]
        if len(rows) < FEWEST_ROWS:
            why = " ".join(f"{one}." for one in left_out)
            raise ValueError(f"{len(rows)} complete rows are too few; {FEWEST_ROWS} are needed. {why}".strip())
        if len(rows) > MOST_ROWS:
            problems.append(f"{len(rows):,} complete rows: a sample of {MOST_ROWS:,} is used.")
            rows = [rows[place] for place in _sample(len(rows), MOST_ROWS, seed, "rows taken")]
        x = np.array([numbers for numbers, _ in rows])
        answers = [text for _, text in rows]
        names = np.array(inputs)[np.ptp(x, axis=0) == 0]
        problems += [f"{name} is the same in every row: nothing can be learned from it." for name in names]
        if task == "classes":
            return self._of_classes(inputs, answer, x, answers), problems
        y = np.array([self._number(text) for text in answers])
        if np.ptp(y) == 0:
            raise ValueError(f"every row has {answer} = {answers[0]}: there is nothing to predict.")
        if rescale:
            y, words = _rescaled(y)
            problems.append(f"{answer} {words}")
        return Table(tuple(inputs), x, y, "regression", answer=answer), problems

    def _of_classes(self, inputs: Sequence[str], answer: str, x: np.ndarray, answers: list[str]) -> Table:
        """Numbers that are written differently, such as 1 and 1.0, are one class."""
        numeric = answer in self.numeric
        keys = [self._number(text) if numeric else text for text in answers]
        order = sorted(set(keys))
        if len(order) == 1:
            raise ValueError(f"every row has {answer} = {answers[0]}: there is nothing to tell apart.")
        if len(order) > MOST_CLASSES:
            instead = "; choose the task “regression” to predict its values" if numeric else "; choose another answer"
            raise ValueError(
                f"{answer} has {len(order):,} different values, the most are {MOST_CLASSES} classes{instead}."
            )
        labels = [answers[keys.index(key)][:LONGEST_NAME] for key in order]
        return Table.labeled(inputs, x, np.array([order.index(key) for key in keys]), labels, answer)

    def _check(self, inputs: Sequence[str], answer: str, task: str) -> None:
        unknown = [name for name in (*inputs, answer) if name not in self.names]
        if unknown:
            raise ValueError(f"there is no column {unknown[0]!r}; choose from {', '.join(self.names)}.")
        if not inputs:
            raise ValueError("no inputs are chosen; choose one column of numbers or more.")
        if answer in inputs:
            raise ValueError(f"{answer} is an input and the answer; choose another column for one of them.")
        texts = [name for name in inputs if name not in self.numeric]
        if texts:
            raise ValueError(f"{texts[0]} is no column of numbers; leave it out of the inputs.")
        if task not in ("classes", "regression"):
            raise ValueError(f"task {task!r} is unknown; choose “classes” or “regression”.")
        if task == "regression" and answer not in self.numeric:
            raise ValueError(f"{answer} is no column of numbers; choose the task “classes” to tell its values apart.")

    def _complete(
        self, inputs: Sequence[str], answer: str, task: str
    ) -> tuple[list[tuple[list[float], str]], Complaints]:
        """The inputs and the answer of every row that has them all, and what is wrong with the others."""
        places, at = [self.names.index(name) for name in inputs], self.names.index(answer)
        numbers = [*places, at] if task == "regression" or answer in self.numeric else places
        rows, wrong = [], []
        for line, cells in self.rows:
            trouble = next(filter(None, (self._trouble(cells[place], place) for place in numbers)), "")
            if not trouble and cells[at].lower() in MISSING:
                trouble = f"{answer} has no value"
            if trouble:
                wrong.append((line, trouble))
            else:
                rows.append(([self._number(cells[place]) for place in places], cells[at]))
        return rows, _complaints(wrong)

    def _trouble(self, cell: str, place: int) -> str:
        """What is wrong with a cell that should be a number."""
        name, number = self.names[place], self._number(cell)
        if number is not None:
            return "" if abs(number) <= LARGEST else f"{_quoted(cell)} in column {name} is no number up to {LARGEST:g}"
        return f"{name} has no value" if cell.lower() in MISSING else f"{_quoted(cell)} in column {name} is no number"

    def _is_numeric(self, place: int) -> bool:
        return _mostly_numbers([cells[place] for _, cells in self.rows], self.delimiter)

    def _number(self, cell: str) -> float | None:
        return _number(cell, self.delimiter)


def read_csv(content: bytes | str, seed: int = 0) -> Sheet:
    """The sheet that a file holds, however it separates its cells and whether it names its columns or not.

    seed: of the sample that is taken where there are very many rows

    Raises ValueError with a sentence when it holds no table.
    """
    text = _text(content)
    delimiter = _delimiter(text)
    widths = Counter(len(cells) for _, cells in _rows(text, delimiter))
    if not widths:
        raise ValueError("the file is empty.")
    width = max(widths, key=lambda one: (widths[one] if one > 1 else 0, one))
    if width == 1:
        raise ValueError("only one column was found; separate columns by commas, semicolons or tabs.")
    if width > MOST_COLUMNS + 1:
        raise ValueError(f"the file has {width:,} columns; {MOST_COLUMNS + 1} are the most. Leave some out.")
    below = widths[width] - 1
    kept = _kept(below, seed)
    rows, wrong = [], []
    for place, (line, cells) in enumerate(_of_width(text, delimiter, width, wrong)):
        if place == 0 or kept is None or place - 1 in kept:
            rows.append((line, [cell.strip() for cell in cells]))
    return _titled(rows[0], rows[1:], delimiter, _complaints(wrong), _sampled(below, kept))


def _titled(head: Row, rows: list[Row], delimiter: str, wrong: Complaints, notes: list[str]) -> Sheet:
    """The sheet under the names of its first row, or made-up ones where that is a row like the others."""
    if not _is_header(head[1], rows, delimiter):
        names = [f"x{place}" for place in range(1, len(head[1]) + 1)]
        return Sheet(tuple(names), (head, *rows), delimiter, wrong, tuple(notes))
    if not rows:
        raise ValueError("the file holds only a header; there are no rows below it.")
    names = _names(head[1])
    pairs = zip(head[1], names, strict=True)
    notes += [
        f"column {place}, {_quoted(old)}, is called {new} here."
        for place, (old, new) in enumerate(pairs, 1)
        if old != new
    ]
    return Sheet(tuple(names), tuple(rows), delimiter, wrong, tuple(notes))


def _is_header(cells: list[str], rows: list[Row], delimiter: str) -> bool:
    """Whether a first row names columns: it has words where the rows below have numbers, or all are words."""
    numbers = [_number(cell, delimiter) is not None for cell in cells]
    below = [_mostly_numbers([row[place] for _, row in rows], delimiter) for place in range(len(cells))]
    words_on_numbers = any(
        under and not over and cell.lower() not in MISSING
        for cell, over, under in zip(cells, numbers, below, strict=True)
    )
    return words_on_numbers or not (any(numbers) or any(below))


def _names(cells: list[str]) -> list[str]:
    """A name for every column, all different."""
    names: list[str] = []
    for place, cell in enumerate(cells, 1):
        name = plain = " ".join(cell.split())[: LONGEST_NAME - 8] or f"x{place}"
        again = 1
        while name in names:
            again += 1
            name = f"{plain} ({again})"
        names.append(name)
    return names


def _text(content: bytes | str) -> str:
    size = len(content)
    if size > LARGEST_FILE:
        raise ValueError(f"the file has {size / 1e6:.1f} MB; {LARGEST_FILE // 10**6} MB are the most.")
    text = content if isinstance(content, str) else _decoded(content)
    text = text.removeprefix("\ufeff")
    if not UNREADABLE.isdisjoint(text):
        raise ValueError("this is no text; save the table as CSV, for example from the spreadsheet it is in.")
    return text


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _rows(text: str, delimiter: str) -> Iterator[Row]:
    """The rows that are not blank, with the line each begins on; blanks may follow their cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    line = 1
    try:
        for row in reader:
            if any(row):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"line {line} cannot be read: {error}.") from None


def _of_width(text: str, delimiter: str, width: int, wrong: list[tuple[int, str]]) -> Iterator[Row]:
    """The rows of so many cells; a sentence about each of the others."""
    for line, cells in _rows(text, delimiter):
        if len(cells) == width:
            yield line, cells
        else:
            wrong.append((line, f"{len(cells)} cells where most lines have {width}"))


def _delimiter(text: str) -> str:
    """What separates the cells: rows are then equally long, and cells are numbers."""
    return max(DELIMITERS, key=lambda delimiter: _plausibility(text, delimiter))


def _plausibility(text: str, delimiter: str) -> tuple[bool, float]:
    rows = []
    try:
        for _, (_, cells) in zip(range(50), _rows(text[:50_000], delimiter), strict=False):
            rows.append(cells)
    except ValueError:
        return False, 0.0
    widths = Counter(map(len, rows))
    if not widths or widths.most_common(1)[0][0] == 1:
        return False, 0.0
    cells = [cell for row in rows for cell in row]
    numbers = sum(_number(cell, delimiter) is not None for cell in cells) / len(cells)
    if delimiter == " " and not numbers:
        return False, 0.0
    return True, widths.most_common(1)[0][1] / len(rows) + numbers - (delimiter == " ")


def _number(cell: str, delimiter: str) -> float | None:
    """The number a cell says, None where it says none."""
    if "_" in cell:
        return None
    try:
        number = float(cell.replace(",", ".") if delimiter != "," else cell)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _mostly_numbers(cells: Sequence[str], delimiter: str) -> bool:
    present = [cell for cell in cells if cell.lower() not in MISSING]
    return sum(_number(cell, delimiter) is not None for cell in present) > len(present) / 2


def _kept(rows: int, seed: int) -> set[int] | None:
    """Which of very many rows are looked at; None for all."""
    return None if rows <= MOST_READ else set(_sample(rows, MOST_READ, seed, "rows read"))


def _sampled(rows: int, kept: set[int] | None) -> list[str]:
    return [f"{rows:,} rows: a sample of {MOST_READ:,} is looked at."] if kept else []


def _sample(many: int, some: int, seed: int, purpose: str) -> list[int]:
    """So many of the numbers below `many`, in their order."""
    return np.sort(stream(seed, purpose).choice(many, some, replace=False)).tolist()


def _rescaled(y: np.ndarray) -> tuple[np.ndarray, str]:
    mean, spread = float(y.mean()), float(y.std()) or 1.0
    return (y - mean) / spread, f"is brought to mean 0 (from {mean:g}) and standard deviation 1 (from {spread:g})."


def _complaints(wrong: list[tuple[int, str]]) -> Complaints:
    return Complaints(tuple(wrong[:MOST_SAID]), len(wrong[MOST_SAID:]))


def _quoted(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:40] + "…")
