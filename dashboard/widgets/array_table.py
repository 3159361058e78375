"""The array table shows arrays as tables of numbers, with the computation of one number spelled out."""

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets import style
from dashboard.widgets.beside import beside


class ArrayTable(JSComponent):
    """Tables side by side, wrapping on a narrow screen, under a line that says how one number in them is computed.

    Attributes:
        tables: What does not change: for each table its name, part, formula, shape, rows and columns (the indices that
            are shown, the last one after a gap where there are more).
        numbers: For each table its entries as text, row by row.
        picked: What is chosen: place (of the table), row, column, example, uses (entries of others, as [name, row,
            column] with null for all), wrong (names), words (how it is computed) and note.
    """

    tables = param.List(default=[], doc="The tables but for their numbers.")
    numbers = param.List(default=[], doc="The entries of each table.")
    picked = param.Dict(default={}, doc="What is chosen, and what belongs to it.")
    server_only: ClassVar[tuple[str, ...]] = ("tables", "numbers", "picked")

    _esm = beside(__file__, "array_table.js")
    _stylesheets: ClassVar[list[str]] = [
        beside(__file__, "array_table.css").replace("CURSOR", style.CURSOR).replace("FAILED", style.FAILED)
    ]

    def __init__(self, asked: Callable[[dict[str, Any]], None], **params: Any) -> None:
        """Start without tables.

        Args:
            asked: Called with what was clicked: `move` is a stage forward or back, `stage` a table, with its row and
                column.
            **params: As for any component.
        """
        super().__init__(**params)
        self._asked = asked

    def _handle_msg(self, msg: Any) -> None:
        self._asked(dict(msg))
