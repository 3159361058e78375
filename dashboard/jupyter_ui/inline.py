"""A watched training, shown live by the very cell of a notebook that runs it."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from dashboard.jupyter_ui import kernel
from dashboard.server.host import host
from dashboard.shell.app import App
from dashboard.tracking import logger
from dashboard.tracking.log_reader import POLL_INTERVAL_S
from dashboard.tracking.logger import Logger
from dashboard.tracking.tracked_run import TrackedRun, WatchSettings


def show(watching: Logger) -> bool:
    """Show what a program logs of its training below the cell; False where there is no notebook."""
    host()
    if kernel.KERNEL is None:
        return False
    kernel.KERNEL.display(App(TrackedRun(WatchSettings(feed=watching.id)), page="watch", lazy=True))
    watching.log, watching.log_epoch = _drawing(watching.log), _drawing(watching.log_epoch)
    watching.close = _drawing_the_end(watching.close)
    return True


def _drawing(log: Callable[..., None]) -> Callable[..., None]:
    """The same, and a frame where one is due: the loop that logs keeps the kernel from drawing any."""

    @wraps(log)
    def log_and_draw(*arguments: Any, **named: Any) -> None:
        log(*arguments, **named)
        kernel.beat()

    return log_and_draw


def _drawing_the_end(close: Callable[..., None]) -> Callable[..., None]:
    """The same, and the image of what came of it, which is what the notebook keeps."""

    @wraps(close)
    def close_and_draw(*arguments: Any, **named: Any) -> None:
        close(*arguments, **named)
        time.sleep(POLL_INTERVAL_S)  # no reader looks sooner
        kernel.draw_stills()

    return close_and_draw


if show not in logger.DISPLAYS:
    logger.DISPLAYS.append(show)
