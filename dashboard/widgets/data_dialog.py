"""The data dialog loads a user's own table, checks it and trains on it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import panel as pn
import panel_material_ui as pmui
from markupsafe import Markup

from dashboard.state.settings import Settings
from dashboard.storage.csv_file.column import Column
from dashboard.storage.csv_file.csv_import import CsvImport, read_csv
from dashboard.storage.csv_file.file_text import MAX_FILE_BYTES
from dashboard.storage.csv_file.number_style import shortest
from dashboard.storage.tables import MAX_CLASSES, MAX_COLUMNS, MAX_ROWS, MIN_ROWS, OWN, TABLES, Table
from dashboard.widgets.beside import beside
from dashboard.widgets.download import Downloads, Payload
from dashboard.widgets.file_drop import FileDrop
from dashboard.widgets.plain_text import HTML, element, in_a_menu

PREVIEW_ROWS = 5
LONG = 500_000
"""Bytes of a file that takes longer to read than from one frame to the next."""

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
TASKS = {"tell classes apart": "classes", "predict a value": "regression"}
WANTED = (
    "A row for each example, columns of numbers to learn from, and one column with the answer: a class or a value. "
    f"{MIN_ROWS} to {MAX_ROWS:,} rows, at most {MAX_COLUMNS} inputs and {MAX_CLASSES} classes. "
    "What does not fit is left out, and told line by line."
)
LOOK = """
:host { min-width: 0; }
p, ul { font-size: 13px; line-height: 1.45; margin: 2px 0; overflow-wrap: anywhere; }
ul { padding-left: 18px; }
div { overflow-x: auto; }
table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 3px 14px 3px 0; white-space: nowrap; max-width: 180px; overflow: hidden;
  text-overflow: ellipsis; }
