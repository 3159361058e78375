"""Writes to the laboratory's folder that another process may keep waiting, which keep nobody else waiting meanwhile."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from dashboard.storage.home import at_once, is_busy


@dataclass(frozen=True, eq=False)
class _Write:
    outcome: Future
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]


class WaitingWrites:
    """The writes of one page, in the order in which they are asked for.

    Each is tried at once. One that finds the folder locked goes on in a thread, which waits for the lock, and so do
    those that are asked for meanwhile. `poll` has the page hear what became of them. A page that is closed hears
    nothing more, but what it wrote is written: the thread is waited for even when the process ends.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="waiting-writes")
        self._waiting: deque[_Write] = deque()

    @property
    def waiting(self) -> int:
        """How many writes the page has not heard of yet."""
        return len(self._waiting)

    def do(self, act: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]) -> bool:
        """Write, at once or as soon as the lock is free; False where it waits.

        Args:
            act: Writes, and returns what came of it; it may be called twice, and in a thread.
            done: Called with that, here or by `poll`.
            failed: Called with a ValueError or an OSError instead.
        """
        if not self._waiting:
            try:
                with at_once():
                    result = act()
            except (ValueError, OSError) as error:
                if not is_busy(error):
                    failed(error)
                    return True
            else:
                done(result)
                return True
        self._waiting.append(_Write(self._thread.submit(act), done, failed))
        return False

    def poll(self) -> None:
        """Hear what became of the writes that waited: called once a beat."""
        while self._waiting and self._waiting[0].outcome.done():
            write = self._waiting.popleft()
            error = write.outcome.exception()
            if error is None:
                write.done(write.outcome.result())
            elif isinstance(error, (ValueError, OSError)):
                write.failed(error)
            else:
                raise error
