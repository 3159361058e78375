"""A link carries what its epoch was like, so that whoever opens it learns if it led somewhere else."""

import hashlib
import math
import re
from dataclasses import dataclass
from typing import Self

from engine.training import Epoch

LENGTH = 10
"""Hexadecimal digits of a digest in a link: two runs share one by chance once in a million million times."""

SAME_PROCESSOR = "The same settings give the same run, bit for bit, on the same kind of processor only"

WRITTEN = re.compile(rf"([0-9a-f]{{{LENGTH}}}),([^,]{{1,12}})(,changed)?", re.ASCII)


@dataclass(frozen=True)
class Arrival:
    """An epoch as it was where the link was made.

    Attributes:
        digest: Of the weights.
        loss: As it was displayed.
        changed: Whether settings or weights were changed on the way there, which a link does not carry.
    """

    epoch: int
    digest: str
    loss: float
    changed: bool = False

    @classmethod
    def at(cls, epoch: Epoch, changed: bool = False) -> Self:
        """The arrival at an epoch, to be written into a link."""
        content = epoch.parameters.astype("<f8").tobytes()
        return cls(epoch.index, hashlib.sha256(content).hexdigest()[:LENGTH], epoch.loss, changed)

    @classmethod
    def read(cls, epoch: int, text: str) -> Self:
        """Read what a link says of its epoch. Raises ValueError for anything that `written` does not give."""
        found = WRITTEN.fullmatch(text)
        try:
            loss = float(found[2]) if found else math.nan
        except ValueError:
            loss = math.nan
        if not found or not math.isfinite(loss):
            raise ValueError(f"weights={text[:40]} is no digest of weights; copy the link anew, or leave this part out")
        return cls(epoch, found[1], loss, bool(found[3]))

    @property
    def written(self) -> str:
        """The text in a link, all but the epoch."""
        return f"{self.digest},{self.loss:.3g}{',changed' * self.changed}"

    def missed(self, epoch: Epoch) -> str:
        """What to say where the link led to this epoch: nothing if it is the one of the link."""
        if self.digest == Arrival.at(epoch).digest:
            return ""
        there = f"at epoch {self.epoch:,} its weights are others (loss {epoch.loss:.3g}, in the link {self.loss:.3g})"
        if self.changed:
            why = "Its settings or weights were changed on the way, which a link does not carry; a saved run does"
        else:
            why = f"{SAME_PROCESSOR}; a saved run is exact"
        return f"This is not the run that was sent: {there}. {why}."

    def never_reached(self, end: str) -> str:
        """What to say where the run has ended before the epoch."""
        return (
            f"This is not the run that was sent: it has {end}, and the one in the link had come to epoch "
            f"{self.epoch:,} (loss {self.loss:.3g}). {SAME_PROCESSOR}."
        )
