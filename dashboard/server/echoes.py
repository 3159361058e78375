"""Echoes: what a page says back of a value that the server has changed again since.

A React component of Panel's writes back what it was sent, a moment later. Where two changes come fast one after the
other, a page may go back to the first and stay there: a slider that Back and Forward have moved would move the run too.
"""

import time
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from bokeh.document import Document
from bokeh.model import DataModel, Model

SPAN_S = 1.5
"""Seconds in which what the server has set a value to, and changed again, is taken for an echo; a user takes longer."""

VALUE = "value"
"""The property by which a widget says what a user has chosen."""


class Echoes:
    """What the server has lately set the values of widgets to, each time since a user last did."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Model, Any] = WeakKeyDictionary()
        self._said: WeakKeyDictionary[Model, Any] = WeakKeyDictionary()
        self._sent: WeakKeyDictionary[Model, list[tuple[float, Any]]] = WeakKeyDictionary()

    def look(self, document: Document) -> None:
        """Take note of the values as they are, before a message of the page is read."""
        for model in document.models:
            if isinstance(model, DataModel) and hasattr(type(model), VALUE):
                self._note(model, _copied(getattr(model, VALUE)))

    def is_one(self, event: Mapping[str, Any], document: Document) -> bool:
        """Whether a page's change of a widget's value is an echo; any other is taken for a user's."""
        if event.get("kind") != "ModelChanged" or event["attr"] != VALUE:
            return False
        model, value = document.models.get_by_id(event["model"]["id"]), event["new"]
        if model not in self._known:
            return False
        *earlier, latest = self._sent.get(model) or [(0.0, value)]
        is_recent = time.monotonic() - latest[0] < SPAN_S
        if is_recent and not _same(value, latest[1]) and any(_same(value, sent) for _, sent in earlier):
            return True
        self._said[model] = _copied(value)
        return False

    def _note(self, model: Model, value: Any) -> None:
        said = self._said.pop(model, None)
        if model in self._known and not _same(self._known[model], value):
            recent = [one for one in self._sent.get(model, []) if time.monotonic() - one[0] < 2 * SPAN_S]
            self._sent[model] = [] if _same(said, value) else [*recent, (time.monotonic(), value)]
        self._known[model] = value


def _copied(value: Any) -> Any:
    """A value by itself: Bokeh's own lists and mappings refer to their model, and would keep it and its document."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, list | tuple) else value


def _same(one: Any, other: Any) -> bool:
    """Whether two values are one, where the page's numbers need not be of Python's kind."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other
