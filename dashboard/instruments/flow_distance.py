"""How far a run comes from its start, or from the mean path that was foreseen of it, and how far gradient flow does."""

import holoviews as hv
import numpy as np

from dashboard.instruments.foreseen import Foreseen, with_line
from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.state.analyses.foresight import Path
from dashboard.state.run import Frame
from dashboard.widgets import style


class FlowDistance(Foreseen, Instrument):
    """The distance of the weights from those of the central flow: of gradient flow, foreseen, and of the run."""

    title = "Foreseen and run"
    question = "Does the run go where the slope alone leads, or where the edge sends it?"
    reading = (
        "How far the weights have come since epoch 0. Press Foresee: the dashed line at 0 is the central flow, the "
        "mean path at the edge of stability; the other is how far gradient flow, which knows the slope alone, will be "
        "from it. Then press Play: the solid line is the run, which leaps around the central flow or walks away with "
        "gradient flow. The caption has the distances between mean weights, which leave the leaps out. Right after the "
        "sharpness has come to the edge both flows are early by a spike: leaps have to grow before they are felt."
    )
    foreseen = "distance"

    def begin(self, frame: Frame) -> None:
        super().begin(frame)
        self._path: Path | None = None
        self._known, self._high = 0, 0.0
        self._epochs, self._distances = np.empty(0, np.int64), np.empty(0)

    def picture(self, frame: Frame) -> hv.Overlay:
        run = hv.Curve([], "epoch", "distance", label="run").opts(color=style.TRAIN, line_width=2, line_join="round")
        now = hv.Points([], ["epoch", "distance"], label="now").opts(
            color=style.CURSOR, size=9, line_color="white", line_width=1.5
        )
        return hv.Overlay([*self.guides(), run, now]).opts(
            xlim=(0, 20), ylim=(0, 1), xlabel="epoch", ylabel="distance of the weights"
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        path = self.foresight.shown(frame).get("central flow")
        path = path if path and path.weights else None
        known = len(path.weights) if path else 0
        if after < 0 or path is not self._path or known != self._known:
            self._path, self._known, after = path, known, -1
            self._epochs, self._distances = np.empty(0, np.int64), np.empty(0)
        rows, here = self.rows(frame, after), frame.epoch
        shown = [(rows.index, rows.parameters), (np.array([here.index]), here.parameters[None])]
        (epochs, away), now = (self._away(frame, *some) for some in shown)
        self._epochs, self._distances = np.append(self._epochs, epochs), np.append(self._distances, away)
        return {
            **self.flows(frame, after),
            "run": {"epoch": self._epochs, "distance": self._distances},
            "now": dict(zip(("epoch", "distance"), now, strict=True)),
        }

    def _away(self, frame: Frame, epochs: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Epochs, and how far the weights (k, n_parameters) are from those of the path there; without one, of epoch 0.

        The epochs that the path does not reach are left out.
        """
        path = self._path
        if path is None:
            return epochs, np.linalg.norm(weights - frame.history.at(0).parameters, axis=1)
        on = (epochs >= path.start) & (epochs <= path.end)
        return epochs[on], np.linalg.norm(weights[on] - path.weights_at(epochs[on]), axis=1)

    def flows(self, frame: Frame, after: int) -> dict[str, Columns]:
        epochs, distances = self.foresight.apart(frame)
        self._high = float(distances.max(initial=0.0))
        return {
            "gradient flow": {"epoch": epochs, "distance": distances},
            "central flow": {"epoch": epochs[[0, -1]] if len(epochs) else epochs, "distance": 0.0 * distances[:2]},
        }

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        high = max(self._high, float(self._distances.max(initial=0.0))) or 1.0
        start = min((path.start for path in self.foresight.shown(frame).values()), default=0)
        last = max(start + 20, frame.epoch.index, self.last_foreseen(frame))
        return {"x": (start, last), "y": (-0.04 * high, 1.06 * high)}

    def describe(self, frame: Frame) -> str:
        foresight = self.foresight
        if foresight.wanted.foreseen_from is None:
            away = float(np.linalg.norm(frame.epoch.parameters - frame.history.at(0).parameters))
            return f"{digits(away)} from the weights of epoch 0; press Foresee to see where the run will go"
        if foresight.message:
            return foresight.message
        paths = foresight.shown(frame)
        if not paths:
            return f"foreseen from epoch {foresight.wanted.foreseen_from:,}, when the run comes there"
        away = self.in_words(frame, "distance")
        start = next(iter(paths.values())).start
        return with_line(away or f"foreseen from epoch {start:,}", foresight.lost(frame))
