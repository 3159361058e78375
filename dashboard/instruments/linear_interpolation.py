"""The loss on the straight lines from other runs, and from its own start, to this run."""

from collections.abc import Iterator, Mapping

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.instruments.other_runs import OtherRuns
from dashboard.state.analyses.line_losses import ALONG, INSIDE, START, Key, LineLosses, barrier
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, phrase

ROUNDING = 1e-12
"""A lower barrier counts as none."""


class LinearInterpolation(OtherRuns, Instrument):
    """The loss along straight lines through the space of all parameters, each of which ends at this run."""

    title = "Lines to this run"
    question = "Is there a wall between two runs that learned the same?"
    reading = (
        "Every line leads straight to this run (the disc at 1): the gray one from where the run began, the others from "
        "the ends of runs with other seeds (at 0). What rises above the straight connection of its ends is the wall "
        "between them. Hidden units have no order: with “Match” each other run lists its units in the order most like "
        "this one's, which changes no prediction. Click a line to pick that run in all pictures."
    )
    controls = ("match",)

    match = param.Boolean(
        default=False, label="Match", doc="Reorder the hidden units of the other runs to be like this run's."
    )

    def begin(self, frame: Frame) -> None:
        self.lines = LineLosses(self.run)
        self._sent: object = self

    def picture(self, frame: Frame) -> hv.Overlay:
        lines = [{("t", "loss"): np.ones((2, 2)), "color": color} for color in style.VARIANTS[:2]]
        others = hv.Contours(lines, ["t", "loss"], "color", label="others").opts(
            color="color", line_width=1.2, alpha=0.65
        )
        start = hv.Curve([], "t", "loss", label="start").opts(color=style.GHOST, line_width=2)
        picked = hv.Curve([], "t", "loss", label="picked").opts(color=style.variant_color(0), line_width=3)
        sides = hv.Segments([(0, 0, 0, 1)], label="sides").opts(color=style.GHOST, line_width=1, alpha=0.5)
        ends = hv.Points([], ["t", "loss"], label="ends").opts(color=style.variant_color(0), size=7)
        here = hv.Points([], ["t", "loss"], label="here").opts(
            color=style.CURSOR, size=11, line_color="white", line_width=2
        )
        return hv.Overlay([sides, others, start, picked, ends, here]).opts(
            xlim=(float(ALONG[0]), float(ALONG[-1])),
            ylim=(0, 1),
            xticks=[(0, "other run"), (0.5, "half way"), (1, "this run")],
            xlabel="",
            ylabel="loss",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        layers = {"here": {"t": [1.0], "loss": [frame.epoch.loss]}}
        shown = self.lines.subject, self._chosen()
        if after < 0 or shown != self._sent:
            self._sent = shown
            layers |= self._lines()
        return layers

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        seen = [losses[INSIDE] for losses in self.lines.losses.values()]
        fine = [part[np.isfinite(part)].max(initial=0.0) for part in (*seen, np.array([frame.epoch.loss]))]
        return {"y": (0.0, 1.15 * max(max(fine), 1e-9))}

    def describe(self, frame: Frame) -> str:
        lines, chosen = self.lines.losses, self._chosen()
        if not lines:
            return "surveying the lines…"
        own = f"from its own start: a wall of {_height(barrier(lines[START]))}"
        if not chosen:
            return phrase(own, "press Compare to train other runs" if self.labels else "", between=APART)
        walls = [barrier(losses) for key, losses in lines.items() if key != START]
        wall, median = _height(barrier(lines[chosen])), _height(float(np.median(walls)))
        return f"wall to seed {chosen[1]}: {wall}, median of {len(walls)}: {median}"

    def work(self, frame: Frame) -> Iterator[object] | None:
        subject = frame.epoch.index, self.match, tuple(self.results.values())
        return self.lines.work(frame, subject, self.others(frame), self.match)

    def tapped(self, x: float, y: float) -> None:
        """Pick the run whose line was clicked."""
        others = {key: losses for key, losses in self.lines.losses.items() if key != START}
        if others:
            self.pick(*min(others, key=lambda key: abs(np.interp(x, ALONG, others[key]) - y)))

    @param.depends("match", watch=True)
    def _change_match(self) -> None:
        self.redraw()

    def _chosen(self) -> Key | None:
        """The run whose line is drawn strongly: the picked one, else the first."""
        others = [key for key in self.lines.losses if key != START]
        return self.picked if self.picked in others else next(iter(others), None)

    def _lines(self) -> dict[str, Columns]:
        lines, chosen = self.lines.losses, self._chosen()
        faint = {key: losses for key, losses in lines.items() if key not in (START, chosen)}
        ends = {key: float(np.interp(0, ALONG, losses)) for key, losses in lines.items() if key in (START, chosen)}
        along = np.round(ALONG, 4).tolist()
        return {
            "others": {
                "xs": [along] * len(faint),
                "ys": [[float(f"{loss:.4g}") for loss in losses] for losses in faint.values()],
                "color": [self.color(label) for label, _ in faint],
            },
            "start": _curve(lines.get(START)),
            "picked": _curve(lines.get(chosen)),
            "ends": {"t": [0.0] * len(ends), "loss": list(ends.values())},
            "sides": {"x0": [0.0, 1.0], "x1": [0.0, 1.0], "y0": [0.0, 0.0], "y1": [1e9, 1e9]},
        }


def _curve(losses: np.ndarray | None) -> Mapping[str, np.ndarray]:
    return {"t": ALONG if losses is not None else np.empty(0), "loss": np.empty(0) if losses is None else losses}


def _height(wall: float) -> str:
    """The height of a barrier; zero where it is only the rounding of sums."""
    return digits(wall if wall > ROUNDING else 0.0, 2)
