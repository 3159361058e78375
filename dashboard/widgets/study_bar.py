"""The study bar: how far a comparison is, and the buttons that start and stop it."""

import panel as pn
import panel_material_ui as pmui

from dashboard.state.store import Shown
from dashboard.widgets.beside import beside
from dashboard.widgets.plain_text import Words

STYLE = beside(__file__, "study_bar.css")


class StudyBar(pn.viewable.Viewer):
    """The progress of the runs trained for comparison, with a button to start or stop them."""

    def __init__(self, run: Shown) -> None:
        super().__init__()
        self._run, self._drawn = run, None
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

    def draw(self) -> None:
        """Show the progress."""
        study = self._run.study
        now = study.seeds, study.epochs, study.busy, study.progress, study.message
        if now == self._drawn:
            return
        self._drawn = now
        runs = study.seeds * len(study.plan.variants)
        self._button.param.update(
            label="Stop comparing" if study.busy else "Compare",
            icon="stop" if study.busy else "compare_arrows",
            disabled=study.progress == 1 and not study.busy,
        )
        self._line.param.update(value=round(100 * study.progress), visible=study.busy)
        state = f"{study.progress:.0%}" if study.busy else "done" if study.progress == 1 else "not trained yet"
        variants = len(study.plan.variants)
        noun = "variant" if variants == 1 else "variants"
        sizes = f"{variants} {noun} × {study.seeds} seeds = {runs} runs of {study.epochs:,} epochs"
        self._words.object = study.message or f"{sizes}: {state}"

    def _press(self, _: object) -> None:
        study = self._run.study
        if study.busy:
            study.cancel()
            self._run.touch()
        else:
            study.start(self._run.settings)
