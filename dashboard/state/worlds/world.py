"""A solvable world: a family of trainings with an exact line, and the runs of the engine that are held against it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from dashboard.state.run import Frame, Setup
from dashboard.state.settings import Settings

ENDLESS = 0
"""The size that stands for infinity."""

SIZES = (4, 8, 16, 32, 64, 128, ENDLESS)


class Line(NamedTuple):
    """A line of theory, drawn before anything is trained; its name is empty where it belongs to the one before."""

    label: str
    x: np.ndarray
    y: np.ndarray


class Outcome(NamedTuple):
    """What one run of the engine has of one line: its numbers, and what theory says of them, at the line's places."""

    x: np.ndarray
    y: np.ndarray
    expected: np.ndarray


@dataclass(frozen=True, eq=False)
class Sample:
    """The outcomes of all runs of a line so far.

    Attributes:
        x: (k,) places.
        y: (runs, k) what was measured.
        expected: (runs, k) what theory says of each run.
    """

    x: np.ndarray
    y: np.ndarray
    expected: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(k,) over the runs that did not diverge; nan where all have."""
        return _mean(self.y)

    def deviations(self, in_errors: bool) -> np.ndarray:
        """(k,) by how much the mean of the runs is off; nan where that is not known.

        Args:
            in_errors: In standard errors of the mean; else as a share of the largest expected value, without a sign.
        """
        off = self.y - self.expected
        if not in_errors:
            return np.abs(_mean(off)) / np.abs(_mean(self.expected)).max()
        count = np.isfinite(off).sum(axis=0)
        with np.errstate(all="ignore"):
            spread = np.sqrt(_mean((off - _mean(off)) ** 2) * count / (count - 1))
            found = _mean(off) / (spread / np.sqrt(count))
        return np.where(np.isfinite(found), found, np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    """(k,) the mean of the finite rows; nan where there is none."""
    fine = np.isfinite(values)
    with np.errstate(all="ignore"):
        return np.where(fine, values, 0.0).sum(axis=0) / fine.sum(axis=0)


class World(ABC):
    """What a subclass says of a world.

    Attributes:
        label: What it is called on the page.
        formula: In LaTeX.
        source: Who solved it.
        fixed: Settings on which the solution rests.
        usual: Settings with which it begins.
        x, y: What the axes are.
        log_x, log_y: Whether they are logarithmic.
        dots: Whether lines are drawn as dots.
        in_errors: Whether deviations are of random runs, in standard errors; else of runs that follow exactly.
        size_name: What the dial turns; empty where it turns nothing.
    """

    label: ClassVar[str]
    formula: ClassVar[str]
    source: ClassVar[str]
    fixed: ClassVar[Mapping[str, Any]] = {}
    usual: ClassVar[Mapping[str, Any]] = {}
    x: ClassVar[str]
    y: ClassVar[str]
    log_x: ClassVar[bool] = False
    log_y: ClassVar[bool] = False
    dots: ClassVar[bool] = False
    in_errors: ClassVar[bool] = True
    size_name: ClassVar[str] = "width"

    @abstractmethod
    def sized(self, settings: Settings, size: int) -> dict[str, Any]:
        """The settings to change for a run of the page that is so large, or as large as such a run may be."""

    @abstractmethod
    def lines(self, setup: Setup, settings: Settings, size: int) -> Sequence[Line]:
        """The exact lines for the page's settings: computed at once, from nothing that is trained."""

    @abstractmethod
    def outcomes(self, settings: Settings, size: int) -> Sequence[Outcome]:
        """What the run of the engine with these settings, of this size, comes to: one for each line with runs."""

    @abstractmethod
    def own(self, frame: Frame, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
        """What the page's run has at a frame: places and numbers."""

    def misfit(self, settings: Settings) -> str:
        """Why these settings are not of this world, as a sentence; empty where they are."""
        for name, value in self.fixed.items():
            if getattr(settings, name) != value:
                label = settings.param[name].label or name
                return f"“{self.label}” is solved for {label.lower()} {value}. Choose its step above again."
        return ""


DESCENT: Mapping[str, Any] = {
    "validation": 0.0,
    "loss": "half mse",
    "optimizer": "sgd",
    "schedule": "constant",
    "layer_rates": [],
    "batch_size": 0,
    "l1": 0.0,
    "l2": 0.0,
}
"""Gradient descent at one rate on half the mean square, over all examples."""

LINEAR: Mapping[str, Any] = {
    **DESCENT,
    "dataset": "slope",
    "noise": 0.0,
    "standardize": False,
    "activation": "linear",
    "skip": False,
    "biases": False,
    "output_scale": 1.0,
}
"""Two linear layers that learn a slope by gradient descent on all examples."""


def recorded(frame: Frame, last: int) -> tuple[np.ndarray, Any]:
    """The epochs of the page's run that are kept, up to the frame's and to a last one, and their rows."""
    rows = frame.kept()
    rows = rows.rows(rows.index <= last)
    return rows.index, rows
