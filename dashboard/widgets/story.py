"""The story of a page: its steps, the sentence of the chosen one, and ways to the next and back."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.widgets.beside import beside


class Story(JSComponent):
    """Numbered steps. They are links: a click chooses a step, a middle click opens it in another tab."""

    steps = param.List(default=[], doc="For each step its label, its sentence (doc) and its link.")
    step = param.Integer(default=0, bounds=(0, None), doc="The step that is chosen, from 1; 0 for none.")
    is_open = param.Boolean(default=True, doc="Whether the steps may take several lines, and the opening is said.")
    opening = param.String(default="", doc="What stands in the sentence's place before a step is chosen.")
    locked = param.Boolean(default=False, doc="Whether no step can be chosen here.")
    server_only: ClassVar[tuple[str, ...]] = ("steps", "step", "is_open", "opening", "locked")

    _esm = beside(__file__, "story.js")
    _stylesheets = [beside(__file__, "story.css")]

    def __init__(self, steps: Sequence[dict[str, str]], asked: Callable[[int], None], **params: Any) -> None:
        """Show the steps, none of them chosen.

        Args:
            steps: For each its label, its sentence (doc) and its link.
            asked: Called with the step, from 1, that a user chooses.
            **params: As for any component.
        """
        super().__init__(steps=list(steps), **params)
        self._asked = asked

    def _handle_msg(self, msg: Any) -> None:
        if not self.locked and isinstance(msg, int) and 1 <= msg <= len(self.steps):
            self._asked(msg)
