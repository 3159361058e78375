"""Suggestions: which column of a table is probably the answer, which are inputs, and why."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from dashboard.storage.csv_file.column import Column
from dashboard.storage.csv_file.number_style import WHOLE, shortest
from dashboard.storage.tables import MAX_CLASSES, MAX_COLUMNS

FEWEST_COUNTED = 5
"""Rows from which on a column that counts is no coincidence."""

# fmt: off
SURE = [
    "class", "target", "label", "species", "diagnosis", "survived", "outcome", "answer", "response", "churn",
    "default", "variety", "income",
]
# fmt: on
"""Names that hardly anything but an answer has, the surest first."""

# fmt: off
FREQUENT = [
    "quality", "rings", "medv", "mpg", "price", "charges", "sales", "sold", "score", "rating", "grade", "result",
    "output", "kind", "type", "group", "y",
]
# fmt: on
"""Names that answers often have, and inputs too."""

IDS = re.compile(
    r"(.*[\W_])?(id|ids|nr|no|number|num|key|code|index|idx|row|rownames|row ?names?|uuid|guid|serial|record)\.?", re.I
)
CAMEL_ID = re.compile(r".*[a-z](Id|ID|Nr|No)")
GROUP = 2
"""Fewest columns of an answer that is spread over several."""


@dataclass(frozen=True)
class Suggestion:
    """What is probably wanted of a table.

    Attributes:
        reasons: Why a column is not suggested, or cannot be used, as sentences by column.
    """

    answer: str
    inputs: tuple[str, ...]
    reasons: tuple[tuple[str, str], ...] = ()


def suggested(columns: Mapping[str, Column], unnamed: Collection[str] = ()) -> Suggestion:
    """The suggestion for a table.

    Args:
        columns: By name.
        unnamed: Columns that have no name in the file.
    """
    headless = len(unnamed) == len(columns)
    kinds = {name: why_unlikely(column, name in unnamed and not headless) for name, column in columns.items()}
    first = next(iter(columns.values()))
    kinds[first.name] = kinds[first.name] or _why_identifier(first, headless)
    answer = _answer(columns, kinds)
    if not any(column.is_input and not kinds[name] for name, column in columns.items() if name != answer):
        answer = _last_filled(columns)
    group = next((group for group in one_hot(columns) if answer in group), ())
    usable = [name for name, column in columns.items() if column.is_input and name != answer and name not in group]
    likely = [name for name in usable if not kinds[name]]
    inputs = likely or [name for name in usable if len(columns[name].distinct) > 1] or usable
    whys = {name: column.why_no_input or kinds[name] for name, column in columns.items()}
    whys |= {name: group_sentence(group, answer) for name in group}
    whys |= dict.fromkeys(inputs[MAX_COLUMNS:], f"more than {MAX_COLUMNS} inputs are too many.")
    left = [name for name in columns if name != answer and name not in inputs[:MAX_COLUMNS]]
    reasons = tuple((name, whys[name]) for name in left if whys[name])
    return Suggestion(answer, tuple(inputs[:MAX_COLUMNS]), reasons)


def why_unlikely(column: Column, unnamed: bool = False) -> str:
    """Why a column of numbers is probably not meant as an input, as a sentence; empty if it may be.

    Args:
        column: The column.
        unnamed: Whether it has no name where others have one.
    """
    if not column.is_input:
        return ""
    if len(column.distinct) == 1 and len({cell for _, cell in column.present}) == 1:
        return f"{column.name} is the same in every row: nothing can be learned from it."
    if not _differs_everywhere(column):
        return ""
    numbers, name = column.numbers, column.name
    steps = {later - sooner for sooner, later in pairwise(numbers)}
    many = len(numbers) >= FEWEST_COUNTED
    if steps in ({1.0}, {-1.0}) and (many or unnamed):
        return f"{name} only counts the rows ({_begin(numbers)}): not suggested."
    return _identifier_sentence(column) if many and (_is_id(name) or unnamed) else ""


def one_hot(columns: Mapping[str, Column]) -> list[tuple[str, ...]]:
    """Neighboring columns of 0 and 1 of which exactly one is 1 in every row: one answer in several columns."""
    groups: list[tuple[str, ...]] = []
    for is_run, run in groupby(columns.values(), key=_is_of_bits):
        group = list(run) if is_run else []
        start = 0
        sums = np.cumsum([[0.0] * len(one.cells) for one in group[:1]] + [_bits(one) for one in group], axis=0)
        while start < len(group):
            ends = [end for end in range(start + 2, len(group) + 1) if (sums[end] - sums[start] == 1).all()]
            groups += [tuple(one.name for one in group[start:end]) for end in ends[:1]]
            start = ends[0] if ends else start + 1
    return groups


def group_sentence(group: Collection[str], answer: str) -> str:
    """What it means that an answer is spread over several columns, as a sentence."""
    others = ", ".join(name for name in group if name != answer)
    return (
        f"{', '.join(group)} are one answer in {len(group)} columns (one-hot): in every row exactly one of them is 1. "
        f"{others} would give {answer} away, and {'is' if len(group) == GROUP else 'are'} not suggested."
    )


def _answer(columns: Mapping[str, Column], kinds: Mapping[str, str]) -> str:
    """The column with an answer's name that can be learned; else the last column that can be."""
    able = [name for name, column in columns.items() if _can_be_learned(column) and not kinds[name]]
    if not able:
        return _last_filled(columns)
    words = [name for name in able if not columns[name].is_numeric]
    sure = _named(SURE, [name for name in able if name in words or _words(name) != ["income"]])
    if sure:
        return sure
    last = able[-1]
    if last in words or _words(last)[-1:] in [[name] for name in FREQUENT] or _stands_out(columns[last], columns):
        return last
    frequent = next((name for known in FREQUENT for name in able if _words(name) == [known]), "")
    return words[0] if len(words) == 1 else frequent or last


