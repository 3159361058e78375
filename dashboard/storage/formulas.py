"""Formulas: what a spreadsheet would compute, written so that it is text there and read as what it was. No Panel here.

A ' before a text says "this is text" to spreadsheets. What begins with such marks itself gets one more, so that taking
one off gives back exactly what was written.
"""

import re

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a cell begins with that a spreadsheet computes, those as wide as Chinese letters too."""

NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?", re.ASCII)
MARK = "'"


def guarded(text: str) -> str:
    """A text as a cell that no spreadsheet takes for a formula."""
    return MARK + text if _is_computed(text.lstrip(MARK)) else text


def unguarded(cell: str) -> str:
    """The text that a cell was written for."""
    return cell[1:] if cell.startswith(MARK) and _is_computed(cell.lstrip(MARK)) else cell


def _is_computed(text: str) -> bool:
    return text.lstrip(" ").startswith(STARTS) and not NUMBER.fullmatch(text)
