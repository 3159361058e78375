"""The band above a page that follows: whose run it is, how many follow, and the way to a copy of one's own."""

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.state.followed import Company, FollowedRun
from dashboard.widgets.beside import beside

YOURS = "What you pick and the epoch you look at are yours; whoever shares it plays it and changes its settings."


class FollowBand(JSComponent):
    """Says whom one follows, and offers to take the run over where that is possible.

    The name is somebody else's words, which the script shows as text.
    """

    words = param.String(default="", doc="Whose run is followed, and who else follows.")
    more = param.String(default=YOURS, doc="What whoever follows can do.")
    offer = param.String(default="", doc="The label of the button; there is none without.")
    server_only: ClassVar[tuple[str, ...]] = ("words", "more", "offer")

    _esm = beside(__file__, "follow_band.js")
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "follow_band.css")]

    def __init__(self, run: FollowedRun, take_over: Callable[[], None], **params: Any) -> None:
        """Show the company in which a run is followed.

        Args:
            run: The followed run.
            take_over: Called when its user wants a copy of their own.
            **params: As for any component.
        """
        offer = "Take this over" if run.can_be_copied else ""
        made = {"sizing_mode": "stretch_width", "margin": (0, 4, 10, 4), **params}
        super().__init__(words=in_words(run.company), offer=offer, **made)
        self._take_over = take_over
        run.param.watch(lambda event: self.param.update(words=in_words(event.new)), "company")

    def _handle_msg(self, msg: Any) -> None:
        if self.offer and msg == "take over":
            self._take_over()


def in_words(company: Company) -> str:
    """Whom one follows, and who else does."""
    run = f"{company.name}’s run" if company.name else "a shared run"
    if not company.others:
        return f"You alone follow {run}."
    others = "1 other does" if company.others == 1 else f"{company.others:,} others do"
    return f"You follow {run}, {others} too."
