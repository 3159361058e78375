"""The drawer of kept runs archives the run on a page, opens and compares others, and takes and gives files."""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import panel as pn
from markupsafe import Markup

from dashboard.pages.compared_card import chip
from dashboard.state.choices import Choices
from dashboard.state.run_comparison import differences
from dashboard.state.store import ComparedRun, Shown
from dashboard.storage.run_archive import ENDING, MAX_FILE_BYTES, ArchivedRun, RunArchive, described
from dashboard.storage.unique_names import unique_names
from dashboard.storage.waiting_writes import WaitingWrites
from dashboard.widgets import style
from dashboard.widgets.download import Payload
from dashboard.widgets.file_drop import FileDrop
from dashboard.widgets.plain_text import HTML, element, phrase
from dashboard.widgets.run_list import KeepForm, RunList
from engine.recording import Recording

MAX_COMPARED = 3
PLACES = (2, 3, 6)
"""Those colors of compared runs that are unlike a training's and a validation's."""

EMPTY = "No runs are kept yet. Train one, give it a name above, and keep it: it can be opened again exactly as it was."
TABLE = """
:host { min-width: 0; overflow-x: auto; }
h3 { font-size: 13.5px; font-weight: 600; margin: 0 0 4px; }
table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 3px 12px 3px 0; overflow-wrap: anywhere; }
th { font-weight: 500; opacity: .8; }
tr + tr { border-top: 1px solid color-mix(in srgb, currentColor 14%, transparent); }
i { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 5px; }
p { font-size: 12.5px; margin: 0; opacity: .8; }
"""
SMALL = ":host { min-width: 0; } p { font-size: 11.5px; margin: 0 0 3px; opacity: .68; overflow-wrap: anywhere; }"


BUSY = "Another process is writing into the folder; this is done as soon as it has finished…"

Write = tuple[Callable[[], Any], Callable[[Any], None]]
"""What writes into the folder, and what says what came of it."""


class Host(Protocol):
    """What shows the page on which archived runs are opened."""

    run: Shown

    def keep(self, name: str = "") -> ArchivedRun:
        """Archives the run on the page."""

    def reopen(self, recording: Recording, key: str = "") -> None:
        """Show a recording on the page where it was made; `key` is its id in the archive."""

    def reopened(self, recording: Recording) -> Shown:
        """The store of which a recording was made."""


