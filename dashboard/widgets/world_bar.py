"""The bar of the solvable worlds: how many runs are held against the line, with a button to start and stop them."""

from dashboard.widgets.study_bar import StudyBar


class WorldBar(StudyBar):
    """The progress of a world's runs."""

    def draw(self) -> None:
        """Show the progress."""
        found = self._run.study
        now = found.world, found.size, found.seeds, found.busy, found.done, found.message
        if now == self._drawn:
            return
        self._drawn = now
        self._button.param.update(
            label="Stop" if found.busy else "Run them",
            icon="stop" if found.busy else "play_circle",
            disabled=found.done == found.seeds and not found.busy,
        )
        self._line.param.update(value=round(100 * found.progress), visible=found.busy)
        self._words.object = found.message or self._state()

    def _state(self) -> str:
        found = self._run.study
        state = f"{found.done} done" if found.busy else "done" if found.progress == 1 else "not trained yet"
        name = found.chosen.size_name
        size = f" of {name} {found.size or 'infinite'}" if name else ""
        return f"{found.seeds} runs{size} against the exact line: {state}"
