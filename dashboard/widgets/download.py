"""Files that leave a page: a component makes them when its page requests them, and hands them out in pieces."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from panel.custom import JSComponent

from dashboard.widgets.beside import beside


@dataclass(frozen=True)
class Payload:
    """What is handed out.

    Attributes:
        content: All of it, or the file that holds it.
        name: That of the file; for a text that is to be copied, what `export_card.js` makes of it.
    """

    content: bytes | Path
    name: str = ""

    def opened(self) -> BinaryIO:
        """The content, to be read."""
        return self.content.open("rb") if isinstance(self.content, Path) else BytesIO(self.content)


class Downloads(JSComponent):
    """A component with files to hand out, which its script requests by `filesOf` of `download.js`.

    They go out in pieces, so that other users' frames go between. Of what fails, ValueError and OSError say on the page
    what to do.
    """

    PIECE: ClassVar[int] = 2**20
    __abstract = True

    def __init__(self, file: Callable[[Any], Payload | None], **params: Any) -> None:
        """Hand out files.

        Args:
            file: Makes the payload for what was requested; None where there is none.
            **params: As for any component.
        """
        super().__init__(**params)
        self._file = file
        self._handed, self._name = BytesIO(), ""

    def receive_other(self, message: Any) -> None:
        """Take a message that requests no file."""

    def _handle_msg(self, msg: Any) -> None:
        if isinstance(msg, dict) and "download" in msg:
            self._send_msg({"download": True, **self.piece(msg["download"], int(msg["start"]))})
        else:
            self.receive_other(msg)

    def piece(self, file: Any, start: int) -> dict[str, Any]:
        """The piece of a file that begins there; it is made for the first piece, and let go of after the last."""
        try:
            if start == 0:
                payload = self._file(file)
                if payload is None:
                    raise ValueError("there is no such file")
                self._handed.close()
                self._handed, self._name = payload.opened(), payload.name
            size = self._handed.seek(0, 2)
            self._handed.seek(start)
            data = self._handed.read(self.PIECE)
        except (ValueError, OSError) as error:
            return {"trouble": str(error)}
        if start + len(data) >= size:
            self._handed.close()
        return {"data": data, "size": size, "name": self._name}


class Saver(Downloads):
    """Has the browser save one file, when the server says so."""

    _esm = beside(__file__, "saver.js")

    def __init__(self, file: Callable[[Any], Payload | None]) -> None:
        """As for `Downloads`."""
        super().__init__(file, width=0, height=0, margin=0)

    def start(self) -> None:
        """Have the browser request the file and save it."""
        self._send_msg({"save": True})
