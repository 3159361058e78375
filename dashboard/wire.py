"""Wire: one frame, one message.

Bokeh sends a message for every change and Panel's `hold` one for all, but Panel writes it without waiting: a visitor
who leaves meanwhile is a traceback in the log, and one who reads slowly a queue that grows. Here the sender waits.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache, wraps
from typing import Any

from bokeh.document import Document
from bokeh.document.events import ColumnDataChangedEvent, DocumentPatchedEvent
from bokeh.protocol.message import Message
from bokeh.server.protocol_handler import ProtocolHandler
from bokeh.server.views.ws import WSHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler


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
    document: Document, changes: list[DocumentPatchedEvent], alone: Callable[[], AbstractContextManager]
) -> None:
    """Send changes as one message to all visitors of the document, and wait until it is on its way.

    Call it from a coroutine that holds the document's lock, such as a periodic callback. alone() gives a context in
    which the message is written; nobody waits in it.
    """
    for change in changes:
        if isinstance(change, ColumnDataChangedEvent):
            change.cols = None
    session = document.session_context.session if document.session_context else None
    for connection in list(session._subscribed_connections) if changes and session else ():
        socket = connection._socket
        with await socket.write_lock.acquire(), alone():
            sent = (
                [] if socket.ws_connection is None else _write(socket, connection.protocol.create("PATCH-DOC", changes))
            )
        await asyncio.gather(*sent, return_exceptions=True)


@cache
def forget_the_gone() -> None:
    """Have Bokeh drop what it still hears of visitors who have left, instead of failing on it with a traceback each."""
    handle, on_close = ProtocolHandler.handle, WSHandler.on_close

    @wraps(handle)
    async def handle_if_there(handler: ProtocolHandler, message: Message, connection: Any) -> Any:
        return None if connection._session is None else await handle(handler, message, connection)

    @wraps(on_close)
    def close_if_there(socket: WSHandler) -> None:
        if socket.connection is None or socket.connection._session is not None:
            on_close(socket)

    ProtocolHandler.handle, WSHandler.on_close = handle_if_there, close_if_there


def _write(socket: WebSocketHandler, message: Message) -> list[Awaitable[None]]:
    """Write all parts of a message at once; what to wait for until they are sent, or the visitor has left."""
    parts = [message.header_json, message.metadata_json, message.content_json]
    for buffer in message._buffers:
        parts += [json.dumps(buffer.ref), buffer.to_bytes()]
    sent = []
    with suppress(WebSocketClosedError):
        sent.extend(WebSocketHandler.write_message(socket, part, binary=isinstance(part, bytes)) for part in parts)
    return sent
