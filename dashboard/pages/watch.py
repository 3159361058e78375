"""The page that watches a training in one's own script, live."""

import time
from collections.abc import Sequence
from datetime import datetime

import panel as pn

from dashboard.instruments.activation_map import ActivationMap
from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.fitted_curve import FittedCurve
from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.instrument import Instrument
from dashboard.instruments.layer_bands import LayerBands
from dashboard.instruments.layer_curves import LayerCurves
from dashboard.instruments.layer_statistics import LayerStatistics
from dashboard.instruments.logged_activations import LoggedActivations
from dashboard.instruments.logged_metrics import LoggedMetrics
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.loss_landscape import LossLandscape
from dashboard.instruments.update_ratios import UpdateRatios
from dashboard.pages.page import Page, stacked
from dashboard.state.run import Frame
from dashboard.storage.unique_names import unique_names
from dashboard.tracking import run_log
from dashboard.tracking.log_listing import DAMAGED, Entry
from dashboard.tracking.tracked_run import TrackedRun, WatchSettings, WatchView, note_page_open
from dashboard.widgets.tracked_list import TrackedList

SIGN_INTERVAL_S = 1.0
"""Between two signs that the page is open."""

WORDS = {
    run_log.LIVE: "running",
    run_log.ENDED: "ended",
    run_log.STOPPED: "stopped",
    run_log.FAILED: "ended by an error",
    run_log.KILLED: "gone",
    DAMAGED: "damaged",
}


class Watch(Page):
    """The trainings of one's own programs: a list, and the pictures for which the chosen one has the numbers."""

    slug = "watch"
    title = "Your own training"
    place = 93
    question = "What is my own training doing right now?"
    look_for = (
        "Loss, gradients and activations of a loop in any library, live and afterwards. The training is in its own "
        "program and goes on whatever is done here: the slider looks back, Play follows the newest epoch."
    )
    settings = WatchSettings
    store = TrackedRun
    view = WatchView
    instruments = (
        (LossCurve,),
        (LoggedMetrics,),
        (LayerStatistics,),
        (LayerBands,),
        (GradientBars,),
        (LoggedActivations, ActivationMap),
        (LayerCurves,),
        (UpdateRatios,),
        (DecisionMap, FittedCurve),
        (LossLandscape,),
    )

    def __init__(self, run: TrackedRun) -> None:
        super().__init__(run)
        self._next_sign = 0.0
        self._list = TrackedList(self._pick, sizing_mode="stretch_width", margin=(0, 4, 12, 4))
        self._all, self._listed = list(zip(self.instruments, self._cards, strict=True)), None
        self._cards = []
        self._layout.objects = []
        self._arrange(run.frame())
        self._update_list()

    def __panel__(self) -> pn.viewable.Viewable:
        return stacked(self._list, self._layout)

    def draw(self, frame: Frame, version: int) -> None:
        """Draw the list and the pictures that suit the training at a frame."""
        self._arrange(frame)
        self._update_list()
        super().draw(frame, version)

    def poll(self) -> None:
        """Leave a sign that the page is open, once a second."""
        if time.monotonic() >= self._next_sign:
            self._next_sign = time.monotonic() + SIGN_INTERVAL_S
            note_page_open()

    def _arrange(self, frame: Frame) -> None:
        """Put the cards on the page that have something to show."""
        fitting = [] if self.run.is_empty else [card for choices, card in self._all if _fits(choices, frame)]
        if fitting != self._cards:
            self._cards = fitting
            self._share_out()
            self._layout.objects = [card.view for card in fitting]

    def _update_list(self) -> None:
        """Update the list."""
        run = self.run
        state = run.entries, run.chosen, run.settings.feed, run.condition, tuple(run.problems)
        if state != self._listed:
            self._listed = state
            said = [run.condition[:1].upper() + run.condition[1:] + "."] if run.condition else []
            called = unique_names(run.entries)
            self._list.param.update(
                items=[_item(entry, called[entry.id]) for entry in run.entries],
                chosen=run.chosen,
                following=not run.settings.feed,
                said="\n".join([*said, *run.problems]),
            )

    def _pick(self, key: str) -> None:
        self.run.settings.feed = key if run_log.ID.fullmatch(key) else ""


def _fits(choices: Sequence[type[Instrument]], frame: Frame) -> bool:
    return any(choice.suits(frame) for choice in choices)


def _item(entry: Entry, called: str) -> dict[str, str]:
    """An entry for the browser."""
    loss = "" if entry.loss != entry.loss else f", loss {entry.loss:.4g}"
    state = f"epoch {entry.epoch:,}{loss}" if entry.epochs else "nothing logged yet"
    return {
        "id": entry.id,
        "name": called,
        "state": entry.state,
        "words": WORDS[entry.state],
        "detail": entry.problem or state,
        "began": _when(entry.began),
    }


def _when(began: float) -> str:
    """A moment in the time zone of the laboratory."""
    try:
        return f"{datetime.fromtimestamp(began):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"
