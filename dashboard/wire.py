"""Wire: one frame, one message.

Bokeh sends a message for every change and Panel's `hold` one for all, but Panel writes it without waiting: a visitor
who leaves meanwhile is a traceback in the log, and one who reads slowly a queue that grows. Here the sender waits.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from bokeh.document import Document
from bokeh.document.events import ColumnDataChangedEvent, DocumentPatchedEvent
from tornado.websocket import WebSocketClosedError


@asynccontextmanager
async def one_message(document: Document) -> AsyncIterator[None]:
    """Send all changes made to the models of a served document in the body as one message to all its visitors.

    To be used in a coroutine that holds the document's lock, such as a periodic callback.
    """
    callbacks = document.callbacks
    callbacks.hold("combine")
    try:
        yield
    finally:
        held = callbacks._held_events
        changes = [event for event in held if isinstance(event, DocumentPatchedEvent)]
        callbacks._held_events = [event for event in held if not isinstance(event, DocumentPatchedEvent)]
        callbacks.unhold()
    if changes:
        await _send(document, changes)


async def _send(document: Document, changes: list[DocumentPatchedEvent]) -> None:
    for change in changes:
        if isinstance(change, ColumnDataChangedEvent):
            change.cols = None
    session = document.session_context.session if document.session_context else None
    for connection in list(session._subscribed_connections) if session else ():
        with suppress(WebSocketClosedError):
            await connection.protocol.create("PATCH-DOC", changes).send(connection._socket)
