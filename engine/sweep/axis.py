"""A setting that varies along one side of a map."""

from dataclasses import dataclass

import numpy as np

SCALES = ("linear", "log")
"""How values may be spaced."""


@dataclass(frozen=True)
class Axis:
    """A setting and the stretch of values that a map covers.

    The values are those of pixel centers: `count` pixels cut the stretch into equal parts, and a pixel's value lies in
    the middle of its part. So the edges of the picture are `low` and `high`, and a map that covers half of the stretch
    shares no pixel with this one.
    Raises ValueError for a scale or bounds that do not fit.

    Attributes:
        name: Of the setting.
        low, high: The edges of the first and of the last pixel.
        scale: "linear" or "log".
        whole: The values are whole numbers, rounded; those that round alike are one pixel.
    """

    name: str
    low: float
    high: float
    scale: str = "linear"
    whole: bool = False

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"scale {self.scale!r} is unknown; choose one of {', '.join(SCALES)}")
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise ValueError(f"{self.name} from {self.low} to {self.high} is no stretch; low must be less than high")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"{self.name} from {self.low} has no logarithmic scale; low must be greater than 0")

    def values(self, count: int) -> np.ndarray:
        """(count,) the pixels' values, ascending; fewer where whole numbers run out.

        Raises:
            ValueError: If count is less than 1, or no whole number lies between the bounds.
        """
        if count < 1:
            raise ValueError(f"{count} pixels along {self.name} are impossible; choose 1 or more")
        values = self.at((np.arange(count) + 0.5) / count)
        return self._whole(values) if self.whole else values

    def at(self, share: np.ndarray) -> np.ndarray:
        """The values at shares of the way from low to high."""
        if self.scale == "linear":
            return self.low + share * (self.high - self.low)
        low, high = np.log10([self.low, self.high])
        return 10.0 ** (low + share * (high - low))

    def share(self, values: np.ndarray | float) -> np.ndarray:
        """How far along the axis values lie: 0 at low, 1 at high."""
        low, high, at = (np.log10(one) if self.scale == "log" else one for one in (self.low, self.high, values))
        return (np.asarray(at) - low) / (high - low)

    def _whole(self, values: np.ndarray) -> np.ndarray:
        least, most = np.ceil(self.low), np.floor(self.high)
        if least > most:
            raise ValueError(f"{self.name} from {self.low} to {self.high} holds no whole number; choose wider bounds")
        return np.unique(np.clip(np.rint(values), least, most))
