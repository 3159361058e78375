"""One name for each color, color map and size. Every color means one thing on every page."""

from colorsys import hls_to_rgb

import numpy as np
from bokeh.palettes import Cividis256, Viridis256

from dashboard.widgets.beside import beside

TRAIN = "#1f77d0"
VALIDATION = "#e0731d"
GHOST = "#6e7987"
"""Of what stands behind: predictions, guides, other runs, and their labels. It has the most contrast that one color can
have on both grounds, 4.2, which does for lines."""

GHOST_TEXT = ("#667180", "#8d97a5")
"""The same for words on a page, on light and on dark."""

CURSOR = "#d6336c"
CLASSES = ("#1f77d0", "#e8590c", "#2b9348", "#9c36b5", "#816020")
DEEPEST, BRIGHTEST = 0.13, 0.28
"""Luminances between which a line has a contrast of 3 on both grounds."""

LEVELS = 51
"""Steps of confidence drawn for each class; five classes fill the 255 colors of an 8-bit image."""

TOKENS = beside(__file__, "theme.css")
"""Colors, sizes and spaces of every page, as variables of CSS."""

OPAQUE = 170
"""Of 255, how opaque a region is where the network is certain."""

HEIGHT = 290
FONT = "12px"

ACTIVATION = Viridis256
LANDSCAPE = Cividis256

DIVERGED = "#8c2f39"
"""Of a run that has diverged, on a map: no color of a scale."""

DECADES = [10.0**power for power in range(-30, 9)]
"""Ticks of a logarithmic axis over many decades."""

FINE_DECADES = [digit * decade for decade in DECADES for digit in (1, 2, 5)]
"""Ticks of a logarithmic axis over a few."""


def regions() -> list[str]:
    """255 colors: for each of five classes, from clear (undecided) to the class's own color (certain)."""
    return [f"{color}{round(OPAQUE * level / (LEVELS - 1)):02x}" for color in CLASSES for level in range(LEVELS)]


def region_shades(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities as positions in `regions` (n,): the predicted class, and its lead over a guess.

    They are (n, classes), or (n, 1) for class 1, which is predicted from 1/2 on.
    """
    binary = probabilities.shape[1] == 1
    winner = probabilities[:, 0] >= 0.5 if binary else probabilities.argmax(axis=1)
    probabilities = np.hstack([1 - probabilities, probabilities]) if binary else probabilities
    classes = probabilities.shape[1]
    ahead = (probabilities.max(axis=1) - 1 / classes) * classes / (classes - 1)
    return (winner * LEVELS + np.clip(np.round(ahead * (LEVELS - 1)), 0, LEVELS - 1)).astype(np.uint8)


def layer_color(layer: int, layers: int) -> str:
    """The color of a layer, from the first (blue) to the last (red), none too bright for light or too deep for dark."""
    hue = 0.62 * (1 - layer / max(1, layers - 1))
    linear = [part**2.2 for part in hls_to_rgb(hue, 0.47, 0.62)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    scale = min(max(luminance, DEEPEST), BRIGHTEST) / luminance
    return "#" + "".join(f"{round(255 * min(1, scale * part) ** (1 / 2.2)):02x}" for part in linear)


_SHAPE = {"shape": {"borderRadius": 8}, "typography": {"fontSize": 13}}
THEME = {
    "light": {"palette": {"primary": {"main": "#3b5bdb"}}, **_SHAPE},
    "dark": {"palette": {"primary": {"main": "#748ffc"}}, **_SHAPE},
}
PAGE = {
    "& .MuiAppBar-root": {
        "backgroundColor": "background.paper",
        "backgroundImage": "none",
        "color": "text.primary",
        "boxShadow": "none",
        "borderBottom": "1px solid",
        "borderColor": "divider",
    },
    "& .MuiToolbar-root": {"minHeight": "52px !important", "margin": "0 !important"},
    "& .MuiAppBar-root > .MuiLinearProgress-root": {"display": "none"},
    "& .main-content": {"paddingTop": "1px"},
    "& .MuiAppBar-root .title": {"color": "text.primary", "fontSize": "19px"},
    "& .MuiAppBar-root img": {"height": "30px", "width": "30px"},
    "@media (max-width: 599px)": {
        "& .MuiAppBar-root .title": {"display": "none"},
        "& .MuiToolbar-root": {"padding": "0 4px"},
    },
    "@media (max-width: 399px)": {
        "& .MuiToolbar-root > .MuiBox-root:has(.logo)": {"display": "none"},
        "& .MuiToolbar-root": {"padding": "0 2px", "overflowX": "auto"},
        "& .MuiToolbar-root .MuiIconButton-edgeStart": {"marginLeft": 0, "marginRight": 0},
    },
}
WRAPS = ":host { display: flex !important; flex-flow: row wrap; max-width: 100%; }"
"""For a row of buttons that is wider than a phone."""

SECTIONS = {
    "& .MuiAccordionSummary-root": {"minHeight": "38px"},
    "& .MuiAccordionSummary-content": {"margin": "6px 0"},
    "& .MuiAccordionSummary-content h3": {"fontSize": "15px", "fontWeight": 600},
}
HINT = ".MuiTooltip-tooltip { width: max-content; max-width: 260px; }"
"""For small buttons, whose tooltips would otherwise be as narrow as they are."""

WHOLE_WHERE_NARROW = "@media (max-width: 700px) { p { white-space: normal; overflow-wrap: anywhere; } }"
"""Wraps captions and questions where there is no room for one line."""

TIGHT = "@media (max-width: 399px) { :host { margin-left: 2px !important; } }"
"""For the first item beside the menu on a phone."""

BEFORE_LOADED = "@media (prefers-color-scheme: dark) { body { background-color: #121212; } }"

VARIANTS = (
    "#3b7dd8", "#b18e15", "#4c7410", "#7d4e9d", "#968da8", "#394de7", "#107f7a", "#c27f68", "#ab61a5", "#bd5cf8"
)  # fmt: skip
"""Colors of compared variants, in order: visible on light and dark, and apart for most who see fewer colors."""


def variant_color(place: int) -> str:
    """The color of a study's variant by its place in the plan."""
    return VARIANTS[place % len(VARIANTS)]


FORESEEN = {"gradient flow": "#b18e15", "central flow": "#107f7a"}
"""What is foreseen of a run, by the flow; both are dashed."""

FUNCTION, SLOPE = "#7048e8", "#0ca678"
"""An activation or a loss, and its derivative."""

FATES = {"dead": "#e03131", "dim": "#9775fa", "saturated": "#f59f00", "alive": "#2f9e6e"}
"""The fates of a unit."""

UPWARD, DOWNWARD = "#1c7ed6", "#e64980"
"""Directions in which the loss curves up, and down."""

POSITIVE, NEUTRAL, NEGATIVE = "#098193", "#6b7684", "#ac6409"
"""The sign of a number; white letters can be read on them."""

PASSED, FAILED = "#2f9e6e", "#e03131"
"""The result of a check."""

ERRORS = {"largest": "#9c36b5", "median": "#4263eb"}
"""Which of many errors."""
