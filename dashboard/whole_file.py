"""Whole file: files that are there as a whole or not at all, whoever is killed in the midst of writing them."""

import os
import uuid
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write a file: it takes the path's place once it is safe on disk.

    Raises OSError when it cannot be written; what was there before is there still.
    """
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
