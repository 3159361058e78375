"""The stages of a deep linear network: Saxe, McClelland and Ganguli 2014.

Two linear layers, whitened inputs, a balanced small start: every mode of the input-output correlation is learned by
itself, along a sigmoid whose delay grows like the logarithm of the start and falls with the mode's strength.
"""

import numpy as np


def mode_strengths(t: np.ndarray, strength: np.ndarray | float, start: float, tau: float = 1.0) -> np.ndarray:
    """a(t), how much of a mode is learned at a time: s e^(2st/tau) / (e^(2st/tau) - 1 + s/a0).

    Args:
        t: Times; a step of gradient descent is one of `tau` = 1 / rate.
        strength: s, the singular value of the mode.
        start: a0, the product of both layers' first weights along it.
        tau: The time constant.
    """
    decayed = np.exp(-2 * np.asarray(strength) * np.asarray(t) / tau)
    return strength / (1 - decayed + decayed * np.asarray(strength) / start)


def from_start(t: np.ndarray, strength: float, grown: float, shrunk: float, tau: float = 1.0) -> np.ndarray:
    """How much of a mode is learned from any start of both layers' weights u and v along it: u . v at a time.

    u . v is P - Q with P = |u + v|^2 / 4, which grows, and Q = |u - v|^2 / 4, which shrinks, so that P Q stays. Without
    Q this is `mode_strengths`, of the start P. In wide layers of random weights with |u|^2 = |v|^2 = a0, both are a0/2.

    Args:
        t: Times; a step of gradient descent is one of `tau` = 1 / rate.
        strength: s, the singular value of the mode.
        grown: P at the start, above 0.
        shrunk: Q at the start.
        tau: The time constant.
    """
    spread = np.sqrt(strength**2 + 4 * grown * shrunk)
    high, low = (strength + spread) / (2 * grown), (strength - spread) / (2 * grown)
    left = (1 - high) / (1 - low) * np.exp(-2 * spread * np.asarray(t) / tau)
    growth = (high - low * left) / (1 - left)
    return grown * growth - shrunk / growth


def half_time(strength: np.ndarray | float, start: float, tau: float = 1.0) -> np.ndarray:
    """When half of a mode is learned: tau / (2s) ln(s / a0 - 1)."""
    return tau / (2 * np.asarray(strength)) * np.log(np.asarray(strength) / start - 1)


def descended(strengths: np.ndarray, start: float, rate: float, steps: int) -> np.ndarray:
    """(steps + 1, modes) the products of both layers' weights, mode by mode, under gradient descent."""
    strengths = np.asarray(strengths, dtype=float)
    outer = inner = np.full(strengths.shape, np.sqrt(start))
    found = [outer * inner]
    for _ in range(steps):
        missing = strengths - outer * inner
        outer, inner = outer + rate * missing * inner, inner + rate * missing * outer
        found.append(outer * inner)
    return np.array(found)
