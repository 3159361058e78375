"""Playback: the clock of what runs elsewhere. It moves nothing but the epoch that is looked at."""

from dashboard.state.clock import Clock
from dashboard.state.read_only import ReadOnly
from dashboard.state.store import Store


class Playback(Clock):
    """Play follows the newest epoch, pause stays where it is; nothing is computed, and no turn is taken."""

    run: ReadOnly

    @property
    def playing(self) -> bool:
        """Whether the newest epoch is followed, and another may come."""
        return self.run.looked_at is None and self.run.goes_on

    @playing.setter
    def playing(self, playing: bool) -> None:
        """That is told by where one looks."""

    def play(self) -> None:
        """Follow the newest epoch from now on."""
        self.run.look_at(None)

    def pause(self) -> None:
        """Stay at the epoch that is shown."""
        if self.run.looked_at is None:
            self.run.look_at(self.run.frame().epoch.index)

    def go_to(self, epoch: int) -> None:
        """Look at an epoch that a link asks for."""
        if epoch:
            self.look_at(epoch)

    def step(self) -> None:
        """Look at the next epoch that is kept."""
        self.pause()
        self._look(1)

    def look_at(self, epoch: int | None) -> None:
        """Look at an epoch and stay there; at the newest, follow on."""
        self.run.look_at(self._not_newest(epoch))

    def reset(self) -> None:
        """Look at the first epoch."""
        self.run.look_at(self.run.history[0].index)


def clock_of(run: Store) -> Clock:
    """The clock that suits what is shown."""
    return Playback(run) if run.is_read_only else Clock(run)
