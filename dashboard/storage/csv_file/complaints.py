"""Complaints about lines of a file, which the page shows as sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_PROBLEMS = 10
"""Problems that are spelled out."""

MAX_QUOTE_LENGTH = 40


@dataclass(frozen=True)
class Complaints:
    """What is wrong with lines of a file, in order: the first ten are spelled out, the others counted."""

    first: tuple[tuple[int, str], ...] = ()
    more: int = 0

    @classmethod
    def of(cls, wrong: Sequence[tuple[int, str]]) -> "Complaints":
        """Complaints about lines in order."""
        return cls(tuple(wrong[:MAX_PROBLEMS]), len(wrong[MAX_PROBLEMS:]))

    def __add__(self, other: "Complaints") -> "Complaints":
        """The complaints of both, line by line."""
        both = sorted([*self.first, *other.first])
        return Complaints(tuple(both[:MAX_PROBLEMS]), self.more + other.more + len(both[MAX_PROBLEMS:]))

    def __len__(self) -> int:
        """How many lines are left out."""
        return len(self.first) + self.more

    def sentences(self) -> list[str]:
        """All of them as sentences."""
        rest = [f"… and {self.more:,} more {'lines' if self.more > 1 else 'line'} like these"] if self.more else []
        return [f"line {line}: {problem}; left out" for line, problem in self.first] + rest


NONE = Complaints()


def quoted(cell: str) -> str:
    """The beginning of a cell in quotation marks."""
    return repr(cell if len(cell) <= MAX_QUOTE_LENGTH else cell[:MAX_QUOTE_LENGTH] + "…")


def lines_named(lines: Sequence[int]) -> str:
    """Line numbers in words, such as "lines 1 to 3 and 7"; of many, the first."""
    spans: list[list[int]] = []
    for line in lines:
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    words = [f"{first}" if first == last else f"{first} to {last}" for first, last in spans[:6]]
    more = len(spans) - 6
    listed = ", ".join(words) + (f" and {more} more" if more > 0 else "")
    return f"line{'s' if len(lines) > 1 else ''} {listed}"
