"""The browser's address bar shows the link to what is open, and its history leads back through earlier ones."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

import param

from dashboard.server.live_component import LiveComponent
from dashboard.widgets.beside import beside

MAX_ADDRESS_LENGTH = 100_000
"""Longest query that is read."""


class AddressBar(LiveComponent):
    """Writes links into the browser's history, and follows its Back and Forward.

    Opening another page is a step of the history, and so is a change of settings. Everything that one drag, one press
    or a burst of keys changes is a single step. Changes that the user did not make replace the current step.
    """

    entry = param.Dict(
        default={},
        doc="""
        The link to what is shown as `query`; `visit`, which counts the pages opened; `answers`, the number of the
        user's last way through the history that this already shows.""",
    )
    server_only: ClassVar[tuple[str, ...]] = ("entry",)

    _esm = beside(__file__, "address_bar.js")

    def __init__(
        self, travelled: Callable[[Mapping[str, str]], None], opened: Callable[[Mapping[str, str]], None], **params: Any
    ) -> None:
        """Start with an empty query.

        Args:
            travelled: Called with the query to which the browser has gone back or forward.
            opened: Called with the query of a link that was opened.
            **params: As for any component.
        """
        super().__init__(width=0, height=0, margin=0, **params)
        self._travelled, self._opened = travelled, opened
        self._answers = 0

    def show(self, query: Mapping[str, str], visit: int) -> None:
        """Put the link to what is shown into the address bar; `visit` counts the pages opened before it."""
        self.send(entry={"query": f"?{urlencode(query)}", "visit": visit, "answers": self._answers})

    def _handle_msg(self, msg: Any) -> None:
        query = dict(parse_qsl(str(msg["query"])[:MAX_ADDRESS_LENGTH].lstrip("?"), keep_blank_values=True))
        if msg["step"] is None:
            self._opened(query)
        else:
            self._answers = int(msg["step"])
            self._travelled(query)
