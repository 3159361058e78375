"""A run of one session, shown to others in the same process.

`SharedRun(run, page="playground")` is made by whoever has started it, `FollowedRun(SharedRun.found(key))` by everybody
with the link.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from weakref import WeakSet

import param

from dashboard.state.read_only import ReadOnly
from dashboard.state.store import Frame, Shown, Trainable
from dashboard.state.view import View
from engine.recording import Recording

LAST = 20
"""Precedence of watchers: after the store's own and those of all controls."""

LONGEST_NAME = 40
"""Letters of the name of whoever shares."""

CODE_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Of a code that is read aloud and typed: none looks like another."""

CODE_LENGTH = 8
"""Of a code: 40 bits, which a server that takes a second for a page does not give away."""


@dataclass(frozen=True)
class Company:
    """What somebody who follows is told of who else is there.

    Attributes:
        name: Of whoever shares the run, in their own words; empty where they gave none.
        others: How many more follow it.
    """

    name: str = ""
    others: int = 0


class SharedRun:
    """A store that others may follow, under an id that cannot be guessed; `show` puts another one in its place.

    It knows its followers by weak references only, for their number.
    """

    _all: ClassVar[dict[str, Self]] = {}

    def __init__(self, store: Shown, page: str) -> None:
        """page: the slug of the page that it is shown on."""
        self.code = _code()
        self.id = secrets.token_urlsafe(16)
        self.store, self.page = store, page
        self.name, self.left = "", False
        self.changes = 0
        self.followers: WeakSet[FollowedRun] = WeakSet()
        self._settings: tuple[object, dict[str, Any]] = (None, {})
        self._all[self.id] = self

    @classmethod
    def found(cls, key: str) -> Self:
        """What is shared under an id or a code. Raises ValueError when nothing is, or no longer."""
        code = key.lower().replace("-", "")
        found = cls._all.get(key) or next((one for one in cls.everything() if one.code.replace("-", "") == code), None)
        if found is None:
            raise ValueError("nobody shares a run under this link any more; ask for a new one")
        return found

    @classmethod
    def everything(cls) -> list[Self]:
        """All that is shared in this process."""
        return list(cls._all.values())

    @property
    def following(self) -> int:
        """How many look at it."""
        return len(self.followers)

    def join(self, follower: "FollowedRun") -> None:
        """Count one more who looks at it, which whoever shares it sees."""
        self.followers.add(follower)
        self.store.touch()

    def leave(self, follower: "FollowedRun") -> None:
        """Count one less, if it was counted."""
        if follower in self.followers:
            self.followers.discard(follower)
            self.store.touch()

    def sign(self, name: str) -> None:
        """Tell all who follow the name of whoever shares; blanks count once, and what is too long is cut."""
        self.name = " ".join(name.split())[:LONGEST_NAME]
        self.changes += 1

    def settings(self) -> dict[str, Any]:
        """The values of its settings, the same dict until one changes: fifty followers ask at every frame."""
        at = self.store, self.store.version
        if self._settings[0] != at:
            values = self.store.settings.values()
            self._settings = at, self._settings[1] if values == self._settings[1] else values
        return self._settings[1]

    def show(self, store: Shown, page: str) -> None:
        """From now on, have all followers see another store, on another page perhaps."""
        self.store, self.page = store, page
        self.changes += 1

    def stop(self) -> None:
        """Share it no longer: nobody new finds it, and for those who follow it stands still."""
        self._all.pop(self.id, None)
        self.left = True
        self.changes += 1


def _code() -> str:
    letters = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
    return f"{letters[: CODE_LENGTH // 2]}-{letters[CODE_LENGTH // 2 :]}"


class FollowedRun(ReadOnly):
    """A look at a shared store, with a place and a view of its own. Its settings mirror those of the store.

    Changes made here are taken back, with a message.
    """

    company = param.ClassSelector(
        class_=Company, default=Company(), doc="Who shares it and how many follow, as of the last look."
    )

    REFUSAL = "You are following: only whoever has shared this run can change it. Pictures and epochs are yours."

    def __init__(self, shared: SharedRun, view: View | None = None, counts: bool = True) -> None:
        """counts: whether somebody looks at it."""
        theirs = shared.store
        self._shared, self._seen, self._setup, self._mirroring = shared, theirs, theirs.frame().setup, True
        settings = type(theirs.settings)(**theirs.settings.values())
        super().__init__(settings, view or type(theirs.view)(**theirs.view.values()))
        self._accepted = settings.values()
        watcher = settings.param.watch(self._take_back, settings.names(), precedence=LAST)
        self._watchers.append((settings, watcher))
        self._mirroring = False
        if counts:
            shared.join(self)
        self.company = self._company()

    @property
    def followed(self) -> SharedRun:
        """What is followed."""
        return self._shared

    @property
    def can_be_copied(self) -> bool:
        """Whether what is followed can go on elsewhere: what trains in another program cannot."""
        return isinstance(self._seen, Trainable)

    @property
    def page(self) -> str:
        """The slug of the page that it is shown on at present; another one asks for a new follower."""
        return self._shared.page

    @property
    def outdated(self) -> bool:
        """Whether another store is shown by now, which asks for a new follower."""
        return self._shared.store is not self._seen

    @property
    def goes_on(self) -> bool:
        return not self._shared.left

    @property
    def history(self) -> Any:
        return self._seen.history

    @property
    def bookmarks(self) -> Any:
        return self._seen.bookmarks

    @property
    def kept(self) -> str:
        return self._seen.kept

    def frame(self) -> Frame:
        self.mirror()
        setup = self._newest().setup
        if setup is not self._setup:
            self._setup, self._looked_at = setup, None
        return super().frame()

    def preconditioners(self, epochs: Iterable[int]) -> Any:
        return self._seen.preconditioners(epochs)

    def readings(self, frame: Frame) -> dict[str, str]:
        return self._seen.readings(frame)

    def recording(self, name: str = "", **notes: Any) -> Recording:
        return self._seen.recording(name, **notes)

    @classmethod
    def reopened(cls, recording: Recording, view: View | None = None, study: object = None) -> "FollowedRun":
        """What a follower keeps is a run, and opened as one."""
        raise ValueError("a run that was followed is kept as a run; open it on its own page")

    def close(self) -> None:
        super().close()
        self._shared.leave(self)

    def poll(self) -> None:
        """Notice that whoever shared the run has left."""
        self._seen.poll()
        if self._shared.left and not self.message:
            self.refuse("Whoever shared this run has left. It stands still, and can be looked at on this page.")

    def _theirs(self) -> int:
        return self._seen.version + self._shared.changes

    def _newest(self) -> Frame:
        return self._seen.frame()

    @property
    def differs(self) -> bool:
        """Whether the settings are others than there, or others follow by now."""
        return not self.outdated and (self._has_old_settings or self.company != self._company())

    @property
    def _has_old_settings(self) -> bool:
        return self._shared.settings() is not self._accepted

    def _company(self) -> Company:
        return Company(self._shared.name, self._shared.following - (self in self._shared.followers))

    def mirror(self) -> None:
        """Have the settings and the company as they are there; asking for a frame does it too."""
        if not self.differs:
            return
        self.company = self._company()
        if self._has_old_settings:
            self._accepted, self._mirroring = self._shared.settings(), True
            try:
                self.settings.restore(self._accepted)
            finally:
                self._mirroring = False

    def _take_back(self, *_: param.parameterized.Event) -> None:
        if self._mirroring or self.settings.values() == self._accepted:
            return
        self._mirroring = True
        try:
            self.settings.restore(self._accepted)
        finally:
            self._mirroring = False
        self.refuse(self.REFUSAL)
