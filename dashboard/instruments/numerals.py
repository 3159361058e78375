"""Numbers as text, for captions, tables and hover boxes.

A measured value is printed as it was measured: 0 is "0", not the lowest number that a logarithmic axis can show; an
infinite one is given in words; a dash stands for a missing number.
"""

import math

import numpy as np
from bokeh.models import CustomJSHover, HoverTool

NONE, ENDLESS = "–", "infinite"

NUMBER = """
    const number = Number(value ?? NaN)
    if (!Number.isFinite(number)) return Number.isNaN(number) ? "–" : number > 0 ? "infinite" : "−infinite"
    return String(Number(number.toPrecision(%d)))"""
SPARKS = "·▁▂▃▄▅▆▇█×"
"""The bars of a sparkline, from the lowest to the highest; before them what is not known, after them the infinite."""

READERS = {
    "{measured}": NUMBER % 4,
    "{finely}": NUMBER % 7,
    "{epoch}": "return String(value < 1 ? 0 : Math.round(value))",
    "{spark}": f"return '{SPARKS}'[value]",
}
"""Marks in a tooltip, and what the browser does for each: a number in four or in seven digits; an epoch, on an axis
that begins at 1/2 where it is logarithmic; a bar of a sparkline, by its place in `SPARKS`."""


def digits(value: float, most: int = 3) -> str:
    """A number in so many digits at most."""
    value = float(value)
    if math.isnan(value):
        return NONE
    if math.isinf(value):
        return ENDLESS if value > 0 else f"−{ENDLESS}"
    return f"{value:.{most}g}" if value else "0"


def powers(value: float, after: int = 1) -> str:
    """A number with its power of ten, and so many digits after the point."""
    value = float(value)
    return f"{value:.{after}e}" if math.isfinite(value) and value else digits(value)


def fixed(value: float, after: int = 4) -> str:
    """A number with so many digits after the point."""
    return f"{value:.{after}f}" if math.isfinite(value) else digits(value)


def share(value: float) -> str:
    """A fraction in percent."""
    return f"{value:.1%}" if math.isfinite(value) else digits(value)


def ratio(part: float, whole: float, most: int = 2) -> str:
    """part / whole in digits, or why there is none."""
    if whole:
        return digits(part / whole, most)
    return "no gradient" if not part else "none, the last is 0"


def spark_levels(values: np.ndarray, log: bool = False) -> np.ndarray:
    """The places in `SPARKS` of values of any shape, which share one scale; as bytes, of the same shape."""
    with np.errstate(all="ignore"):
        scaled = np.log10(values) if log else values
    finite = np.isfinite(scaled)
    low, high = (scaled[finite].min(), scaled[finite].max()) if finite.any() else (0.0, 1.0)
    bars = len(SPARKS) - 2
    levels = np.zeros(values.shape, np.uint8)
    levels[finite] = 1 + np.minimum(bars - 1, bars * (scaled[finite] - low) / ((high - low) or 1.0)).astype(np.uint8)
    levels[np.isposinf(scaled)] = bars + 1
    levels[np.isneginf(scaled)] = 1
    return levels


def counted(number: int, noun: str) -> str:
    """A number of things, one or many."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def have_read(tool: HoverTool) -> None:
    """Make a hover box format its numbers as they are formatted here, wherever its tooltips ask for it."""
    rows = tool.tooltips if isinstance(tool.tooltips, list) else []
    tooltips, formatters = [], dict(tool.formatters)
    for name, text in rows:
        for mark, code in READERS.items():
            for field in _fields(text, mark):
                formatters[field] = CustomJSHover(code=code)
            text = text.replace(mark, "{custom}")
        tooltips.append((name, text))
    if tooltips != rows:
        tool.update(tooltips=tooltips, formatters=formatters)


def _fields(text: str, mark: str) -> list[str]:
    """The fields of a tooltip that carry a mark, as Bokeh names them: "@loss" of "@loss{measured}"."""
    before = text.split(mark)[:-1]
    return [part[max(part.rfind("@"), part.rfind("$")) :] for part in before]
