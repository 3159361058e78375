"""Alerts: what a person who trains should look at, recognized from the numbers that are logged."""

import math
from collections import deque
from collections.abc import Iterator, Mapping

JUMP = 10.0
"""A loss has jumped when it is so many times the median of those before it, ..."""

BEFORE = 20
"""... of which so many are looked at."""

LEAST = 5
"""The median is taken of at least so many, and anew after so many more."""

MAX_ALERTS = 50
"""Most alerts of a run."""


class Alerts:
    """Recognizes, each once: the first number of a kind that is not finite, a layer that has died, a loss that jumps.

    A loss that goes on at its new height does not alert again; a layer that fires again may die again.
    """

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=BEFORE)
        self._not_finite: set[str] = set()
        self._dead: set[str] = set()
        self._has_jumped, self._count = False, 0
        self._seen, self._usual = 0, math.inf

    def of_number(self, name: str, value: float) -> str:
        """The alert about a number that is not finite, in words; empty where there is none."""
        if math.isfinite(value) or name in self._not_finite:
            return ""
        self._not_finite.add(name)
        return self._counted(f"{name} is {value:g} for the first time")

    def of_loss(self, loss: float) -> str:
        """The alert about a loss, in words; empty where there is none."""
        if loss - loss != 0:
            return self.of_number("loss", loss)
        words = ""
        if loss > JUMP * self._usual:
            words = self._of_high(loss)
        elif self._has_jumped:
            self._has_jumped = False
        self._losses.append(loss)
        self._seen += 1
        if self._seen % LEAST == 0:  # a median at every loss would cost more than logging it
            self._usual = sorted(self._losses)[len(self._losses) // 2]
        return words

    def of_layers(self, statistics: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
        """The alerts about layers."""
        dead = {name for name, share in statistics.get("dead", {}).items() if share == 1}
        if "dead" in statistics:
            new, self._dead = dead - self._dead, dead | (self._dead - statistics["dead"].keys())
            for name in sorted(new):
                if words := self._counted(f"layer {name} has died: none of its units is active"):
                    yield words
        for name, norm in statistics.get("gradient", {}).items():
            if not math.isfinite(norm) and f"gradient of {name}" not in self._not_finite:
                self._not_finite.add(f"gradient of {name}")
                if words := self._counted(f"the gradient of {name} is {norm:g} for the first time"):
                    yield words

    def _of_high(self, loss: float) -> str:
        was, self._has_jumped = self._has_jumped, self._usual > 0
        if was or self._usual <= 0:
            return ""
        return self._counted(f"the loss jumped from about {self._usual:.3g} to {loss:.3g}")

    def _counted(self, words: str) -> str:
        """The words, unless there were too many already."""
        self._count += 1
        return words if self._count <= MAX_ALERTS else ""
