"""The axes of a map: numbers of a run that can be varied along a side of a picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import param

from dashboard.state.settings import (
    COMMON,
    FAMILIES,
    MAX_HIDDEN_LAYERS,
    MAX_MULTIPLIER,
    MAX_UNITS_PER_LAYER,
    OPTIONS,
    Settings,
)
from engine.options import options
from engine.sweep import Axis

DEPTH, WIDTH = "depth", "width"
FIRST_RATE, LAST_RATE = "first_rate", "last_rate"
"""Axes that are no settings of their own: how many hidden layers there are, how many units each has, and what the
learning rate is multiplied by in the first and in the last layer."""

RATES = {FIRST_RATE: 0, LAST_RATE: -1}
"""The place of each among the rates of the layers."""


@dataclass(frozen=True)
class MapAxis:
    """What can be varied, and between which bounds it may be.

    Attributes:
        name: A setting, `depth` or `width`.
        label: What it is called on the page.
        bounds: The lowest and the highest value that a run can have.
        usual: The ends with which a map begins.
        is_log: Whether it is varied by factors.
        is_whole: Whether it has whole numbers only.
    """

    name: str
    label: str
    bounds: tuple[float, float]
    usual: tuple[float, float]
    is_log: bool = False
    is_whole: bool = False

    def between(self, low: float, high: float) -> Axis:
        """The axis of a sweep between two ends."""
        return Axis(self.name, low, high, scale="log" if self.is_log else "linear", whole=self.is_whole)

    def value_of(self, settings: Settings) -> float:
        """What a run with these settings has on this axis."""
        if self.name == DEPTH:
            return len(settings.hidden)
        if self.name == WIDTH:
            return max(settings.hidden, default=0)
        if self.name in RATES:
            return settings.layer_rates[RATES[self.name]] if settings.layer_rates else 1.0
        return getattr(settings, self.name)

    def changes(self, values: Mapping[str, Any], value: float) -> dict[str, Any]:
        """The settings to change, of these values, so that a run has this value."""
        number, hidden = round(value) if self.is_whole else float(value), values["hidden"]
        if self.name == DEPTH:
            return {"hidden": [max(hidden, default=8)] * number}
        if self.name in RATES:
            rates = list(values["layer_rates"]) or [1.0] * (len(hidden) + 1)
            rates[RATES[self.name]] = number
            return {"layer_rates": rates}
        return {"hidden": [number] * len(hidden)} if self.name == WIDTH else {self.name: number}

    def misfit(self, settings: Settings) -> str:
        """Why runs with these settings do not differ along this axis, as a sentence; empty where they do."""
        if self.name == WIDTH and not settings.hidden:
            return "There is no hidden layer whose width could be varied. Add one, or choose another axis."
        if self.name not in OPTIONS or self.name in COMMON:
            return ""
        owners = [choice for choice, family in FAMILIES.items() if self.name in _options(family)]
        if any(self.name in settings.options(choice) for choice in owners):
            return ""
        members = [
            name for choice in owners for name, member in FAMILIES[choice].items() if self.name in _names(member)
        ]
        return (
            f"“{self.label}” is not a number of {' or '.join(getattr(settings, choice) for choice in owners)}. "
            f"Choose {', '.join(members)}, or another axis."
        )


def _axes() -> dict[str, MapAxis]:
    most = min(12, MAX_HIDDEN_LAYERS)
    found = [
        _of_setting("learning_rate", (1e-3, 10.0)),
        _of_setting("std", (0.01, 10.0), label="Weight std"),
        MapAxis(WIDTH, "Width", (1, MAX_UNITS_PER_LAYER), (1, 64), is_log=True, is_whole=True),
        MapAxis(DEPTH, "Depth", (0, MAX_HIDDEN_LAYERS), (1, most), is_whole=True),
        _of_setting("n", (20, 1000), is_log=True),
        _of_setting("noise", (0.0, 0.5)),
        _of_setting("validation", (0.0, 0.9)),
        _of_setting("batch_size", (1, 128), is_log=True),
        _of_setting("l2", (1e-5, 1.0), is_log=True),
        _of_setting("l1", (1e-5, 1.0), is_log=True),
        _of_setting("bias", (-5.0, 5.0)),
        _of_setting("seed", (0, 63)),
        _of_setting("sigma_w", (0.2, 5.0), label="Weight spread σ_w"),
        MapAxis(FIRST_RATE, "First layer's rate", (1e-6, MAX_MULTIPLIER), (1e-3, 1e6), is_log=True),
        MapAxis(LAST_RATE, "Last layer's rate", (1e-6, MAX_MULTIPLIER), (1e-3, 1e6), is_log=True),
    ]
    names = {axis.name for axis in found}
    found += [_of_setting(name) for name in OPTIONS if name not in names]
    return {axis.name: axis for axis in found}


def _of_setting(
    name: str, usual: tuple[float, float] | None = None, is_log: bool | None = None, label: str = ""
) -> MapAxis:
    """The axis of a setting; how it is varied is said by the engine's option, where it is one."""
    parameter, option = Settings.param[name], OPTIONS.get(name)
    low, high = parameter.bounds
    return MapAxis(
        name,
        label or parameter.label,
        (low, high),
        usual or (low, high),
        bool(option and option.range.log) if is_log is None else is_log,
        isinstance(parameter, param.Integer),
    )


def _options(family: Mapping[str, Any]) -> set[str]:
    return set().union(*map(_names, family.values()))


def _names(member: Any) -> set[str]:
    return set(options(member))


AXES = _axes()
"""Every axis by name, the most usual first."""
