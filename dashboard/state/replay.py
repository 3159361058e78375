"""Replay: a training brought to a recorded epoch again, and held to what was recorded on the way. No Panel here."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dashboard.state.checkpoints import Checkpoints
from engine.recording import History
from engine.training import Epochs, Training

UPDATES = 16
"""Updates between two pieces of the work."""

EPOCHS = 32
"""Epochs of a piece, where each is one update."""

ROUNDING = 1e-6
"""The share of their length by which rounding alone puts weights off from one kept epoch to the next, at most."""


@dataclass(frozen=True)
class Deviation:
    """Where a replay first came to other weights than those recorded.

    share      the distance between both, in lengths of the recorded weights
    remembers  whether the optimizer has a memory, such as a velocity
    """

    epoch: int
    share: float
    remembers: bool

    def told(self, goal: int) -> str:
        """As sentences; `goal` is the epoch to go on from."""
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
    """Brings a training with the same arguments to where a recorded one was, at one of the epochs that were kept.

    At every kept epoch on the way the weights are compared with the recorded ones, bit for bit. They differ on another
    kind of processor: from there on the training is put back on the recorded weights at every kept epoch. So it ends
    at these exactly, and what the optimizer remembers is off only by what rounding does from one kept epoch to the
    next. The order of minibatches is the same everywhere.
    """

    def __init__(self, checkpoints: Checkpoints, training: Training, history: History) -> None:
        self._checkpoints, self._training, self._history = checkpoints, training, history
        self.deviation: Deviation | None = None

    def pieces(self, goal: int) -> Iterator[None]:
        """The work, in short pieces."""
        training, start = self._training, self._checkpoints.before(goal)
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
            if self._hold(kept, epochs.parameters[kept.index - here - 1]):
                here = there
            else:
                training.restore(before)

    def _hold(self, kept: Epochs, replayed: np.ndarray) -> bool:
        """Compare the weights of some kept epochs, of which the training may be at the last; False for: not so fast.

        Where they differ, the training takes over those that were recorded. That needs it to be at this very epoch, so
        that the way there has to be gone again in shorter steps if it leads across others.
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
