"""A cut through the loss along the Hessian's first eigenvector, with the last steps on it."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import holoviews as hv
import numpy as np

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.sharpness_curve import LARGE, TOLERANCE
from dashboard.state.run import Frame
from dashboard.widgets import style
from engine.curvature import Curvature
from engine.landscape import Survey, line

STEPS = 24
"""How many of the latest epochs are drawn."""

POINTS = 61
PIECE = 20


@dataclass(frozen=True, eq=False)
class Cut:
    """The loss along a direction of length 1, from the weights of an epoch at 0.

    Attributes:
        places, losses: Of the curve and of its parabola.
        bounces: (k, 3) of the latest epochs: where they are along the direction, their true loss, their number.
    """

    key: Hashable
    sharpness: float
    places: np.ndarray
    losses: np.ndarray
    parabola: np.ndarray
    bounces: np.ndarray


class SharpestDirection(Instrument):
    """The loss along the sharpest direction, its parabola, and where the latest epochs lie along it."""

    title = "Across the valley"
    question = "Do the steps roll down the wall, or leap from one wall to the other?"
    reading = (
        "A cut through the loss at the time cursor, along the eigenvector of the largest eigenvalue; dashed, the "
        "parabola that has its slope and curvature there. The dots are the latest epochs, as far along it as they were "
        "and as high as their true loss: at the edge of stability they leap to and fro while the loss comes down."
    )

    def begin(self, frame: Frame) -> None:
        self._cut: Cut | None = None
        self._sent: object = self
        self.heavy = frame.setup.network.n_parameters * len(frame.setup.train) > LARGE**2 / 100

    def picture(self, frame: Frame) -> hv.Overlay:
        parabola = hv.Curve([], "t", "loss", label="parabola").opts(color=style.GHOST, line_width=2, line_dash="dashed")
        wall = hv.Curve([], "t", "loss", label="wall").opts(color=style.TRAIN, line_width=2.5)
        checkpoints = hv.Curve([], "t", "loss", label="trail").opts(color=style.CURSOR, line_width=1, alpha=0.35)
        steps = hv.Points([(0.0, 1.0, 0, 1.0)], ["t", "loss"], ["epoch", "recency"], label="steps").opts(
            color=style.CURSOR,
            size=7,
            line_alpha=0,
            alpha="recency",
            tools=["hover"],
            hover_tooltips=[("epoch", "@epoch"), ("true loss", "@loss{measured}")],
        )
        return hv.Overlay([parabola, wall, checkpoints, steps]).opts(
            xlim=(-1, 1),
            ylim=(0, 1),
            xlabel="along the sharpest direction",
            ylabel="loss",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        if after >= 0 and self._sent is self._cut:
            return {}
        self._sent, cut = self._cut, self._cut
        if cut is None:
            nothing = {"t": [], "loss": []}
            steps = {**nothing, "epoch": [], "recency": [], "alpha": []}
            return {"parabola": nothing, "wall": nothing, "trail": nothing, "steps": steps}
        t, losses, epochs = cut.bounces.T
        recency = np.linspace(0.15, 1.0, len(t)) if len(t) > 1 else np.ones(len(t))
        return {
            "parabola": {"t": cut.places, "loss": cut.parabola},
            "wall": {"t": cut.places, "loss": cut.losses},
            "trail": {"t": t, "loss": losses},
            "steps": {
                "t": t,
                "loss": losses,
                "epoch": epochs.astype(int),
                "recency": recency,
                "alpha": recency,
            },
        }

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        if self._cut is None:
            return {"x": (-1, 1), "y": (0, 1)}
        seen = np.concatenate([self._cut.losses, self._cut.bounces[:, 1]])
        seen = seen[np.isfinite(seen)]
        low, high = float(seen.min(initial=1e9)), float(seen.max(initial=-1e9))
        if not low <= high:
            low, high = 0.0, 1.0
        margin = 0.06 * max(high - low, 1e-9)
        return {"x": (float(self._cut.places[0]), float(self._cut.places[-1])), "y": (low - margin, high + margin)}

    def describe(self, frame: Frame) -> str:
        cut = self._cut
        if cut is None:
            return "looking for the sharpest direction…"
        moves = np.diff(cut.bounces[:, 0])
        turns = int(np.count_nonzero(moves[1:] * moves[:-1] < 0))
        leaps = f"{turns} of the last {len(moves) - 1} steps turned back" if len(moves) > 1 else "no steps yet"
        return f"epoch {cut.key[0]:,}: {leaps}"

    def work(self, frame: Frame) -> Iterator[object] | None:
        return None if self._cut and self._cut.key == self._key(frame) else self._survey(frame)

    def _key(self, frame: Frame) -> Hashable:
        return frame.epoch.index, frame.l1, frame.l2

    def _survey(self, frame: Frame) -> Iterator[object]:
        setup, epoch, network = frame.setup, frame.epoch, frame.network()
        objective = setup.loss, frame.l1, frame.l2
        found = Curvature(network, setup.train, *objective).sharpness(tolerance=TOLERANCE)
        if not np.isfinite(found.value):
            return
        yield
        direction = found.vector * np.sign(found.vector[np.argmax(np.abs(found.vector))])
        slope = float(direction @ network.gradient(setup.train, *objective).flat)
        bounces = _bounces(frame, direction)
        reach = _reach(bounces[:, 0], found.value, slope, epoch.loss)
        places = np.linspace(-reach, reach, POINTS)
        survey, cut = Survey(network, setup.train, *objective), line(epoch.parameters, epoch.parameters + direction)
        losses = np.empty(POINTS)
        for start in range(0, POINTS, PIECE):
            part = slice(start, start + PIECE)
            losses[part] = survey.losses_along(cut, places[part])
            yield
        parabola = epoch.loss + slope * places + found.value * places**2 / 2
        if setup is self._setup:
            self._cut = Cut(self._key(frame), found.value, places, losses, parabola, bounces)
            self.run.touch()


def _bounces(frame: Frame, direction: np.ndarray) -> np.ndarray:
    """The latest epochs that are all kept, (k, 3): how far along the direction, their loss, their number."""
    epoch = frame.epoch
    recent = frame.history.latest(epoch.index - STEPS, epoch.index)
    if not len(recent):
        return np.array([[0.0, epoch.loss, epoch.index]])
    along = (recent.parameters - epoch.parameters) @ direction
    return np.stack([along, recent.loss, recent.index.astype(float)], axis=1)


def _reach(places: np.ndarray, sharpness: float, slope: float, loss: float) -> float:
    """How far to go to each side: beyond all steps, and over the bottom of the parabola; rounded, to stand still."""
    bottom = abs(slope) / max(sharpness, 1e-12)
    width = np.sqrt(2 * 0.05 * max(loss, 1e-12) / max(sharpness, 1e-12))
    wanted = max(1.5 * float(np.abs(places).max()), 2 * min(bottom, 100 * width), width)
    return float(2.0 ** (np.ceil(2 * np.log2(wanted)) / 2))
