"""The cascade beyond the edge of stability: gradient descent on L = (w1 w2 - 1)^2 / 2 from w1 = w2.

One step is w' = w - rate (w^2 - 1) w, a cubic map: a fixed point, then period 2, 4, 8, chaos, divergence.
"""

import math

import numpy as np

FIRST, SECOND, LAST = 1.0, math.sqrt(5) - 1, 2.0
"""Rates at which the fixed point gives way to a cycle of 2, that to one of 4, and beyond which everything diverges.

The first is the edge of stability: the sharpness at the minimum is 2, and 2 / rate falls below it."""

START = 0.5


def advanced(w: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Both weights after one step of gradient descent."""
    return w - rate * (w**2 - 1) * w


def orbits(rates: np.ndarray, skip: int = 1000, keep: int = 200, start: float = START) -> np.ndarray:
    """(keep, rates) the weights to which runs come, once the first `skip` steps are over; nan for what has diverged."""
    rates = np.asarray(rates, dtype=float)
    w, found = np.full(rates.shape, float(start)), []
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(skip + keep):
            w = advanced(w, rates)
            if step >= skip:
                found.append(w)
    return np.where(np.isfinite(found), found, np.nan)


def periods(found: np.ndarray, most: int = 32, close: float = 1e-6) -> np.ndarray:
    """(rates,) after how many steps each of the orbits repeats itself; 0 where it does not within `most` of them."""
    lengths = np.zeros(found.shape[1], int)
    for length in range(min(most, len(found) - 1), 0, -1):
        repeats = (np.abs(found[length:] - found[:-length]) < close).all(axis=0)
        lengths[repeats] = length
    return lengths
