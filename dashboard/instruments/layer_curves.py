"""One number for every layer of this run, over the epochs."""

import math
from collections.abc import Hashable
from typing import ClassVar

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns, Instrument, lone, with_gaps
from dashboard.instruments.numerals import digits
from dashboard.instruments.study_picture import alone
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, dot, phrase
from engine.training import Epochs

TINY, HUGE = 1e-30, 1e30
BEFORE_ONE = 0.5
"""Where epoch 0 lies on a logarithmic axis of epochs."""

MAX_LAYERS = 7
"""Most layers that are drawn; of more, an even choice with the first and the last."""


class LayerCurves(Instrument):
    """Every layer's gradient norm, from the first (blue) to the last (red), on a logarithmic axis."""

    title = "Gradient of every layer"
    question = "Do all layers learn together, or one after the other?"
    reading = (
        "One line a layer, from the first (blue) to the last (red). Lines far apart are layers that learn at very "
        "different speeds; lines that lie low together belong to a run that stands still."
    )
    missing = "no gradients are known."
    needs = "gradient_norms"
    points = 256
    growing = tuple(f"line {place}" for place in range(MAX_LAYERS))
    controls = ("log_x",)
    draws_future = True
    quantity: ClassVar[str] = "gradient norm"
    guides: ClassVar[tuple[tuple[float, str], ...]] = ()

    log_x = param.Boolean(default=True, label="Log epochs", doc="Draw the epochs on a logarithmic axis.")

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return len(frame.epoch.gradient_norms) > 0 and frame.knows("gradient_norms")

    def of_run(self, frame: Frame, epochs: Epochs) -> np.ndarray:
        """(k, layers) the quantity at the given epochs of this run, which are evenly spaced."""
        return epochs.gradient_norms

    def of_now(self, frame: Frame) -> np.ndarray:
        """(layers,) the quantity at the frame's own epoch, which need not be one of those that are drawn."""
        return self.of_run(frame, alone(frame.epoch))[0]

    def begin(self, frame: Frame) -> None:
        layers = len(frame.epoch.gradient_norms)
        self._layers = np.unique(np.linspace(0, layers - 1, min(layers, MAX_LAYERS)).round().astype(int))
        self._low, self._high = math.inf, -math.inf
        self._now = np.full(len(self._layers), np.nan)
        self._is_logged = frame.is_logged

    def outline(self, frame: Frame) -> Hashable:
        return len(frame.epoch.gradient_norms), self.log_x, self.quantity, self.guides, self._is_logged

    def picture(self, frame: Frame) -> hv.Overlay:
        layers = len(frame.epoch.gradient_norms)
        guides = [(TINY, height, HUGE, height) for height, _ in self.guides] or [(1, TINY, 1, TINY)]
        drawn = [
            hv.Segments(guides, label="guides").opts(color=style.GHOST, line_width=2, line_dash="dashed"),
            *(self._line(place, layer, layers) for place, layer in enumerate(self._layers.tolist())),
            *([self._dots(layers)] if self._is_logged else []),
            hv.Segments([(1, TINY, 1, HUGE)], label="cursor").opts(color=style.CURSOR, line_width=1, alpha=0.6),
        ]
        return hv.Overlay(drawn).opts(
            **({"logx": True, "xformatter": "%d"} if self.log_x else {}),
            logy=True,
            xlim=(BEFORE_ONE, 20),
            ylim=(0.1, 1),
            yticks=style.DECADES,
            yformatter="%.0e",
            xlabel="epoch",
            ylabel=self.quantity,
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        if after < 0:
            self._low, self._high = math.inf, -math.inf
        rows = self.spread_rows(frame, after) if self.log_x else self.rows(frame, after)
        values = self.of_run(self.ahead(frame), rows)[:, self._layers]
        fine = values[(values > TINY) & (values < HUGE)]
        if fine.size:
            self._low, self._high = min(self._low, float(fine.min())), max(self._high, float(fine.max()))
        heights = np.where(values > TINY, np.minimum(values, HUGE), np.nan)
        known = len(rows) or after >= 0
        self._now = self.of_now(frame)[self._layers] if known else np.full(len(self._layers), np.nan)
        index, heights = with_gaps(rows.index, heights, frame.unmeasured(self.stride(frame)))
        place = self._places(np.array([frame.cursor]))
        cursor = {"x0": place, "x1": place, "y0": np.array([TINY]), "y1": np.array([HUGE])}
        lines = {f"line {i}": {"epoch": self._places(index), "value": heights[:, i]} for i in range(len(self._layers))}
        dots = {"measured": self._measured(index, heights, frame)} if self._is_logged else {}
        return {**lines, **dots, "cursor": cursor}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        levels = [height for height, _ in self.guides]
        ends = [*levels, *([self._low, self._high] if self._low <= self._high else [])] or [1e-3, 1]
        return {
            "x": (BEFORE_ONE if self.log_x else 0, max(20, self.ahead(frame).cursor)),
            "y": (max(min(ends), TINY) / 1.5, max(max(ends), 10 * TINY) * 1.5),
        }

    def describe(self, frame: Frame) -> str:
        last = len(frame.epoch.gradient_norms) - 1
        ends = dict.fromkeys((0, len(self._layers) - 1))
        words = [
            phrase(
                dot(style.layer_color(int(self._layers[place]), last + 1)),
                f"{_layer(frame, int(self._layers[place]))} {_known(self._now[place])}",
            )
            for place in ends
        ]
        return phrase(*words, *(name for _, name in self.guides), between=APART)

    @param.depends("log_x", watch=True)
    def _change_axis(self) -> None:
        self.redraw()

    def _places(self, epochs: np.ndarray) -> np.ndarray:
        return np.maximum(epochs, BEFORE_ONE) if self.log_x else epochs

    def _dots(self, layers: int) -> hv.Points:
        """The declaration of isolated measurements."""
        rows = [(1, 1, style.layer_color(layer, layers)) for layer in range(max(2, layers))]
        return hv.Points(rows, ["epoch", "value"], "color", label="measured").opts(color="color", size=4)

    def _measured(self, index: np.ndarray, heights: np.ndarray, frame: Frame) -> Columns:
        """The points of all lines that have no neighbor."""
        stride, layers = self.stride(frame), len(frame.epoch.gradient_norms)
        single = [lone(index, values, stride) for values in heights.T]
        colors = [style.layer_color(layer, layers) for layer in self._layers.tolist()]
        return {
            "epoch": np.concatenate([self._places(index[one]) for one in single]),
            "value": np.concatenate([values[one] for one, values in zip(single, heights.T, strict=True)]),
            "color": np.repeat(colors, [one.sum() for one in single]).tolist(),
        }

    def _line(self, place: int, layer: int, layers: int) -> hv.Curve:
        line = hv.Curve([], "epoch", "value", label=f"line {place}")
        return line.opts(color=style.layer_color(layer, layers), line_width=2)


def _layer(frame: Frame, place: int) -> str:
    """The name of a layer."""
    return frame.layer_names[place] if frame.layer_names else f"layer {place + 1}"


def _known(number: float) -> str:
    return "not measured" if math.isnan(number) else digits(number, 2)
