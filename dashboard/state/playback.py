"""Playback is the clock of a run that trains elsewhere: it moves only the epoch that is shown."""

from dashboard.state.clock import Clock
from dashboard.state.store import Shown, Trainable


class Playback(Clock):
    """Play follows the newest epoch, pause stays where it is; nothing is computed."""

    run: Shown

    @property
    def playing(self) -> bool:
        """Whether the newest epoch is followed, and another one may come."""
        return self.run.looked_at is None and self.run.goes_on

    @playing.setter
    def playing(self, playing: bool) -> None:
        """Set by the epoch that is looked at."""

    def play(self) -> None:
        """Follows the newest epoch from now on."""
        self.run.look_at(None)

    def pause(self) -> None:
        """Stays at the epoch that is shown."""
        if self.run.looked_at is None:
            self.run.look_at(self.run.frame().epoch.index)

    def go_to(self, epoch: int) -> None:
        """Look at an epoch that a link asks for."""
        if epoch:
            self.look_at(epoch)

    def step(self) -> None:
        """Look at the next recorded epoch."""
        self.pause()
        self._look(1)

    def look_at(self, epoch: int | None) -> None:
        """Look at an epoch and stays there; at the newest, follows on."""
        self.run.look_at(self._not_newest(epoch))

    def undo(self) -> None:
        """There is nothing that was left behind here."""

    def reset(self) -> None:
        """Look at the first epoch."""
        self.run.look_at(self.run.history[0].index)


def clock_of(run: Shown) -> Clock:
    """The clock that suits what is shown."""
    return Clock(run) if isinstance(run, Trainable) else Playback(run)
