"""Colors: words and lines can be seen on light and dark, and what must be told apart can be, with fewer colors too.

Contrast is that of WCAG 2.2. Distances are Euclidean in OKLab (Ottosson 2020), where black and white are 1 apart and
0.02 is about what one can just see side by side; thin lines in a legend need several times that. Deuteranopia and
protanopia are simulated as in Machado, Oliveira, Fernandes 2009, at full severity.
"""

import re
from itertools import combinations

import numpy as np
import pytest

from dashboard.widgets import style

GROUNDS = {"light": "#ffffff", "dark": "#121212"}
WORDS, LINES = 4.5, 3.0
"""The least contrast by WCAG 2.2, 1.4.3 and 1.4.11."""

EYES = {
    "usual": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
LINES_DRAWN = {
    "training": style.TRAIN,
    "validation": style.VALIDATION,
    "ghost": style.GHOST,
    "cursor": style.CURSOR,
    "function": style.FUNCTION,
    "slope": style.SLOPE,
    "upward": style.UPWARD,
    "downward": style.DOWNWARD,
    "passed": style.PASSED,
    "failed": style.FAILED,
    "positive": style.POSITIVE,
    "neutral": style.NEUTRAL,
    "negative": style.NEGATIVE,
    **{f"error {name}": color for name, color in style.ERRORS.items()},
    **{f"class {i}": color for i, color in enumerate(style.CLASSES)},
    **{f"variant {i}": color for i, color in enumerate(style.VARIANTS)},
    **{f"layer {i} of {n}": style.layer_color(i, n) for n in (1, 2, 3, 9) for i in range(n)},
}
TOKENS = dict(re.findall(r"--(quiet|accent|warning): light-dark\((#\w+, #\w+)\)", style.TOKENS))


def linear(color: str) -> np.ndarray:
    whole = color if len(color) == 7 else "#" + "".join(2 * digit for digit in color[1:])
    parts = np.array([int(whole[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(color: str, ground: str) -> float:
    low, high = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ linear(one)) for one in (color, ground))
    return (high + 0.05) / (low + 0.05)


def seen(color: str, eyes: str) -> np.ndarray:
    """A color in OKLab, as it is seen."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    ) @ np.clip(EYES[eyes] @ linear(color), 0, 1)
    return np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    ) @ np.cbrt(cones)


def nearest(colors: list[str], eyes: str) -> tuple[float, tuple[str, str]]:
    """The two of the colors that are the least apart."""
    pairs = combinations(colors, 2)
    return min((float(np.linalg.norm(seen(a, eyes) - seen(b, eyes))), (a, b)) for a, b in pairs)


def test_contrast_is_that_of_wcag():
    assert contrast("#fff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_black_and_white_are_one_apart_and_red_and_green_are_nearer_with_fewer_colors():
    assert nearest(["#ffffff", "#000000"], "usual")[0] == pytest.approx(1, abs=1e-3)
    red, green = "#c04040", "#508030"
    assert nearest([red, green], "deuteranopia")[0] < nearest([red, green], "usual")[0] / 2


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("name", LINES_DRAWN)
def test_a_line_can_be_seen(name, ground):
    assert contrast(LINES_DRAWN[name], GROUNDS[ground]) >= LINES


@pytest.mark.parametrize("place", [0, 1])
def test_quiet_words_in_pictures_can_be_read(place):
    assert contrast(style.GHOST_TEXT[place], list(GROUNDS.values())[place]) >= WORDS


@pytest.mark.parametrize("token", ["quiet", "accent", "warning"])
def test_the_words_of_a_page_can_be_read(token):
    for color, ground in zip(TOKENS[token].split(", "), GROUNDS.values(), strict=True):
        assert contrast(color, ground) >= WORDS


@pytest.mark.parametrize("color", [style.POSITIVE, style.NEUTRAL, style.NEGATIVE])
def test_white_numbers_can_be_read_on_signs(color):
    assert contrast("#ffffff", color) >= WORDS


@pytest.mark.parametrize(
    ("colors", "usual", "fewer"),
    [
        ([*style.CLASSES], 0.15, 0.045),
        ([*style.CLASSES[:2]], 0.3, 0.2),
        ([style.TRAIN, style.VALIDATION], 0.3, 0.2),
        ([style.TRAIN, style.CURSOR], 0.3, 0.15),
        ([style.VALIDATION, style.CURSOR], 0.15, 0.12),
        ([*style.VARIANTS], 0.1, 0.06),
        ([*style.VARIANTS, style.CURSOR], 0.1, 0.06),
        ([*style.FATES.values()], 0.2, 0.07),
        ([style.POSITIVE, style.NEGATIVE], 0.2, 0.15),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else None,
)
def test_what_stands_in_one_picture_can_be_told_apart(colors, usual, fewer):
    for eyes in EYES:
        least, pair = nearest(colors, eyes)
        assert least >= (usual if eyes == "usual" else fewer), (eyes, pair, least)
