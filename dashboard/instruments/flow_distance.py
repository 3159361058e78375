"""How far the weights come from where they were foreseen, and how far they will by what was foreseen."""

import holoviews as hv
import numpy as np

from dashboard.instruments.foreseen import Foreseen, with_line
from dashboard.instruments.instrument import Columns, Instrument
from dashboard.state.run import Frame
from dashboard.widgets import style


class FlowDistance(Foreseen, Instrument):
    """The distance of the weights from those at the epoch from which both flows were foreseen."""

    title = "Foreseen and run"
    question = "Does the run go where the slope alone leads, or where the edge sends it?"
    reading = (
        "Press Foresee. Dashed, ahead of the run, is how far its weights will be from where they are now: by gradient "
        "flow, which knows the slope alone, and by the central flow, the mean path at the edge of stability. Then "
        "press Play: the run is the solid line. The caption has the distance between the mean weights of the run and "
        "of each flow. Right after the sharpness has come to the edge both are early by a spike: leaps have to grow "
        "before they are felt. Above, the losses of both flows are means, as if over many leaps."
    )
    foreseen = "distance"

    def begin(self, frame: Frame) -> None:
        super().begin(frame)
        self._start: int | None = None
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
        path = next((path for path in self.foresight.shown(frame).values() if len(path)), None)
        start, here = path.start if path else None, frame.epoch
        if after < 0 or start != self._start:
            self._start, after = start, -1
            self._epochs, self._distances = np.empty(0, np.int64), np.empty(0)
        now: Columns = {"epoch": [], "distance": []}
        if path:
            rows, origin = self.rows(frame, after), path.weights[0]
            rows = rows.rows(rows.index >= path.start)
            away = np.linalg.norm(rows.parameters - origin, axis=1)
            self._epochs, self._distances = np.append(self._epochs, rows.index), np.append(self._distances, away)
            if here.index >= path.start:
                now = {"epoch": [here.index], "distance": [float(np.linalg.norm(here.parameters - origin))]}
        return {**self.flows(frame, after), "run": {"epoch": self._epochs, "distance": self._distances}, "now": now}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        high = max([float(self._distances.max(initial=0.0)), *self.heights(frame)]) or 1.0
        start = min((path.start for path in self.foresight.shown(frame).values()), default=0)
        return {"x": (start, max(start + 20, frame.epoch.index, self.last_foreseen(frame))), "y": (0.0, 1.06 * high)}

    def describe(self, frame: Frame) -> str:
        foresight = self.foresight
        if foresight.wanted.foreseen_from is None:
            return "press Foresee to see where the run will go"
        if foresight.message:
            return foresight.message
        paths = foresight.shown(frame)
        if not paths:
            return f"foreseen from epoch {foresight.wanted.foreseen_from:,}, when the run comes there"
        away = self.in_words(frame, "distance")
        start = next(iter(paths.values())).start
        return with_line(away or f"foreseen from epoch {start:,}", foresight.lost(frame))
