"""Double descent of least squares without a ridge, on isotropic Gaussian features: Hastie et al. 2019."""

import numpy as np

from engine.chance import stream


def excess_risk(ratio: np.ndarray | float, noise: float, signal: float = 1.0) -> np.ndarray:
    """The risk above the noise, for many examples: sigma^2 g/(1 - g) for g < 1, r^2 (1 - 1/g) + sigma^2/(g - 1) above.

    Args:
        ratio: g, features over examples.
        noise: sigma, the standard deviation of the noise in the answers.
        signal: r, the length of the true coefficients.
    """
    g = np.asarray(ratio, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        under = noise**2 * g / (1 - g)
        over = signal**2 * (1 - 1 / g) + noise**2 / (g - 1)
    return np.where(g < 1, under, np.where(g > 1, over, np.inf))


def finite_excess_risk(features: int, examples: int, noise: float, signal: float = 1.0) -> float:
    """The mean of the same over all draws of so many examples, exactly, from the mean of an inverse Wishart matrix.

    Infinite where features and examples differ by less than 2.

    Raises:
        ValueError: If there is no feature or no example.
    """
    _check(features, examples)
    if abs(features - examples) < 2:
        return np.inf
    if features < examples:
        return noise**2 * features / (examples - features - 1)
    return signal**2 * (1 - examples / features) + noise**2 * examples / (features - examples - 1)


def _check(features: int, examples: int) -> None:
    if min(features, examples) < 1:
        raise ValueError(f"{features} features of {examples} examples cannot be fitted; give one of both at least")


def measured_risk(features: int, examples: int, noise: float, signal: float = 1.0, seed: int = 0) -> float:
    """The same of one draw: the squared distance of the shortest least squares solution from the true coefficients.

    Raises:
        ValueError: For less than one feature or example.
    """
    _check(features, examples)
    truth = stream(seed, "weights").standard_normal(features)
    truth *= signal / np.linalg.norm(truth)
    x = stream(seed, "points").standard_normal((examples, features))
    answers = x @ truth + noise * stream(seed, "noise").standard_normal(examples)
    found = np.linalg.lstsq(x, answers, rcond=None)[0]
    return float(((found - truth) ** 2).sum())
