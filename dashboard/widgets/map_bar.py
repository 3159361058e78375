"""The map bar: how far a map is, the buttons that start and stop it, and the way out of its windows."""

from collections.abc import Sequence

import panel as pn
import panel_material_ui as pmui

from dashboard.widgets.study_bar import STYLE, BarState, StudyBar
from engine.sweep import duration

MAX_STEPS = 6
"""Windows on the way that have a button."""


class MapBar(StudyBar):
    """The progress of a map's runs with the time that is left, and the windows on the way to the one that is shown."""

    def more(self) -> list[pn.viewable.Viewable]:
        self._cluster = pmui.Button(
            label="The cluster's own page", icon="open_in_new", size="small", variant="text", margin=0, target="_blank"
        )
        self._shown: object = None
        self._way = pn.Row(margin=0, stylesheets=[STYLE])
        return [self._cluster, self._way]

    def state(self) -> BarState:
        found = self._run.study
        press, icon = ("Stop", "stop") if found.busy else ("Compute", "grid_on")
        share = found.progress.share if found.progress else 0.0
        return BarState(
            press, icon, found.busy, share, found.message or self._in_words(), found.is_done and not found.busy
        )

    def draw(self) -> None:
        """Show the progress and the way."""
        super().draw()
        found = self._run.study
        windows, dashboard = list(found.windows), found.workers.dashboard if found.workers else ""
        if (windows, dashboard) == self._shown:
            return
        self._shown = windows, dashboard
        self._cluster.param.update(href=dashboard or None, visible=bool(dashboard))
        self._way.param.update(objects=self._steps(), visible=bool(windows))

    def _steps(self) -> list[pn.viewable.Viewable]:
        """A button for each window on the way, the innermost ones of many; the last is the one that is shown."""
        windows = self._run.study.windows
        return [self._step(level, windows[level]) for level in range(max(0, len(windows) - MAX_STEPS), len(windows))]

    def _step(self, level: int, window: Sequence[float]) -> pn.viewable.Viewable:
        last = level == len(self._run.study.windows) - 1
        button = pmui.Button(
            label=_in_words(window) if level else "The whole map",
            icon="zoom_in" if level else "zoom_out_map",
            size="small",
            variant="text",
            margin=0,
            disabled=last,
        )
        button.on_click(lambda _: self._run.study.go_out(level))
        return button

    def _in_words(self) -> str:
        found = self._run.study
        size = f"{found.side} × {found.side} runs of {found.epochs:,} epochs"
        if found.progress is None:
            return f"{size}: not computed yet"
        if found.is_done:
            return f"{size}: done"
        left = found.progress.seconds_left
        soon = "" if left is None else f", about {duration(left)} left"
        where = f" on {found.workers.words}" if found.workers else ""
        return f"{size}{where}: {found.progress.share:.0%}{soon if found.busy else ', stopped'}"


def _in_words(window: Sequence[float]) -> str:
    """The ends of a window, across and up."""
    x_low, x_high, y_low, y_high = window
    return f"{x_low:.3g} to {x_high:.3g} × {y_low:.3g} to {y_high:.3g}"
