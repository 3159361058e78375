"""The loss along the path, and what each plane shows in its place."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.instruments.other_runs import OtherRuns
from dashboard.instruments.pca_landscape import path_plane
from dashboard.instruments.weight_slice import other_sliced, sliced
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import dot, phrase
from engine.landscape import Survey, random_plane

PIECE = 32
BEFORE_ONE = 0.5
"""Where epoch 0 lies on the logarithmic axis."""

COLORS = {name: style.variant_color(i) for name, i in (("slice", 1), ("random", 3), ("path's", 2))}


@dataclass(frozen=True, eq=False)
class Beneath:
    """What was found for one frame: the epochs, their true losses, and what each plane shows for them, all (k,)."""

    key: Hashable
    epochs: np.ndarray
    losses: np.ndarray
    shown: dict[str, np.ndarray]


class SurfaceErrors(OtherRuns, Instrument):
    """The true loss at every epoch beside the loss that a slice, a random plane and the path's plane show for it."""

    title = "True loss and surfaces"
    question = "Is the height at which a plane shows the path the loss the run had?"
    reading = (
        "The blue curve is the loss the run truly had, the others are what the three surfaces show beneath the dots of "
        "its path. Each plane touches the run at the time cursor and there tells the truth; to the left of it the run "
        "was elsewhere. The numbers are the largest differences. Click to look at an epoch."
    )
    points = 128

    def begin(self, frame: Frame) -> None:
        self._found: Beneath | None = None
        self._sent: object = self

    def picture(self, frame: Frame) -> hv.Overlay:
        colors = {**COLORS, "true": style.TRAIN}
        lines = [
            hv.Curve([], "epoch", "loss", label=name).opts(color=color, line_width=2, line_join="round")
            for name, color in colors.items()
        ]
        cursor = hv.Segments([(1, 0, 1, 1)], label="cursor").opts(color=style.CURSOR, line_width=1, alpha=0.6)
        now = hv.Points([], ["epoch", "loss"], label="now").opts(color=style.CURSOR, size=8)
        return hv.Overlay([*lines, cursor, now]).opts(
            logx=True,
            xlim=(BEFORE_ONE, 20),
            ylim=(0, 1),
            xticks=[(BEFORE_ONE, "0"), *((10**power, f"{10**power:,}") for power in range(7))],
            xlabel="epoch",
            ylabel="loss",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        here, found = [max(frame.epoch.index, BEFORE_ONE)], self._found
        layers = {
            "now": {"epoch": here, "loss": [frame.epoch.loss]},
            "cursor": {"x0": here, "x1": here, "y0": [0.0], "y1": [2 * self._top(frame)]},
        }
        if after < 0 or found is not self._sent:
            self._sent = found
            epochs = np.maximum(found.epochs, BEFORE_ONE) if found else np.empty(0)
            lines = {"true": found.losses, **found.shown} if found else dict.fromkeys(("true", *COLORS), np.empty(0))
            layers |= {name: {"epoch": epochs, "loss": losses} for name, losses in lines.items()}
        return layers

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        return {"x": (BEFORE_ONE, max(20, 1.1 * frame.epoch.index)), "y": (0.0, self._top(frame))}

    def describe(self, frame: Frame) -> str:
        found = self._found
        if found is None:
            return "surveying the surfaces…"
        errors = {name: np.abs(losses - found.losses).max() for name, losses in found.shown.items()}
        words = [part for name, error in errors.items() for part in (dot(COLORS[name]), f"{name} {digits(error, 2)}")]
        return phrase(dot(style.TRAIN), f"true {digits(frame.epoch.loss, 2)}; off by", *words)

    def work(self, frame: Frame) -> Iterator[object] | None:
        return None if self._found and self._found.key == self._key(frame) else self._survey(frame)

    def tapped(self, x: float, y: float) -> None:
        """Look at the epoch that was clicked."""
        self.run.look_at(min(round(x) if x >= 1 else 0, self.run.history[-1].index))

    def _key(self, frame: Frame) -> Hashable:
        other = other_sliced(self, frame)
        return frame.epoch.index, frame.l1, frame.l2, other and (other[0], other[1].tobytes())

    def _survey(self, frame: Frame) -> Iterator[object]:
        """The loss beneath the path, for one plane after the other."""
        setup, key, path = frame.setup, self._key(frame), frame.spread(frame.kept())
        planes = sliced(self, frame), random_plane(frame.network(), seed=0), path_plane(self.rows(frame, -1), frame)
        path = path.rows(_spread(path.index, self.points))
        shown = {name: np.empty(len(path)) for name in COLORS}
        for (l1, l2), rows in _by_objective(frame, path.index).items():
            survey = Survey(frame.network(), setup.train, setup.loss, l1, l2)
            for losses, plane in zip(shown.values(), planes, strict=True):
                places = plane.project(path.parameters[rows])[0]
                for start in range(0, len(rows), PIECE):
                    part = slice(start, start + PIECE)
                    losses[rows[part]] = survey.losses_on(plane, *places[part].T)
                    yield
        if setup is self.setup:
            self._found = Beneath(key, path.index, path.loss, shown)
            self.run.touch()

    def _top(self, frame: Frame) -> float:
        """The highest loss that is shown: half as much again as the run has ever had."""
        highest = self._found.losses.max() if self._found else 0.0
        return float(max(1.5 * max(highest, frame.epoch.loss), 1e-9))


def _spread(epochs: np.ndarray, most: int) -> np.ndarray:
    """Which of the epochs to take: at most so many, evenly spaced on a logarithmic axis."""
    places = np.log(np.maximum(epochs, BEFORE_ONE))
    return np.unique(np.searchsorted(places, np.linspace(places[0], places[-1], most)).clip(0, len(epochs) - 1))


def _by_objective(frame: Frame, epochs: np.ndarray) -> dict[tuple[float, float], np.ndarray]:
    """Which of the epochs were measured with the same penalties: those a surface has to be compared with."""
    penalties = [frame.objective(epoch) for epoch in epochs.tolist()]
    return {one: np.flatnonzero([other == one for other in penalties]) for one in dict.fromkeys(penalties)}
