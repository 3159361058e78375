"""Files that are written as a whole or not at all, even if the process is killed meanwhile."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write(path: Path, content: bytes) -> None:
    """Write a file: it takes the path's place once it is safe on disk.

    Raises:
        OSError: If it cannot be written; what was there before is there still.
    """
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to: it takes the path's place once it is safe on disk, and vanishes if anything goes wrong."""
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    file = part.open("xb")
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Have the folder's new entry survive a power cut, where folders can be opened for that."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
