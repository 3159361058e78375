"""The browser's side of the journal: the list of entries, the fields of one, the runs pinned to it."""

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.storage.journal_entry import MAX_TITLE_LENGTH, SECTIONS, Entry
from dashboard.widgets.beside import beside

LINES = """
:host { min-width: 0; }
input, textarea, select { font: inherit; color: inherit; background: none; border-radius: 8px; box-sizing: border-box;
  border: 1px solid color-mix(in srgb, currentColor 24%, transparent); }
input:hover, textarea:hover, select:hover { border-color: color-mix(in srgb, currentColor 50%, transparent); }
input:focus-visible, textarea:focus-visible, select:focus-visible { outline: 2px solid #5c7cfa; outline-offset: -1px; }
::placeholder { color: inherit; opacity: .6; }
[hidden] { display: none !important; }
"""


Answer = Callable[[Entry | Exception], None]
"""Takes the saved entry, or why it was not saved."""


class EntryList(JSComponent):
    """The entries, newest first, with a search field. They are links: a click opens one in place."""

    entries = param.List(default=[], doc="For each its id, title, and a line about it.")
    shown = param.String(default="", doc="The id of the one that is open.")
    none = param.String(default="", doc="What is said where there are none.")
    server_only: ClassVar[tuple[str, ...]] = ("entries", "shown", "none")

    _esm = beside(__file__, "entry_list.js")
    _stylesheets: ClassVar[list[str]] = [
        LINES,
        beside(__file__, "entry_list.css"),
    ]

    def __init__(self, opened: Callable[[str], None], searched: Callable[[str], None], **params: Any) -> None:
        """Start without entries.

        Args:
            opened: Called with the id of an entry that was clicked.
            searched: Called with the words to search for.
            **params: As for any component.
        """
        super().__init__(**params)
        self._opened, self._searched = opened, searched

    def _handle_msg(self, msg: Any) -> None:
        if "open" in msg:
            self._opened(str(msg["open"]))
        else:
            self._searched(str(msg.get("search", "")))


class EntryEditor(JSComponent):
    """The fields of an entry, which save themselves shortly after typing, and at once when they lose focus.

    Unsaved text is also kept in the browser's tab, so that nothing is lost by a reload or a server that is gone. The
    server never writes into a field with unsaved text: a save that is based on an outdated file is answered with the id
    of another entry, under which it was saved.

    Attributes:
        state: `entry`, what is to be shown (its id, stamp and words, or None), and `answer` to the newest save: its
            number, the id that was sent, the id under which it was saved, the stamp of its file, and the problem, if it
            was not.
    """

    sections = param.List(default=[], doc="Of each text its name, heading and prompt.")
    state = param.Dict(default={"entry": None, "answer": None})
    longest = param.Integer(default=MAX_TITLE_LENGTH, doc="Letters of a title.")
    server_only: ClassVar[tuple[str, ...]] = ("sections", "state", "longest")

    _esm = beside(__file__, "entry_editor.js")
    _stylesheets: ClassVar[list[str]] = [
        LINES,
        beside(__file__, "entry_editor.css"),
    ]

    def __init__(self, saved: Callable[[str, str, dict[str, str], Answer], None], **params: Any) -> None:
        """Start without an entry.

        The answer is sent together with the next entry to show: a user who leaves the page while it saves is no longer
        there to receive one at once.

        Args:
            saved: Called with an entry's id, the stamp on which its text is based, the text, and what to call with the
                saved entry, now or later. If it is called with an error instead, the user reads that, and the text
                stays in the fields.
            **params: As for any component.
        """
        sections = [{"name": name, "heading": one.heading, "prompt": one.prompt} for name, one in SECTIONS.items()]
        super().__init__(sections=sections, sizing_mode="stretch_width", margin=0, **params)
        self._saved = saved
        self._answer: dict[str, Any] | None = None

    def show(self, entry: Entry | None) -> None:
        """Show an entry, or nothing, and answers the newest save; text being typed stays."""
        state = {"entry": _fields(entry), "answer": self._answer}
        if state != self.state:
            self.state = state

    def _handle_msg(self, msg: Any) -> None:
        words = {name: str(msg["words"].get(name, "")) for name in ("title", *SECTIONS)}
        key, number = str(msg["id"]), int(msg["number"])

        def answer(outcome: Entry | Exception) -> None:
            self._answer = {"number": number, "asked": key}
            if isinstance(outcome, Exception):
                self._answer |= {"problem": str(outcome)}
            else:
                self._answer |= {"became": outcome.id, "stamp": outcome.stamp}

        self._saved(key, str(msg["base"]), words, answer)


class PinnedRuns(JSComponent):
    """The runs pinned to an entry. They are links: a click opens one as it was archived. More can be pinned."""

    pins = param.List(default=[], doc="Of each its run's id, what it is called, its link, and whether it is gone.")
    runs = param.List(default=[], doc="Of each kept run its id and what it is called.")
    server_only: ClassVar[tuple[str, ...]] = ("pins", "runs")

    _esm = beside(__file__, "pinned_runs.js")
    _stylesheets: ClassVar[list[str]] = [
        LINES,
        beside(__file__, "pinned_runs.css"),
    ]

    def __init__(
        self,
        pinned: Callable[[str], None],
        removed: Callable[[str], None],
        opened: Callable[[str], None],
        **params: Any,
    ) -> None:
        """All are told the id of a run: one that was chosen, taken off, clicked."""
        super().__init__(sizing_mode="stretch_width", **params)
        self._acts = {"pin": pinned, "remove": removed, "open": opened}

    def _handle_msg(self, msg: Any) -> None:
        for name in self._acts.keys() & msg.keys():
            self._acts[name](str(msg[name]))


def _fields(entry: Entry | None) -> dict[str, Any] | None:
    """What the editor shows of an entry."""
    if entry is None:
        return None
    return {"id": entry.id, "stamp": entry.stamp, "words": {"title": entry.title, **entry.texts}}
