"""The journal's page: a learner's notes next to the runs."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from markdown_it import MarkdownIt
from markupsafe import Markup

from dashboard.pages.page import Page
from dashboard.state.store import Frame, Shown
from dashboard.state.view import View
from dashboard.storage.home import ID
from dashboard.storage.journal import Journal, JournalError, OvertakenError
from dashboard.storage.journal_entry import BEGUN, Entry, Pin
from dashboard.storage.run_archive import ArchivedRun, RunArchive
from dashboard.storage.unique_names import unique_names
from dashboard.storage.waiting_writes import WaitingWrites
from dashboard.widgets.download import Payload, Saver
from dashboard.widgets.journal_editor import Answer, EntryEditor, EntryList, PinnedRuns
from dashboard.widgets.plain_text import HTML, Words

BUSY = "Another process is writing into the journal; this is done as soon as it has finished…"
POLL_INTERVAL_S = 1.0
"""Seconds from one look at what other sessions have done to the next."""

DESK = """
:host { display: grid !important; grid-template-columns: minmax(210px, 290px) minmax(0, 1fr); gap: 16px;
        align-items: start; }
@media (max-width: 799px) { :host { grid-template-columns: minmax(0, 1fr); } }
"""
BAR = ":host { flex-flow: row wrap; gap: 6px; } :host > * { align-self: center !important; }"
PREVIEW = """
:host { font-size: 14.5px; line-height: 1.55; overflow-wrap: anywhere; }
h1 { font-size: 22px; margin: 2px 0 10px; } h2 { font-size: 16px; margin: 22px 0 4px; } h3 { font-size: 14.5px; }
p, ul, ol { margin: 6px 0; } a { color: #5c7cfa; }
pre { overflow: auto; padding: 8px 10px; border-radius: 8px;
      background: color-mix(in srgb, currentColor 7%, transparent); }
code { font-size: 13px; } table { border-collapse: collapse; }
td, th { padding: 3px 9px; border: 1px solid color-mix(in srgb, currentColor 24%, transparent); }
blockquote { margin: 6px 0; padding-left: 12px; border-left: 3px solid #5c7cfa; opacity: .85; }
"""
NOTICE = "p { margin: 0; font-size: 13.5px; line-height: 1.4; } .bad { color: #e8590c; }"
EMPTY = "No entries yet. Press “New entry” and write down the first thing that surprised you."
NO_MATCH = "No entry has all these words. Search for fewer."
MARKDOWN = MarkdownIt("js-default", {"html": False, "breaks": True}).disable("image")
"""Tags are shown as text, and no picture is loaded from anywhere."""


class JournalView(View):
    """Which entry is open."""

    entry = param.String(
        default="", regex=rf"^({ID.pattern})?\Z", doc="the id of an entry, such as 20261123-190000-ab12cd"
    )


class Notebook(Page):
    """The entries of the journal, one of them open. It follows the folder, to which others may write meanwhile."""

    slug = "journal"
    title = "Journal"
    place = 95
    question = "What have I seen, and what do I make of it?"
    look_for = (
        "Write while the pictures are fresh, and pin the run you speak of: it opens again exactly as it was kept. "
        "What you write saves itself, as a Markdown file of its own that any editor reads."
    )
    timeless = True
    view = JournalView

    def __init__(self, run: Shown) -> None:
        super().__init__(run)
        self._journal, self._archive, self._writes = Journal(), RunArchive(), WaitingWrites()
        self._search, self._deleted, self._lost = "", "", False
        self._entry: Entry | None = None
        self._known: dict[str, Entry] = {}
        self._version, self._seen, self._next_look, self._is_stale = -1, None, 0.0, False
        self._list = EntryList(self._open, self._look_for, sizing_mode="stretch_width", margin=(8, 0, 0, 0))
        self._editor = EntryEditor(self.save)
        self._pins = PinnedRuns(self._pin, self._unpin, self._open_run, margin=(0, 0, 14, 0))
        self._preview = HTML(stylesheets=[PREVIEW], visible=False, margin=0, sizing_mode="stretch_width")
        self._build()

    def __panel__(self) -> pn.viewable.Viewable:
        return self._desk

    def query(self) -> dict[str, str]:
        return {"page": self.slug, **self.run.view.query()}

    def draw(self, frame: Frame, version: int) -> None:
        """Show what is in the folder now."""
        self._refresh()
        self._version, self._is_stale = version, False

    def poll(self) -> None:
        """Hear what became of writes that waited, and look once a second whether anybody else has changed something."""
        self._writes.poll()
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + POLL_INTERVAL_S
            self._is_stale = self._marks() != self._seen

    def behind(self, version: int) -> bool:
        """Whether another entry was asked for, or anybody has changed one."""
        return version != self._version or self._is_stale

    def _build(self) -> None:
        """Put everything in its place."""
        self._delete_button = _button("Delete", "delete", self._delete)
        self._preview_button = _button("Preview", "visibility", self._turn)
        self._undo = _button("Undo", "undo", self._restore)
        self._words = HTML(stylesheets=[NOTICE], margin=0)
        self._notice = pn.Row(self._words, self._undo, stylesheets=[BAR], margin=(0, 0, 10, 0), visible=False)
        begin = pmui.Button(
            label="New entry", icon="add", variant="contained", size="small", margin=0, on_click=lambda _: self._begin()
        )
        self._saver = Saver(lambda _: self._export())
        export = pmui.Button(
            label="Export all",
            icon="download",
            variant="outlined",
            size="small",
            margin=0,
            on_click=lambda _: self._saver.start(),
        )
        self._when = Words("", variant="body2", margin=0, styles={"flex": "1 1 160px"}, sx={"opacity": 0.75})
        bar = pn.Row(self._when, self._preview_button, self._delete_button, stylesheets=[BAR], margin=(0, 0, 8, 0))
        bar.sizing_mode = "stretch_width"
        self._page = pmui.Paper(
            pn.Column(bar, self._pins, self._editor, self._preview, margin=0, sizing_mode="stretch_width"),
            elevation=0,
            variant="outlined",
            margin=0,
            visible=False,
            sizing_mode="stretch_width",
            sx={"padding": "12px 16px 18px", "borderRadius": "12px"},
        )
        side = pn.Column(pn.Row(begin, export, self._saver, stylesheets=[BAR], margin=0), self._list, margin=0)
        main = pn.Column(self._notice, self._page, margin=0)
        for part in (side, main):
            part.sizing_mode = "stretch_width"
        self._desk = pn.Column(side, main, stylesheets=[DESK], margin=0, sizing_mode="stretch_width")

    def _refresh(self) -> None:
        """Show what is in the folder now, or, while it cannot be read, what was; text being typed stays."""
        self._seen = self._marks()
        archived = self._archive.kept()
        try:
            found, self._entry = self._journal.entries(self._search), self._chosen()
        except JournalError as error:
            self._lost = True
            self._say(str(error), bad=True)
            self._editor.show(self._entry)
            return
        if self._lost:
            self._lost = False
            self._say("")
        if self._journal.problems and not self._notice.visible:
            self._say(" ".join(self._journal.problems.values()), bad=True)
        entry = self._entry
        self._list.param.update(
            entries=[_summary(one) for one in found],
            shown=entry.id if entry else "",
            none=NO_MATCH if self._search else EMPTY,
        )
        self._page.visible = entry is not None
        self._editor.show(entry)
        if entry:
            self._known[entry.id] = entry
            self._show_around(entry, archived)

    def _show_around(self, entry: Entry, archived: list[ArchivedRun]) -> None:
        """Show what belongs to an entry besides its fields."""
        called = unique_names(archived)
        self._pins.param.update(
            pins=[
                {"run": pin.run, "label": _label(pin, called), "link": pin.link, "gone": pin.run not in called}
                for pin in entry.pins
            ],
            runs=[{"id": one.id, "label": _described(one, called[one.id])} for one in archived],
        )
        begun, changed = _day(entry.created), _day(entry.changed)
        self._when.object = f"Begun {begun}" + (f", changed {changed}" if changed != begun else "")
        self._preview.object = rendered(entry) if self._preview.visible else ""

    def _chosen(self) -> Entry | None:
        """The entry that was asked for, or else the newest; None where there is none."""
        wanted, newest = self.run.view.entry, next(iter(self._journal.entries()), None)
        if wanted:
            try:
                return self._journal.read(wanted)
            except JournalError as error:
                self._say(str(error), bad=True)
        self.run.view.entry = newest.id if newest else ""
        return newest

    def _marks(self) -> tuple:
        """A value that changes after anybody has changed an entry or archived a run."""
        try:
            return self._journal.stamp(), self._archive.stamp()
        except JournalError as error:
            return (str(error),)

    def _say(self, words: str, bad: bool = False, undo: str = "") -> None:
        """Show a message until something else is done; `undo` is the id of an entry that can be restored."""
        self._deleted = undo
        self._words.object = Markup('<p role="status" class="{}">{}</p>').format("bad" if bad else "", words)
        self._undo.visible = bool(undo)
        self._notice.visible = bool(words)

    def _act(self, act: Callable[[], Any], then: Callable[[Any], None] = lambda _: None) -> None:
        """Do what a user asks for, say why if it cannot be done, and show the result.

        Args:
            act: Reads or writes entries, and nothing of the page: it may have to wait in a thread.
            then: Called with what came of it.
        """

        def done(result: Any) -> None:
            self._say("")
            then(result)
            self._refresh()

        def failed(error: Exception) -> None:
            self._say(str(error), bad=True)
            self._refresh()

        if not self._writes.do(act, done, failed):
            self._say(BUSY)

    def _show_entry(self, key: str) -> None:
        self.run.view.entry = key

    def _open(self, key: str) -> None:
        self._act(lambda: self._journal.read(key).id, self._show_entry)

    def _look_for(self, words: str) -> None:
        self._search = words
        self._refresh()

    def _begin(self) -> None:
        if self._preview.visible:
            self._turn()
        self._act(self._journal.begin, self._show_entry)

    def save(self, key: str, base: str, words: dict[str, str], answer: Answer) -> None:
        """Save what was typed, and answer then; as another entry where somebody has changed this one meanwhile."""
        texts = dict(words)
        wanted = replace(self._present(key), title=texts.pop("title"), texts=texts, stamp=base)

        def write() -> tuple[Entry, str]:
            try:
                return self._journal.write(wanted), ""
            except OvertakenError as error:
                return self._journal.write_beside(wanted), str(error)

        def done(outcome: tuple[Entry, str]) -> None:
            saved, overtaken = outcome
            if overtaken:
                self._say(f"{overtaken} Both are kept: what you wrote is in “{saved.title}”.", bad=True)
                if self.run.view.entry == key:
                    self.run.view.entry = saved.id
            answer(saved)
            self.run.touch()

        def failed(error: Exception) -> None:
            answer(error)
            self.run.touch()

        self._writes.do(write, done, failed)

    def _present(self, key: str) -> Entry:
        """An entry as it is, or as it was last seen where it has been deleted elsewhere."""
        try:
            return self._journal.read(key)
        except JournalError:
            return self._known.get(key, Entry(key))

    def _open_run(self, run: str) -> None:
        try:
            self.open_run(run)
        except ValueError as error:
            self._say(str(error), bad=True)

    def _pin(self, run: str) -> None:
        archived = next((one for one in self._archive.kept() if one.id == run), None)
        if archived and self._entry:
            pin = Pin(archived.id, archived.name, archived.epoch)
            self._repin(lambda pins: (*pins, pin) if pin.run not in {one.run for one in pins} else pins)

    def _unpin(self, run: str) -> None:
        self._repin(lambda pins: tuple(pin for pin in pins if pin.run != run))

    def _repin(self, change: Callable[[tuple[Pin, ...]], tuple[Pin, ...]]) -> None:
        """Change which runs are pinned to the open entry."""
        key = self.run.view.entry

        def write() -> None:
            entry = self._journal.read(key)
            self._journal.write(replace(entry, pins=change(entry.pins)))

        self._act(write)

    def _delete(self) -> None:
        entry = self._entry
        if entry is None:
            return

        def say(_: None) -> None:
            self.run.view.entry = ""
            self._say(f"Deleted “{entry.title or 'Untitled'}”.", undo=entry.id)

        self._act(lambda: self._journal.delete(entry.id), say)

    def _restore(self) -> None:
        key = self._deleted
        self._act(lambda: self._journal.restore(key), lambda _: self._show_entry(key))

    def _turn(self) -> None:
        """Switches between the fields and the rendered entry."""
        reads = not self._preview.visible
        self._preview.visible, self._editor.visible = reads, not reads
        self._preview_button.param.update(label="Write" if reads else "Preview", icon="edit" if reads else "visibility")
        self._refresh()

    def _export(self) -> Payload:
        location = pn.state.location
        address = location.href.split("?")[0] if location and location.href else ""
        try:
            return Payload(self._journal.export(address).encode(), "journal.md")
        except JournalError as error:
            self._say(str(error), bad=True)
            raise


def rendered(entry: Entry) -> Markup:
    """An entry as HTML. Tags that a person has typed are shown as text."""
    text = replace(entry, title=entry.title or "Untitled").markdown(empty=False)
    return Markup(MARKDOWN.render(BEGUN.sub("", text, count=1)))


def _button(label: str, icon: str, act: Callable[[], None]) -> pmui.Button:
    return pmui.Button(
        label=label,
        icon=icon,
        variant="text",
        size="small",
        margin=0,
        on_click=lambda _: act(),
    )


def _summary(entry: Entry) -> dict[str, str]:
    """A line of the list."""
    runs = f"{len(entry.pins)} run{'s' * (len(entry.pins) > 1)}" if entry.pins else ""
    return {"id": entry.id, "title": entry.title, "about": ", ".join(filter(None, [_day(entry.created), runs]))}


def _label(pin: Pin, called: Mapping[str, str]) -> str:
    return f"{called.get(pin.run) or pin.name or pin.run}, epoch {pin.epoch:,}"


def _described(archived: ArchivedRun, called: str) -> str:
    return f"{called}, epoch {archived.epoch:,}, loss {archived.loss:.3g}"


def _day(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}" if moment else ""
