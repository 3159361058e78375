"""Cells that a spreadsheet would compute are written so that it shows them as text, and are read back unchanged.

A ' before a text says "this is text" to spreadsheets. A text that itself begins with such marks gets one more, so that
removing one gives back exactly what was written.
"""

import re

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters of cells that a spreadsheet computes, the full-width ones of Chinese text included."""

NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?", re.ASCII)
MARK = "'"


def guarded(text: str) -> str:
    """A text as a cell that no spreadsheet takes for a formula."""
    return MARK + text if _is_computed(text.lstrip(MARK)) else text


def unguarded(cell: str) -> str:
    """The text for which a cell was written."""
    return cell[1:] if cell.startswith(MARK) and _is_computed(cell.lstrip(MARK)) else cell


def _is_computed(text: str) -> bool:
    return text.lstrip(" ").startswith(STARTS) and not NUMBER.fullmatch(text)
