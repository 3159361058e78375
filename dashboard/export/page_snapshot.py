"""Page snapshots capture the pictures of a page: how each is built, and what changes from frame to frame."""

from collections.abc import Iterator, Sequence
from textwrap import dedent
from typing import Any

import numpy as np
import panel as pn
from bokeh.document import Document
from bokeh.document.events import DocumentChangedEvent
from bokeh.model import Model
from bokeh.models import ColumnDataSource, Div
from panel.custom import JSComponent

from dashboard.export.animation import Animation
from dashboard.instruments.equal_aspect import EqualAspect
from dashboard.instruments.instrument import Instrument
from dashboard.pages.page import Page
from dashboard.state.store import Shown
from dashboard.widgets.plain_text import html


class PageSnapshot:
    """A page of its own, which nobody sees, on a store of its own.

    Attributes:
        cards: What a browser needs to build each picture: a tree of boxes, figures, sheets (of HTML) and components.
        modules: The scripts of the components.
    """

    def __init__(self, page: Page, store: Shown) -> None:
        self.page, self._store = page, store
        self.cards: list[dict[str, Any]] = []
        self.modules: list[str] = []
        self._document = Document()
        self._sheets: list[Div] = []
        self._components: list[JSComponent] = []
        self._changed: set[tuple[Model, str]] = set()

    @property
    def instruments(self) -> list[Instrument]:
        """The pictures that are shown, in the order of the cards."""
        return self.page.shown

    @property
    def shares(self) -> list[tuple[type[Instrument], str]]:
        """The kind of each picture, and its share of the width."""
        cards = [card for card in self.page.cards if card.instrument]
        return [(type(card.instrument), card.view.css_classes[0]) for card in cards]

    def draw(self) -> Iterator[None]:
        """Draw all pictures at the store's frame, in pieces."""
        while self.page.behind(self._store.version):
            self.page.draw(self._store.frame(), self._store.version)
            yield

    def open(self) -> None:
        """Read the pictures as they are declared now, and listens to their changes from now on."""
        self.cards = [
            {**self._built(instrument), "equal": isinstance(instrument, EqualAspect)} for instrument in self.instruments
        ]
        self._document.on_change(self._note_change)

    def capture(self, animation: Animation) -> None:
        """Add the present state to an animation: at the first call all of it."""
        if not animation.frames:
            self.figures = self._document.to_json(deferred=False)
            models = self._document.models
            self._first = {model: model.properties_with_values(include_defaults=False) for model in models}
            self._changed = {(source, "data") for source in self._document.select({"type": ColumnDataSource})}
        models = {}
        for model, attribute in self._changed:
            if attribute == "data":
                models |= {("column", model.id, name): column for name, column in model.data.items()}
            else:
                models["attribute", model.id, attribute] = getattr(model, attribute)
                animation.begin(("attribute", model.id, attribute), self._value_at_first(model, attribute))
        self._changed = set()
        words, arrays = _parted(self._words())
        animation.capture(models | arrays, words)

    def _value_at_first(self, model: Model, attribute: str) -> Any:
        """The value of an attribute at the first frame; later models count as unchanged since then."""
        known = self._first.get(model, {attribute: getattr(model, attribute)})
        return known[attribute] if attribute in known else model.lookup(attribute).class_default(type(model))

    def _words(self) -> dict[tuple[str | int, ...], Any]:
        """What is not one of Bokeh's models: captions, readings, sheets and the parameters of components."""
        readings = self._store.readings(self._store.frame())
        captions = {("caption", place): html(instrument.caption) for place, instrument in enumerate(self.instruments)}
        sheets = {("sheet", place): sheet.text for place, sheet in enumerate(self._sheets)}
        parameters = {
            ("component", place, name): getattr(component, name)
            for place, component in enumerate(self._components)
            for name in _own(component)
        }
        return {("readings",): list(map(list, readings.items())), **captions, **sheets, **parameters}

    def _note_change(self, event: DocumentChangedEvent) -> None:
        if isinstance(getattr(event, "model", None), Model):
            self._changed.add((event.model, event.attr))

    def _built(self, part: Any) -> dict[str, Any]:
        """What a browser needs to build a part of a picture.

        Raises:
            ValueError: If the part is of an unknown kind.
        """
        if isinstance(part, pn.viewable.Viewer):
            return self._built(part.__panel__())
        if not part.visible:
            return {"kind": "box", "css": "", "children": []}
        if isinstance(part, pn.pane.Bokeh):
            return {**self._built_model(part.object), "height": part.height, "classes": part.css_classes}
        if isinstance(part, JSComponent):
            return self._built_component(part)
        if isinstance(part, pn.layout.Column):
            children = [self._built(child) for child in part.objects]
            return {"kind": "box", "css": _styles(part.stylesheets), "children": children, "classes": part.css_classes}
        raise ValueError(f"{type(part).__name__} in a picture is nothing that a static page can show; use an HTML Div")

    def _built_model(self, model: Model) -> dict[str, Any]:
        if isinstance(model, Div):
            self._sheets.append(model)
            return {"kind": "sheet", "css": _styles(model.stylesheets), "place": len(self._sheets) - 1}
        self._document.add_root(model)
        return {"kind": "figure", "root": len(self._document.roots) - 1, "id": model.id}

    def _built_component(self, component: JSComponent) -> dict[str, Any]:
        script = dedent(component._esm).replace("export function render", "function render")
        if script not in self.modules:
            self.modules.append(script)
        self._components.append(component)
        return {
            "kind": "component",
            "place": len(self._components) - 1,
            "module": self.modules.index(script),
            "css": _styles(component._stylesheets),
            "classes": component.css_classes,
            "height": component.height,
        }


def _parted(values: dict[tuple[str | int, ...], Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Values that JSON can represent, and arrays."""
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    return {name: value for name, value in values.items() if name not in arrays}, arrays


def _own(component: JSComponent) -> list[str]:
    """The names of a component's own parameters."""
    return [name for name in type(component).param if name not in JSComponent.param]


def _styles(sheets: Sequence[str]) -> str:
    return "\n".join(sheet for sheet in sheets if isinstance(sheet, str))
