"""The settings in which several runs differ."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.state.settings import FAMILIES, OPTIONS
from dashboard.storage.run_archive import ASIDE
from engine.options import options


def differences(settings: Sequence[Mapping[str, Any]]) -> dict[str, tuple]:
    """By name, the settings in which runs differ, with a value for each run; None where a run has no such setting.

    Settings without effect are left out: the speed, the stop rules, and options of an optimizer, dataset and so on that
    a run does not use.
    """
    used = [{name: value for name, value in one.items() if _counts(name, one)} for one in settings]
    names = dict.fromkeys(name for one in used for name in one)
    table = {name: tuple(one.get(name) for one in used) for name in names}
    return {name: values for name, values in table.items() if len({json.dumps(value) for value in values}) > 1}


def _counts(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether a setting affects what is computed."""
    if name in ASIDE:
        return False
    if name not in OPTIONS or "surface" in settings:
        return True
    chosen = [family.get(settings.get(choice)) for choice, family in FAMILIES.items()]
    return any(name in options(member) for member in chosen if member)
