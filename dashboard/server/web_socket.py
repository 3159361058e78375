"""The web socket of a served page: what the laboratory's pages send takes its own way, all else that of Bokeh."""

import asyncio
from collections.abc import Callable
from functools import wraps
from typing import Any

from bokeh.document import Document
from bokeh.protocol.message import Message
from bokeh.server.protocol_handler import ProtocolHandler
from panel.io.server import WSHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from dashboard.server.documents import is_ours
from dashboard.server.inbound import receive


class LabProtocol(ProtocolHandler):
    """Receives the messages of a page of the laboratory."""

    async def handle(self, message: Message, connection: Any) -> Any:
        """Handle a message, unless its user has left: Bokeh would fail on each that is still under way."""
        if connection._session is None:
            return None
        if message.msgtype == "PATCH-DOC" and not receive(message, connection._session.document):
            return None
        return await super().handle(message, connection)


class LabSocket(WSHandler):
    """Panel's web socket, with `LabProtocol` where the page is the laboratory's."""

    is_ours = False

    async def _async_open(self, token: str) -> None:
        await super()._async_open(token)
        document = _document(self.connection)
        if document is not None and is_ours(document):
            self.is_ours, self.handler = True, LabProtocol()

    def on_close(self) -> None:
        """Note that the user has left, unless that is known: Bokeh fails on a connection that is let go already."""
        if not self.is_ours or _document(self.connection) is not None:
            super().on_close()


def _document(connection: Any) -> Document | None:
    session = connection and connection._session
    return session.document if session else None


def failing_where_awaited(write: Callable[..., Any]) -> Callable[..., Any]:
    """`WebSocketHandler.write_message`, whose failure for a user who has left is raised where it is waited for.

    Panel calls Tornado's method past the socket's own, once for each part of a message. Where one call fails it forgets
    those before it, and nobody waits for their failure: a traceback in the log for each.
    """

    @wraps(write)
    def write_or_fail_later(socket: WebSocketHandler, message: Any, binary: bool = False) -> "asyncio.Future[None]":
        if not getattr(socket, "is_ours", False):
            return write(socket, message, binary)
        try:
            sent = write(socket, message, binary)
        except WebSocketClosedError as left:
            sent = asyncio.get_running_loop().create_future()
            sent.set_exception(left)
        sent.add_done_callback(lambda sent: sent.cancelled() or sent.exception())
        return sent

    return write_or_fail_later
