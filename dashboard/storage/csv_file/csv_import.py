"""CSV import turns a user's file of comma-separated values into a table, whatever its dialect."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dashboard.storage.csv_file.column import Column, columns_of, is_missing, labels_of
from dashboard.storage.csv_file.complaints import NONE, Complaints
from dashboard.storage.csv_file.csv_rows import read_grid, sample
from dashboard.storage.csv_file.header import Row
from dashboard.storage.csv_file.suggestion import Suggestion, group_sentence, one_hot, suggested
from dashboard.storage.tables import MAX_CLASSES, MAX_ROWS, MIN_ROWS, Table

MAX_ROWS_READ = 10_000
"""Most rows that are examined; of more, a sample."""

MIN_CLASS_EXAMPLES = 5
"""Examples below which a rare class is too small to learn from."""

MAX_COUNTED_CLASS = 20
"""Largest whole number up to which the values of a regression may be meant as classes."""


@dataclass(frozen=True, eq=False)
class CsvImport:
    """Rows of cells under column names, each with the line of the file on which it begins.

    Attributes:
        delimiter: What separates the cells; a blank stands for any number of blanks and tabs.
        left_out: The lines that are not rows.
        notes: What else was changed in reading, as sentences.
        unnamed: The columns that have no name in the file.
    """

    names: tuple[str, ...]
    rows: tuple[Row, ...]
    delimiter: str
    left_out: Complaints = NONE
    notes: tuple[str, ...] = ()
    unnamed: frozenset[str] = frozenset()

    @property
    def problems(self) -> list[str]:
        """What was left out or changed in reading, as sentences."""
        return [*self.left_out.sentences(), *self.notes]

    @cached_property
    def columns(self) -> dict[str, Column]:
        """All columns by name."""
        return columns_of(self.names, self.rows, self.delimiter)

    @cached_property
    def numeric(self) -> tuple[str, ...]:
        """The columns that can be inputs: most of their cells are numbers, or all are true or false."""
        return tuple(name for name, column in self.columns.items() if column.is_input)

    @cached_property
    def suggestion(self) -> Suggestion:
        """Which column is probably the answer, which are inputs, and why others are not."""
        return suggested(self.columns, self.unnamed)

    def values(self, name: str) -> set[str]:
        """All distinct cells of a column that are not missing."""
        return {cell for _, cell in self.columns[name].present}

    def task(self, answer: str) -> str:
        """What a column is probably for: to distinguish "classes", or a "regression"."""
        column = self.columns[answer]
        if not column.is_numeric:
            return "classes"
        few = len(column.distinct) <= MAX_CLASSES
        whole = all(value == int(value) for value in column.numbers)
        return "classes" if few and (whole or 2 * len(column.distinct) <= len(column.present)) else "regression"

    def table(
        self, inputs: Sequence[str], answer: str, task: str, rescale: bool = False, seed: int = 0
    ) -> tuple[Table, list[str]]:
        """The table of these columns, and what was left out of it, line by line.

        Args:
            inputs: Names of the columns to learn from.
            answer: Name of the column to predict.
            task: "classes" or "regression".
            rescale: Whether to bring the values of a regression to mean 0 and standard deviation 1.
            seed: Of the sample that is taken where there are too many rows.

        Raises:
            ValueError: If there is nothing to learn from; the message says what to choose instead.
        """
        self._check(inputs, answer, task)
        rows, wrong = self._complete(inputs, answer, task)
        left_out = (self.left_out + wrong).sentences()
        problems = [*left_out, *self.notes, *self._readings(inputs, answer, task)]
        if len(rows) < MIN_ROWS:
            why = " ".join(f"{one}." for one in left_out)
            raise ValueError(f"{len(rows)} complete rows are too few; {MIN_ROWS} are needed. {why}".strip())
        if len(rows) > MAX_ROWS:
            problems.append(f"{len(rows):,} complete rows: a sample of {MAX_ROWS:,} is used.")
            rows = [rows[place] for place in sample(len(rows), MAX_ROWS, seed, "rows taken")]
        x = np.array([numbers for numbers, _ in rows])
        answers = [text for _, text in rows]
        names = np.array(inputs)[np.ptp(x, axis=0) == 0]
        problems += [f"{name} is the same in every row: nothing can be learned from it." for name in names]
        if task == "classes":
            table = self._of_classes(inputs, answer, x, answers)
            return table, problems + _rare(table)
        return self._of_values(inputs, answer, x, answers, rescale, problems), problems

    def _of_classes(self, inputs: Sequence[str], answer: str, x: np.ndarray, answers: list[str]) -> Table:
        """A table of classes; numbers written differently, such as 1 and 1.0, are one class, and so are Yes and yes."""
        column = self.columns[answer]
        keys = [column.key(text) for text in answers]
        order = sorted(set(keys), key=lambda key: (isinstance(key, str), key))
        if len(order) == 1:
            raise ValueError(f"every row has {answer} = {answers[0]}: there is nothing to tell apart.")
        if len(order) > MAX_CLASSES:
            instead = "; choose another answer"
            if column.is_numeric:
                instead = "; choose the task “regression” to predict its values"
            raise ValueError(
                f"{answer} has {len(order):,} different values, the most are {MAX_CLASSES} classes{instead}."
            )
        places = {key: place for place, key in enumerate(order)}
        return Table.labeled(inputs, x, np.array([places[key] for key in keys]), labels_of(column, order), answer)

    def _of_values(
        self, inputs: Sequence[str], answer: str, x: np.ndarray, answers: list[str], rescale: bool, problems: list[str]
    ) -> Table:
        y = np.array([self.columns[answer].values[text] for text in answers])
        if np.ptp(y) == 0:
            raise ValueError(f"every row has {answer} = {answers[0]}: there is nothing to predict.")
        many = len(np.unique(y))
        if MAX_CLASSES < many <= MAX_COUNTED_CLASS and many * 2 <= len(y) and (y == np.round(y)).all():
            problems.append(
                f"{answer} has {many} different whole numbers: they are predicted as values. "
                f"As classes {MAX_CLASSES} are the most."
            )
        if rescale:
            y, words = _rescaled(y)
            problems.append(f"{answer} {words}")
        return Table(tuple(inputs), x, y, "regression", answer=answer)

    def _readings(self, inputs: Sequence[str], answer: str, task: str) -> list[str]:
        """What a reader may not expect of how the columns in use are read, as sentences."""
        column = self.columns[answer]
        used = [self.columns[name] for name in inputs]
        notes = [one.note for one in used] + [column.note if column.is_numeric and task == "regression" else ""]
        notes += [one.sentinel for one in (*used, column)]
        if task == "classes":
            notes += _joined(column)
        notes += [
            group_sentence(group, answer)
            for group in (one_hot(self.columns) if answer in self.numeric else ())
            if answer in group and set(group) & set(inputs)
        ]
        return [note for note in notes if note]

    def _check(self, inputs: Sequence[str], answer: str, task: str) -> None:
        unknown = [name for name in (*inputs, answer) if name not in self.names]
        if unknown:
            raise ValueError(f"there is no column {unknown[0]!r}; choose from {', '.join(self.names)}.")
        if not inputs:
            raise ValueError(
                " ".join(["no inputs are chosen; choose one column of numbers or more.", *self._why_none()])
            )
        if answer in inputs:
            raise ValueError(f"{answer} is an input and the answer; choose another column for one of them.")
        texts = [name for name in inputs if name not in self.numeric]
        if texts:
            why = self.columns[texts[0]].why_no_input
            raise ValueError(f"{texts[0]} is no column of numbers; leave it out of the inputs. {why}")
        if task not in ("classes", "regression"):
            raise ValueError(f"task {task!r} is unknown; choose “classes” or “regression”.")
        if task == "regression" and not self.columns[answer].is_numeric:
            raise ValueError(f"{answer} is no column of numbers; choose the task “classes” to tell its values apart.")

    def _why_none(self) -> list[str]:
        """Why no column can be an input; empty if one can."""
        return [] if self.numeric else [column.why_no_input for column in self.columns.values()]

    def _complete(
        self, inputs: Sequence[str], answer: str, task: str
    ) -> tuple[list[tuple[list[float], str]], Complaints]:
        """Inputs and answer of every row that has them all, and what is wrong with the others."""
        columns, last = [self.columns[name] for name in inputs], self.columns[answer]
        places = [self.names.index(name) for name in (*inputs, answer)]
        judged = [*columns, last] if last.is_numeric else columns
        rows, wrong = [], []
        for line, row in self.rows:
            cells = [row[place] for place in places]
            trouble = next(filter(None, (one.trouble(cell) for one, cell in zip(judged, cells, strict=False))), "")
            if not trouble and is_missing(cells[-1]):
                trouble = f"{answer} has no value"
            if trouble:
                wrong.append((line, trouble))
            else:
                rows.append(([one.values[cell] for one, cell in zip(columns, cells, strict=False)], cells[-1]))
        return rows, Complaints.of(wrong)


def read_csv(content: bytes | str, seed: int = 0) -> CsvImport:
    """Read a file, however it separates its cells and whether or not it names its columns.

    Args:
        content: The file.
        seed: Of the sample that is taken where there are very many rows.

    Raises:
        ValueError: With a sentence, if the file holds no table.
    """
    grid = read_grid(content, MAX_ROWS_READ, seed)
    return CsvImport(grid.names, grid.rows, grid.separator, grid.left_out, grid.notes, grid.unnamed)


def _joined(column: Column) -> list[str]:
    """Which labels are one class although they are spelled differently."""
    ways = [cells for key, cells in column.distinct.items() if len(cells) > 1 and isinstance(key, str)]
    if not ways:
        return []
    listed = "; ".join(", ".join(map(repr, cells[:4])) for cells in ways[:MAX_CLASSES])
    return [f"{column.name}: the same class written in several ways is one class ({listed})."]


def _rare(table: Table) -> list[str]:
    """Classes with too few examples, as sentences."""
    few = [
        (label, many) for label, many in table.counts.items() if many < MIN_CLASS_EXAMPLES and many * 5 <= len(table.x)
    ]
    return [
        f"{table.answer} {label} has only {many} example{'s' if many > 1 else ''}: too few to learn it and to check it."
        for label, many in few
    ]


def _rescaled(y: np.ndarray) -> tuple[np.ndarray, str]:
    mean, spread = float(y.mean()), float(y.std()) or 1.0
    return (y - mean) / spread, f"is brought to mean 0 (from {mean:g}) and standard deviation 1 (from {spread:g})."
