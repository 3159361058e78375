"""Every layer of a watched module by its name, the unusual ones first."""

import math
from collections.abc import Hashable
from typing import NamedTuple

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns, Instrument, shortened
from dashboard.instruments.numerals import digits
from dashboard.state.run import Frame
from dashboard.tracking.layer_rows import Row, in_order, unusual_first
from dashboard.tracking.logged_history import LoggedFrame
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, as_written, phrase

ROWS = 24
"""Most rows that can be read."""

NAME_LETTERS = 30
FLOOR = 1e-12
"""Where a number that is zero is drawn on a logarithmic axis."""


class Quantity(NamedTuple):
    """What is shown of layers: its key in the run log, the label of its axis, and whether the axis is logarithmic."""

    key: str
    label: str
    is_log: bool


QUANTITIES = {
    "gradient": Quantity("gradient", "gradient norm", True),
    "update": Quantity("update", "update / weight, one step", True),
    "mean": Quantity("mean", "mean of the output", False),
    "spread": Quantity("spread", "standard deviation of the output", True),
    "dead share": Quantity("dead", "share of units that are zero for all examples", False),
}
UNUSUAL, TREE = "unusual first", "module tree"


class LayerStatistics(Instrument):
    """One row a layer, with its name: gradient, update, and what its output is like."""

    title = "Layers"
    question = "Which layer is unlike the others?"
    reading = (
        "One row a layer, with its name in the program. Unusual first: those farthest from the median on top. Module "
        "tree: in the program's order; of many layers, groups from their least to their largest number, with the "
        "median. Update / weight is that of a single step, on a sample of 256 weights of each array; outputs are those "
        "of the last batch that was measured. Around 0.001 is a usual update. A click picks the layer."
    )
    missing = "no layer was measured."
    needs = ""
    controls = ("quantity", "order")
    height = 430

    quantity = param.Selector(
        default="gradient", objects=list(QUANTITIES), label="Number", doc="Which number of the layers is shown."
    )
    order = param.Selector(default=UNUSUAL, objects=[UNUSUAL, TREE], label="Order", doc="Which layers come on top.")

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return isinstance(frame, LoggedFrame) and len(frame.logbook.layers) > 0

    def begin(self, frame: Frame) -> None:
        self._rows: list[Row] = []

    def outline(self, frame: Frame) -> Hashable:
        return self.quantity

    def picture(self, frame: Frame) -> hv.Overlay:
        kind = QUANTITIES[self.quantity]
        span = hv.Segments([(1, 0, 1, 0, color) for color in style.CLASSES[:2]], vdims="color", label="spans").opts(
            color="color", line_width=3, alpha=0.5
        )
        columns = ["color", "layer", "lowest", "highest"]
        rows = [(1, 0, color, "", 1, 1) for color in style.CLASSES[:2]]
        dots = hv.Points(rows, ["value", "row"], columns, label="layers").opts(
            color="color",
            size=9,
            line_alpha=0,
            tools=["hover"],
            hover_tooltips=[
                ("layer", "@layer"),
                (kind.label, "@value{measured}"),
                ("least", "@lowest{measured}"),
                ("largest", "@highest{measured}"),
            ],
        )
        picked = hv.Segments([(FLOOR, 0, 1e30, 0)], label="picked").opts(color=style.CURSOR, alpha=0.25, line_width=13)
        scale = {"logx": True, "xticks": style.DECADES} if kind.is_log else {}
        return hv.Overlay([picked, span, dots]).opts(
            **scale,
            xlim=(1e-3, 1),
            ylim=(-0.7, ROWS - 0.3),
            yticks=[(place, "") for place in range(ROWS)],
            invert_yaxis=True,
            xlabel=kind.label,
            ylabel="layer",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        kind, book = QUANTITIES[self.quantity], frame.logbook
        values, self._at = book.measured(kind.key, frame.cursor)
        self._measured = int((~np.isnan(values)).sum())
        if self.order == UNUSUAL:
            self._rows = unusual_first(book.layers, values, kind.is_log, ROWS)
        else:
            self._rows = in_order(book.layers, values, ROWS)
        self._name_rows()
        rows, count = self._rows, len(book.layers)
        lows, middles, highs = (np.array([getattr(row, name) for row in rows]) for name in ("low", "middle", "high"))
        places = list(range(len(rows)))
        colors = [style.layer_color(row.places[0], count) for row in rows]
        drawn = [np.maximum(some, FLOOR) if kind.is_log else some for some in (lows, middles, highs)]
        self._drawn_values = np.concatenate(drawn)
        chosen = self.run.view.query().get("layer", "")
        marks = [place for place, row in enumerate(rows) if chosen in [book.layers[one] for one in row.places]]
        low, high = (FLOOR, 1e30) if kind.is_log else (-1e30, 1e30)
        return {
            "spans": {"x0": drawn[0], "x1": drawn[2], "y0": places, "y1": places, "color": colors},
            "layers": {
                "value": drawn[1],
                "row": places,
                "color": colors,
                "layer": [row.label for row in rows],
                "lowest": lows,
                "highest": highs,
            },
            "picked": {"x0": [low] * len(marks), "x1": [high] * len(marks), "y0": marks, "y1": marks},
        }

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        kind, values = QUANTITIES[self.quantity], self._drawn_values[np.isfinite(self._drawn_values)]
        y = (max(len(self._rows), 6) - 0.3, -0.7)
        if kind.key == "dead":
            return {"x": (-0.02, 1.02), "y": y}
        if not len(values):
            return {"x": (1e-3, 1.0), "y": y}
        low, high = float(values.min()), float(values.max())
        if kind.is_log:
            return {"x": (10 ** math.floor(math.log10(low) - 0.1), 10 ** math.ceil(math.log10(high) + 0.1)), "y": y}
        room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
        return {"x": (low - room, high + room), "y": y}

    def describe(self, frame: Frame) -> str:
        if self._at < 0:
            return "not measured yet"
        layers = len(frame.logbook.layers)
        shown = sum(len(row.places) for row in self._rows)
        said = [f"{self._measured:,} of {layers:,} layers measured"]
        if shown < self._measured:
            said.append(f"the {shown:,} most unusual are shown" if self.order == UNUSUAL else f"{shown:,} are shown")
            said.append(f"{self._measured - shown:,} left out")
        if self._rows and self.order == UNUSUAL:
            said.append(f"{self._rows[0].name}: {digits(self._rows[0].middle)}")
        if self._at != frame.cursor:
            said.append(f"measured at epoch {self._at:,}")
        return phrase(*said, between=APART)

    def tapped(self, x: float, y: float) -> None:
        """Pick the layer in the row that was clicked; of a group the first."""
        if 0 <= round(y) < len(self._rows):
            self.run.view.pick(layer=self.run.frame().logbook.layers[self._rows[round(y)].places[0]])

    @param.depends("quantity", "order", watch=True)
    def _change(self) -> None:
        self.redraw()

    def _name_rows(self) -> None:
        """Write the names beside the rows."""
        axis = self.figure.yaxis[0]
        names = {place: as_written(shortened(row.label, NAME_LETTERS)) for place, row in enumerate(self._rows)}
        labels = names | dict.fromkeys(range(len(names), ROWS), "")
        if axis.major_label_overrides != labels:
            axis.major_label_overrides = labels
