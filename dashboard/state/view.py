"""A view is what a user has picked to look at."""

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Self

import param

from dashboard.state.choices import Choices

END = 100_000
"""An epoch that no map reaches: its last one is meant."""


class View(Choices):
    """An example, a unit, a threshold: picked in one picture, shown by all. None of it changes the training.

    A page with choices of its own for its pictures has a subclass of this.
    """

    example = param.Integer(
        default=None, bounds=(0, None), doc="The row of the training example that is picked; none where None."
    )
    unit = param.List(
        default=[], item_type=int, doc="The hidden unit that is picked, as [layer, unit] from 0; [] for none."
    )
    threshold = param.Number(
        default=0.5, bounds=(0, 1), step=0.01, doc="The probability from which on the answer is class 1."
    )

    step = param.Integer(
        default=0, bounds=(0, 20), doc="The step of the page's story that is chosen, from 1; 0 before any is."
    )

    @classmethod
    def of(cls, view: "View") -> Self:
        """A view itself if it has these choices; else one in which nothing was chosen."""
        return view if isinstance(view, cls) else _unchosen(cls)

    def pick(self, **choices: Any) -> None:
        """Set choices; those that this view does not have are left out."""
        self.param.update(**{name: value for name, value in choices.items() if name in self.param})

    def query(self) -> dict[str, str]:
        """What differs from the defaults, as text."""
        return {name: text for name, text in self.texts().items() if getattr(self, name) != self.param[name].default}


class StudyView(View):
    """A view of a page with a study: which variants are hidden, and which single run is picked.

    Attributes:
        colors: Of the variants by label, for all pictures of the page, where they differ from the plan's order.
    """

    colors: ClassVar[Mapping[str, str]] = {}

    left_out = param.List(default=[], item_type=str, doc="The labels of the variants that are not drawn.")
    picked = param.List(default=[], doc="The single run that is picked, as [label, seed]; [] for none.")


class ForesightView(StudyView):
    """A view of a page that foresees a run: from which epoch on, and for how long."""

    foreseen_from = param.Integer(
        default=None,
        bounds=(0, None),
        doc="The epoch from which on gradient flow and the central flow are drawn ahead; none where None.",
    )
    foreseen_steps = param.Integer(
        default=1000, bounds=(50, 5000), label="Steps ahead", doc="How many steps of gradient descent are foreseen."
    )


class MapView(View):
    """A view of a page with a map: at which epoch it is looked at."""

    map_epoch = param.Integer(
        default=END,
        bounds=(1, END),
        label="Map at epoch",
        doc="Takes the map back to an earlier epoch of its runs; later than its last epoch shows that.",
    )


@cache
def _unchosen(kind: type[View]) -> View:
    return kind()
