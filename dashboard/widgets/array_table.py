"""The array table shows arrays as tables of numbers, with the computation of one number spelled out."""

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets import style


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

    _esm = """
    export function render({model, el}) {
      const make = (tag, name, text) => {
        const made = document.createElement(tag)
        if (name) { made.className = name }
        if (text) { made.textContent = text }
        return made
      }
      const bar = make("div", "bar"), words = make("div", "words"), all = make("div", "all")
      const button = (text, title, move) => {
        const made = make("button", "", text)
        made.title = title
        made.addEventListener("click", () => model.send_msg({move}))
        return made
      }
      const place = make("span", "place"), name = make("span", "formula"), note = make("div", "note")
      bar.append(button("\u2039", "One stage back", -1), place, button("\u203a", "One stage on", 1), name)
      let cells = [], boxes = []
      const build = () => {
        all.replaceChildren()
        let group, part
        boxes = []
        cells = model.tables.map((table, at) => {
          if (table.part != part) {
            part = table.part
            group = make("div", "group")
            all.append(make("h3", "", part), group)
          }
          const box = make("div", "box"), head = make("button", "head"), grid = make("table")
          head.append(make("b", "", table.name), make("small", "", table.shape))
          head.title = table.name + " = " + table.formula
          head.addEventListener("click", () => model.send_msg({stage: table.name}))
          const mine = []
          table.rows.forEach((row, i) => {
            const line = make("tr", i && row != table.rows[i - 1] + 1 ? "gap" : "")
            table.columns.forEach((column, j) => {
              const cell = make("td", j && column != table.columns[j - 1] + 1 ? "jump" : "")
              cell.dataset.kind = cell.className
              cell.addEventListener("click", () => model.send_msg({stage: table.name, row, column}))
              line.append(cell)
              mine.push([cell, row, column])
            })
            grid.append(line)
          })
          box.append(head, grid)
          if (table.more) { box.append(make("small", "more", table.more)) }
          group.append(box)
          boxes.push(box)
          return mine
        })
      }
      const write = () => model.numbers.forEach((entries, at) => (cells[at] ?? []).forEach(([cell], i) => {
        if (cell.textContent != entries[i]) { cell.textContent = entries[i] }
      }))
      const mark = () => {
        const picked = model.picked, table = model.tables[picked.place]
        if (!table) { return }
        place.textContent = `${picked.place + 1} of ${model.tables.length}`
        name.textContent = `${table.name} = ${table.formula}`
        words.textContent = picked.words
        note.textContent = picked.note
        boxes.forEach((box, at) => {
          const one = model.tables[at]
          box.className = "box" + (at == picked.place ? " now" : "") + (at > picked.place ? " later" : "")
            + (picked.wrong.includes(one.name) ? " wrong" : "")
          for (const [cell, row, column] of cells[at]) {
            const here = at == picked.place && row == picked.row && column == picked.column
            const is = ([of, r, c]) => of == one.name && (r ?? row) == row && (c ?? column) == column
            const used = picked.uses.some(is)
            const example = one.examples && row == picked.example
            const kind = [cell.dataset.kind, here ? "here" : "", used ? "used" : "", example ? "example" : ""]
            const wanted = kind.filter(Boolean).join(" ")
            if (cell.className != wanted) { cell.className = wanted }
          }
        })
      }
      const redo = () => { build(); write(); mark() }
      redo()
      model.on("tables", redo)
      model.on("numbers", write)
      model.on("picked", mark)
      el.append(bar, words, note, all)
    }
    """
    _stylesheets: ClassVar[list[str]] = [
        """
        :host { min-width: 0; font-size: 12px; font-variant-numeric: tabular-nums; container-type: inline-size; }
        button { font: inherit; color: inherit; background: none; cursor: pointer; border-radius: 6px; }
        .bar { display: flex; flex-flow: row wrap; align-items: center; gap: 2px 6px; }
        .bar button { width: 28px; height: 28px; padding: 0; font-size: 18px; line-height: 1;
                      border: 1px solid color-mix(in srgb, currentColor 30%, transparent); }
        .place { opacity: .68; min-width: 56px; text-align: center; }
        .formula { font-size: 16px; font-weight: 600; margin-left: 8px; overflow-wrap: anywhere; }
        .words { font-size: 13px; margin: 6px 0 0; min-height: 19px; overflow-wrap: anywhere; }
        .note { opacity: .72; min-height: 17px; margin: 1px 0 2px; }
        h3 { font-size: 12px; font-weight: 500; opacity: .68; margin: 8px 0 3px; }
        .group { display: flex; flex-flow: row wrap; gap: 8px 14px; align-items: flex-start; }
        .box { border-radius: 6px; transition: opacity .15s; max-width: 100%; overflow-x: auto; }
        .box.later { opacity: .38; }
        .head { display: flex; gap: 6px; align-items: baseline; border: 0; padding: 1px 4px; margin: 0 0 1px; }
        .head b { font-weight: 600; }
        .head small, .more { opacity: .62; font-size: 11px; }
        .now .head { background: color-mix(in srgb, CURSOR 22%, transparent); }
        .wrong .head b { color: FAILED; text-decoration: underline wavy; text-underline-offset: 3px; }
        table { border-collapse: collapse; border-left: 1.5px solid; border-right: 1.5px solid; border-radius: 5px;
                border-color: color-mix(in srgb, currentColor 38%, transparent); }
        td { padding: 1px 5px; text-align: right; cursor: pointer; min-width: 34px; white-space: nowrap; }
        td.example { background: color-mix(in srgb, currentColor 8%, transparent); }
        td.used { background: color-mix(in srgb, CURSOR 17%, transparent); }
        td.here { background: CURSOR; color: white; border-radius: 4px; }
        td:hover { text-decoration: underline; }
        tr.gap td { border-top: 1px dashed color-mix(in srgb, currentColor 45%, transparent); }
        td.jump { border-left: 1px dashed color-mix(in srgb, currentColor 45%, transparent); }
        """.replace("CURSOR", style.CURSOR).replace("FAILED", style.FAILED)
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
