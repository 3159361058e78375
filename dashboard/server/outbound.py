"""One frame is one message.

Bokeh sends a message for every change and Panel's `hold` one for all, but Panel writes it without waiting: a user
who leaves meanwhile is a traceback in the log, and one who reads slowly a queue that grows. Here the sender waits.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from math import isfinite
from typing import Any

from bokeh.core.json_encoder import serialize_json
from bokeh.core.serialization import AnyRep, Ref, Serializer
from bokeh.document import Document
from bokeh.document.events import ColumnDataChangedEvent, DocumentPatchedEvent, ModelChangedEvent
from bokeh.model import Model
from bokeh.models import ColumnarDataSource
from bokeh.protocol.message import Message
from bokeh.protocol.messages.patch_doc import patch_doc
from panel.io import document as panel_document
from tornado.websocket import WebSocketHandler

from dashboard.server.releases import release

_MAKES_MESSAGES_EARLY = release("panel") < (1, 10)

LEFT: MutableMapping[Document, dict[Any, list[Message]]] = panel_document._WRITE_MSGS if _MAKES_MESSAGES_EARLY else {}
"""What Panel 1.9 writes to each connection when it is free: earlier changes, to models that a frame may speak of."""

HELD: MutableMapping[Document, list[tuple[Any, list[DocumentPatchedEvent]]]] = (
    {} if _MAKES_MESSAGES_EARLY else panel_document._WRITE_EVENTS
)
"""The same of Panel 1.10, which makes messages of them when it writes."""


@contextmanager
def collected(document: Document) -> Iterator[list[DocumentPatchedEvent]]:
    """Collect, instead of sending them, all changes made in the body to the models of a served document."""
    callbacks, changes = document.callbacks, []
    callbacks.hold("combine")
    try:
        yield changes
    finally:
        held = callbacks._held_events
        changes += [event for event in held if isinstance(event, DocumentPatchedEvent)]
        callbacks._held_events = [event for event in held if not isinstance(event, DocumentPatchedEvent)]
        callbacks.unhold()


async def send(
    document: Document,
    changes: Sequence[DocumentPatchedEvent],
    alone: Callable[[], AbstractContextManager],
    relayed: Sequence[str] = (),
) -> float:
    """Send changes as one message to all clients of the document, and wait until it is on its way.

    relayed: further events, which are JSON already.
    Returns the seconds of work that was, without the waiting.

    Call it from a coroutine that holds the document's lock, such as a periodic callback. alone() gives a context in
    which the message is written; nobody waits in it.
    """
    session = document.session_context.session if document.session_context else None
    connections = list(session._subscribed_connections) if (changes or relayed) and session else []
    worked, message = 0.0, None
    if connections:
        changes = [*chain.from_iterable(earlier for _, earlier in HELD.pop(document, [])), *changes]
    for connection in connections:
        socket = connection._socket
        with await socket.write_lock.acquire(), alone():
            began = time.perf_counter()
            waiting = LEFT.get(document, {}).pop(connection, [])
            message = message or packed(document, changes, relayed)
            sent = [] if socket.ws_connection is None else _write(socket, [*waiting, message])
            worked += time.perf_counter() - began
        await asyncio.gather(*sent, return_exceptions=True)
    return worked


def packed(document: Document, changes: Sequence[DocumentPatchedEvent], relayed: Sequence[str] = ()) -> Message:
    """The message for a page about changes to its document; relayed: further events, which are JSON already."""
    writer = Writer(document)
    message = patch_doc(patch_doc.create_header(), {}, {"events": [_encoded(change, writer) for change in changes]})
    if relayed:
        events = [*map(serialize_json, message.content["events"]), *relayed]
        message._content_json = f'{{"events":[{",".join(events)}]}}'
    if changes:
        document.models.flush_synced(lambda model: not writer.has_ref(model))
    message.add_buffers(*writer.buffers)
    return message


def plain(document: Document, change: DocumentPatchedEvent) -> str | None:
    """A change as JSON, without the model it is of; None where it speaks of other models."""
    writer = Writer(document, deferred=False)
    encoded = _encoded(change, writer)
    encoded.pop("model", None)
    return None if writer.speaks_of_models else serialize_json(encoded)


def anew(model: Model, attribute: str) -> DocumentPatchedEvent:
    """The change that a page has to be sent, if it may know another value of a model's attribute."""
    if isinstance(model, ColumnarDataSource):
        return ColumnDataChangedEvent(model.document, model, attribute)
    return ModelChangedEvent(model.document, model, attribute, getattr(model, attribute))


def _encoded(change: DocumentPatchedEvent, writer: "Writer") -> dict[str, Any]:
    if isinstance(change, ColumnDataChangedEvent):
        change.cols = None
    return writer.encode(change)


class Writer(Serializer):
    """Bokeh's serializer for a document that a page has already.

    Bokeh's own way begins every message with a table of all the document's models; here the few that a message speaks
    of are looked up. Plain numbers and texts, which are most of it, are passed on as they are.
    """

    def __init__(self, document: Document, deferred: bool = True) -> None:
        """deferred: whether arrays are to be sent apart from the text."""
        super().__init__(deferred=deferred)
        self._models = document.models
        self.speaks_of_models = False

    def get_ref(self, obj: Any) -> Ref | None:
        self.speaks_of_models |= isinstance(obj, Model)
        known = isinstance(obj, Model) and self._models.get_by_id(obj.id) is obj and obj not in self._models._new_models
        return obj.ref if known else super().get_ref(obj)

    def encode(self, obj: Any) -> AnyRep:
        plain = type(obj) is str or (type(obj) is float and isfinite(obj))
        return obj if plain else super().encode(obj)


def _write(socket: WebSocketHandler, messages: Sequence[Message]) -> list[Awaitable[None]]:
    """Write all parts of messages at once; what to wait for until they are sent, or the client has left."""
    parts = chain.from_iterable(map(_parts, messages))
    return [WebSocketHandler.write_message(socket, part, binary=isinstance(part, bytes)) for part in parts]


def _parts(message: Message) -> list[str | bytes]:
    buffers = [(json.dumps(buffer.ref), buffer.to_bytes()) for buffer in message._buffers]
    return [message.header_json, message.metadata_json, message.content_json, *chain.from_iterable(buffers)]
