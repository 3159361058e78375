"""The list of archived runs, with what can be done with each, and the form that archives another."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets.beside import beside
from dashboard.widgets.download import Downloads, Payload

LOOK = """
:host { font-size: 13px; line-height: 1.4; }
button { font: inherit; color: inherit; background: none; border: none; cursor: pointer; border-radius: 6px;
  padding: 3px 6px; }
button:hover { background: color-mix(in srgb, currentColor 10%, transparent); }
button:focus-visible, input:focus-visible { outline: 2px solid #5c7cfa; outline-offset: 1px; }
input[type=text] { font: inherit; color: inherit; background: none; min-width: 0; box-sizing: border-box;
  border: 1px solid color-mix(in srgb, currentColor 28%, transparent); border-radius: 8px; padding: 7px 10px; }
"""


class KeepForm(JSComponent):
    """A name and a button that archives the run on the page. Below them, the outcome of the last action."""

    suggested = param.String(default="", doc="The name that the run gets without one.")
    said = param.String(default="", doc="What came of the last thing that was done.")
    failed = param.Boolean(default=False, doc="Whether that was a failure.")
    undo = param.String(default="", doc="The id of what can be undone, empty where nothing can.")
    closes = param.Boolean(default=False, doc="Whether there is a button that puts all of it away.")
    server_only: ClassVar[tuple[str, ...]] = ("suggested", "said", "failed", "undo", "closes")

    _esm = beside(__file__, "keep_form.js")
    _stylesheets: ClassVar[list[str]] = [
        LOOK,
        beside(__file__, "keep_form.css"),
    ]

    def __init__(self, asked: Callable[[Mapping[str, Any]], None], **params: Any) -> None:
        """Make an empty form.

        Args:
            asked: Called with what to `do`, and the `name` or the `id` for it.
            **params: As for any component.
        """
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._asked = asked

    def _handle_msg(self, msg: Any) -> None:
        self._asked(msg)


class RunList(Downloads):
    """Archived runs, one below the other. It reports what a user does with one; `runs` says what is shown.

    Attributes:
        runs: For each run its id, name, what it is called among the others, about (a line), beside (whether it is
            compared with the page's own) and color.
    """

    runs = param.List(default=[], doc="The kept runs.")
    empty = param.String(default="", doc="What stands here while there are none.")
    answered = param.Integer(default=0, doc="The number of the last request that was answered.")
    server_only: ClassVar[tuple[str, ...]] = ("runs", "empty", "answered")

    _esm = beside(__file__, "run_list.js")
    _stylesheets: ClassVar[list[str]] = [
        LOOK,
        beside(__file__, "run_list.css"),
    ]

    def __init__(
        self, asked: Callable[[Mapping[str, Any]], None], file: Callable[[str], Payload], **params: Any
    ) -> None:
        """Start without runs.

        Args:
            asked: Called with what to `do` with the run `id`, and the request's `number`, under which it is `answered`.
            file: Returns the file of a run by its id.
            **params: As for any component.
        """
        super().__init__(file, **{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._asked = asked

    def receive_other(self, message: Any) -> None:
        """Do something with a run."""
        self._asked(message)
