"""Bookmarks: the epochs of a run at which something happened, found while it runs. No Panel here."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.training import Epochs

SPIKE = 1.3
"""How many times the epoch before's a loss has to be."""

RISEN = 1.02
"""How many times its lowest the validation loss has to be again for the lowest to be worth a bookmark."""

CLIPPED = frozenset(["relu"])
"""The activations that are never below zero: a mean of zero says that a unit fires on no example."""


@dataclass(frozen=True)
class Bookmark:
    """An epoch worth going back to, and why in a few words."""

    kind: str
    epoch: int
    title: str


class Bookmarks:
    """What has happened so far in a run, each kind once: the first dead unit, the first spike of the loss and so on.

    activations   of the hidden layers, `widths` their units
    """

    def __init__(self, activations: tuple[str, ...] = (), widths: tuple[int, ...] = ()) -> None:
        self._found: dict[str, Bookmark] = {}
        self._may_die = np.repeat([name in CLIPPED for name in activations], widths).astype(bool)
        self._places = [(layer + 1, unit + 1) for layer, width in enumerate(widths) for unit in range(width)]
        self._last = math.inf
        self._least, self._least_at = math.inf, 0

    def __iter__(self) -> Iterator[Bookmark]:
        """Those there are, in the order of their epochs."""
        return iter(sorted(self._found.values(), key=lambda one: one.epoch))

    def mark(self, kind: str, epoch: int, title: str) -> bool:
        """Remember an epoch, the first of its kind only; whether it is one."""
        if kind in self._found and self._found[kind].epoch <= epoch:
            return False
        self._found[kind] = Bookmark(kind, epoch, title)
        return True

    def found(self, marks: Iterable[Iterable[Any]]) -> "Bookmarks":
        """The same with these marks, each a kind, an epoch and a title; what is none is left out."""
        for kind, epoch, title in marks:
            if isinstance(kind, str) and type(epoch) is int and isinstance(title, str):
                self.mark(kind[:20], epoch, title[:200])
        return self

    def read(self, epochs: Epochs) -> None:
        """Look through the epochs that follow those seen before."""
        with np.errstate(all="ignore"):
            self._see_deaths(epochs)
            self._see_spikes(epochs)
            self._see_goal(epochs)
            self._see_turn(epochs)

    def until(self, epoch: int) -> "Bookmarks":
        """The bookmarks as they were at an epoch, as far as that is known: what is later is left out."""
        earlier = Bookmarks()
        earlier.__dict__ |= self.__dict__
        earlier._found = {kind: one for kind, one in self._found.items() if one.epoch <= epoch}
        earlier._last = math.inf
        if earlier._least_at > epoch:
            earlier._least, earlier._least_at = math.inf, epoch
        return earlier

    def _see_deaths(self, epochs: Epochs) -> None:
        if "death" in self._found or not self._may_die.any():
            return
        dead = (epochs.mean_activations == 0) & self._may_die
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
                self.mark("goal", int(epochs.index[np.argmax(reached)]), "all training examples on the right side")

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
