"""The list of tracked runs to choose from, and what to type where there are none."""

from collections.abc import Callable, Mapping
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
    """Trainings as buttons: whether they run, their epochs and loss. Without any it shows the lines that start one.

    In the browser they are searched by name, tag and config, sorted, and grouped by name or tag.
    """

    items = param.List(default=[], doc="For each training: id, name, state, words, detail, when it began and so on.")
    over = param.Dict(default={}, doc="The colors of those that are drawn over the chosen one, by their ids.")
    alerts = param.Integer(default=0, doc="How many alerts the chosen one has; the page's title says so.")
    many = param.Integer(default=0, doc="How many of those that have ended could be deleted; 0 to offer nothing.")
    chosen = param.String(default="", doc="The id of the one that is shown.")
    following = param.Boolean(default=True, doc="Whether the newest one is shown, whichever that is.")
    said = param.String(default="", doc="What the chosen one is doing, and what is wrong with it.")
    code = param.String(default=CODE, doc="What to type.")
    server_only: ClassVar[tuple[str, ...]] = ("items", "over", "alerts", "many", "chosen", "following", "said", "code")

    _esm = beside(__file__, "tracked_list.js")
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "tracked_list.css")]

    def __init__(
        self,
        picked: Callable[[str], None],
        laid_over: Callable[[str], None] = lambda key: None,
        delete_old: Callable[[], None] = lambda: None,
        **params: Any,
    ) -> None:
        """Start without trainings.

        Args:
            picked: Called with the id of the training that was clicked; empty for the newest.
            laid_over: Called with the id of one that is to be drawn over it, or no longer.
            delete_old: Called to delete the oldest of those that have ended.
            **params: As for any component.
        """
        super().__init__(**params)
        self._picked, self._laid_over, self._delete_old = picked, laid_over, delete_old

    def _handle_msg(self, msg: Any) -> None:
        if not isinstance(msg, Mapping):
            self._picked(str(msg))
        elif "over" in msg:
            self._laid_over(str(msg["over"]))
        elif "delete" in msg:
            self._delete_old()
