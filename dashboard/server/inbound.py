"""Messages of pages, before Bokeh applies them.

Some of it is received at once, some by nobody, and some has been mixed up by the page.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakMethod

from bokeh.document import Document
from bokeh.document.events import DocumentPatchedEvent
from bokeh.protocol.message import Message

from dashboard.server.echoes import Echoes
from dashboard.server.outbound import anew, send
from dashboard.server.server_only import is_server_only

LISTENERS: WeakKeyDictionary[Document, WeakMethod] = WeakKeyDictionary()
"""Who receives changes of a page at once: called with a model's id, an attribute and its value, returns whether it did.

Weak, as whoever listens holds the document by its models.
"""

ECHOES = Echoes()
"""Those of all pages, by their models."""

WAKERS: WeakKeyDictionary[Document, WeakMethod] = WeakKeyDictionary()
"""Who is called before anything else when a user does something."""


def receive(message: Message, document: Document) -> bool:
    """Receive the changes of a page of ours; whether anything is left in the message for Bokeh."""
    if _pass_on(message, document) or _is_about_looks(message, document):
        return False
    again = drop_echoes(document, message.content["events"])
    if again:
        document.add_next_tick_callback(partial(send, document, again, nullcontext))
    if not message.content["events"]:
        return False
    _wake(document)
    return True


def drop_echoes(document: Document, events: list[dict[str, Any]]) -> list[DocumentPatchedEvent]:
    """Take out of a page's events what is `server_only` or an echo; returns what that is, to be sent once more."""
    ECHOES.look(document)
    echoes = [event for event in events if _is_echo(event, document)]
    events[:] = [event for event in events if event not in echoes]
    return [anew(document.models.get_by_id(event["model"]["id"]), event["attr"]) for event in echoes]


def _is_echo(event: Mapping[str, Any], document: Document) -> bool:
    if event.get("kind") != "ModelChanged":
        return False
    if is_server_only(document.models.get_by_id(event["model"]["id"]), event["attr"]):
        return True
    return ECHOES.is_one(event, document)


def _wake(document: Document) -> None:
    found = WAKERS.get(document)
    wake = found and found()
    if wake:
        wake()


def _pass_on(message: Message, document: Document) -> bool:
    """Pass an attribute's change on to who waits for it, without the document's lock and without an answer."""
    found = LISTENERS.get(document)
    listener = found and found()
    events = message.content.get("events", ()) if listener else ()
    if len(events) != 1 or events[0].get("kind") != "ModelChanged":
        return False
    return listener(events[0]["model"]["id"], events[0]["attr"], events[0]["new"])


def _is_about_looks(message: Message, document: Document) -> bool:
    """Whether a message says only how models look on the page, such as an axis's color or a figure's width in pixels.

    Nobody here listens for that, and a page sends hundreds of such things of its pictures: to apply each would be a
    sixth of the work of opening it.
    """
    return all(_is_unwatched(event, document) for event in message.content.get("events", ()))


def _is_unwatched(event: Mapping[str, Any], document: Document) -> bool:
    model = document.models.get_by_id(event["model"]["id"]) if event.get("kind") == "ModelChanged" else None
    return model is not None and not model._callbacks.get(event["attr"])
