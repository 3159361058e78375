"""Features of two numbers: what a network is given of the points of a plane, in place of their coordinates.

A `FeatureMap` is fixed and has nothing to learn. With x1 and x2 alone a network sees the coordinates themselves.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from engine.datasets import Dataset


@dataclass(frozen=True)
class Feature:
    """One number made of the two coordinates of a point.

    Attributes:
        label: What it is called in pictures.
        function: It, for the arrays x1 and x2.
        expression: The same as code, in the columns of an array `x`, with `{library}` in front of functions.
    """

    label: str
    function: Callable[[np.ndarray, np.ndarray], np.ndarray]
    expression: str


FEATURES: dict[str, Feature] = {
    "x1": Feature("x₁", lambda x1, x2: x1, "x[:, 0]"),
    "x2": Feature("x₂", lambda x1, x2: x2, "x[:, 1]"),
    "x1^2": Feature("x₁²", lambda x1, x2: x1 * x1, "x[:, 0] * x[:, 0]"),
    "x2^2": Feature("x₂²", lambda x1, x2: x2 * x2, "x[:, 1] * x[:, 1]"),
    "x1 x2": Feature("x₁x₂", lambda x1, x2: x1 * x2, "x[:, 0] * x[:, 1]"),
    "sin x1": Feature("sin x₁", lambda x1, x2: np.sin(x1), "{library}.sin(x[:, 0])"),
    "sin x2": Feature("sin x₂", lambda x1, x2: np.sin(x2), "{library}.sin(x[:, 1])"),
}

COORDINATES = ("x1", "x2")
"""The features that leave a point as it is."""


@dataclass(frozen=True)
class FeatureMap:
    """Some of the `FEATURES`, always in their order there.

    Attributes:
        names: Which.
    """

    names: tuple[str, ...]

    @classmethod
    def of(cls, names: Iterable[str]) -> "FeatureMap":
        """The map of these features, in whatever order they are named.

        Raises:
            ValueError: If there are none, or one is unknown.
        """
        asked = list(names)
        unknown = [name for name in asked if name not in FEATURES]
        if unknown or not asked:
            wrong = repr(unknown[0]) if unknown else "nothing"
            raise ValueError(f"{wrong} is no input feature; choose at least one of {', '.join(FEATURES)}")
        return cls(tuple(name for name in FEATURES if name in asked))

    @property
    def is_identity(self) -> bool:
        """Whether a point stays as it is."""
        return self.names == COORDINATES

    @property
    def labels(self) -> list[str]:
        """What the features are called in pictures."""
        return [FEATURES[name].label for name in self.names]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(n, features) of the points, (n, 2).

        Raises:
            ValueError: If the points have another number of coordinates.
        """
        if points.ndim != 2 or points.shape[1] != len(COORDINATES):
            raise ValueError(f"points have the shape {points.shape}; features are made of two numbers, (n, 2)")
        x1, x2 = points.T
        return np.column_stack([FEATURES[name].function(x1, x2) for name in self.names])

    def apply(self, data: Dataset) -> Dataset:
        """The same examples with the features as inputs; what is to be predicted is left as it is."""
        return replace(data, x=self(data.x))

    def code(self, library: str) -> str:
        """The columns as expressions in an array `x`, for `np` or `torch`, separated by commas."""
        return ", ".join(FEATURES[name].expression.format(library=library) for name in self.names)
