"""What is foreseen of a run, drawn ahead of it in a chart over its epochs."""

from collections.abc import Hashable
from typing import Any, ClassVar

import holoviews as hv
import numpy as np
from markupsafe import Markup

from dashboard.instruments.instrument import Columns
from dashboard.state.analyses.foresight import FLOWS, Comparison, Foresight, Path
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import BREAK, dot, phrase

POINTS = 256
"""Most epochs of a flow that are drawn."""


class Foreseen:
    """Mixed into an instrument with an epoch axis: a dashed line for each flow, from where it was foreseen.

    The instrument draws its `guides` beneath everything else, and writes the columns of the `flows`.

    Attributes:
        foreseen: Which column of `Path` is drawn.
    """

    foreseen: ClassVar[str] = "loss"
    run: Any

    @property
    def foresight(self) -> Foresight:
        """What all pictures of the run show of its future."""
        return self.run.analysis(Foresight)

    def begin(self, frame: Frame) -> None:
        """Have it computed while the picture is in view."""
        super().begin(frame)
        self.companion = self.foresight
        self._foreseen: Hashable = None

    def guides(self) -> list[hv.Element]:
        """The layers of the flows."""
        return [
            hv.Curve([], "epoch", self.foreseen, label=name).opts(
                color=style.FORESEEN[name], line_width=2, line_dash="dashed", line_join="round"
            )
            for name in FLOWS
        ]

    def flows(self, frame: Frame, after: int) -> dict[str, Columns]:
        """The columns of the guides, where they have changed."""
        paths = self.foresight.shown(frame)
        known = tuple((id(path), len(path)) for path in paths.values())
        if after >= 0 and known == self._foreseen:
            return {}
        self._foreseen = known
        return {name: self._line(paths.get(name)) for name in FLOWS}

    def last_foreseen(self, frame: Frame) -> int:
        """The last epoch that is foreseen; 0 where nothing is."""
        return max((path.start + len(path) - 1 for path in self.foresight.shown(frame).values()), default=0)

    def heights(self, frame: Frame) -> list[float]:
        """The greatest finite number of each flow."""
        columns = (path.column(self.foreseen) for path in self.foresight.shown(frame).values())
        finite = (column[np.isfinite(column)] for column in columns)
        return [float(column.max()) for column in finite if len(column)]

    def lows(self, frame: Frame) -> list[float]:
        """The least positive number of each flow."""
        columns = (path.column(self.foreseen) for path in self.foresight.shown(frame).values())
        positive = (column[column > 0] for column in columns)
        return [float(column.min()) for column in positive if len(column)]

    def in_words(self, frame: Frame, of: str) -> Markup | str:
        """How far the run is from each flow, as a line of a caption; `of` is an attribute of `Comparison`."""
        compared = self.foresight.compared(frame)
        words = [
            phrase(dot(style.FORESEEN[name]), f"{name} {_number(one, of)}", between=" ")
            for name, one in compared.items()
        ]
        epochs = max((one.epochs for one in compared.values()), default=0)
        return phrase(*words, f"over {epochs} epochs", between=", ") if words else ""

    def _line(self, path: Path | None) -> Columns:
        if path is None:
            return {"epoch": [], self.foreseen: []}
        values = path.column(self.foreseen)
        finite = np.flatnonzero(np.isfinite(values))
        some = finite[:: max(1, -(-len(finite) // POINTS))]
        return {"epoch": path.start + some, self.foreseen: values[some]}


def _number(one: Comparison, of: str) -> str:
    return signed_share(one.loss - 1) if of == "loss" else f"{one.distance:.3g}"


def signed_share(share: float) -> str:
    """A share that something is off by, in percent with a sign, and 0 with none."""
    rounded = round(100 * share)
    return f"{'−' if rounded < 0 else '+' if rounded else ''}{abs(rounded)} %"


def with_line(caption: str | Markup, line: str | Markup) -> Markup:
    """A caption with one more line, if there is one."""
    return phrase(caption, line, between=BREAK)