th { font-weight: 600; }
tr + tr { border-top: 1px solid color-mix(in srgb, currentColor 14%, transparent); }
.unused { opacity: .5; }
.answer { color: color-mix(in srgb, #d6336c 75%, currentColor); }
.refused { text-decoration: line-through; opacity: .5; }
.failed { color: #e8590c; font-weight: 600; }
"""
PICKERS = ":host { display: flex !important; flex-flow: row wrap; gap: 4px 12px; align-items: center; }"
PICKER = {"sizing_mode": "stretch_width", "margin": (8, 0, 4, 0), "styles": {"flex": "1 1 190px"}}


class DataDialog(pn.viewable.Viewer):
    """Where a user brings data: drops or pastes a table, picks its columns, reads what is wrong, and uses it."""

    def __init__(self, settings: Settings, say: Callable[[str], None] = lambda message: None) -> None:
        """Make the dialog, closed.

        Args:
            settings: The settings that the data become part of.
            say: Called with a sentence on what else has changed.
        """
        super().__init__()
        self._settings, self._say = settings, say
        self._sheet: CsvImport | None = None
        self._table: Table | None = None
        self._said, self._filling = "", False
        self._drop = FileDrop(
            self._receive,
            self._complain,
            words="Drop a CSV file here, or choose one",
            endings=".csv,.tsv,.tab,.txt,.dat,.data,.arff,text/csv",
            largest=MAX_FILE_BYTES,
        )
        self._text = TextBox(lambda text: self._receive("The pasted text", text), self._present)
        self._about, self._report = _words(element("p", WANTED)), _words()
        self._inputs = pmui.MultiChoice(label="Inputs", sizing_mode="stretch_width", margin=(8, 0))
        self._answer = pmui.Select(label="Answer", size="small", **PICKER)
        self._task = pmui.Select(label="Task", options=TASKS, size="small", **PICKER)
        self._standardize = pmui.Switch(label="Standardize inputs", **PICKER)
        self._rescale = pmui.Switch(label="Answer to mean 0, standard deviation 1", visible=False, **PICKER)
        self._use = pmui.Button(
            label="Use this data",
            variant="contained",
            color="primary",
            disabled=True,
            margin=(8, 0),
            on_click=self._take,
        )
        picks = (self._answer, self._task, self._standardize, self._rescale)
        self._pickers = pn.Column(
            self._inputs,
            pn.Row(*picks, stylesheets=[PICKERS], margin=0, sizing_mode="stretch_width"),
            visible=False,
            margin=0,
            sizing_mode="stretch_width",
        )
        self._answer.param.watch(self._answered, "value")
        for picker in (self._inputs, self._task, self._rescale):
            picker.param.watch(self._judge, "value")
        parts = (self._drop, self._text, self._about, self._pickers, self._report, self._use)
        self._dialog = pmui.Dialog(
            pn.Column(*parts, margin=0, sizing_mode="stretch_width"),
            title="Your own data",
            width_option="md",
            title_variant="h6",
            close_on_click=True,
            show_close_button=True,
            sizing_mode="stretch_width",
        )

    def __panel__(self) -> pn.viewable.Viewable:
        return self._dialog

    def open(self) -> None:
        """Show the dialog."""
        self._dialog.open = True

    def _receive(self, name: str, content: bytes | str) -> None:
        """Read what a user brings; large files in another thread, so that other pages go on."""
        document = pn.state.curdoc
        if document is None or len(content) < LONG:
            self._read(name, lambda: _looked_through(content))
            return

        async def read() -> None:
            reading = asyncio.get_running_loop().run_in_executor(None, _looked_through, content)
            await asyncio.wait([reading])
            self._read(name, reading.result)

        self._about.object = element("p", f"Reading {name} …")
        document.add_next_tick_callback(read)

    def _read(self, name: str, sheet_of: Callable[[], CsvImport]) -> None:
        try:
            sheet = sheet_of()
        except ValueError as error:
            self._complain(f"{name}: {error}")
            return
        rows, separated = len(sheet.rows), SEPARATORS.get(sheet.delimiter, sheet.delimiter)
        self._sheet = sheet
        self._said = f"{name}: {rows:,} rows of {len(sheet.names)} columns, separated by {separated}."
        self._fill(sheet)
        self._judge()

    def _complain(self, message: str) -> None:
        """Says why there is no table."""
        self._sheet, self._table = None, None
        self._pickers.visible, self._use.disabled = False, True
        self._about.object, self._report.object = element("p", WANTED), _failed(message)

    def _fill(self, sheet: CsvImport) -> None:
        """Select what is probably wanted of a file."""
        answer, inputs = sheet.suggestion.answer, list(sheet.suggestion.inputs)
        self._filling = True
        self._inputs.param.update(options=in_a_menu(sheet.numeric), value=inputs)
        self._answer.param.update(options=in_a_menu(sheet.names), value=answer)
        self._task.value = sheet.task(answer)
        self._rescale.value = False
        self._filling = False
        self._pickers.visible = True

    def _answered(self, *_: object) -> None:
        """Take the answer out of the inputs, and set the task that suits it."""
        if self._filling or not self._sheet:
            return
        answer = self._answer.value
        self._filling = True
        self._inputs.value = [name for name in self._inputs.value if name != answer]
        self._task.value = self._sheet.task(answer)
        self._filling = False
        self._judge()

    def _judge(self, *_: object) -> None:
        """Make the table of what is picked, and says what is wrong with it."""
        if self._filling or not self._sheet:
            return
        sheet, inputs, answer, task = self._sheet, self._inputs.value, self._answer.value, self._task.value
        self._rescale.visible = task == "regression"
        self._about.object = element("p", self._said) + _preview(sheet, inputs, answer)
        try:
            self._table, problems = sheet.table(inputs, answer, task, self._rescale.value and task == "regression")
        except ValueError as error:
            self._table, self._use.disabled = None, True
            self._report.object = _failed(str(error)) + _listed(sheet.problems) + self._reasons()
            return
        self._standardize.value = self._settings.standardize or self._table.wide
        self._use.disabled = False
        self._report.object = element("p", self._table.summary) + _listed(problems) + self._reasons()

    def _reasons(self) -> Markup:
        """Why columns that are not picked were not suggested, or cannot be used."""
        sheet, picked = self._sheet, {*self._inputs.value, self._answer.value}
        reasons = [why for name, why in sheet.suggestion.reasons if name not in picked] if sheet else []
        return element("p", "Columns that are not used:") + _listed(reasons) if reasons else Markup("")

    def _take(self, *_: object) -> None:
        """Make the page's run learn from the table."""
        table, settings = self._table, self._settings
        if table is None:
            return
        standardizes = self._standardize.value and not settings.standardize
        said = settings.take(table, standardize=self._standardize.value)
        if (settings.dataset, settings.own) != (OWN, table.digest):
            self._report.object = _failed("The page's run does not go with these data; close this, and read there why.")
            return
        if standardizes:
            said.insert(0, "The inputs are standardized.")
        self._dialog.open = False
        trouble = TABLES.write(table.digest)
        if said or trouble:
            self._say(" ".join([*said, trouble]).strip())

    def _present(self) -> Payload:
        """The data on which the page trains, as a file."""
        settings = self._settings
        name = settings.own if settings.dataset == OWN else settings.dataset
        return Payload(settings.table().csv().encode(), f"{name}.csv")


class TextBox(Downloads):
    """A box to paste a table into, and a button that saves the present one as a file."""

    _esm = beside(__file__, "data_dialog.js").replace("LIMIT", str(MAX_FILE_BYTES + 1))
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "data_dialog.css")]

    def __init__(self, pasted: Callable[[str], None], present: Callable[[], Payload], **params: Any) -> None:
        """Make an empty box.

        Args:
            pasted: Called with the text that was pasted.
            present: Returns the file that is saved.
            **params: As for any component.
        """
        super().__init__(lambda _: present(), **{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._pasted = pasted

    def receive_other(self, message: Any) -> None:
        """Take the text that was pasted."""
        self._pasted(str(message["text"]))


class OwnData(pn.viewable.Viewer):
    """Below the menu of datasets: a button that opens the dialog, and a summary of the user's own data."""

    def __init__(self, settings: Settings, opened: Callable[[], None]) -> None:
        """Make the button.

        Args:
            settings: The settings of the page's run.
            opened: Opens the dialog; also called when the user's own data are chosen and there are none yet.
        """
        super().__init__()
        self._settings, self._opened = settings, opened
        self._words = _words(margin=(0, 14))
        self._open = pmui.Button(
            label="Your own data…",
            icon="upload_file",
            variant="text",
            size="small",
            margin=(0, 10),
            on_click=lambda _: opened(),
        )
        self._follow()
        settings.param.watch(self._follow, ["dataset", "own"], precedence=1)

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Column(self._open, self._words, margin=0, sizing_mode="stretch_width")

    def _follow(self, *_: object) -> None:
        settings = self._settings
        if settings.dataset == OWN and not settings.own:
            self._opened()
        known = settings.dataset == OWN and settings.own in TABLES
        self._words.param.update(object=element("p", settings.table().summary) if known else "", visible=bool(known))


def _looked_through(content: bytes | str) -> CsvImport:
    """The columns of a file, with their kinds."""
    sheet = read_csv(content)
    sheet.columns, sheet.suggestion  # noqa: B018 - reckoned here once, in whatever thread this is
    return sheet


def _words(words: str = "", **params: Any) -> HTML:
    return HTML(words, **{"stylesheets": [LOOK], "sizing_mode": "stretch_width", "margin": 0, **params})


def _failed(message: str) -> Markup:
    return Markup('<p class="failed" role="alert">{}</p>').format(message[:1].upper() + message[1:])


def _listed(problems: Sequence[str]) -> Markup:
    return element("ul", *(element("li", problem) for problem in problems)) if problems else Markup("")


def _preview(sheet: CsvImport, inputs: Sequence[str], answer: str) -> Markup:
    """The first rows of a file as a table, with numbers as they are read."""
    kinds: Mapping[str, str] = {**dict.fromkeys(inputs, "input"), answer: "answer"}
    classes = [kinds.get(name, "unused") for name in sheet.names]
    head = [element("th", name, kind=kind) for name, kind in zip(sheet.names, classes, strict=True)]
    rows = [
        [_cell(*one) for one in zip(sheet.columns.values(), classes, cells, strict=True)]
        for _, cells in sheet.rows[:PREVIEW_ROWS]
    ]
    return element("div", element("table", *(element("tr", *cells) for cells in [head, *rows])))


def _cell(column: Column, kind: str, cell: str) -> Markup:
    """What was read in a cell: a number as such, a truth value as 1 or 0 where it is an input."""
    if not (column.is_numeric or (column.truth and kind == "input")):
        return element("td", cell, kind=kind)
    if column.trouble(cell):
        return element("td", cell, kind=f"{kind} refused")
    return element("td", shortest(column.values[cell] or 0.0), kind=kind)
