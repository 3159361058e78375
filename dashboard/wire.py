"""Wire: one frame, one message.

Bokeh sends a message for every change and Panel's `hold` one for all, but Panel writes it without waiting: a visitor
who leaves meanwhile is a traceback in the log, and one who reads slowly a queue that grows. Here the sender waits.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from bokeh.document import Document
from bokeh.document.events import ColumnDataChangedEvent, DocumentPatchedEvent
from panel.io.document import dispatch_tornado


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
        with await connection._socket.write_lock.acquire(), alone():
            sent = dispatch_tornado(connection, changes)
        await asyncio.gather(*sent, return_exceptions=True)
