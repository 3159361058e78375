"""What is open: a page, the run that it shows, and the id under which that is archived."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from dashboard.pages import PAGES, page_of
from dashboard.pages.page import Page
from dashboard.shell.recent_runs import RecentRuns
from dashboard.state.choices import Choices
from dashboard.state.followed import FollowedRun, SharedRun
from dashboard.state.playback import clock_of
from dashboard.state.store import Shown, Trainable
from dashboard.storage.run_archive import ArchivedRun, RunArchive
from dashboard.widgets.address_bar import AddressBar
from dashboard.widgets.controls import Watchers
from engine.recording import Recording

Opened = tuple[type[Page], Shown, list[str], str]
"""What a link leads to: the page, what it shows, what could not be followed, and the id of the archived run."""


class Surroundings(Protocol):
    """What stands around the page that is open."""

    def surround(self) -> None:
        """Make what belongs to the page that has just been opened."""

    def opened(self) -> None:
        """Show it."""

    def put_away(self) -> None:
        """Close dialogs and drawers: another page is about to be opened."""

    def stop(self) -> None:
        """Leave undone what is being done for the page that is open."""

    def left(self) -> None:
        """Know that the page has been left."""


class Workspace:
    """The page that is open and its run, the ways to open another, and the link to all of it.

    Attributes:
        run, shown, clock: The run, the page that shows it, and what moves time.
        shared: What others follow of it; None where nobody may.
        link_is_old: Whether the address bar is to be written anew.
        asked: What is to be done between two frames: another page is to be opened.
    """

    def __init__(self, around: Surroundings, read: Callable[[Mapping[str, str]], Opened] | None = None) -> None:
        """Nothing is open before `show`.

        Args:
            around: What stands around the page.
            read: Tells what a link leads to; by default, its page's own query is all that is understood.
        """
        self._around, self._read = around, read or _opened
        self._queries: dict[str, dict[str, str]] = {}
        self._recent_runs, self._visits = RecentRuns(), 0
        self._kept: tuple[str, object] = ("", None)
        self.archive = RunArchive()
        self.shared: SharedRun | None = None
        self.address = AddressBar(self.travel, self.open_link)
        self.asked: Callable[[], None] | None = None
        self.link_is_old, self.is_served = True, False

    @property
    def choices(self) -> list[Choices]:
        """What can be chosen besides the settings."""
        return [self.run.view, self.run.study] if self.run.study else [self.run.view]

    def open(self, slug: str, query: Mapping[str, str] | None = None) -> None:
        """Swap the page for another one, which comes back as it was left, or for what a link's query asks for.

        Raises:
            ValueError: If there is no such page.
        """
        if slug not in PAGES:
            raise ValueError(f"page {slug!r} does not exist; choose one of {', '.join(PAGES)}")
        if query is None and slug == self.shown.slug:
            self._around.put_away()
        elif query is None and slug in self._queries:
            self._swap(lambda: self._as_left(self._queries[slug]))
        else:
            self._swap(lambda: (PAGES[slug], *PAGES[slug].opened(query), ""))

    def reopened(self, recording: Recording) -> Shown:
        """What a recording was made of, with what its page adds.

        Raises:
            ValueError: If it cannot be opened here.
        """
        return page_of(recording).reopened(recording)

    def reopen(self, recording: Recording, key: str = "") -> None:
        """Show a recording on its page; key: under which it is kept, if it is.

        Raises:
            ValueError: If it cannot be opened here.
        """
        run = self.reopened(recording)
        self._swap(lambda: (page_of(recording), run, [], key))

    def open_run(self, key: str) -> None:
        """Show the run that is kept under that id.

        Raises:
            ValueError: If it cannot be opened here.
        """
        self.reopen(self.archive.load(key), key)

    def keep(self, name: str = "") -> ArchivedRun:
        """Keep the run as it is now.

        Raises:
            ArchiveError: If that is not possible.
        """
        kept = self.archive.keep(self.shown.recording(name))
        self._kept, self.link_is_old = (kept.id, self._moment), True
        return kept

    def query(self) -> dict[str, str]:
        """What a link to all this says."""
        if self.run.followed:
            return {"follow": self.run.followed.id}
        kept = {"run": self._kept[0]} if self._kept[0] else {}
        return {**self.shown.query(), **kept}

    def let_follow(self) -> SharedRun:
        """Let others follow whatever is shown here, from now on; the same for all who are asked."""
        if not self.shared:
            self.shared = SharedRun(self.run, self.shown.slug)
            self.run.touch()
        return self.shared

    def stop_following(self) -> None:
        """Let nobody follow any more."""
        if self.shared:
            self.shared.stop()
            self.run.touch()
        self.shared = None

    def follow(self, shared: SharedRun) -> None:
        """Show what somebody shares, on its page."""
        self._swap(lambda: (PAGES[shared.page], FollowedRun(shared), [], ""))

    def take_over(self) -> None:
        """Go on with a copy of what is followed, from the epoch that is shown, as one's own; the other goes its way.

        Raises:
            ValueError: If nothing is followed that could be copied.
        """
        followed = self.run
        if not isinstance(followed, FollowedRun) or not followed.can_be_copied:
            raise ValueError("only a followed run can be taken over, and only one that trains in this laboratory")
        recording, epoch = self.shown.recording(), followed.looked_at
        kind, run = page_of(recording), self.reopened(recording)
        if epoch is not None and isinstance(run, Trainable):
            run.look_at(epoch)
            run.fork()
        self._swap(lambda: (kind, run, [], ""))

    def travel(self, query: Mapping[str, str]) -> None:
        """Show what was there when the address bar held this link: the run itself, if it is one of the last ones left.

        Other settings of the page that is open are set there.
        """
        self.link_is_old = True
        if query == self.query():
            return
        here = not self.run.followed and not {"run", "follow"} & query.keys()
        if here and query.get("page") == self.shown.slug and query not in self._recent_runs:
            self._set(query)
        else:
            self._swap(lambda: self._as_left(query), by_history=True)

    def open_link(self, query: Mapping[str, str]) -> None:
        """Show what a link within the laboratory leads to."""
        if list(query) == ["page"] and query["page"] in PAGES:
            self.open(query["page"])
        else:
            self._swap(lambda: self._as_left(query))

    def _as_left(self, query: Mapping[str, str]) -> Opened:
        """What a link leads to, as it was left, if it is one of the last that were."""
        store, key = self._recent_runs.take(query), query.get("run", "")
        if store is None:
            return self._read(query)
        return PAGES[query["page"]], store, [], key

    def _set(self, query: Mapping[str, str]) -> None:
        """Set what a link to the page that is open asks for; a run that was left for another comes back."""
        asked, problems = self.shown.opened(query)
        asked.close()
        if not self.run.have_back(asked.settings.values()):
            self.run.settings.restore(asked.settings.values())
        self.run.view.restore(asked.view.values())
        if self.run.study and asked.study:
            self.run.study.restore(asked.study.values())
        if problems:
            self.run.refuse(_not_followed(problems))
        self.run.touch()

    def _swap(self, opened: Callable[[], Opened], by_history: bool = False) -> None:
        """Show another page; in a served document, between two frames.

        by_history: whether the address bar holds the link to it already.

        What Panel sends of an event may arrive after the next frame, which must not speak of models yet unknown there.
        """

        def swap() -> None:
            if self.link_is_old and not by_history:
                self.write_link()
            *shown, key = opened()
            lasts, left, query = self._lasts, self.run, self.query()
            self._queries[self.shown.slug] = query if lasts else self.shown.query()
            self.leave(for_a_while=lasts)
            if lasts:
                self._recent_runs.put(query, left)
            self.show(*shown, key)

        self._around.put_away()
        if self.is_served:
            self.asked = swap
        else:
            swap()

    @property
    def _lasts(self) -> bool:
        """Whether what is shown can be come back to as it is."""
        return not (self.shown.timeless or self.run.is_read_only)

    @property
    def _moment(self) -> object:
        """What is different once the run has gone on or started afresh."""
        return self.run.history, self.run.history[-1].index

    def show(self, kind: type[Page], run: Shown, problems: Sequence[str] = (), key: str = "") -> None:
        """Show a page of this kind on a run.

        Args:
            kind: The page.
            run: What it shows.
            problems: What was wrong with the link that led here.
            key: The id under which the run is archived, if it is.
        """
        self.run, self.clock = run, clock_of(run)
        self.watchers = Watchers(run.settings)
        with self.watchers.noted():
            self.shown = kind(run)
            self._around.surround()
            for choices in (run.settings, *self.choices):
                choices.param.watch(self._age_link, choices.names())
        self.shown.play, self.shown.open, self.shown.open_run = self.clock.play, self.open, self.open_run
        self.link_is_old, self._visits = True, self._visits + 1
        if self.shared:
            self.shared.show(run, kind.slug)
        if problems:
            run.refuse(_not_followed(problems))
        self._around.opened()
        self._kept = key, self._moment

    def leave(self, for_a_while: bool = False) -> None:
        """Let go of the page that is shown; for a while, of all but what it shows."""
        self.close()
        if not for_a_while:
            self.run.close()
        self._around.left()

    def close(self) -> None:
        """Stop the clock and what belongs to the page. A run that was passed in lives on with its settings."""
        self.clock.pause()
        self.watchers.close()
        self._around.stop()

    def end(self) -> None:
        """Let go of everything."""
        self.stop_following()
        self.leave()
        self._recent_runs.close()

    def note_progress(self) -> None:
        """Forget under which id the run is archived once it has gone on; write a link that is out of date anew."""
        if self._kept[0] and self._moment != self._kept[1]:
            self._kept, self.link_is_old = ("", None), True
        if self.link_is_old:
            self.write_link()

    def write_link(self) -> None:
        """Show the link in the address bar, where there is one."""
        if self.is_served:
            self.address.show(self.query(), self._visits)
            self.link_is_old = False

    def _age_link(self, *_: object) -> None:
        self.link_is_old = True


def _opened(query: Mapping[str, str]) -> Opened:
    """What a page's own query leads to."""
    kind = PAGES[query["page"]]
    return kind, *kind.opened(query), ""


def _not_followed(problems: Sequence[str]) -> str:
    return "Part of this link could not be followed: " + "; ".join(problems) + "."