class RunsDrawer(pn.viewable.Viewer):
    """Everything that can be done with archived runs, beside a page.

    The runs compared with the page's run are its `compared_runs`; the drawer follows these, and the folder.
    """

    def __init__(self, archive: RunArchive, host: Host, close: Callable[[], None] | None = None) -> None:
        """Make the drawer.

        Args:
            archive: The archived runs.
            host: Shows the page on which they are opened.
            close: Closes the drawer; without it there is no button for that.
        """
        super().__init__()
        self._archive, self._host = archive, host
        self._seen: Hashable = None
        self._writes = WaitingWrites()
        self._close = close or (lambda: None)
        self._form = KeepForm(self.ask, closes=close is not None)
        self._list = RunList(self.ask, self._file, empty=EMPTY)
        self._drop = FileDrop(
            self._add, self._fail, words="Drop a run's file here, or choose one", endings=ENDING, largest=MAX_FILE_BYTES
        )
        self._table = _words(TABLE)
        self._small = _words(SMALL)
        self.refresh()

    def __panel__(self) -> pn.viewable.Viewable:
        parts = self._form, self._list, self._table, self._drop, self._small
        return pn.Column(*(_spaced(part) for part in parts), margin=(10, 12), sizing_mode="stretch_width")

    @property
    def said(self) -> str:
        """What became of the newest request, in words."""
        return self._form.said

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What the list shows of every archived run."""
        return self._list.runs

    @property
    def answered(self) -> int:
        """The number of the newest request that was answered."""
        return self._list.answered

    def refresh(self) -> None:
        """Follows what others have changed in the folder, and what is on the page; cheap if nothing has changed."""
        self._writes.poll()
        self._follow()

    def _follow(self) -> None:
        run = self._host.run
        settings = run.settings.values()
        now = self._archive.stamp(), run.compared_runs, repr(settings)
        if now != self._seen:
            self._seen = now
            self._fill(settings)

    def ask(self, request: Mapping[str, Any]) -> None:
        """Do what was asked for, and report the outcome."""
        acts = {
            "keep": self._keep,
            "open": self._open,
            "beside": self._compare,
            "close": lambda _: self._close(),
        }
        writes = {"rename": self._rename, "delete": self._delete, "restore": self._restore}
        try:
            if request["do"] in writes:
                self._write(*writes[request["do"]](request), lambda: self._answer(request))
                return
            acts[request["do"]](request)
        except (ValueError, OSError) as error:
            self._fail(_sentence(error))
        self._answer(request)

    def _answer(self, request: Mapping[str, Any]) -> None:
        self._follow()
        self._list.answered = request.get("number", self._list.answered)

    def _write(
        self, act: Callable[[], Any], done: Callable[[Any], None], answer: Callable[[], None] = lambda: None
    ) -> None:
        """Write into the folder, and report and answer it then; until another process lets us, say that."""

        def succeed(result: Any) -> None:
            done(result)
            answer()

        def fail(error: Exception) -> None:
            self._fail(_sentence(error))
            answer()

        if not self._writes.do(act, succeed, fail):
            self._say(BUSY)

    def _keep(self, request: Mapping[str, Any]) -> None:
        archived = self._host.keep(str(request["name"]))
        self._say(f"Kept as {self._called(archived)}, at epoch {archived.epoch:,}.")

    def _open(self, request: Mapping[str, Any]) -> None:
        archived = self._archive.about(request["id"])
        self._host.reopen(self._archive.load(archived.id), archived.id)
        self._say(f"Opened {self._called(archived)}, at epoch {archived.epoch:,}.")

    def _rename(self, request: Mapping[str, Any]) -> Write:
        return (
            lambda: self._archive.rename(request["id"], str(request["name"])),
            lambda archived: self._say(f"Its name is now {_quoted(archived.name)}."),
        )

    def _delete(self, request: Mapping[str, Any]) -> Write:
        archived = self._archive.about(request["id"])
        called = self._called(archived)
        return (
            lambda: self._archive.delete(archived.id),
            lambda _: self._say(f"Deleted {called}.", undo=archived.id),
        )

    def _restore(self, request: Mapping[str, Any]) -> Write:
        return (
            lambda: self._archive.restore(request["id"]),
            lambda archived: self._say(f"{self._called(archived)} is back."),
        )

    def _compare(self, request: Mapping[str, Any]) -> None:
        run, archived = self._host.run, self._archive.about(request["id"])
        compared_runs = [compared for compared in run.compared_runs if compared.id != archived.id]
        if request["on"]:
            compared_runs.append(self._compared(archived, compared_runs))
        run.compare_with(compared_runs)
        self._say("")

    def _compared(self, archived: ArchivedRun, others: Sequence[ComparedRun]) -> ComparedRun:
        """An archived run to compare with the page's, in a color of its own."""
        if len(others) >= MAX_COMPARED:
            raise ValueError(f"{MAX_COMPARED} runs are shown beside already: take one away first.")
        store = self._host.reopened(self._archive.load(archived.id))
        if type(store) is not type(self._host.run):
            store.close()
            ours, theirs = (type(one).__name__.lower() for one in (self._host.run, store))
            raise ValueError(
                f"{_quoted(archived.name)} is a {theirs}, and this page shows a {ours}. Open it by itself."
            )
        taken = {compared.color for compared in others}
        color = next(color for color in map(style.variant_color, PLACES) if color not in taken)
        return ComparedRun(
            archived.id, unique_names(self._archive.kept()).get(archived.id, archived.name), color, store
        )

    def _file(self, key: str) -> Payload:
        """The file of a run."""
        try:
            return Payload(self._archive.path(key), self._filename(key))
        except (ValueError, OSError) as error:
            self._fail(_sentence(error))
            self.refresh()
            raise

    def _filename(self, key: str) -> str:
        """The name of a run's file: its name, and its id, under which it comes back."""
        words = re.sub(r"[^\w.]+", "-", self._archive.about(key).name).strip("-.")
        return f"{words[:60]}-{key}{ENDING}"

    def _add(self, filename: str, content: bytes) -> None:
        """Archives an uploaded file."""
        before = {archived.id for archived in self._archive.kept()}

        def say(archived: ArchivedRun) -> None:
            called = self._called(archived)
            self._say(f"{called} is here already." if archived.id in before else f"Added {called}.")

        self._write(lambda: self._archive.add(content, filename), say, self._follow)

    def _called(self, archived: ArchivedRun) -> str:
        """A run's name in a sentence, different from those of all other archived runs."""
        return _quoted(unique_names(self._archive.kept()).get(archived.id, archived.name))

    def _say(self, words: str, failed: bool = False, undo: str = "") -> None:
        self._form.param.update(said=words, failed=failed, undo=undo)

    def _fail(self, words: str) -> None:
        self._say(words, failed=True)

    def _fill(self, settings: Mapping[str, Any]) -> None:
        archived, problems, run = self._archive.kept(), self._archive.problems, self._host.run
        called = unique_names(archived)
        compared_runs = [
            _renamed(compared, called[compared.id]) for compared in run.compared_runs if compared.id in called
        ]
        if compared_runs != [*run.compared_runs]:
            run.compare_with(compared_runs)
        colors = {compared.id: compared.color for compared in run.compared_runs}
        self._list.runs = [_row(one, called[one.id], colors.get(one.id, "")) for one in archived]
        self._form.suggested = described(settings) or "A name"
        self._table.param.update(object=_comparison(run.settings, run.compared_runs), visible=bool(run.compared_runs))
        lines = [f"Kept in {self._archive.folder}", *(f"Not shown: {name}: {why}" for name, why in problems.items())]
        self._small.object = phrase(*(element("p", line) for line in lines), between="")


