"""What becomes of a training with a planted bug."""

from collections.abc import Hashable, Iterator

import holoviews as hv
import numpy as np
import param

from dashboard.instruments.instrument import Columns, Instrument
from dashboard.instruments.numerals import digits
from dashboard.instruments.study_picture import in_digits
from dashboard.state.analyses.buggy_descent import EPOCHS, EPOCHS_PER_LOSS, BuggyDescent
from dashboard.state.analyses.gradient_audit import CheckView, is_small
from dashboard.state.run import Frame
from dashboard.widgets import style
from dashboard.widgets.plain_text import APART, dot, phrase
from engine.backpropagation import BUGS

LOWEST, HIGHEST = 1e-6, 1e3

EXPLODED = 5
"""Multiple of the run's own largest loss up to which the axis reaches."""


class BugDescent(Instrument):
    """The run's loss, and that of gradient descent by the gradient with a bug, from the same weights."""

    title = "Trained with the bug"
    question = "Would you see the bug in the loss?"
    reading = (
        "Blue is the run on this page, red gradient descent on all examples from the same weights by the gradient with "
        "the planted bug; All adds every other bug in gray, hover for its name. A bug can slow training, stop it, or "
        "even speed it up: a loss that falls does not prove that the gradient is right."
    )
    missing = "there are too many layers, parameters or examples to train with a bug as well."
    growing = ("run",)
    controls = ("every",)
    draws_future = True

    every = param.Boolean(default=False, label="All", doc="Train with each of the other bugs, too.")

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        return is_small(frame)

    def begin(self, frame: Frame) -> None:
        self._found, self._shown = BuggyDescent.of(frame), None
        self._low, self._high = np.inf, -np.inf

    def outline(self, frame: Frame) -> Hashable:
        return None

    def picture(self, frame: Frame) -> hv.Overlay:
        line = np.ones((2, 2))
        dummies = [{("epoch", "loss"): line, "color": c, "name": c} for c in style.VARIANTS[:2]]
        others = hv.Contours(dummies, ["epoch", "loss"], ["color", "name"], label="bugs").opts(
            color="color",
            line_width=2.5,
            tools=["hover"],
            hover_tooltips=[("", "@name"), ("epoch", "$snap_x{epoch}"), ("loss", "$snap_y{measured}")],
        )
        run = hv.Curve([], "epoch", "loss", label="run").opts(color=style.TRAIN, line_width=2.5)
        tip = hv.Points([], ["epoch", "loss"], label="now").opts(color=style.TRAIN, size=8)
        cursor = hv.Segments([(0, LOWEST, 0, HIGHEST)], label="cursor").opts(
            color=style.CURSOR, line_width=1, alpha=0.6
        )
        return hv.Overlay([others, run, cursor, tip]).opts(
            logy=True,
            xlim=(0, EPOCHS),
            ylim=(1e-3, 1),
            yticks=style.FINE_DECADES,
            yformatter="%.3g",
            xlabel="epoch",
            ylabel="loss",
        )

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        if not self._found.is_of(frame):
            self._found = BuggyDescent.of(frame)
        rows, now = self.rows(frame, after), frame.epoch
        self._low, self._high = _wider(self._low, self._high, np.append(rows.loss, now.loss))
        layers = {
            "run": {"epoch": rows.index, "loss": _drawn(rows.loss)},
            "now": {"epoch": [now.index], "loss": _drawn(np.array([now.loss]))},
            "cursor": {"x0": [now.index], "x1": [now.index], "y0": [LOWEST], "y1": [HIGHEST]},
        }
        shown = self._found, self._names
        if after < 0 or shown != self._shown:
            self._shown = shown
            layers["bugs"] = self._lines()
        return layers

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        low, high = self._low, self._high
        for name in self._names:
            low, high = _wider(low, high, np.minimum(self._found.losses[name], EXPLODED * self._high))
        return {"x": (0, max(EPOCHS, self.ahead(frame).epoch.index)), "y": (low / 1.5, high * 1.5)}

    def describe(self, frame: Frame) -> str:
        words = [phrase(dot(style.TRAIN), f"no bug {digits(frame.epoch.loss)}")]
        bug = self._planted
        if bug is None:
            words.append("plant a bug to train with it")
        elif bug in self._found.losses:
            words.append(phrase(dot(style.FAILED), f"{bug} {digits(self._found.loss_at(bug, frame.epoch.index))}"))
        else:
            words.append("training with the bug …")
        return phrase(*words, between=APART)

    def work(self, frame: Frame) -> Iterator[object] | None:
        work = self._found.work(self._wanted)
        return self._train(self._found, work) if work else None

    @param.depends("every", watch=True)
    def _change(self) -> None:
        self.run.touch()

    def _train(self, found: BuggyDescent, work: Iterator[str | None]) -> Iterator[object]:
        for bug in work:
            if bug and found is self._found:
                self.run.touch()
            yield

    @property
    def _planted(self) -> str | None:
        bug = CheckView.of(self.run.view).bug
        return None if bug == "none" else bug

    @property
    def _wanted(self) -> list[str]:
        """The bugs to train with, the planted one first."""
        first = [self._planted] if self._planted else []
        return first + [bug for bug in BUGS if self.every and bug not in first]

    @property
    def _names(self) -> tuple[str, ...]:
        """The bugs to draw, the planted one last and so on top."""
        return tuple(bug for bug in reversed(self._wanted) if bug in self._found.losses)

    def _lines(self) -> Columns:
        names, epochs = self._names, list(range(0, EPOCHS + 1, EPOCHS_PER_LOSS))
        return {
            "xs": [epochs] * len(names),
            "ys": [in_digits(_drawn(self._found.losses[name])) for name in names],
            "color": [style.FAILED if name == self._planted else style.GHOST for name in names],
            "name": list(names),
        }


def _drawn(losses: np.ndarray) -> np.ndarray:
    """Losses as they can be drawn: those of what diverged leave through the top."""
    return np.clip(np.nan_to_num(losses, nan=HIGHEST, posinf=HIGHEST), LOWEST, HIGHEST)


def _wider(low: float, high: float, losses: np.ndarray) -> tuple[float, float]:
    """Bounds that take in these losses as they are drawn."""
    drawn = _drawn(losses)
    return min(low, float(drawn.min())), max(high, float(drawn.max()))
