"""The page that watches a training in one's own script, live."""

import math
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

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
from dashboard.tracking.tracked_run import MAX_OVERLAID, TrackedRun, WatchSettings, WatchView, note_page_open
from dashboard.widgets import style
from dashboard.widgets.tracked_list import TrackedList

SIGN_INTERVAL_S = 1.0
"""Between two signs that the page is open."""

MAX_ALERTS = 5
"""Most alerts in words beside the list: the newest."""

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
        self._list = TrackedList(
            self._pick, self._lay_over, self._delete_old, sizing_mode="stretch_width", margin=(0, 4, 12, 4)
        )
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
        over = {key: style.variant_color(place + 1) for place, (_, key, _) in enumerate(run.overlaid)}
        state = run.entries, run.chosen, run.settings.feed, run.condition, tuple(run.problems), over, run.alerts
        if state != self._listed:
            self._listed = state
            said = [run.condition[:1].upper() + run.condition[1:] + "."] if run.condition else []
            alerts = run.alerts
            said += [f"Alert at epoch {one.epoch:,}: {one.words}." for one in alerts[-MAX_ALERTS:]]
            ended = sum(entry.state != run_log.LIVE for entry in run.entries) + run.unlisted
            many = max(0, ended - run_log.USUAL_ENDED_RUNS)
            called = unique_names(run.entries)
            self._list.param.update(
                items=[_item(entry, called[entry.id]) for entry in run.entries],
                over=over,
                many=many,
                alerts=len(alerts),
                chosen=run.chosen,
                following=not run.settings.feed,
                said="\n".join([*said, *run.problems]),
            )

    def _pick(self, key: str) -> None:
        self.run.settings.feed = key if run_log.ID.fullmatch(key) else ""

    def _lay_over(self, key: str) -> None:
        """Draw a run over the one that is shown, or no longer."""
        over = list(self.run.view.over)
        if key in over:
            over.remove(key)
        elif run_log.ID.fullmatch(key):
            over = [*over, key][-MAX_OVERLAID:]
        self.run.view.over = over

    def _delete_old(self) -> None:
        """Delete the oldest runs that have ended, in a thread: the disk may be slow."""
        threading.Thread(target=run_log.prune, args=(run_log.USUAL_ENDED_RUNS,), daemon=True).start()


def _fits(choices: Sequence[type[Instrument]], frame: Frame) -> bool:
    return any(choice.suits(frame) for choice in choices)


def _item(entry: Entry, called: str) -> dict[str, Any]:
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
        "title": entry.name,
        "moment": entry.began,
        "loss": entry.loss if math.isfinite(entry.loss) else None,
        "epoch": entry.epoch,
        "tags": list(entry.tags),
        "config": [f"{name} = {value}" for name, value in entry.config],
    }


def _when(began: float) -> str:
    """A moment in the time zone of the laboratory."""
    try:
        return f"{datetime.fromtimestamp(began):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"