def _row(archived: ArchivedRun, called: str, color: str) -> dict[str, Any]:
    """What the list shows of a run."""
    moment = datetime.fromisoformat(archived.created)
    year = "" if moment.year == datetime.now().year else f" {moment.year}"
    loss = f"loss {_in_digits(archived.loss)}" if archived.loss == archived.loss else ""
    when, size = f"{moment.day} {moment:%b}{year} {moment:%H:%M}", _in_bytes(archived.size)
    when = called.removeprefix(archived.name).removeprefix(", ") or when
    about = " · ".join(filter(None, [when, archived.page.capitalize(), f"epoch {archived.epoch:,}", loss, size]))
    row = {"id": archived.id, "name": archived.name, "called": called, "about": about}
    return {**row, "beside": bool(color), "color": color}


def _comparison(settings: Choices, compared_runs: Sequence[ComparedRun]) -> Markup:
    """A table of the settings in which the page's run and the compared ones differ, as HTML."""
    if not compared_runs:
        return Markup("")
    table = differences([settings.values(), *(compared.store.settings.values() for compared in compared_runs)])
    if not table:
        return Markup("<h3>Settings</h3><p>They have the same settings.</p>")
    heads = (element("th", chip(compared), compared.name) for compared in compared_runs)
    rows = (_line(_label(settings, name), values) for name, values in table.items())
    head = element("tr", element("th"), element("th", "On this page"), *heads)
    return element("h3", "Where the settings differ") + element("table", head, *rows)


def _line(label: str, values: Sequence[Any]) -> Markup:
    return element("tr", element("th", label), *(element("td", _written(value)) for value in values))


def _label(settings: Choices, name: str) -> str:
    label = settings.param[name].label if name in settings.param else ""
    return label or name


def _written(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _in_bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def _in_digits(loss: float) -> str:
    return f"{loss:.4f}" if 1e-3 <= loss < 1e3 else f"{loss:.2e}"


def _quoted(name: str) -> str:
    return f"“{name}”"


def _sentence(error: Exception) -> str:
    words = str(error)
    return words[:1].upper() + words[1:] + "." * (words[-1:] not in ".…!?")


def _renamed(compared: ComparedRun, name: str) -> ComparedRun:
    return ComparedRun(compared.id, name, compared.color, compared.store) if compared.name != name else compared


def _words(look: str) -> HTML:
    return HTML("", stylesheets=[look], sizing_mode="stretch_width")


def _spaced(part: pn.viewable.Viewable) -> pn.viewable.Viewable:
    part.margin = (0, 0, 12, 0)
    return part
