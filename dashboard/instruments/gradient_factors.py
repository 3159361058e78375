"""How much of the error's gradient is left, layer by layer on its way back."""

import math
from collections.abc import Hashable

import holoviews as hv
import numpy as np
from markupsafe import Markup

from dashboard.instruments.activation_curve import pick_layer, steepest
from dashboard.instruments.instrument import Columns, Instrument, OfHiddenLayers
from dashboard.instruments.numerals import digits
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import dot, phrase
from engine.backpropagation import Backpropagation

FLOOR, CEILING = 1e-30, 1e12


class GradientFactors(OfHiddenLayers, Instrument):
    """The gradient at every layer relative to that at the output, beside what slopes alone would leave of it."""

    title = "What is left of the gradient"
    question = "By what factor has the gradient changed on its way back to each layer?"
    reading = (
        "Read from the output, at the right, to the left. Dashed: the most that slopes can let through, a quarter a "
        "layer for sigmoids. Green: what they do let through, the product of each layer's typical slope (root of the "
        "mean square). Blue: the measured gradient, which the weights multiply as well. A click picks the layer."
    )

    def begin(self, frame: Frame) -> None:
        self._network = frame.setup.network.copy()
        self._depth = len(self._network.widths)
        self._bound = np.clip(products([steepest(name) for name in self._network.activations]), FLOOR, CEILING)

    def outline(self, frame: Frame) -> Hashable:
        return self._depth

    def picture(self, frame: Frame) -> hv.Overlay:
        last = "output" if self._depth < 8 else "out"
        names = [(i, last if i > self._depth else str(i)) for i in range(1, self._depth + 2)]
        hover = [("layer", "@layer{0}"), ("share", "@share{measured}")]
        lines = [
            hv.Curve([(1, 1)], "layer", "share", label=label).opts(color=color, line_width=2, line_dash=dash)
            for label, color, dash in (
                ("bound", style.GHOST, "dashed"),
                ("slopes", style.SLOPE, "solid"),
                ("measured", style.TRAIN, "solid"),
            )
        ]
        dots = hv.Points([(1, 1)], ["layer", "share"], label="dots").opts(
            color=style.TRAIN, size=7, tools=["hover"], hover_tooltips=hover
        )
        return hv.Overlay([*lines, dots]).opts(
            logy=True,
            xlim=(0.6, self._depth + 1.4),
            ylim=(1e-3, 1),
            xticks=names if self._depth <= 10 else [names[0], names[self._depth // 2], names[-1]],
            yticks=style.DECADES,
            xlabel="layer",
            ylabel="gradient in z, output = 1",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        self._network.parameters[:] = frame.epoch.parameters
        passes = Backpropagation(self._network, frame.setup.train, frame.setup.loss)
        layers = range(1, self._depth + 1)
        with np.errstate(all="ignore"):
            slopes = products([float(np.sqrt(np.mean(passes[f"f'(z{i})"] ** 2))) for i in layers])
            norms = np.array([np.linalg.norm(passes[f"dz{i}"]) for i in (*layers, self._depth + 1)])
            measured = norms / norms[-1]
        self._first = float(slopes[0]), float(measured[0])
        places = np.arange(1, self._depth + 2)
        self._slopes, self._measured = _drawn(slopes), _drawn(measured)
        moving = {
            "slopes": {"layer": places, "share": self._slopes},
            "measured": {"layer": places, "share": self._measured},
            "dots": {"layer": places, "share": self._measured},
        }
        return moving if after >= 0 else {**moving, "bound": {"layer": places, "share": self._bound}}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        drawn = np.log10(np.concatenate([self._bound, self._slopes, self._measured]))
        low, high = math.floor(drawn.min() - 0.2), math.ceil(drawn.max() + 0.2)
        return {"y": (10.0 ** min(low, high - 2), 10.0**high)}

    def describe(self, frame: Frame) -> str:
        slopes, measured = self._first
        return phrase(
            "at layer 1:",
            _word(style.TRAIN, "measured", measured),
            _word(style.SLOPE, "slopes", slopes),
            _word(style.GHOST, "bound", self._bound[0]),
        )

    def tapped(self, x: float, y: float) -> None:
        """Pick the layer that was clicked."""
        pick_layer(self.run, round(x) - 1)


def products(factors: list[float]) -> np.ndarray:
    """What is left at every hidden layer of 1 at the output, and that 1: the products of the factors from each on."""
    return np.cumprod([1.0, *factors[::-1]])[::-1]


def _drawn(shares: np.ndarray) -> np.ndarray:
    return np.nan_to_num(shares, nan=FLOOR, posinf=CEILING).clip(FLOOR, CEILING)


def _word(color: str, name: str, share: float) -> Markup:
    return phrase(dot(color), f"{name} {digits(share, 2)}")
