"""A replay trains a run again up to a recorded epoch, and compares it with the recording on the way."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dashboard.state.checkpoints import Checkpoints
from engine.recording import History
from engine.training import Epochs, Training

UPDATES = 16
"""Updates between two pieces of the work."""

EPOCHS = 32
"""Epochs in a piece, where each is one update."""

ROUNDING = 1e-6
"""Largest relative difference of weights that rounding alone causes from one recorded epoch to the next."""


@dataclass(frozen=True)
class Deviation:
    """Where a replay first differed from the recording.

    Attributes:
        share: Distance between both weights, relative to the length of the recorded ones.
        remembers: Whether the optimizer has a state, such as a velocity.
    """

    epoch: int
    share: float
    remembers: bool

    def sentence(self, goal: int) -> str:
        """The difference as sentences; `goal` is the epoch from which to go on."""
        off = f"by {self.share:.1g} of their length" if np.isfinite(self.share) else "beyond measure"
        if self.share <= ROUNDING:
            why = "This processor rounds otherwise than the one on which this run was recorded"
            first = f"{why}: trained again, its weights are others from epoch {self.epoch:,} on, first {off}."
        else:
            why = "Trained again here, this run does not come to what was recorded of it"
            first = f"{why}: at epoch {self.epoch:,} its weights are off {off}."
        memory = " What the optimizer remembers comes from training again from each kept epoch to the next."
        return f"{first} It goes on from the recorded weights of epoch {goal:,}.{memory * self.remembers}"


class Replay:
    """Brings a training with the same arguments to one of the recorded epochs of another.

    At every recorded epoch on the way the weights are compared with the recorded ones, bit for bit. They differ on
    another kind of processor: from there on the training takes over the recorded weights at every recorded epoch. So it
    ends at exactly these, and the optimizer's state is off only by what rounding does from one recorded epoch to the
    next. The order of minibatches is the same everywhere.
    """

    def __init__(self, checkpoints: Checkpoints, training: Training, history: History) -> None:
        self._checkpoints, self._training, self._history = checkpoints, training, history
        self.deviation: Deviation | None = None
        self._here: int | None = None

    def pieces(self, goal: int) -> Iterator[None]:
        """The work, in short pieces: from where the last goal was, if that is on the way from a checkpoint."""
        training, start = self._training, self._checkpoints.before(goal)
        here, self._here = self._here, None
        if here is None or not start.index <= here <= goal:
            self._checkpoints.after(start.index).apply(training)
            training.restore(start)
            self._hold(self._history.between(start.index - 1, start.index), start.parameters[None])
            here = start.index
        while here < goal:
            there = min([goal, here + EPOCHS, *self._checkpoints.changes(here)])
            kept = self._history.between(here, there)
            if self.deviation and len(kept):
                kept = kept.rows(slice(1))
                there = int(kept.index[0])
            before = training.checkpoint()
            self._checkpoints.after(here).apply(training)
            for done in training.pieces(there - here, updates=UPDATES):
                epochs = done
                yield
            if self._checkpoints.edit(training, there):
                epochs.parameters[-1] = training.network.parameters
            if self._hold(kept, epochs.parameters[kept.index - here - 1]):
                here = there
            else:
                training.restore(before)
        self._here = here

    def _hold(self, kept: Epochs, replayed: np.ndarray) -> bool:
        """Compares the weights of some recorded epochs, of which the training is at the last at most; False for: not so
        fast.

        Where they differ, the training takes over the recorded ones. It has to be at this very epoch for that, so if
        the way there crosses others it has to be repeated in shorter steps.
        """
        differ = [a.tobytes() != b.tobytes() for a, b in zip(kept.parameters, replayed, strict=False)]
        if not any(differ):
            return True
        here = self._training.checkpoint()
        if self.deviation is None:
            first = differ.index(True)
            recorded, others = kept.parameters[first], replayed[first]
            share = float(np.linalg.norm(others - recorded) / np.linalg.norm(recorded))
            self.deviation = Deviation(int(kept.index[first]), share, bool(here.optimizer_state))
        if len(kept) > 1 or kept.index[0] != here.index:
            return False
        self._training.restore(replace(here, parameters=kept.parameters[0]))
        return True
