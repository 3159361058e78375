"""How a logged training ended, also where the script does not say so."""

import dis
import gc
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import CodeType, FrameType, TracebackType
from typing import Any

from dashboard.tracking import run_log

Ending = tuple[str, str]
"""Words that begin with one of the states in `run_log`, and the class of the exception, if any."""

PROPER: Ending = (run_log.ENDED, "")
BROKEN_OFF: Ending = (f"{run_log.STOPPED} by an exception", "")

LEFT = frozenset(["POP_TOP", "RETURN_VALUE", "RETURN_CONST", "END_FOR", "POP_ITER", "FOR_ITER"])
"""Instructions at which a loop drops its iterator when it is over, broken off or returned from."""


def ending(kind: type[BaseException] | None, error: BaseException | None) -> Ending:
    """How a block was left, given the exception that left it."""
    if kind is None or issubclass(kind, GeneratorExit):
        return PROPER
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    if not issubclass(kind, Exception):
        return f"{run_log.STOPPED} by {kind.__name__}", name
    try:
        said = str(error)
    except Exception:
        said = ""
    return f"{run_log.FAILED}: {kind.__name__}: {said}" if said else f"{run_log.FAILED}: {kind.__name__}", name


def codes_of(frame: FrameType | None) -> frozenset[CodeType]:
    """The functions that run in a frame, from it outwards to the module or the notebook's cell."""
    found = set()
    while frame is not None:
        found.add(frame.f_code)
        if frame.f_code.co_name == "<module>" or frame.f_code.co_name.startswith("<cell line"):
            break
        frame = frame.f_back
    return frozenset(found)


def last_unhandled() -> BaseException | None:
    """The last exception that nobody caught."""
    found = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return found if isinstance(found, BaseException) else None


def let_pass(error: BaseException) -> None:
    """Raise again an exception that belongs to the program."""
    if not is_ours(error):
        raise error


class Whereabouts:
    """Where a logged training runs, to decide later whether an exception ended it. It holds no frame."""

    def __init__(self) -> None:
        self._before = id(last_unhandled())
        self._codes: frozenset[CodeType] = frozenset()
        self._ending: Ending | None = None
        with _LOCK:
            _KNOWN.add(self)
        _watch_threads()

    def note(self, frame: FrameType | None) -> None:
        """Note that the training runs in this frame."""
        self._codes = codes_of(frame)

    @property
    def is_noted(self) -> bool:
        """Whether its frame is known."""
        return bool(self._codes)

    def ending(self) -> Ending:
        """How the training ended if the script did not say: by an exception that left its frame, or properly."""
        error = last_unhandled()
        if self._ending is None and error is not None and id(error) != self._before:
            self.note_error(error)
        return self._ending or PROPER

    def note_error(self, error: BaseException) -> None:
        """Note an exception that nobody caught."""
        if any(frame.f_code in self._codes for frame in _frames(error.__traceback__)):
            self._ending = ending(type(error), error)


def is_left_by_an_exception(frame: FrameType) -> bool:
    """Whether an exception is propagating out of a frame, which drops a loop's iterator at this moment.

    Python does not tell the iterator so; but a traceback exists already, which points at the frame's current
    instruction.
    """
    at = _instruction(frame)
    if at == "YIELD_VALUE" and frame.f_back is not None:  # a generator around the loop is what was let go of
        return is_left_by_an_exception(frame.f_back)
    if at in LEFT or at == "RERAISE":
        return at == "RERAISE"
    return any(
        type(one) is TracebackType and one.tb_frame is frame and one.tb_lasti == frame.f_lasti
        for one in gc.get_referrers(frame)
    )


def is_of_a_signal(error: BaseException) -> bool:
    """Whether an exception comes from a signal handler, such as a time limit, and is meant for the program."""
    handlers = set()
    for number in signal.valid_signals():
        with suppress(ValueError, OSError):
            handler = signal.getsignal(number)
            handlers.add(getattr(getattr(handler, "__func__", handler), "__code__", None))
    return any(frame.f_code in handlers for frame in _frames(error.__traceback__))


def is_ours(error: BaseException) -> bool:
    """Whether an exception raised while something was logged is of no concern to the program."""
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        return False
    return not is_of_a_signal(error)


def _watch_threads() -> None:
    """Note which exceptions end threads, ahead of any hook that is installed already."""
    with _LOCK:
        if not isinstance(threading.excepthook, _ThreadHook):
            threading.excepthook = _ThreadHook(threading.excepthook)


class _ThreadHook:
    """A hook for exceptions that end threads, which passes them on."""

    def __init__(self, before: Callable[[Any], Any]) -> None:
        self._before = before

    def __call__(self, args: Any) -> Any:
        with suppress(Exception):
            if args.exc_value is not None and args.exc_type is not SystemExit:
                for place in list(_KNOWN):
                    place.note_error(args.exc_value)
        return self._before(args)


_KNOWN: "weakref.WeakSet[Whereabouts]" = weakref.WeakSet()
_LOCK = threading.Lock()


def _frames(trace: TracebackType | None) -> Iterator[FrameType]:
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _instruction(frame: FrameType) -> str:
    """The name of the instruction that a frame is at."""
    with suppress(IndexError):
        return dis.opname[frame.f_code.co_code[frame.f_lasti]]
    return ""
