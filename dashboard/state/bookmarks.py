"""Bookmarks mark the epochs of a run at which something happened, found while it runs."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.measures import OwnMeans
from engine.network import Network
from engine.training import Epochs

SPIKE = 1.3
"""Factor by which a loss has to exceed that of the epoch before."""

RISEN = 1.02
"""Factor by which the validation loss has to exceed its lowest value for the lowest to be worth a bookmark."""

CLIPPED = frozenset(["relu"])
"""Activations that are never below zero: a mean of zero means that a unit fires on no example."""


@dataclass(frozen=True)
class Bookmark:
    """An epoch worth going back to, and why in a few words."""

    kind: str
    epoch: int
    title: str


class Bookmarks:
    """What has happened so far in a run, each kind once: the first dead unit, the first spike of the loss and so on.

    Attributes:
        network: The network that is trained, at any epoch.
        x: Its examples.
        below_edge: Up to this epoch the sharpness is known to have stayed below the edge of stability.
    """

    def __init__(self, network: Network | None = None, x: np.ndarray | None = None) -> None:
        widths = network.widths if network else ()
        names = network.activations if network else ()
        self._found: dict[str, Bookmark] = {}
        self.below_edge = -1
        self._may_die = np.repeat([name in CLIPPED for name in names], widths).astype(bool)
        self._own = OwnMeans(network, x) if network and self._may_die.any() else None
        self._places = [(layer + 1, unit + 1) for layer, width in enumerate(widths) for unit in range(width)]
        self._last = math.inf
        self._least, self._least_at = math.inf, 0

    def __iter__(self) -> Iterator[Bookmark]:
        """The bookmarks in the order of their epochs."""
        return iter(sorted(self._found.values(), key=lambda one: one.epoch))

    def mark(self, kind: str, epoch: int, title: str) -> bool:
        """Add an epoch if it is the first of its kind; return whether it is."""
        if kind in self._found and self._found[kind].epoch <= epoch:
            return False
        self._found[kind] = Bookmark(kind, epoch, title)
        return True

    def found(self, marks: Iterable[Iterable[Any]], below_edge: object = None) -> "Bookmarks":
        """A copy with these marks; invalid ones are left out.

        Args:
            marks: Each a kind, an epoch and a title.
            below_edge: As it was saved; without it not every epoch was searched for the edge, so that is done again.
        """
        for kind, epoch, title in marks:
            is_one = isinstance(kind, str) and type(epoch) is int and isinstance(title, str)
            if is_one and (kind != "edge" or type(below_edge) is int):
                self.mark(kind[:20], epoch, title[:200])
        self.below_edge = below_edge if type(below_edge) is int else -1
        return self

    def read(self, epochs: Epochs) -> None:
        """Searches the epochs that follow those read before."""
        with np.errstate(all="ignore"):
            self._see_deaths(epochs)
            self._see_spikes(epochs)
            self._see_goal(epochs)
            self._see_turn(epochs)

    def until(self, epoch: int) -> "Bookmarks":
        """The bookmarks as they were at an epoch, as far as that is known: later ones are left out."""
        earlier = Bookmarks()
        earlier.__dict__ |= self.__dict__
        earlier._found = {kind: one for kind, one in self._found.items() if one.epoch <= epoch}
        earlier.below_edge = max(-1, min(self.below_edge, epoch - 1))
        earlier._last = math.inf
        if earlier._least_at > epoch:
            earlier._least, earlier._least_at = math.inf, epoch
        return earlier

    def _see_deaths(self, epochs: Epochs) -> None:
        if "death" in self._found or not self._may_die.any():
            return
        dead = self._own.zero(epochs) & self._may_die
        if dead.any():
            row = int(np.argmax(dead.any(axis=1)))
            layer, unit = self._places[int(np.argmax(dead[row]))]
            others = int(dead[row].sum()) - 1
            more = f" and {others} more" if others else ""
            self.mark("death", int(epochs.index[row]), f"first dead unit: layer {layer}, unit {unit}{more}")

    def _see_spikes(self, epochs: Epochs) -> None:
        losses = np.concatenate([[self._last], epochs.loss])
        self._last = float(epochs.loss[-1])
        if "spike" not in self._found:
            risen = losses[1:] > SPIKE * losses[:-1]
            if risen.any():
                row = int(np.argmax(risen))
                before, after = losses[row : row + 2]
                self.mark("spike", int(epochs.index[row]), f"the loss leaps from {before:.3g} to {after:.3g}")

    def _see_goal(self, epochs: Epochs) -> None:
        if "goal" not in self._found:
            reached = epochs.accuracy == 1
            if reached.any():
                self.mark("goal", int(epochs.index[np.argmax(reached)]), "all training examples classified correctly")

    def _see_turn(self, epochs: Epochs) -> None:
        losses = epochs.validation_loss
        if np.isnan(losses).any():
            return
        lowest = int(np.argmin(losses))
        if losses[lowest] < self._least:
            self._least, self._least_at = float(losses[lowest]), int(epochs.index[lowest])
            self._found.pop("turn", None)
        if losses[-1] > RISEN * self._least:
            self.mark("turn", self._least_at, f"validation loss at its lowest, {self._least:.4g}")
