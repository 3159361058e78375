"""Which release of a library is installed."""

import re
from functools import cache
from importlib.metadata import version

Release = tuple[int, int]
"""The first two numbers of a version, such as (1, 10)."""


@cache
def release(package: str) -> Release:
    """The release of an installed package; what follows its second number is left out."""
    major, minor = re.findall(r"\d+", version(package))[:2]
    return int(major), int(minor)
