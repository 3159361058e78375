"""The laboratory's pictures, pages and controls around the engine: `from dashboard import App, Run, Settings`.

Names are imported when they are asked for, so that a run needs neither Panel nor Bokeh. Whoever watches a training is
never stopped by what lies beside the script: see `in_the_way`.
"""

import sys
from importlib import import_module
from typing import Any

_HOMES = {
    "App": "dashboard.shell.app",
    "Run": "dashboard.state.run",
    "Settings": "dashboard.state.settings",
    "data_frame": "dashboard.tracking.data_frame",
    "keras_callback": "dashboard.tracking.keras_adapter",
    "lightning_callback": "dashboard.tracking.lightning_adapter",
    "observe": "dashboard.tracking.logger",
    "observe_estimator": "dashboard.tracking.sklearn_adapter",
    "watch": "dashboard.tracking.logger",
}

HOSTS = {"ipykernel": "dashboard.jupyter_ui.kernel_host"}
"""What shows pictures in a process that has loaded a program of this name; see `dashboard.server.host`."""

_WATCHING = {"keras_callback", "lightning_callback", "observe", "observe_estimator", "watch"}
"""What goes on without us where we cannot be imported, and what a cell of a notebook shows below itself."""

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"dashboard has no {name!r}; it offers {', '.join(_HOMES)}")
    if name in _WATCHING:
        return _watching(name)
    in_the_way = import_module("dashboard.tracking.name_clash")
    if found := in_the_way.file_in_the_way():
        raise ImportError(f"{found} has the name of the laboratory's engine, which {name} needs; rename it")
    return getattr(import_module(_HOMES[name]), name)


def _watching(name: str) -> Any:
    """Whatever watches, or else what does nothing, and a sentence that says why."""
    try:
        in_the_way = import_module("dashboard.tracking.name_clash")
        with in_the_way.ours():
            if "ipykernel" in sys.modules:
                import_module("dashboard.jupyter_ui.inline")
            return getattr(import_module(_HOMES[name]), name)
    except (Exception, SystemExit) as error:
        _say(error)
        return getattr(import_module("dashboard.tracking.null_logger"), name)


def _say(error: BaseException) -> None:
    try:
        said = import_module("dashboard.tracking.name_clash").sentence(error)
    except Exception:
        said = f"{type(error).__name__}: {error}"
    if sys.stderr:
        sys.stderr.write(f"Descent Lab: the training goes on, but is not shown: {said}\n")
