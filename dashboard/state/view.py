"""A view is what a user has picked to look at."""

import param

from dashboard.state.choices import Choices


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

    def query(self) -> dict[str, str]:
        """What differs from the defaults, as text."""
        return {name: text for name, text in super().query().items() if getattr(self, name) != self.param[name].default}
