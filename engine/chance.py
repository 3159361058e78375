"""From one seed, a stream of random numbers for every purpose, so that nothing drawn is drawn twice.

    rng = stream(seed, "weights")

What is drawn for one purpose says nothing about what is drawn for another, and the same seed and purpose give the same
numbers on every machine.
"""

import numpy as np

FORMAT = 2
"""How purposes share out a seed: 1 gave all of them the same stream, 2 gives each its own."""

PURPOSES = {
    "points": 0,
    "noise": 1,
    "outliers": 2,
    "split": 3,
    "weights": 4,
    "minibatches": 5,
    "plane": 6,
    "lanczos": 7,
    "rows read": 8,
    "rows taken": 9,
    "pen": 10,
    "biases": 11,
    "labels": 12,
    "pixels": 13,
}
"""What is drawn, and the key of its stream. A key never changes and is never given away again: runs depend on it.

points        where examples lie before noise is added
noise         what is added to examples
outliers      which examples are thrown far off
split         which examples are held out
weights       a network's before it is trained
minibatches   the order of the examples, epoch by epoch
plane         random directions to look at a loss along
lanczos       where the search for the sharpest direction starts
rows read, rows taken   samples of a table that is too long
pen           how points scatter that are drawn by hand
labels        values that have nothing to do with examples, or the teacher that gives them
biases        a network's before it is trained, where they are random
pixels        which of a map's are looked at first
"""


class SharedSeed(int):
    """A seed of format 1: every purpose starts from the beginning of one and the same stream.

    Runs that were made so begin with weights that are their data's noise. It is here to open them as they were.
    """


def seeded(seed: int, version: int = FORMAT) -> int:
    """A seed as runs of this format draw from it. Raises ValueError for a format that is not known."""
    if version not in (1, FORMAT):
        raise ValueError(f"format {version!r} is unknown here; choose 1 or {FORMAT}")
    return SharedSeed(seed) if version == 1 else int(seed)


def stream(seed: int, purpose: str) -> np.random.Generator:
    """The random numbers that a seed has for a purpose, from their beginning.

    Raises:
        ValueError: For an unknown purpose or a negative seed.
    """
    return streams(seed, purpose)[0]


def streams(seed: int, *purposes: str) -> list[np.random.Generator]:
    """Streams for several purposes of one thing; those of a `SharedSeed` are one, each drawing on where the last ended.

    Raises:
        ValueError: For an unknown purpose or a negative seed.
    """
    for purpose in purposes:
        if purpose not in PURPOSES:
            raise ValueError(f"purpose {purpose!r} is unknown; choose one of {', '.join(PURPOSES)}")
    if isinstance(seed, SharedSeed):
        return [np.random.default_rng(int(seed))] * len(purposes)
    return [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(PURPOSES[one],))) for one in purposes]
