"""The lines of a metric: training, validation and test values that were logged under one name, and where they lie."""

import re
from dataclasses import dataclass

import numpy as np

from dashboard.tracking.logbook import Logbook
from dashboard.tracking.logged_history import LoggedHistory

TRAINING, VALIDATION, TEST = "training", "validation", "test"
PARTS = TRAINING, VALIDATION, TEST
EPOCH, STEP, TIME = "epoch", "step", "time"
AXES = EPOCH, STEP, TIME
"""What the values may be drawn over."""

COLUMNS = {
    "loss": {TRAINING: "loss", VALIDATION: "validation_loss"},
    "accuracy": {TRAINING: "accuracy", VALIDATION: "validation_accuracy"},
    "learning rate": {TRAINING: "learning_rate"},
}
"""The metrics that are columns of every history."""

PREFIX = re.compile(r"(train|training|val|valid|validation|eval|test)[_/.\- ](?=.)")
WORDS = {"train": TRAINING, "training": TRAINING, "test": TEST}
STEP_NAME = "step"

TIME_UNITS = (("hours", 3600.0, 7200.0), ("minutes", 60.0, 120.0), ("seconds", 1.0, 0.0))
"""Units of an axis of time: the seconds in one, and from how many seconds on it is used."""


@dataclass(frozen=True, eq=False)
class Logged:
    """What is known of a run: its history and its logbook."""

    history: LoggedHistory
    logbook: Logbook

    @property
    def names(self) -> list[str]:
        """The metrics that were logged; of those of every history only what was."""
        found = [name for name, parts in COLUMNS.items() if any(len(self.history.of(one)) for one in parts.values())]
        others = (split(name)[0] for name in self.logbook.metrics if name != STEP_NAME)
        return list(dict.fromkeys([*found, *others]))

    def lines(self, name: str, until: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By part, the epochs up to one and the values of a metric there, as they were logged."""
        found = {}
        for part, column in COLUMNS.get(name, {}).items():
            history = self.history.of(column)
            if len(history):
                epochs = history.kept(-1, until)
                values = getattr(epochs, column)
                fine = np.isfinite(values)
                found[part] = epochs.index[fine], values[fine]
        for metric, series in self.logbook.metrics.items():
            group, part = split(metric)
            if group == name and metric != STEP_NAME and part not in found:
                found[part] = series.until(until)
        return {part: found[part] for part in PARTS if part in found}

    @property
    def is_by_step(self) -> bool:
        """Whether the epochs are steps: the program logged by step and gave no epoch."""
        steps = self.logbook.metrics.get(STEP_NAME)
        return steps is not None and len(steps) > 0 and bool((steps.index == steps.values).all())

    @property
    def axes(self) -> tuple[str, ...]:
        """Over what the values can be drawn."""
        steps = STEP_NAME in self.logbook.metrics and not self.is_by_step
        return EPOCH, *([STEP] if steps else []), *([TIME] if len(self.logbook.moments) > 1 else [])

    def places(self, index: np.ndarray, axis: str) -> np.ndarray:
        """(k,) where epochs lie on an axis; nan where that is not known. Times are in seconds."""
        if axis == TIME:
            return self.logbook.seconds(index)
        steps = self.logbook.metrics.get(STEP_NAME)
        if axis == EPOCH or steps is None or not len(steps):
            return index.astype(np.float64)
        at = np.minimum(np.searchsorted(steps.index, index), len(steps) - 1)
        return np.where(steps.index[at] == index, steps.values[at], np.nan)


def split(name: str) -> tuple[str, str]:
    """A metric's name without what says of which part it is, and that part: `val_f1` is the validation's `f1`."""
    found = PREFIX.match(name)
    if found is None:
        return name, TRAINING
    return name[found.end() :], WORDS.get(found[1], VALIDATION)


def time_unit(seconds: float) -> tuple[str, float]:
    """The unit in which so many seconds are best read, and how many seconds it has."""
    return next((name, size) for name, size, least in TIME_UNITS if not seconds < least)
