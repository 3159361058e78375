"""The bar of the solvable worlds: how many runs are held against the line, with a button to start and stop them."""

from dashboard.widgets.study_bar import BarState, StudyBar


class WorldBar(StudyBar):
    """The progress of a world's runs."""

    def state(self) -> BarState:
        found = self._run.study
        press, icon = ("Stop", "stop") if found.busy else ("Run them", "play_circle")
        is_final = found.done == found.seeds and not found.busy
        return BarState(press, icon, found.busy, found.progress, found.message or self._in_words(), is_final)

    def _in_words(self) -> str:
        found = self._run.study
        state = f"{found.done} done" if found.busy else "done" if found.progress == 1 else "not trained yet"
        name = found.chosen.size_name
        size = f" of {name} {found.size or 'infinite'}" if name else ""
        return f"{found.seeds} runs{size} against the exact line: {state}"
