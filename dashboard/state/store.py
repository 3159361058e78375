"""What a page shows, as it stands: choices go in, a history comes out."""

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

import param

from dashboard.state.bookmarks import Bookmark
from dashboard.state.choices import Choices
from dashboard.state.thread_task import ThreadTask
from dashboard.state.view import View
from engine.recording import Recording

if TYPE_CHECKING:
    import numpy as np

    from dashboard.state.followed import SharedRun

Analysis = TypeVar("Analysis")


class Moment(Protocol):
    """One recorded step of a store's history."""

    index: int


class Frame(Protocol):
    """What one drawing shows: `setup` is the same object until a fresh start, `epoch` the moment all pictures show.

    `stride` is a power of two that the older moments of the history are apart.
    """

    setup: Hashable
    stride: int
    epoch: Moment


class Companion(Choices):
    """What is computed beside a store, in a thread: it says when there is something new, and can be stopped.

    Attributes:
        on_change: Called when there is something new.
        message: What went wrong, or what to do first, as a sentence; empty where nothing is amiss.
    """

    def __init__(self, **choices: Any) -> None:
        super().__init__(**choices)
        self.message = ""
        self.on_change: Callable[[], None] = lambda: None
        self._job: ThreadTask | None = None
        self._key: Hashable = None

    @property
    def busy(self) -> bool:
        """Whether it is being computed."""
        return bool(self._job and self._job.busy)

    @abstractmethod
    def key(self, settings: Choices) -> Hashable:
        """Everything on which the results depend."""

    @abstractmethod
    def start(self, settings: Choices) -> None:
        """Compute for these settings, unless that is known or under way."""

    def follow(self, settings: Choices) -> None:
        """Start anew if these settings require it and it has ever been started."""
        if self._key is not None:
            self.start(settings)

    def cancel(self) -> None:
        """Stop; what is computed stays."""
        if self._job:
            self._job.drop()
        self._job = None

    def is_of(self, settings: Choices) -> bool:
        """Whether the results belong to such settings."""
        return self._key == self.key(settings)


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """Another run that is shown beside a page's own, at the same epoch; it stands still.

    id      under which it is kept
    color   in all pictures
    """

    id: str
    name: str
    color: str
    store: "Shown"


