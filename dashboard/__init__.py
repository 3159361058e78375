"""The laboratory's pictures, pages and controls around the engine: `from dashboard import App, Run, Settings`.

Names are imported when they are asked for, so that a run needs neither Panel nor Bokeh.
"""

import sys
from importlib import import_module
from typing import Any

_HOMES = {
    "App": "dashboard.app",
    "Run": "dashboard.run",
    "Settings": "dashboard.settings",
    "observe": "dashboard.watching.lab",
    "watch": "dashboard.watching.lab",
}

_INLINE = {"observe", "watch"}
"""What a cell of a notebook shows below itself."""

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"dashboard has no {name!r}; it offers {', '.join(_HOMES)}")
    if name in _INLINE and "ipykernel" in sys.modules:
        import_module("dashboard.cells.inline")
    return getattr(import_module(_HOMES[name]), name)
