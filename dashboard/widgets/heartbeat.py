"""The heartbeat lets a page find out, and say, whether its server still answers."""

from secrets import token_hex
from typing import ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets.beside import beside

SERVER = token_hex(8)
"""Identifies this process, so that a page that comes back can tell whether it is another one."""


class Heartbeat(JSComponent):
    """Says on the page within two seconds that its server is gone or does not answer, and reconnects the page.

    A socket stays open when the server at its other end is frozen or the network is cut, so the page asks for an answer
    whenever it has received nothing for a while. A server that is only busy handles requests later; one that is gone
    takes its sessions along, and the page is loaded again from its address.
    """

    server = param.String(default=SERVER, constant=True, doc="The process that serves the page.")
    server_only: ClassVar[tuple[str, ...]] = ("server",)

    _esm = beside(__file__, "heartbeat.js")

    def __init__(self) -> None:
        super().__init__(width=0, height=0, margin=0)