def _last_filled(columns: Mapping[str, Column]) -> str:
    return next((name for name in reversed(columns) if columns[name].present), next(reversed(columns)))


def _named(known: Sequence[str], names: Sequence[str]) -> str:
    """The column whose name is a known one, or contains one as a word; empty if there is none."""
    exact = [name for one in known for name in names if _words(name) == [one]]
    return next(iter(exact), "") or next((name for one in known for name in names if one in _words(name)), "")


def _can_be_learned(column: Column) -> bool:
    """Whether a column has values to predict, or a few classes to distinguish."""
    if len(column.present) * 2 < len(column.cells) or len(column.distinct) < 2:
        return False
    return column.is_numeric or (column.kind in ("words", "truths") and len(column.distinct) <= MAX_CLASSES)


def _stands_out(last: Column, columns: Mapping[str, Column]) -> bool:
    """Whether the last column holds whole numbers where most others do not: then it is what was measured for."""
    others = [column for column in columns.values() if column.is_numeric and column is not last]
    broken = sum(not _is_whole(column) for column in others)
    return _is_whole(last) and broken * 2 >= len(others)


def _is_whole(column: Column) -> bool:
    return all(number == int(number) for number in column.numbers)


def _words(name: str) -> list[str]:
    """The words in a name, such as "sale price" in SalePrice."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[\W_]+", parted.casefold()) if word]


def _is_id(name: str) -> bool:
    return bool(IDS.fullmatch(name.strip()) or CAMEL_ID.fullmatch(name.strip()))


def _differs_everywhere(column: Column) -> bool:
    """Whether a column holds a different whole number in every row, written as such and without a unit."""
    cells = {cell.strip() for _, cell in column.present}
    if len(column.numbers) < 2 or len(cells) < len(column.present) or not column.is_numeric:
        return False
    return all(WHOLE.fullmatch(cell.strip()) for _, cell in column.present)


def _why_identifier(first: Column, headless: bool) -> str:
    """Why a first column is no input: whole numbers that rise, or large ones without a name."""
    numbers = first.numbers
    if len(numbers) < FEWEST_COUNTED or not _differs_everywhere(first):
        return ""
    rises = all(sooner < later for sooner, later in pairwise(numbers))
    return _identifier_sentence(first) if rises or (headless and max(numbers) > 10 * len(numbers)) else ""


def _identifier_sentence(column: Column) -> str:
    return (
        f"{column.name} is a different whole number in every row ({_begin(column.numbers)}), as an identifier is: "
        "not suggested."
    )


def _begin(numbers: Sequence[float]) -> str:
    return f"{shortest(numbers[0])}, {shortest(numbers[1])} …"


def _is_of_bits(column: Column) -> bool:
    return column.is_numeric and set(column.distinct) == {0.0, 1.0}


def _bits(column: Column) -> list[float]:
    return [column.values.get(cell) or 0.0 for _, cell in column.cells]
