"""Instruments: one picture per file; `from dashboard.instruments import LossCurve` finds its file by its name."""

import re
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def __getattr__(name: str) -> Any:
    module = f"{__name__}.{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).lower()}"
    if find_spec(module) is None:
        raise AttributeError(f"there is no instrument {name!r}")
    return getattr(import_module(module), name)
