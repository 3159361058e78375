"""How one number of a stage of backpropagation is computed, written out with the numbers it is made of.

The stage's formula is read term by term, so that a planted bug is written as it is computed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engine.backpropagation import Backpropagation, Stage

MAX_PRODUCTS = 5
"""Products of a sum that are written out."""

Uses = list[tuple[str, int | None, int | None]]
Arrays = Mapping[str, np.ndarray]


class Term(NamedTuple):
    """A part of a sum in numbers, and the entries it uses, as (array, row, column); None stands for all."""

    words: str
    uses: Uses


class Spelled(NamedTuple):
    """An entry of a stage: the numbers it is made of, their value, and the entries they are."""

    words: str
    value: str
    uses: Uses


def spelled(passes: Backpropagation, stage: Stage, row: int, column: int) -> Spelled:
    """How entry (row, column) of a stage's table is computed; inputs have no words."""
    tables = {one.name: table(one) for one in passes}
    terms = [] if stage.part == "given" else stage.formula.split(" + ")
    parts = [_term(text, tables, stage, row, column) for text in terms]
    words = " + ".join(part.words for part in parts).replace("+ −", "− ")
    return Spelled(words, in_words(tables[stage.name][row, column]), [use for part in parts for use in part.uses])


def table(stage: Stage) -> np.ndarray:
    """A stage's array as rows and columns: costs are a column, biases a row."""
    return stage.array.reshape(-1, 1) if stage.name == "costs" else np.atleast_2d(stage.array)


def in_words(value: float) -> str:
    """A number in three digits."""
    return proper(f"{value:.3g}")


def proper(number: str) -> str:
    """A formatted number with a minus for a hyphen, and exponents without their zeros."""
    return re.sub(r"e([-+])0?", lambda found: "e" + found.group(1).strip("+"), number).replace("-", "−")


def _term(text: str, s: Arrays, stage: Stage, row: int, column: int) -> Term:
    for pattern, spell in TERMS.items():
        match = re.fullmatch(pattern, text)
        if match:
            return spell(s, match.groups(), stage, row, column)
    return Term(text, [])


def _product(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    """A row by a column; a matrix that does not fit is read as if it did, as the bug that does so."""
    left, right = (s[name] for name in names)
    fits = right.shape[0] == left.shape[1]
    right = right if fits else right.reshape(left.shape[1], -1)
    return Term(_sum(left[row], right[:, column]), [(names[0], row, None), (names[1], None, column if fits else None)])


def _by_transpose(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    left, right = (s[name] for name in names)
    return Term(_sum(left[row], right[column]), [(names[0], row, None), (names[1], column, None)])


def _transpose_by(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    left, right = (s[name] for name in names)
    return Term(_sum(left[:, row], right[:, column]), [(names[0], None, row), (names[1], None, column)])


def _entrywise(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    places = [(name, row if len(s[name]) > 1 else 0, column) for name in names]
    return Term(_product_of([s[name][i, j] for name, i, j in places]), places)


def _wrong_slope(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    """The slope at the activation is in none of the stages; it is the quotient of two that are."""
    up, result = s[names[0]][row, column], s[stage.name][row, column]
    words = _product_of([up, result / up]) if up else f"{in_words(up)} × {names[1]}"
    return Term(words, [(names[0], row, column)])


def _share(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    sign, name = names
    value = in_words((-1.0 if sign else 1.0) * s[name][row, column])
    return Term(f"{value} / {len(s[name])}", [(name, row, column)])


def _column_sum(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    return Term(_sum(s[names[0]][:, column]), [(names[0], None, column)])


def _mean(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    return Term(f"({_sum(s['costs'][:, 0])}) / {len(s['costs'])}", [("costs", None, None)])


def _applied(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    """A function of one entry, but for softmax, which takes the whole row."""
    function, name = names
    if function == "softmax":
        return Term(f"softmax of row {row}", [(name, row, None)])
    return Term(f"{function}({in_words(s[name][row, column])})", [(name, row, column)])


def _slope(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    function, name = names
    return Term(f"{function}′({in_words(s[name][row, column])})", [(name, row, column)])


def _cost(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    loss, name = names
    values = [", ".join(map(in_words, s[array][row])) for array in (name, "y")]
    return Term(f"{loss} of {values[0]} and {values[1]}", [(name, row, None), ("y", row, None)])


def _cost_slope(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    """One of the formulas with the output a and the label y; they are filled in where they stand."""
    a = next(name for name in re.findall(r"a\d+", stage.formula))
    values = {a: s[a][row, column], "y": s["y"][row, column]}
    words = re.sub(rf"\b{a}\b|\by\b", lambda found: _signed(in_words(values[found.group()])), stage.formula)
    words = words.replace("⊙", "×").replace("2 (", "2 × (").replace("outputs", str(s[a].shape[1])).replace("-", "−")
    return Term(words, [(a, row, column), ("y", row, column)])


def _penalty(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    factor, _, name = names
    weight = in_words(s[name][row, column])
    return Term(f"{factor} × {_signed(weight)}", [(name, row, column)])


def _sign(s: Arrays, names: Sequence[str], stage: Stage, row: int, column: int) -> Term:
    return Term(f"l1 × sign({in_words(s[names[0]][row, column])})", [(names[0], row, column)])


NAME = r"(∂costs|d?[abzW]\d+)"
TERMS: dict[str, Callable[[Arrays, Sequence[str], Stage, int, int], Term]] = {
    rf"{NAME} {NAME}": _product,
    rf"{NAME} {NAME}ᵀ": _by_transpose,
    rf"{NAME}ᵀ {NAME}": _transpose_by,
    rf"{NAME} ⊙ (f'\(z\d+\))": _entrywise,
    rf"{NAME} ⊙ (f'\(f\(z\d+\)\))": _wrong_slope,
    rf"(-?){NAME} / n": _share,
    rf"sum of {NAME} over the examples": _column_sum,
    r"mean of the costs": _mean,
    rf"slope of (.+) at {NAME}": _slope,
    rf"(.+) of {NAME} and y": _cost,
    r".*\ba\d+ - y\b.*": _cost_slope,
    rf"l1 sign\({NAME}\)": _sign,
    rf"((2 )?l2) {NAME}": _penalty,
    rf"([a-z ]+)\({NAME}\)": _applied,
    NAME: _entrywise,
}
"""How each kind of term is written out, by its form; other terms stay as they are."""


def _sum(left: np.ndarray, right: np.ndarray | None = None) -> str:
    """A sum of products, or of numbers, with what does not fit left out."""
    rows = np.stack([left] if right is None else [left, right], axis=1)[:MAX_PRODUCTS]
    return (" + ".join(map(_product_of, rows)) + (" + …" if len(left) > MAX_PRODUCTS else "")).replace("+ −", "− ")


def _product_of(factors: Sequence[float]) -> str:
    first, *others = map(in_words, factors)
    return " × ".join([first, *map(_signed, others)])


def _signed(number: str) -> str:
    """A factor: in brackets if negative."""
    return f"({number})" if number.startswith("−") else number
