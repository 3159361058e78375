"""A place to drop a file on, or to choose one. Files are uploaded in pieces, so that a large one holds up nobody."""

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets.beside import beside


class FileDrop(JSComponent):
    """Takes files from a user, one after the other, and passes each one on as a whole.

    The browser sends a piece, waits until the server has it, and sends the next: other users' frames go between.
    """

    words = param.String(default="Drop a file here, or choose one", doc="What stands in it.")
    endings = param.String(default="", doc="Of files that can be chosen, such as .csv,.txt; of those dropped, any.")
    largest = param.Integer(default=100 * 2**20, doc="The most bytes of a file.")
    server_only: ClassVar[tuple[str, ...]] = ("words", "endings", "largest")

    PIECE: ClassVar[int] = 2**20

    _esm = beside(__file__, "file_drop.js").replace("PIECE", str(PIECE))
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "file_drop.css")]

    def __init__(self, received: Callable[[str, bytes], None], refused: Callable[[str], None], **params: Any) -> None:
        """Start without a file.

        Args:
            received: Called with a file's name and content.
            refused: Called with a sentence on why there is none.
            **params: As for any component.
        """
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._received, self._refused = received, refused
        self._name, self._content = "", bytearray()

    def _handle_msg(self, msg: Any) -> None:
        name, size, start = str(msg["name"])[:200], int(msg["size"]), int(msg["start"])
        if start < 0 or not self._take(name, size, start, msg["data"]):
            self._content = bytearray()
            self._refused(self._why(name, size, start))
            self._send_msg({"stop": True})
        elif len(self._content) < size:
            self._send_msg({"stop": False})
        else:
            content, self._content = bytes(self._content), bytearray()
            self._received(name, content)
            self._send_msg({"stop": False})

    def _take(self, name: str, size: int, start: int, piece: bytes) -> bool:
        """Add a piece, if it is the next one."""
        if start == 0:
            self._name, self._content = name, bytearray()
        if name != self._name or start != len(self._content) or start + len(piece) > min(size, self.largest):
            return False
        self._content += piece
        return True

    def _why(self, name: str, size: int, start: int) -> str:
        if start != -2 and size > self.largest:
            return (
                f"“{name}” is too large: it has {size / 2**20:,.0f} MiB, and {self.largest // 2**20} MiB are the most."
            )
        return f"“{name}” could not be read. If it is a folder, choose the files in it; else try again."
