"""The intro of a page: its question, and what to look for, which folds away."""

from typing import ClassVar

import param
from panel.custom import Child, JSComponent

from dashboard.widgets.beside import beside


class Intro(JSComponent):
    """The question of a page as its heading, with a button that opens and folds what stands below it."""

    question = param.String(default="")
    content = Child()
    is_open = param.Boolean(default=True, doc="Whether the content is shown.")

    server_only: ClassVar[tuple[str, ...]] = ("question", "content")

    _esm = beside(__file__, "intro.js")
    _stylesheets = [beside(__file__, "intro.css")]
