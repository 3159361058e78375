"""How an embedding of the numbers modulo p is spread over frequencies."""

import numpy as np


def embedding_spectrum(weights: np.ndarray, modulus: int) -> np.ndarray:
    """(modulus // 2,) the share of each frequency 1, 2, ... in what the first layer makes of a and of b.

    The weights of a unit on the numbers 0 to p - 1 are a signal on a circle; its discrete Fourier transform without the
    mean is squared, and summed over units and over both numbers (Nanda et al. 2023, section 4).

    Args:
        weights: (2 modulus, units) of the first layer: the inputs say a, then b, each by a single 1.
        modulus: p.
    """
    squares = np.abs(np.fft.rfft(weights.reshape(2, modulus, -1), axis=1)) ** 2
    sums = squares[:, 1 : modulus // 2 + 1].sum(axis=(0, 2))
    return sums / max(float(sums.sum()), np.finfo(float).tiny)


def frequencies_for(shares: np.ndarray, part: float = 0.9) -> int:
    """How many frequencies, the strongest first, hold such a part of the whole."""
    return int(np.searchsorted(np.cumsum(np.sort(shares)[::-1]), part)) + 1
