"""A store that shows what another one does, to look at and not to change."""

from abc import abstractmethod
from dataclasses import replace
from typing import Any

from dashboard.state.store import Frame, Shown
from engine.recording import History


class ReadOnly(Shown):
    """Shows a history that grows elsewhere, with a place and a view of its own: nothing here moves or ends it.

    Nothing else knows of it and nothing calls it back: it looks when it is polled, and can be dropped at any time.
    """

    is_read_only = True
    REFUSAL = "This training runs elsewhere; it can be looked at here, not changed."

    @property
    def version(self) -> int:
        """Grows with every change, here and there."""
        return self._touched + self._theirs()

    @version.setter
    def version(self, value: int) -> None:
        self._touched = value

    @abstractmethod
    def _theirs(self) -> int:
        """How often what is shown has changed."""

    @abstractmethod
    def _newest(self) -> Frame:
        """A frame of what is shown, at any epoch."""

    @property
    def goes_on(self) -> bool:
        """Whether more may come."""
        return True

    @property
    def ended(self) -> str:
        return ""

    def touch(self) -> None:
        self._touched += 1

    def frame(self) -> Frame:
        frame, index = self._newest(), self.looked_at
        history = frame.history
        if index is None:
            epoch = history[-1]
        elif isinstance(history, History):
            epoch = history.at(index)
        else:
            epoch = history[min(index, len(history) - 1)]
        return replace(frame, epoch=epoch)

    def fresh(self) -> None:
        """Look at the newest of something else."""
        self._looked_at = None
        self.touch()

    def _refuse(self, *_: Any) -> None:
        self.refuse(self.REFUSAL)
