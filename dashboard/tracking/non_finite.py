"""The epochs at which a logged number was infinite or not a number."""

import numpy as np

MAX_EPOCHS = 100_000
"""Epochs that are remembered one by one; of more, the first and the last ones."""

MAX_STRETCHES = 3
"""Stretches of epochs that are named one by one."""


class NotFinite:
    """The epochs at which a quantity was not finite, grouped into stretches."""

    def __init__(self, what: str) -> None:
        """Begin with none.

        Args:
            what: The quantity, with its article.
        """
        self._what = what
        self.epochs = np.empty(0, np.int64)
        self._recoveries = np.empty(0, np.int64)
        self._is_bad, self._left_out = False, 0

    def __len__(self) -> int:
        return len(self.epochs) + self._left_out

    @property
    def last(self) -> int:
        """The last of the epochs; -1 where there is none."""
        return int(self.epochs[-1]) if len(self.epochs) else -1

    def note(self, index: np.ndarray, bad: np.ndarray) -> None:
        """Note that the quantity was logged at these epochs, and at which of them it was not finite."""
        if not len(index):
            return
        if not bad.any() and not len(self.epochs):
            return
        good = index[~bad]
        self.epochs = np.union1d(self.epochs[~np.isin(self.epochs, good)], index[bad])
        back = ~bad & np.append(self._is_bad, bad[:-1])
        self._recoveries = np.union1d(self._recoveries[~np.isin(self._recoveries, index[bad])], index[back])
        self._is_bad = bool(bad[-1])
        if len(self.epochs) > MAX_EPOCHS:
            half = MAX_EPOCHS // 2
            self._left_out += len(self.epochs) - 2 * half
            self.epochs = np.concatenate([self.epochs[:half], self.epochs[-half:]])

    def first_after(self, epoch: int) -> int | None:
        """The first such epoch after another epoch; None where there is none."""
        after = self.epochs[self.epochs > epoch]
        return int(after[0]) if len(after) else None

    def stretches(self) -> list[tuple[int, int]]:
        """First and last epoch of every stretch in which the quantity was never finite."""
        if not len(self.epochs):
            return []
        before = np.searchsorted(self._recoveries, self.epochs)
        starts = np.flatnonzero(np.diff(before, prepend=-1))
        ends = np.append(starts[1:], len(self.epochs)) - 1
        return list(zip(self.epochs[starts].tolist(), self.epochs[ends].tolist(), strict=True))

    def in_words(self) -> str:
        """Which epochs are not drawn and why, as a sentence; empty where all are drawn."""
        if not len(self):
            return ""
        found = self.stretches()
        named = [f"{first:,}" if first == last else f"{first:,} to {last:,}" for first, last in found[:MAX_STRETCHES]]
        if len(found) > MAX_STRETCHES:
            named = [*named, f"others up to {self.last:,}"]
        where = ", ".join(named[:-1]) + (" and " if named[:-1] else "") + named[-1]
        one = len(self) == 1
        return (
            f"{len(self):,} epoch{'' if one else 's'} {'has' if one else 'have'} {self._what} that is no finite "
            f"number, {where}; {'it is' if one else 'they are'} not drawn."
        )
