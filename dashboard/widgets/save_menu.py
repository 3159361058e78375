"""The save menu of a card saves its picture: PNG and SVG are drawn by the browser, CSV is written from the columns."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any, ClassVar

import numpy as np
import param

from dashboard.storage.formulas import guarded
from dashboard.widgets.beside import beside
from dashboard.widgets.download import Downloads, Payload

Columns = Mapping[str, Any]
Row = dict[str, Any]
COORDINATES = {"xs": "x", "ys": "y"}
"""Names of the columns of lines, point by point."""


class SaveMenu(Downloads):
    """A button of a card that opens a menu of the file formats in which its picture can be saved.

    A table is a file of the server. For a picture the browser receives the file's name with the figures to draw:
    answers come in the order of frames, so the picture matches the name.
    """

    kinds = param.List(default=[], doc="Of png, svg and csv those that there are.")
    server_only: ClassVar[tuple[str, ...]] = ("kinds",)

    _esm = beside(__file__, "save_menu.js")
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "save_menu.css")]

    def __init__(self, found: Callable[[str], Mapping[str, Any]], **params: Any) -> None:
        """Make the menu.

        Args:
            found: Returns, for a format, the file's `name`, and its `text` or the `figures` to draw, with what is
                written around them: the `title`, the `key` of colors, the `lines` of the caption, what it is `about`.
            **params: As for any component.
        """
        super().__init__(self._table, margin=0, **params)
        self._found = found

    def _table(self, kind: str) -> Payload | None:
        """The file of a table; none where there is no table."""
        found = self._found(kind) if kind == "csv" and kind in self.kinds else None
        return Payload(found["text"].encode(), found["name"]) if found else None

    def receive_other(self, message: Any) -> None:
        """Send what a picture is drawn from."""
        if message in self.kinds and message != "csv":
            self._send_msg({"kind": message, **self._found(message)})


def file_name(page: str, title: str, epoch: int, kind: str) -> str:
    """The name of a picture's file: of letters, digits and hyphens that any system accepts."""
    words = re.findall(r"[a-z0-9]+", f"{page} {title}".lower())
    return "-".join([*words, "epoch", str(epoch)]) + f".{kind}"


def as_csv(pictures: Mapping[str, Mapping[str, Columns]]) -> str:
    """What pictures draw as one table: by name of the run, by layer, the columns of its source.

    A column `run` where there are several, a column `layer`, then all that any layer has. An image has a row for each
    pixel with a value, with the pixel's center; lines have a row for each of their points, with the line's number. A
    column whose name would clash with one of these gets a `_` after its name. A text that a spreadsheet would take for
    a formula gets a ' before it. Numbers have all their digits; nan is a missing value, an empty field a column that
    the layer does not have.
    """
    names = ("run", "layer") if len(pictures) > 1 else ("layer",)
    rows = [
        {"run": run, "layer": label, **{f"{name}_" if name in ("run", "layer") else name: row[name] for name in row}}
        for run, layers in pictures.items()
        for label, columns in layers.items()
        for row in rows_of(columns)
    ]
    fields = dict.fromkeys([*names, *(name for row in rows for name in row if name != "run")])
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(map(as_text, fields))
    writer.writerows([as_text(row.get(field, "")) for field in fields] for row in rows)
    return text.getvalue()


def as_text(cell: Any) -> Any:
    """A cell of a table, such that no spreadsheet takes a text for a formula; numbers stay numbers."""
    return guarded(cell) if isinstance(cell, str) else cell


def rows_of(columns: Columns) -> Iterator[Row]:
    """The rows of a layer, whatever it draws."""
    cells = {name: _listed(column) for name, column in columns.items()}
    if "image" in cells:
        return _pixels(columns)
    rows = (dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True))
    return _points(rows) if any(isinstance(cell, list) for column in cells.values() for cell in column) else rows


def _pixels(columns: Columns) -> Iterator[Row]:
    """Every pixel of every image of a layer that is not nan."""
    for image, x, y, dw, dh in zip(*(columns[name] for name in ("image", "x", "y", "dw", "dh")), strict=True):
        values = np.asarray(image)
        height, width = values.shape
        left, bottom = x + (np.arange(width) + 0.5) * dw / width, y + (np.arange(height) + 0.5) * dh / height
        for i, j in np.argwhere(values == values).tolist():
            yield {"x": float(left[j]), "y": float(bottom[i]), "value": values[i, j].item()}


def _points(shapes: Iterator[Row]) -> Iterator[Row]:
    """Every point of lines and of areas' outlines; what a line has only once is repeated at each of them."""
    lines = (line for shape in shapes for line in _lines(shape))
    for number, (along, alike) in enumerate(lines):
        for point in zip(*along.values(), strict=True):
            yield {"line": number, **dict(zip(along, point, strict=True)), **alike}


def _lines(shape: Row) -> Iterator[tuple[Row, Row]]:
    """What changes along each line of a shape, and what does not."""
    along = {COORDINATES.get(name, name): _innermost(cell) for name, cell in shape.items() if isinstance(cell, list)}
    alike = {name: cell for name, cell in shape.items() if not isinstance(cell, list)}
    return ((dict(zip(along, line, strict=True)), alike) for line in zip(*along.values(), strict=True))


def _innermost(cell: list) -> Iterator[list]:
    """The lists of numbers in a list of lists, however deep: areas may have several parts, with holes."""
    if any(isinstance(part, list) for part in cell):
        return (line for part in cell for line in _innermost(part))
    return iter([cell])


def _listed(column: Sequence[Any]) -> list[Any]:
    """A column as plain values, lists where a cell holds several."""
    cells = column.tolist() if isinstance(column, np.ndarray) else column
    return [cell.tolist() if isinstance(cell, np.ndarray | np.generic) else cell for cell in cells]
