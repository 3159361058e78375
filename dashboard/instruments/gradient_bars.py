"""How strongly each layer is asked to change."""

import math
from collections.abc import Hashable

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument, shortened
from dashboard.instruments.numerals import digits, ratio
from dashboard.state.run import Frame
from dashboard.widgets import style

FLOOR = 1e-30
HALF = 0.36
HIGHEST = 12
MAX_TICKS = 9


class GradientBars(Instrument):
    """The norm of every layer's gradient on a logarithmic axis, over a ghost of its value at epoch 0."""

    title = "Gradient flow"
    question = "Does the error reach the first layers?"
    reading = (
        "One bar a layer, input to output. Bars that shrink to the left are vanishing gradients, bars that grow to the "
        "left exploding ones. The dashed lines are epoch 0: when all bars sink together, the run has come to rest or "
        "is stuck, whatever their ratio."
    )

    missing = "no gradients are known."
    needs = "gradient_norms"

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return len(frame.epoch.gradient_norms) > 0 and frame.knows("gradient_norms")

    def begin(self, frame: Frame) -> None:
        first = frame.history.at(0)
        self._first, self._since = first.gradient_norms, f"epoch {first.index:,}"
        self._places = np.arange(len(self._first))
        self._colors = [style.layer_color(i, len(self._first)) for i in self._places]

    def outline(self, frame: Frame) -> Hashable:
        return len(self._first), self._since, frame.layer_names

    def picture(self, frame: Frame) -> hv.Overlay:
        layers = len(self._first)
        self._names = frame.layer_names or [str(i + 1) for i in self._places]
        ticks = [shortened(name) for name in self._names] if frame.is_logged else [*self._names[:-1], "output"]
        names = list(enumerate(ticks))
        rows = [
            (i - HALF, FLOOR, i + HALF, 1, color, 1, "") for i, color in zip(self._places, self._colors, strict=True)
        ]
        bars = hv.Rectangles(rows, vdims=["color", "norm", "layer"], label="bars").opts(
            color="color",
            line_alpha=0,
            fill_alpha=0.85,
            tools=["hover"],
            hover_tooltips=[("layer", "@layer"), ("gradient norm", "@norm{measured}")],
        )
        ghost = hv.Segments([(0, 1, 1, 1)], label=self._since).opts(color=style.GHOST, line_width=2, line_dash="dashed")
        return hv.Overlay([bars, ghost]).opts(
            logy=True,
            xlim=(-0.6, layers - 0.4),
            ylim=(1e-3, 1),
            xticks=names if layers <= 12 else [names[0], names[layers // 2], names[-1]],
            yticks=style.DECADES,
            xlabel="layer",
            ylabel="gradient norm",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        norms, left, right = _norms(frame), self._places - HALF, self._places + HALF
        bars = {
            "left": left,
            "right": right,
            "bottom": np.full(len(norms), FLOOR),
            "top": np.maximum(norms, FLOOR),
            "color": self._colors,
            "norm": norms,
            "layer": list(self._names),
        }
        first = np.where(self._first > 0, self._first, np.nan)
        ghost = {"x0": left, "x1": right, "y0": first, "y1": first}
        return {"bars": bars} if after >= 0 else {"bars": bars, self._since: ghost}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        both = np.append(_norms(frame), self._first)
        fine = np.log10(np.maximum(both[(both > 0) & np.isfinite(both)], FLOOR))
        low, high = (fine.min(), fine.max()) if fine.size else (-3.0, 0.0)
        bottom = math.floor(low - 0.15)
        top = max(bottom + 2, min(math.ceil(high + 0.05), HIGHEST))
        self._set_ticks(bottom, top)
        return {"y": (10.0**bottom, 10.0**top)}

    def _set_ticks(self, bottom: int, top: int) -> None:
        """Set decades with room for their labels."""
        stride = math.ceil((top - bottom) / MAX_TICKS)
        ticks = [10.0**power for power in range(bottom, top + 1) if power % stride == 0]
        ticker = self.figure.yaxis[0].ticker
        if ticker.ticks != ticks:
            ticker.ticks = ticks

    def describe(self, frame: Frame) -> str:
        norms = _norms(frame)
        if not (np.isfinite(norms[[0, -1]]) & np.isfinite(self._first[[0, -1]])).all():
            return _known_ones(norms)
        if len(norms) == 1:
            return f"norm {digits(norms[0], 2)}, at {self._since} {digits(self._first[0], 2)}"
        now, first = (ratio(one[0], one[-1]) for one in (norms, self._first))
        return f"first ÷ last layer: {now} (at {self._since}: {first})"


def _norms(frame: Frame) -> np.ndarray:
    """(layers,) the norms up to the epoch that is asked for; nan before they were first measured."""
    norms = frame.epoch.gradient_norms
    return norms if frame.epoch.index <= frame.cursor else np.full(len(norms), np.nan)


def _known_ones(norms: np.ndarray) -> str:
    """For how many layers there is a norm."""
    known = int(np.isfinite(norms).sum())
    return f"{known} of {len(norms)} layers measured" if known else ""
