"""The study bar: how far a comparison is, and the buttons that start and stop it."""

from typing import NamedTuple

import panel as pn
import panel_material_ui as pmui

from dashboard.state.store import Shown
from dashboard.widgets.beside import beside
from dashboard.widgets.plain_text import Words

STYLE = beside(__file__, "study_bar.css")


class BarState(NamedTuple):
    """What a bar says of a computation.

    Attributes:
        press: What the button does.
        icon: That of the button.
        is_busy: Whether it is under way.
        share: How much of it is done.
        words: What it is, and how far.
        is_final: Whether there is nothing to press for.
    """

    press: str
    icon: str
    is_busy: bool
    share: float
    words: str
    is_final: bool = False


class StudyBar(pn.viewable.Viewer):
    """The progress of the runs trained for comparison, with a button to start or stop them."""

    def __init__(self, run: Shown) -> None:
        super().__init__()
        self._run = run
        self._drawn: BarState | None = None
        self._button = pmui.Button(size="small", variant="text", margin=0, on_click=self._press)
        self._words = Words(variant="body2", margin=0, sx={"fontVariantNumeric": "tabular-nums"})
        self._line = pmui.LinearProgress(variant="determinate", value=0, width=160, margin=(8, 0))
        parts = self._button, self._line, self._words, *self.more()
        self._layout = pn.Row(*parts, stylesheets=[STYLE], margin=0, sizing_mode="stretch_width")
        self.draw()

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def more(self) -> list[pn.viewable.Viewable]:
        """What else stands in the bar."""
        return []

    def state(self) -> BarState:
        """What to show now."""
        study = self._run.study
        variants = len(study.plan.variants)
        noun = "variant" if variants == 1 else "variants"
        runs = f"{variants} {noun} × {study.seeds} seeds = {study.seeds * variants} runs of {study.epochs:,} epochs"
        state = f"{study.progress:.0%}" if study.busy else "done" if study.progress == 1 else "not trained yet"
        press, icon = ("Stop comparing", "stop") if study.busy else ("Compare", "compare_arrows")
        words = study.message or f"{runs}: {state}"
        return BarState(press, icon, study.busy, study.progress, words, study.progress == 1 and not study.busy)

    def draw(self) -> None:
        """Show the progress."""
        state = self.state()
        if state == self._drawn:
            return
        self._drawn = state
        self._button.param.update(label=state.press, icon=state.icon, disabled=state.is_final)
        self._line.param.update(value=round(100 * state.share), visible=state.is_busy)
        self._words.object = state.words

    def _press(self, _: object) -> None:
        study = self._run.study
        if study.busy:
            study.cancel()
            self._run.touch()
        else:
            study.start(self._run.settings)