class Shown(param.Parameterized):
    """What pictures show. `version` grows with every change, so whoever draws knows when to.

    Attributes:
        settings: What is computed.
        view: What a user has picked to look at; a change of it computes nothing.
        study: Variants trained for comparison, if the page has any.
        compared_runs: Archived runs that are shown beside it.
    """

    is_read_only: ClassVar[bool] = False
    """Whether it shows what runs elsewhere."""

    shows_future = True
    """Whether pictures show what came after the epoch that is looked at."""

    goes_on = False
    """Whether more may come without anybody's doing."""

    followed: "SharedRun | None" = None
    """The `SharedRun` of somebody else that it shows, if it does."""

    outdated, differs = False, False
    """Of one that follows: whether something else is shared by now, and whether its settings are others there."""

    def __init__(self, settings: Choices, view: View | None = None, study: Companion | None = None) -> None:
        super().__init__()
        self.settings, self.view, self.study = settings, view or View(), study
        self.message, self.refusals = "", 0
        self.version = 0
        self.compared_runs: tuple[ComparedRun, ...] = ()
        self._looked_at: int | None = None
        self._analyses: dict[type, Any] = {}
        self._watchers = [(self.view, self.view.param.watch(self._look, self.view.names()))]
        if study:
            study.on_change = self.touch
            self._watchers.append((study, study.param.watch(self._follow_study, study.names())))

    @property
    @abstractmethod
    def history(self) -> Sequence[Moment]:
        """What was recorded and is still kept."""

    @property
    @abstractmethod
    def ended(self) -> str:
        """Why it does not go on, as a sentence; empty while it can."""

    def poll(self) -> None:
        """Look at what others have changed, on the disk say: called once a beat, and by nothing that only reads."""

    @abstractmethod
    def frame(self) -> Frame:
        """The moment that is looked at, with all that belongs to it."""

    @abstractmethod
    def readings(self, frame: Frame) -> dict[str, str]:
        """The numbers of a frame for the bar on top, by name."""

    @abstractmethod
    def recording(self, name: str = "", **notes: Any) -> Recording:
        """All that is needed to open it again, exactly; notes are anything else that JSON can say."""

    @classmethod
    @abstractmethod
    def reopened(cls, recording: Recording, view: View | None = None, study: Companion | None = None) -> Self:
        """The store that a recording was made of, as it was, to look at and to go on.

        Raises ValueError when the recording is of something else, or its parts do not fit together.
        """

    @property
    def bookmarks(self) -> Iterable[Bookmark]:
        """The epochs at which something happened."""
        return ()

    @property
    def kept(self) -> str:
        """Which epochs can be looked at, as a sentence."""
        return "Every epoch is kept."

    @property
    def left(self) -> str:
        """What `undo` brings back, in words; empty where there is nothing."""
        return ""

    def have_back(self, values: Mapping[str, Any]) -> bool:
        """Have back what was left behind with exactly these settings; False where nothing was, or it is here."""
        return False

    def arrival(self) -> dict[str, str]:
        """What a link says of the epoch that is looked at, besides its number, to be held against what comes of it."""
        return {}

    def expect(self, epoch: int, arrival: str) -> None:
        """Say on the page if an epoch, when it is reached, is not the one that a link says this of.

        Raises ValueError for what no link says.
        """

    @property
    def looked_at(self) -> int | None:
        """The epoch that all pictures show; None for the newest."""
        return self._looked_at

    def look_at(self, index: int | None) -> None:
        """Take all pictures to an epoch, or None for the newest from now on."""
        if index != self._looked_at:
            self._looked_at = index
            self.touch()

    def preconditioners(self, epochs: Iterable[int]) -> Iterator[tuple[int, "np.ndarray | None"] | None]:
        """Each of some epochs, in ascending order, with what its optimizer's next update divides by, (n_parameters,).

        None between two pieces of the work. Where that is not known, no epochs come.
        """
        return iter(())

    def compare_with(self, compared_runs: Iterable[ComparedRun]) -> None:
        """Show these runs beside this one, and no others."""
        before, self.compared_runs = self.compared_runs, tuple(compared_runs)
        stay = [compared.store for compared in self.compared_runs]
        for store in stay:
            store.shows_future = False  # it is always looked at where the page's own run is
        for compared in before:
            if compared.store not in stay:
                compared.store.close()
        self.touch()

    def analysis(self, kind: type[Analysis]) -> Analysis:
        """The analysis of a kind that all pictures of this store share; it is made when first asked for."""
        if kind not in self._analyses:
            self._analyses[kind] = kind(self)
        return self._analyses[kind]

    def touch(self) -> None:
        """Have everything that shows this store drawn again."""
        self.version += 1

    def refuse(self, message: str) -> None:
        """Say on the page what was wrong with something that was asked for."""
        self.message = message
        self.refusals += 1
        self.touch()

    def close(self) -> None:
        """Let go of settings and view, which may outlive this store, and of what is computed beside it."""
        for choices, watcher in self._watchers:
            choices.param.unwatch(watcher)
        self._watchers = []
        if self.study:
            self.study.cancel()
        for compared in self.compared_runs:
            compared.store.close()

    def _look(self, *_: param.parameterized.Event) -> None:
        self.touch()

    def _follow_study(self, *_: param.parameterized.Event) -> None:
        self.study.follow(self.settings)
        self.touch()


class Trainable(Shown):
    """What a clock can advance, start again, and take back to an epoch that is looked at."""

    @property
    @abstractmethod
    def block(self) -> int:
        """How many epochs may be computed before looking at them again."""

    @abstractmethod
    def advance(self, epochs: int = 1, enough: Callable[[], bool] = lambda: False) -> int:
        """Compute that many epochs more, fewer if it ends or `enough` says so; how many were recorded."""

    @abstractmethod
    def reset(self) -> None:
        """Start again from the same place."""

    @abstractmethod
    def resume(self) -> None:
        """Go on after a stop rule, if that is possible."""

    def undo(self) -> None:
        """Have back what a fresh start or a fork has left behind."""

    @abstractmethod
    def fork(self) -> None:
        """Make the epoch that is looked at the newest one, to go on from there."""


def ordinal(number: int) -> str:
    """A place in a row: 2nd, 4th, 11th, 32nd."""
    endings = {} if 10 < number % 100 < 20 else {1: "st", 2: "nd", 3: "rd"}
    return f"{number:,}{endings.get(number % 10, 'th')}"
