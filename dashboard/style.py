"""Style: one name for each color, color map and size. Every color means one thing on every page."""

from colorsys import hls_to_rgb

import numpy as np
from bokeh.palettes import Cividis256, Viridis256

TRAIN = "#1f77d0"
VALIDATION = "#e0731d"
GHOST = "#8b95a3"
PATH = "#8b95a3"
CURSOR = "#d6336c"
CLASSES = ("#1f77d0", "#e8590c", "#2b9348", "#9c36b5", "#c99700")
LEVELS = 51
"""Steps of confidence drawn for each class; five classes fill the 255 colors of an 8-bit image."""

HEIGHT = 300
WIDE_HEIGHT = 340
FONT = "12px"

ACTIVATION = Viridis256
LANDSCAPE = Cividis256
LAYERS = ("#3b5bdb", "#1098ad", "#2b9348", "#c99700", "#e8590c", "#c2255c", "#9c36b5")


def regions() -> list[str]:
    """255 colors: for each of five classes, from clear (undecided) to the class's own color (certain)."""
    return [f"{color}{round(170 * level / (LEVELS - 1)):02x}" for color in CLASSES for level in range(LEVELS)]


def region_shades(probabilities: np.ndarray) -> np.ndarray:
    """(n, classes) probabilities as (n,) positions in `regions`: the likeliest class, and how far it is ahead of a guess."""
    classes = probabilities.shape[1]
    winner = probabilities.argmax(axis=1)
    ahead = (probabilities.max(axis=1) - 1 / classes) * classes / (classes - 1)
    return (winner * LEVELS + np.clip(ahead * (LEVELS - 1), 0, LEVELS - 1)).astype(np.uint8)


def layer_color(layer: int, layers: int) -> str:
    """The color of a layer, from the first (blue) to the last (red)."""
    hue = 0.62 * (1 - layer / max(1, layers - 1))
    red, green, blue = hls_to_rgb(hue, 0.47, 0.62)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
