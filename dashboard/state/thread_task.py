"""Thread tasks do long work in a thread of their own, piece by piece, and can be dropped at any time."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext

log = logging.getLogger(__name__)

REFUSED = "cannot schedule new futures"
"""How the error begins with which executors refuse tasks, when they were closed or the program is leaving."""

LEAVING_SECONDS = 5
"""How long a program that is leaving may take until its main thread has ended."""


class ThreadTask:
    """Runs through an iterator in its own thread until it ends or is dropped.

    For pieces that wait, such as for other processes, or that take long without holding the interpreter's lock, such as
    large matrices. Short pieces of Python are better done as a `CooperativeTask` of the scheduler.
    """

    _turn = threading.Lock()

    def __init__(
        self,
        pieces: Iterator[object],
        failed: Callable[[Exception], None] = lambda error: None,
        in_turn: bool = False,
    ) -> None:
        """Begin the work.

        Args:
            pieces: Iterator that does one piece at each step.
            failed: Called with an error that ended the work; it has been logged.
            in_turn: Whether to do one piece at a time of all such tasks in the process. For pieces that compute:
                threads that compute at once only wait for one another, and everybody waits for them.
        """
        self._pieces, self._failed = pieces, failed
        self._alone = self._turn if in_turn else nullcontext()
        self._dropped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether it is still at work."""
        return self._thread.is_alive() and not self._dropped.is_set()

    def drop(self) -> None:
        """Drop the rest of the work, after the current piece."""
        self._dropped.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it has ended, or for so many seconds."""
        self._thread.join(seconds)

    def _next(self) -> object:
        """The next piece, or this task itself when there is none."""
        with self._alone:
            return self if self._dropped.is_set() else next(self._pieces, self)

    def _run(self) -> None:
        try:
            while not self._dropped.is_set() and self._next() is not self:
                pass
        except Exception as error:
            if REFUSED in str(error) and _is_leaving():
                return
            log.exception("a job was stopped by an error")
            self._failed(error)
        finally:
            if hasattr(self._pieces, "close"):
                self._pieces.close()


def _is_leaving() -> bool:
    """Whether the program is about to end, so that nobody is there to be told of anything."""
    main = threading.main_thread()
    main.join(LEAVING_SECONDS)
    return not main.is_alive()
