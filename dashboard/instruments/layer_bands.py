"""How the output of one layer is distributed, over the epochs."""

from collections.abc import Hashable

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.state.run import Frame
from dashboard.tracking.logged_history import LoggedFrame
from dashboard.tracking.named_records import LEVELS, QUANTITIES
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, in_a_menu, phrase

NAMES = QUANTITIES[-len(LEVELS) :]
MAX_CHOICES = 300
"""Most layers in the menu; a click on the picture of all layers reaches every one."""


class LayerBands(Instrument):
    """Quantiles of a layer's output at the epochs at which it was measured: the median, and where most values lie."""

    title = "Distribution of a layer"
    question = "Does the output of a layer shrink, grow or drift?"
    reading = (
        "The line is the median of all numbers that the layer puts out, the dark band holds half of them, the pale one "
        "nine tenths. Every dot is one measured batch; nothing between dots was measured. Bands that widen without end "
        "are exploding activations, bands that close on zero vanishing ones. The layer is picked here or with a click "
        "on it among all layers."
    )
    missing = "no output of a layer was measured."
    needs = ""
    controls = ("layer",)
    points = 300

    layer = param.Selector(default="", objects=[""], label="Layer", doc="Whose output is drawn.")

    _is_settling = False

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return isinstance(frame, LoggedFrame) and NAMES[0] in frame.logbook.statistics

    def is_fresh(self, frame: Frame) -> bool:
        return super().is_fresh(frame) or self._known != self._knowledge(frame)

    def begin(self, frame: Frame) -> None:
        self._known = self._knowledge(frame)
        names, asked = self._names(frame), self._asked()
        if asked in frame.logbook.layers and asked not in names:
            names = [*names, asked]
        self._is_settling = True
        menu = self.param["layer"]
        if list(menu.objects) != names:
            menu.objects = in_a_menu(names)
            menu.default = names[0]
        if asked in names:
            self.layer = asked
        elif self.layer not in names:
            self.layer = names[0]
        self._is_settling = False

    def outline(self, frame: Frame) -> Hashable:
        return ()

    def picture(self, frame: Frame) -> hv.Overlay:
        none = np.empty((0, 3))
        bands = [
            hv.Area(none, "epoch", ["value", "upper"], label=label).opts(color=style.TRAIN, alpha=alpha, line_alpha=0)
            for label, alpha in (("nine tenths", 0.18), ("half", 0.3))
        ]
        line = hv.Curve([], "epoch", "value", label="median").opts(color=style.TRAIN, line_width=2)
        dots = hv.Points([], ["epoch", "value"], label="measured").opts(color=style.TRAIN, size=4, line_alpha=0)
        return hv.Overlay([*bands, line, dots]).opts(xlim=(0, 20), ylim=(-1, 1), xlabel="epoch", ylabel="output")

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        index, table = self._quantiles(frame)
        stride = max(1, -(-len(index) // self.points))
        index, table = index[::-1][::stride][::-1], table[::-1][::stride][::-1]
        self._table, self._index = table, index
        low, lower, middle, upper, high = table.T
        return {
            "nine tenths": _band(index, low, high),
            "half": _band(index, lower, upper),
            "median": {"epoch": index, "value": middle},
            "measured": {"epoch": index, "value": middle},
        }

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        fine = self._table[np.isfinite(self._table)]
        low, high = (float(fine.min()), float(fine.max())) if len(fine) else (-1.0, 1.0)
        room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
        return {"x": (0, max(1, frame.cursor)), "y": (low - room, high + room)}

    def describe(self, frame: Frame) -> str:
        if not len(self._index):
            return phrase(f"{self.layer}:", "not measured yet")
        low, _, middle, _, high = self._table[-1]
        words = f"median {digits(middle)}, nine tenths from {digits(low)} to {digits(high)}"
        when = "" if self._index[-1] == frame.cursor else f"measured at epoch {self._index[-1]:,}"
        return phrase(f"{self.layer}:", words, when, between=APART)

    def tapped(self, x: float, y: float) -> None:
        if 0 <= x < self.run.history[-1].index:
            self.run.look_at(round(x))

    @param.depends("layer", watch=True)
    def _change(self) -> None:
        if not self._is_settling:
            self.run.view.pick(layer=self.layer)
            self.redraw()

    def _asked(self) -> str:
        """The layer that was picked in any picture."""
        return self.run.view.query().get("layer", "")

    def _knowledge(self, frame: Frame) -> Hashable:
        return frame.logbook.layers, self._asked()

    def _names(self, frame: Frame) -> list[str]:
        """The layers whose outputs were measured."""
        book = frame.logbook
        known = np.isfinite(book.statistics[NAMES[0]].values).any(axis=0)
        return [name for name, one in zip(book.layers, known, strict=True) if one][:MAX_CHOICES]

    def _quantiles(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """The epochs (k,) at which the layer's output was measured, and its quantiles (k, 5)."""
        book = frame.logbook
        place = book.layers.index(self.layer)
        found = [book.statistics[name].until(frame.cursor) for name in NAMES]
        table = np.stack([values[:, place] if len(values) else np.empty(0) for _, values in found], axis=1)
        known = np.isfinite(table).all(axis=1)
        return found[0][0][known], table[known]


def _band(index: np.ndarray, low: np.ndarray, high: np.ndarray) -> Columns:
    """A band as the outline of a patch."""
    return {"x": np.concatenate([index, index[::-1]]), "y": np.concatenate([low, high[::-1]])}
