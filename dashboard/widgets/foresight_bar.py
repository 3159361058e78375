"""The foresight bar: it has a run's future foreseen from the epoch that is looked at, and says how far that is."""

from dashboard.state.analyses.foresight import Foresight
from dashboard.state.view import ForesightView
from dashboard.widgets.study_bar import StudyBar


class ForesightBar(StudyBar):
    """The progress of what is foreseen, with a button that begins it, stops it, or takes it away."""

    def draw(self) -> None:
        """Show the progress."""
        run, foresight = self._run, self._run.analysis(Foresight)
        frame, wanted = run.frame(), foresight.wanted
        busy = foresight.is_busy(frame)
        now = wanted.foreseen_from, wanted.foreseen_steps, busy, foresight.progress, foresight.message, run.version
        if now == self._drawn:
            return
        self._drawn = now
        asked = wanted.foreseen_from is not None
        self._button.param.update(
            label="Stop foreseeing" if busy else "Forget" if asked else "Foresee",
            icon="stop" if busy else "visibility_off" if asked else "visibility",
            disabled=not isinstance(run.view, ForesightView),
        )
        self._line.param.update(value=round(100 * foresight.progress), visible=busy)
        self._words.object = self._in_words(busy)

    def _in_words(self, busy: bool) -> str:
        foresight = self._run.analysis(Foresight)
        wanted = foresight.wanted
        steps = f"{wanted.foreseen_steps:,} steps of gradient flow and central flow"
        if wanted.foreseen_from is None:
            return f"{steps}, drawn before the run takes them"
        frame = self._run.frame()
        if foresight.message:
            return foresight.message
        paths = foresight.shown(frame)
        start = next((path.start for path in paths.values()), wanted.foreseen_from)
        state = f"{foresight.progress:.0%}" if busy else foresight.lost(frame) or "done"
        return f"{steps} from epoch {start:,}: {state}"

    def _press(self, _: object) -> None:
        run = self._run
        asked = run.view.foreseen_from is not None
        run.view.pick(foreseen_from=None if asked else run.frame().epoch.index)
