"""What all pictures of a study share: colors, the legend, what is hidden and which run is picked."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import panel as pn

from dashboard.instruments.instrument import stacked
from dashboard.state.store import Frame
from dashboard.state.study import Result
from dashboard.state.view import StudyView
from dashboard.widgets import style
from dashboard.widgets.legend import LegendChips
from engine.training import Epoch, Epochs


class StudyPicture:
    """Mixed into an instrument that draws a page's study. Without a study there is nothing to compare.

    Attributes:
        legend: Whether chips above this picture hide and show the variants; one set on a page is enough.
    """

    legend: ClassVar[bool] = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The variants that are compared."""
        return tuple(self.run.study.plan.variants) if self.run.study else ()

    @property
    def results(self) -> dict[str, Result]:
        """What is known of each variant that is not hidden, in the plan's order."""
        known = self.run.study.results if self.run.study else {}
        return {label: known[label] for label in self.labels if label in known and label not in self.hidden}

    @property
    def hidden(self) -> Sequence[str]:
        """The labels that are not drawn."""
        return StudyView.of(self.run.view).left_out

    @property
    def picked(self) -> tuple[str, int] | None:
        """The single run that is picked, if it is drawn: its variant's label and its seed."""
        label, seed, *_ = *StudyView.of(self.run.view).picked, "", ""
        known = self.results.get(label)
        return (label, seed) if known and type(seed) is int and 0 <= seed < known.runs else None

    def color(self, label: str) -> str:
        """The color of a variant, the same in all pictures of a page."""
        return StudyView.of(self.run.view).colors.get(label) or style.variant_color(self.labels.index(label))

    def pick(self, label: str, seed: int) -> None:
        """Have all pictures show one of the runs."""
        self.run.view.pick(picked=[label, seed])

    def watch(self) -> None:
        """Make the picked run the run of the page, from its start."""
        if self.picked:
            self.run.settings.restore(self.run.study.settings_of(self.run.settings, *self.picked))
            if not self.run.is_read_only:
                self.run.reset()

    def draw(self, frame: Frame) -> None:
        """Draw the picture and its legend at a frame."""
        super().draw(frame)
        if self.legend and self.labels:
            self._chips.param.update(items=self._items(frame), picked=self._picked_in_words())

    def reading_of(self, label: str, epoch: int) -> str:
        """What the legend shows for a variant at an epoch."""
        return ""

    def own_reading(self, frame: Frame) -> str:
        """What the legend shows for the page's own run."""
        return ""

    @cached_property
    def _chips(self) -> LegendChips:
        return LegendChips(self._hear, margin=(2, 0, 0, 0), sizing_mode="stretch_width")

    def __panel__(self) -> pn.viewable.Viewable:
        if not (self.legend and self.labels):
            return self.pane
        return stacked(self._chips, self.pane)

    def key(self) -> list[tuple[str, str]]:
        """The variants that are drawn, and the page's own run."""
        variants = [(self.color(label), label) for label in self.labels if label not in self.hidden]
        return [(style.CURSOR, "this run"), *variants] if variants else []

    def _items(self, frame: Frame) -> list[dict[str, Any]]:
        own = {"label": "this run", "color": style.CURSOR, "value": self.own_reading(frame), "fixed": True}
        return [{**own, "hidden": False}, *(self._item(label, frame.epoch.index) for label in self.labels)]

    def _item(self, label: str, epoch: int) -> dict[str, Any]:
        hidden = label in self.hidden
        value = self.reading_of(label, epoch) if label in self.results else ""
        return {"label": label, "color": self.color(label), "value": value, "hidden": hidden, "fixed": False}

    def _picked_in_words(self) -> str:
        return "{}, seed {} is picked".format(*self.picked) if self.picked else ""

    def _hear(self, asked: Mapping[str, Any]) -> None:
        """Do what was clicked in the legend."""
        view, label = self.run.view, asked.get("label")
        if asked["act"] == "toggle" and label in self.labels:
            rest = [one for one in view.left_out if one != label]
            view.left_out = rest if label in view.left_out else [*rest, label]
        elif asked["act"] == "only" and label in self.labels:
            others = [one for one in self.labels if one != label]
            view.left_out = [] if list(view.left_out) == others else others
        elif asked["act"] == "clear":
            view.picked = []
        elif asked["act"] == "watch":
            self.watch()


def ranked(values: np.ndarray, *shares: float) -> np.ndarray:
    """(shares, ...) quantiles over the first axis, nearest ranks, so that infinities rank last; nan counts as one."""
    return np.quantile(np.where(np.isnan(values), np.inf, values), shares, axis=0, method="nearest")


def in_digits(values: np.ndarray, digits: int = 4) -> list[float]:
    """Numbers rounded to what a picture needs, to be short in messages."""
    return [float(f"{value:.{digits}g}") for value in np.asarray(values, dtype=float).tolist()]


def alone(epoch: Epoch) -> Epochs:
    """One epoch as a block of its own."""
    numbers = ("index", "loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate")
    return Epochs(
        **{name: np.array([getattr(epoch, name)]) for name in numbers},
        gradient_norms=epoch.gradient_norms[None],
        mean_activations=np.concatenate([np.empty(0), *epoch.mean_activations])[None],
        parameters=epoch.parameters[None],
        widths=tuple(map(len, epoch.mean_activations)),
    )
