"""The settings of a run that is followed, to be read: what has just changed there stands out for some seconds."""

from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.state.choices import Choices
from dashboard.state.followed import FollowedRun
from dashboard.state.settings import FAMILIES, Settings
from dashboard.state.store import Shown
from dashboard.widgets.beside import beside
from dashboard.widgets.controls import SECTIONS, STEPS
from engine.features import FeatureMap

MARKED_S = 8
"""For how long a change stands out."""

NOT_THERE = {"data_seed": -1, "batch_seed": -1, "stop_epoch": 0, "stop_loss": 0, "stop_plateau": 0, "embedding": 0}
"""Values that mean that there is none of its own."""


class FollowedSettings(JSComponent):
    """A table of settings by section. The browser marks what differs from before, with what it was."""

    sections = param.List(default=[], doc="Pairs of a title and its rows, each a name, a label and a value as text.")
    marked_s = param.Number(default=MARKED_S, constant=True, doc="Seconds for which a change is marked.")
    server_only: ClassVar[tuple[str, ...]] = ("sections", "marked_s")

    _esm = beside(__file__, "followed_settings.js")
    _stylesheets: ClassVar[list[str]] = [beside(__file__, "followed_settings.css")]

    def __init__(self, run: FollowedRun, **params: Any) -> None:
        """Show the settings of a followed run, as they are there."""
        made = {"sizing_mode": "stretch_width", "margin": (14, 14, 8, 14), **params}
        super().__init__(sections=_sections(run), **made)
        run.settings.param.watch(lambda *_: self.param.update(sections=_sections(run)), run.settings.names())


def _sections(run: Shown) -> list[list[Any]]:
    """The settings of a run by section; those of a race or a world, which have none, in one."""
    settings = run.settings
    if not isinstance(settings, Settings):
        return [["Settings", [_row(settings, name) for name in settings.names()]]]
    return [
        [title, [_row(settings, name) for first in names for name in _with_options(settings, first)]]
        for title, names in SECTIONS.items()
    ]


def _with_options(settings: Settings, name: str) -> list[str]:
    """A setting, and those that belong to what is chosen for it."""
    return [name, *(settings.options(name) if name in FAMILIES else ())]


def _row(choices: Choices, name: str) -> list[str]:
    return [name, choices.param[name].label, in_words(choices, name)]


def in_words(choices: Choices, name: str) -> str:
    """The value of a choice as a user reads it."""
    value, parameter = getattr(choices, name), choices.param[name]
    if name in NOT_THERE and value == NOT_THERE[name]:
        return "–"
    steps = STEPS.get(name, ())
    if len(steps) > 1 and value in steps[1]:
        return steps[1][value]
    if isinstance(parameter, param.Selector) and not isinstance(parameter, param.ListSelector):
        return next((label for label, one in parameter.names.items() if one == value), str(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "features":
        return ", ".join(FeatureMap.of(value).labels)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
