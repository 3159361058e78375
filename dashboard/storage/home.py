"""The laboratory's folder: where it is, the ids of its files, and how several processes share it."""

import errno
import os
import re
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")
"""The id of a file: when it was made, and random digits."""

PART = re.compile(r"\.[0-9a-f]{32}\.part")
"""The name of a file that `engine.atomic_write` has not finished."""

LEFT_OVER_S = 24 * 3600
"""Age at which an unfinished file counts as left behind by a process that was killed."""

REASONS = {
    errno.ENOSPC: "the disk is full; make room and try again",
    errno.EDQUOT: "your share of the disk is full; make room and try again",
    errno.EFBIG: "the file would be larger than is allowed here",
    errno.EROFS: "nothing can be written there; name another folder in DESCENT_LAB_HOME",
    errno.EACCES: "that is not permitted; name another folder in DESCENT_LAB_HOME",
    errno.EPERM: "that is not permitted; name another folder in DESCENT_LAB_HOME",
    errno.ENOTDIR: "a file is in the place of a folder; move it away, or name another folder in DESCENT_LAB_HOME",
    errno.EEXIST: "a file is in the place of a folder; move it away, or name another folder in DESCENT_LAB_HOME",
}


def home() -> Path:
    """The folder of everything that a user keeps: DESCENT_LAB_HOME, or else `descent-lab` in the home directory.

    A user without a home directory, as in a container, has it in the temporary folder.
    """
    try:
        return Path(os.environ.get("DESCENT_LAB_HOME") or "~/descent-lab").expanduser().absolute()
    except RuntimeError:
        return Path(tempfile.gettempdir(), "descent-lab").absolute()


def new_id(now: datetime) -> str:
    """An id that no other file has got by this moment, nor is likely to."""
    return f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


def is_id(key: Any) -> bool:
    """Whether something is the id of a file."""
    return isinstance(key, str) and bool(ID.fullmatch(key))


def reason(error: OSError) -> str:
    """Why the system refused something, and what to do."""
    return REASONS.get(error.errno, error.strerror or str(error))


class BusyError(TimeoutError):
    """Another process holds a lock for too long."""


_AT_ONCE = ContextVar("at once", default=False)


@contextmanager
def at_once() -> Iterator[None]:
    """Have `exclusive` wait for nobody within the context: an event loop, which many depend on, must not wait."""
    before = _AT_ONCE.set(True)
    try:
        yield
    finally:
        _AT_ONCE.reset(before)


def is_busy(error: BaseException) -> bool:
    """Whether nothing was written because another process held a lock: it may be tried again."""
    return isinstance(error, BusyError) or isinstance(error.__cause__, BusyError)


@contextmanager
def exclusive(folder: Path, timeout_s: float) -> Iterator[None]:
    """Lock out all other processes and threads; the system releases the lock of a process that is killed.

    Where the file system knows no locks, two processes that write one file in the same instant may both win.

    Raises:
        BusyError: If another process holds the lock for longer than that, or, within `at_once`, if it holds it now.
    """
    lock = FileLock(folder / ".lock", thread_local=False)
    try:
        lock.acquire(timeout=0 if _AT_ONCE.get() else timeout_s, poll_interval=0.01)
    except Timeout:
        raise BusyError(0, "another process is writing; try again in a moment") from None
    except NotImplementedError:
        pass
    try:
        yield
    finally:
        lock.release()


def sweep(folder: Path) -> None:
    """Delete what a killed process has left behind."""
    with suppress(OSError):
        for path in folder.glob(".*.part"):
            if PART.fullmatch(path.name) and path.stat().st_mtime < time.time() - LEFT_OVER_S:
                path.unlink(missing_ok=True)
