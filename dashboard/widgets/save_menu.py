"""The save menu of a card saves its picture: PNG and SVG are drawn by the browser, CSV is written from the columns."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any, ClassVar

import numpy as np
import param
from panel.custom import JSComponent

from dashboard.storage.formulas import guarded

Columns = Mapping[str, Any]
Row = dict[str, Any]
COORDINATES = {"xs": "x", "ys": "y"}
"""Names of the columns of lines, point by point."""


class SaveMenu(JSComponent):
    """A button of a card that opens a menu of the file formats in which its picture can be saved.

    The browser requests a format and receives the file's name with its text, or with the figures to draw: answers come
    in the order of frames, so the picture matches the name.
    """

    kinds = param.List(default=[], doc="Of png, svg and csv those that there are.")

    _esm = """
    const NS = "http://www.w3.org/2000/svg", HEAD = 24, GAP = 16, FONT = "13px system-ui, sans-serif"
    const TYPES = {svg: "image/svg+xml", csv: "text/csv;charset=utf-8"}

    const behind = (node) => {
      for (; node; node = node.parentElement ?? node.getRootNode().host) {
        const color = getComputedStyle(node).backgroundColor
        if (color != "transparent" && !/^rgba\\(.*, 0\\)$/.test(color)) { return color }
      }
      return "white"
    }

    const add = (parent, tag, attributes, text) => {
      const made = document.createElementNS(NS, tag)
      Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value))
      made.textContent = text ?? ""
      parent.append(made)
      return made
    }

    // All figures of a card in a row, each under its name if there are several.
    const drawn = (figures, el) => {
      const whole = document.createElementNS(NS, "svg"), top = figures.length > 1 ? HEAD : 0
      const fill = getComputedStyle(el).color
      const ground = add(whole, "rect", {width: "100%", height: "100%", fill: behind(el)})
      let width = 0, height = 0
      for (const {id, name, color} of figures) {
        const view = Bokeh.index.find_one_by_id(id), text = view.export("svg").ctx.get_serialized_svg(true)
        const one = new DOMParser().parseFromString(text, TYPES.svg).documentElement
        one.querySelectorAll("image").forEach((image) => image.style.imageRendering = "pixelated")
        const x = width ? width + GAP : 0
        if (top) {
          add(whole, "circle", {cx: x + 12, cy: 13, r: 5, fill: color})
          add(whole, "text", {x: x + 24, y: 17, fill, style: "font: " + FONT}, name)
        }
        one.setAttribute("x", x)
        one.setAttribute("y", top)
        whole.append(one)
        width = x + view.bbox.width
        height = Math.max(height, top + view.bbox.height)
      }
      Object.entries({width, height, viewBox: `0 0 ${width} ${height}`}).forEach(([name, value]) => {
        whole.setAttribute(name, value)
      })
      return {text: new XMLSerializer().serializeToString(whole), width, height}
    }

    const painted = async ({text, width, height}) => {
      const image = new Image(), canvas = document.createElement("canvas")
      image.src = URL.createObjectURL(new Blob([text], {type: TYPES.svg}))
      await image.decode()
      canvas.width = 2 * width
      canvas.height = 2 * height
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height)
      URL.revokeObjectURL(image.src)
      return new Promise((resolve) => canvas.toBlob(resolve, "image/png"))
    }

    const save = (blob, name) => {
      const link = document.createElement("a")
      link.href = URL.createObjectURL(blob)
      link.download = name
      link.click()
      setTimeout(() => URL.revokeObjectURL(link.href), 10000)
    }

    export function render({model, el}) {
      el.innerHTML = `<button popovertarget="kinds" aria-haspopup="menu" aria-label="Save this picture"
        title="Save this picture"><svg viewBox="0 0 24 24" aria-hidden="true"><path
        d="M5 20h14v-2H5zM19 9h-4V3H9v6H5l7 7z"/></svg></button><menu id="kinds" popover role="menu"></menu>`
      const [button, menu] = el.children
      const offer = () => {
        el.style.display = model.kinds.length ? "" : "none"
        menu.replaceChildren(...model.kinds.map((kind) => {
          const item = document.createElement("button")
          item.role = "menuitem"
          item.textContent = kind.toUpperCase()
          item.addEventListener("click", () => { menu.hidePopover(); button.focus(); model.send_msg(kind) })
          return item
        }))
      }
      const close = () => menu.hidePopover()
      menu.addEventListener("toggle", ({newState}) => {
        if (newState != "open") { window.removeEventListener("scroll", close, true); return }
        const {right, bottom} = button.getBoundingClientRect()
        menu.style.left = `${Math.max(4, right - menu.offsetWidth)}px`
        menu.style.top = `${Math.min(bottom + 2, innerHeight - menu.offsetHeight - 4)}px`
        menu.firstChild.focus()
        window.addEventListener("scroll", close, true)
      })
      menu.addEventListener("keydown", (event) => {
        const step = {ArrowDown: 1, ArrowUp: -1}[event.key], items = [...menu.children]
        if (!step) { return }
        event.preventDefault()
        items.at((items.indexOf(event.target) + step) % items.length).focus()
      })
      offer()
      model.on("kinds", offer)
      model.on("remove", () => window.removeEventListener("scroll", close, true))
      model.on("msg:custom", async (file) => {
        const drawing = file.figures && drawn(file.figures, el), text = drawing ? drawing.text : file.text
        save(file.kind == "png" ? await painted(drawing) : new Blob([text], {type: TYPES[file.kind]}), file.name)
      })
    }
    """
    _stylesheets: ClassVar[list[str]] = [
        """
        button { font: inherit; color: inherit; background: none; border: 0; cursor: pointer; border-radius: 6px; }
        button:focus-visible { outline: 2px solid #5c7cfa; outline-offset: -2px; }
        button:hover { background: color-mix(in srgb, currentColor 10%, transparent); }
        [popovertarget] { width: 30px; height: 30px; padding: 5px; border-radius: 50%; opacity: .62; }
        [popovertarget]:is(:hover, :focus-visible) { opacity: 1; }
        svg { display: block; width: 20px; height: 20px; fill: currentColor; }
        menu { position: fixed; inset: auto; margin: 0; padding: 4px; border-radius: 8px; font-size: 13px;
               border: 1px solid color-mix(in srgb, currentColor 25%, transparent); color: inherit;
               background: light-dark(#fff, #1e1e1e); box-shadow: 0 4px 16px #0004; }
        [role=menuitem] { display: block; width: 100%; padding: 6px 22px 6px 12px; text-align: left; }
        """
    ]

    def __init__(self, asked: Callable[[str], Mapping[str, Any]], **params: Any) -> None:
        """Make the menu.

        Args:
            asked: Returns the file in a format, as `saved` makes it.
            **params: As for any component.
        """
        super().__init__(margin=0, **params)
        self._asked = asked

    def _handle_msg(self, msg: Any) -> None:
        if msg in self.kinds:
            self._send_msg({"kind": msg, **self._asked(msg)})


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
