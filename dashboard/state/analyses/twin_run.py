"""A twin run differs from a run in a few settings, and is trained beside it with the hyperparameters the run had."""

from collections.abc import Iterator, Mapping
from typing import Any

from dashboard.state.checkpoints import LiveHyperparameters
from dashboard.state.run import BLOCK, Frame, Run
from dashboard.state.settings import Settings
from dashboard.state.store import Shown


class TwinRun:
    """The twin of a run, from one fresh start to the next; it follows the run to the epoch that is looked at.

    Attributes:
        original: The setup of the run.
        twin: The second run.
    """

    heavy = False

    def __init__(self, run: Shown, frame: Frame, changes: Mapping[str, Any]) -> None:
        """Begin at epoch 0.

        Args:
            run: The run that is followed.
            frame: Any frame of it since its fresh start.
            changes: The settings in which the twin differs, whatever becomes of them in the run.
        """
        self.run, self.original, self._changes = run, frame.setup, changes
        first = frame.hyperparameter_log[0][1].values
        self.twin = Run(Settings(**{**run.settings.values(), **first, **changes}))

    def frame_at(self, frame: Frame) -> Frame:
        """The twin's frame at the epoch of a frame of the run, or at its newest before that."""
        self.twin.look_at(frame.epoch.index)
        return self.twin.frame()

    def work(self, frame: Frame) -> Iterator[object] | None:
        """Train the twin up to the epoch that is looked at in the run, a block at a time; None where it is there."""
        return self._catch_up() if self._behind(self.run.frame()) else None

    def give_up(self, error: Exception) -> None:
        """Stay at the epoch that was reached."""

    def _behind(self, frame: Frame) -> int:
        """How many epochs the twin is behind."""
        return 0 if self.twin.ended else max(0, frame.epoch.index - self._newest)

    def _catch_up(self) -> Iterator[object]:
        while (frame := self.run.frame()).setup is self.original and (behind := self._behind(frame)):
            here, log = self._newest, frame.hyperparameter_log
            self._adopt(log.after(here))
            self.twin.advance(min([BLOCK, behind, *(epoch - here for epoch in log.changes(here)[:1])]))
            yield
        self.run.touch()

    def _adopt(self, hyperparameters: LiveHyperparameters) -> None:
        """Give the twin's next update the run's hyperparameters."""
        values = {name: value for name, value in hyperparameters.values.items() if name not in self._changes}
        if any(getattr(self.twin.settings, name) != value for name, value in values.items()):
            self.twin.settings.param.update(**values)

    @property
    def _newest(self) -> int:
        return self.twin.history[-1].index
