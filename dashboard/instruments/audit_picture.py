"""What all pictures of a gradient audit share: what is examined, the picked parameter, and what is sent of a frame."""

import numpy as np

from dashboard.instruments.instrument import Columns
from dashboard.state.analyses.gradient_audit import CheckView, Subject, is_small
from dashboard.state.run import Frame


class AuditPicture:
    """Mixed into the pictures of an audited subject: they begin anew with another one."""

    missing = "there are more than five layers of weights, or too many parameters and examples to move each by hand."

    @classmethod
    def suits(cls, frame: Frame) -> bool:
        """Whether every parameter can be moved in reasonable time."""
        return is_small(frame)

    def is_fresh(self, frame: Frame) -> bool:
        """Whether to begin afresh: also when something else is examined."""
        return super().is_fresh(frame) or CheckView.of(self.run.view).subject != self._examined

    def begin(self, frame: Frame) -> None:
        """Prepare for another subject."""
        self._examined = CheckView.of(self.run.view).subject

    def subject(self, frame: Frame) -> Subject:
        """What is examined."""
        return Subject.of(self.run, frame)

    def news(self, layers: dict[str, Columns], after: int) -> dict[str, Columns]:
        """The layers that differ from the last frame: each costs 0.1 ms and a message."""
        sent = self._sent if after >= 0 else {}
        self._sent = {**sent, **layers}
        return {label: columns for label, columns in layers.items() if not _same(columns, sent.get(label, {}))}

    @property
    def epsilon(self) -> float:
        """How far parameters are moved."""
        return CheckView.of(self.run.view).epsilon

    def parameter(self, subject: Subject) -> int:
        """The picked parameter; the last one where there are fewer."""
        return min(CheckView.of(self.run.view).parameter, subject.network.n_parameters - 1)

    def pick(self, **choices: object) -> None:
        """Set choices of the page's view, if it has them."""
        self.run.view.pick(**choices)


def _same(columns: Columns, others: Columns) -> bool:
    return columns.keys() == others.keys() and all(np.array_equal(columns[name], others[name]) for name in columns)
