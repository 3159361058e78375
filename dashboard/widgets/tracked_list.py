"""The list of tracked runs to choose from, and what to type where there are none."""

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets.beside import beside

CODE = """\
from dashboard import watch

with watch("my run") as lab:
    for epoch in range(100):
        ...                                  # train for an epoch
        lab.log(epoch, loss=loss, gradients=[...], activations=[...])
"""


class TrackedList(JSComponent):
    """Trainings as buttons: whether they run, their epochs and loss. Without any it shows the lines that start one."""

    items = param.List(default=[], doc="For each training: id, name, state, words, detail and when it began.")
    chosen = param.String(default="", doc="The id of the one that is shown.")
    following = param.Boolean(default=True, doc="Whether the newest one is shown, whichever that is.")
    said = param.String(default="", doc="What the chosen one is doing, and what is wrong with it.")
    code = param.String(default=CODE, doc="What to type.")
    server_only: ClassVar[tuple[str, ...]] = ("items", "chosen", "following", "said", "code")

    _esm = beside(__file__, "tracked_list.js")
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "tracked_list.css")]

    def __init__(self, picked: Callable[[str], None], **params: Any) -> None:
        """Start without trainings.

        Args:
            picked: Called with the id of the training that was clicked; empty for the newest.
            **params: As for any component.
        """
        super().__init__(**params)
        self._picked = picked

    def _handle_msg(self, msg: Any) -> None:
        self._picked(str(msg))
