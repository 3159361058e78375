"""The foresight bar: it has a run's future foreseen from the epoch that is looked at, and says how far that is."""

from dashboard.state.analyses.foresight import Foresight
from dashboard.state.view import ForesightView
from dashboard.widgets.study_bar import BarState, StudyBar


class ForesightBar(StudyBar):
    """The progress of what is foreseen, with a button that begins it, stops it, or takes it away."""

    def state(self) -> BarState:
        foresight = self._run.analysis(Foresight)
        busy, asked = foresight.is_busy(self._run.frame()), foresight.wanted.foreseen_from is not None
        press, icon = ("Forget", "visibility_off") if asked else ("Foresee", "visibility")
        press, icon = ("Stop foreseeing", "stop") if busy else (press, icon)
        follows = not isinstance(self._run.view, ForesightView)
        return BarState(press, icon, busy, foresight.progress, self._in_words(busy), follows)

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
