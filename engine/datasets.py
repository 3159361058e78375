"""Small problems to learn, and the examples they are made of.

A dataset is a function `(n, noise, seed, **its own options) -> Dataset`; the same arguments give the same examples, bit
for bit on the same kind of processor, and but for the rounding of sines on another. All live near the origin at a scale
of about one, and classes take turns (0, 1, 0, 1, ...), so that they are balanced to within one example and none hides
another when drawn.

Most are made to be looked at, with one or two features. Those after `step` have many, and theories about them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from engine.chance import stream, streams
from engine.options import Range

Count = Annotated[int, Range(10, 5000, log=True, doc="How many examples to draw.", unit="examples")]
Noise = Annotated[float, Range(0.0, 1.0, doc="Standard deviation of the Gaussian noise added to every example.")]
Dimension = Annotated[int, Range(1, 50, doc="How many numbers describe an example.", unit="features")]
Classes = Annotated[int, Range(2, 5, doc="How many classes there are to tell apart.", unit="classes")]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples and what is to be learned of them.

    Attributes:
        x: (n, features) float64, one example per row.
        y: (n,) what to predict: float64 labels 0 and 1 if `task` is "binary", int64 labels below `n_classes` if it is
            "classes", float64 values if it is "regression"
        n_classes: How many classes there are, 0 for a regression.
    """

    x: np.ndarray
    y: np.ndarray
    task: str
    n_classes: int
    name: str = ""

    def __len__(self) -> int:
        return len(self.x)

    @property
    def features(self) -> int:
        """How many numbers describe one example."""
        return self.x.shape[1]

    def take(self, rows: np.ndarray) -> "Dataset":
        """The examples at these rows, in this order."""
        return replace(self, x=self.x[rows], y=self.y[rows])

    def split(self, validation: float = 0.25, seed: int = 0) -> tuple["Dataset", "Dataset"]:
        """Shuffle, and set a share of the examples aside: (train, validation).

        `round(validation * n)` examples are set aside. At least one example of every class stays in train.
        Raises ValueError when that leaves either part with nothing to hold.
        """
        held_out = round(validation * len(self))
        order = stream(seed, "split").permutation(len(self))
        kept = self._first_of_each_class(order)
        free = np.delete(order, kept)
        if not 0 < held_out <= len(free):
            raise ValueError(
                f"validation share {validation} sets {held_out} of {len(self)} examples aside; "
                f"choose a share that sets aside 1 to {len(free)} of them"
            )
        return self.take(np.concatenate([order[kept], free[held_out:]])), self.take(free[:held_out])

    def _first_of_each_class(self, order: np.ndarray) -> np.ndarray:
        """Where in `order` each class comes first; for a regression, just the start."""
        if self.task == "regression":
            return np.array([0])
        return np.unique(self.y[order], return_index=True)[1]


@dataclass(frozen=True, eq=False)
class Standardization:
    """The shift and scale that bring features to mean 0 and standard deviation 1.

    Take it from the training examples and apply it to all data, so that the validation examples stay unseen.
    A feature that is the same in every example is left alone.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> "Standardization":
        """The standardization of these examples, (n, features)."""
        constant = np.ptp(x, axis=0) == 0
        largest = np.where(constant, 1.0, np.abs(x).max(axis=0))  # so that no square overflows or vanishes
        mean, std = (x / largest).mean(axis=0) * largest, (x / largest).std(axis=0) * largest
        return cls(np.where(constant, 0.0, mean), np.where(constant, 1.0, std))

    def apply(self, data: Dataset) -> Dataset:
        """The same examples with shifted and scaled features; what is to be predicted is left as it is.

        Raises:
            ValueError: If the examples have another number of features.
        """
        if data.features != len(self.mean):
            raise ValueError(f"data has {data.features} features; this standardization is for {len(self.mean)}")
        return replace(data, x=(data.x - self.mean) / self.std)


def moons(n: Count = 200, noise: Noise = 0.2, seed: int = 0) -> Dataset:
    """Two half circles of radius 1 that reach into one another: no line separates them, a gentle curve does."""
    label, angle = _turns(n, 2), np.linspace(0, np.pi, n)
    x = np.column_stack([np.cos(angle), np.sin(angle)])
    x[label == 1] = [1.0, 0.5] - x[label == 1]
    return _labeled(x, label, 2, noise, stream(seed, "noise"), "moons")


def circles(
    n: Count = 200,
    noise: Noise = 0.1,
    seed: int = 0,
    inner: Annotated[float, Range(0.1, 0.9, doc="Radius of the inner circle; the outer one has radius 1.")] = 0.5,
) -> Dataset:
    """A circle inside a circle: the boundary has to close."""
    label = _turns(n, 2)
    x = _on_circle(np.arange(n) / n) * np.where(label == 1, inner, 1.0)[:, None]
    return _labeled(x, label, 2, noise, stream(seed, "noise"), "circles")


def xor(n: Count = 200, noise: Noise = 0.1, seed: int = 0) -> Dataset:
    """Four square clouds, one per quadrant; those across from one another belong together. No line beats chance."""
    points, disturbance = streams(seed, "points", "noise")
    quadrant = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])[_turns(n, 4)]
    return _labeled(quadrant * points.uniform(0.1, 1.0, (n, 2)), _turns(n, 2), 2, noise, disturbance, "xor")


def xor4(n: int = 4, noise: Noise = 0.0, seed: int = 0) -> Dataset:
    """Exclusive or: the four corners of the unit square, in the order of a truth table.

    There are four examples whatever `n`, which is accepted so that all datasets can be called alike, and no option.
    """
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    return _labeled(corners, np.array([0, 1, 1, 0]), 2, noise, stream(seed, "noise"), "xor4")


def blobs(
    n: Count = 200,
    noise: Noise = 0.25,
    seed: int = 0,
    classes: Classes = 3,
    radius: Annotated[float, Range(0.5, 4.0, doc="How far the centers of the clouds are from the origin.")] = 1.0,
) -> Dataset:
    """Round clouds evenly spaced on a circle; `noise` is their width. Two classes make a binary problem."""
    label = _turns(n, classes)
    return _labeled(radius * _on_circle(label / classes), label, classes, noise, stream(seed, "noise"), "blobs")


def spirals(
    n: Count = 300,
    noise: Noise = 0.03,
    seed: int = 0,
    classes: Classes = 2,
    turns: Annotated[float, Range(0.25, 3.0, doc="How often each arm winds around the center.", unit="turns")] = 1.25,
) -> Dataset:
    """Arms that wind around the center, one per class: easy with few turns, hard with many."""
    label, radius = _turns(n, classes), np.linspace(0.1, 1.0, n)
    x = radius[:, None] * _on_circle(turns * radius + label / classes)
    return _labeled(x, label, classes, noise, stream(seed, "noise"), "spirals")


def linear(
    n: Count = 200,
    noise: Noise = 0.0,
    seed: int = 0,
    gap: Annotated[
        float, Range(-1.0, 1.0, doc="Width of the empty strip between the classes; below 0 they overlap.")
    ] = 0.2,
    outliers: Annotated[float, Range(0.0, 0.3, doc="Share of the examples thrown far into the other class.")] = 0.0,
) -> Dataset:
    """Two square clouds on either side of a diagonal, separable by a line if `gap` > 0 without noise and outliers.

    Outliers keep their label. The other examples are the same as without outliers.
    """
    points, throws, disturbance = streams(seed, "points", "outliers", "noise")
    label = _turns(n, 2)
    across, along = points.uniform(0.0, 1.0, n) + gap / 2, points.uniform(-1.0, 1.0, n)
    thrown = throws.permutation(n)[: round(_share(outliers) * n)]
    across[thrown] = -across[thrown] - 1.0
    across *= 2 * label - 1
    x = np.column_stack([across - along, across + along]) / np.sqrt(2)
    return _labeled(x, label, 2, noise, disturbance, "linear")


def sine(
    n: Count = 100,
    noise: Noise = 0.1,
    seed: int = 0,
    cycles: Annotated[float, Range(0.5, 4.0, doc="How many full waves fit between -1 and 1.", unit="cycles")] = 1.0,
) -> Dataset:
    """A sine wave over [-1, 1]: the more cycles, the harder for a small network."""
    x = _grid(n)
    return _valued(x, np.sin(np.pi * cycles * x), noise, seed, "sine")


def chebyshev(
    n: Count = 20,
    noise: Noise = 0.0,
    seed: int = 0,
    degree: Annotated[int, Range(1, 8, doc="Degree of the polynomial: how often it crosses zero.")] = 3,
) -> Dataset:
    """A Chebyshev polynomial of the first kind over [-1, 1], the toy problem of the edge of stability.

    Source: Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge of stability".
    """
    x = _grid(n)
    return _valued(x, np.cos(degree * np.arccos(x)), noise, seed, "chebyshev")


def slope(
    n: Count = 10,
    noise: Noise = 0.0,
    seed: int = 0,
    strength: Annotated[float, Range(-5.0, 5.0, doc="The value at 1, and minus the value at -1.")] = 1.0,
) -> Dataset:
    """A straight line at two points: `strength` x at x = -1 and 1 by turns, so that the mean of x^2 is 1.

    A linear network learns one number of it, the product of its weights. Many trainings of that are solved exactly.
    """
    x = 2.0 * _turns(n, 2) - 1
    return _valued(x, strength * x, noise, seed, "slope")


def step(n: Count = 100, noise: Noise = 0.1, seed: int = 0) -> Dataset:
    """A jump from -1 to 1 at x = 0: what a smooth function can only approach."""
    x = _grid(n)
    return _valued(x, np.where(x < 0, -1.0, 1.0), noise, seed, "step")


def gaussian(n: Count = 200, noise: Noise = 0.0, seed: int = 0, dimension: Dimension = 16) -> Dataset:
    """Standard normal points, with standard normal values that have nothing to do with them: they can be memorized."""
    points, labels, disturbance = streams(seed, "points", "labels", "noise")
    x, y = points.standard_normal((_enough(n, 2), dimension)), labels.standard_normal(n)
    return Dataset(x, _disturbed(y, noise, disturbance), "regression", 0, "gaussian")


def linear_teacher(n: Count = 200, noise: Noise = 0.5, seed: int = 0, dimension: Dimension = 16) -> Dataset:
    """Standard normal points x and values b x, for random weights b of length 1.

    Source: Hastie et al. 2022, "Surprises in high-dimensional ridgeless least squares interpolation".
    """
    points, labels, disturbance = streams(seed, "points", "labels", "noise")
    weights = labels.standard_normal(dimension)
    x = points.standard_normal((_enough(n, 2), dimension))
    y = x @ (weights / np.linalg.norm(weights))
    return Dataset(x, _disturbed(y, noise, disturbance), "regression", 0, "linear teacher")


def teacher(
    n: Count = 200,
    noise: Noise = 0.0,
    seed: int = 0,
    dimension: Dimension = 16,
    teacher_units: Annotated[int, Range(1, 20, doc="Hidden units of the teacher.", unit="units")] = 3,
) -> Dataset:
    """Standard normal points and what a random network of tanh units says of them, a teacher for others to imitate.

    Of k units it is sum a_j tanh(w_j x / sqrt(dimension)) / sqrt(k), with all numbers standard normal.
    Source: Saad & Solla 1995, "On-line learning in soft committee machines".
    """
    points, labels, disturbance = streams(seed, "points", "labels", "noise")
    w, a = labels.standard_normal((dimension, teacher_units)), labels.standard_normal(teacher_units)
    x = points.standard_normal((_enough(n, 2), dimension))
    y = np.tanh(x @ w / np.sqrt(dimension)) @ a / np.sqrt(teacher_units)
    return Dataset(x, _disturbed(y, noise, disturbance), "regression", 0, "teacher")


def sparse_parity(
    n: Count = 500,
    noise: Noise = 0.0,
    seed: int = 0,
    dimension: Dimension = 16,
    bits: Annotated[int, Range(1, 8, doc="How many features decide: whether an even number of them is -1.")] = 3,
) -> Dataset:
    """Random signs, of which the first few decide by their product, and no smaller number of them says anything.

    With fewer features than bits, all of them decide.
    Source: Barak et al. 2022, "Hidden progress in deep learning: SGD learns parities near the computational limit".
    """
    points, disturbance = streams(seed, "points", "noise")
    label = _turns(n, 2)
    x = 2.0 * points.integers(0, 2, (n, dimension)) - 1.0
    x[:, 0] *= x[:, :bits].prod(axis=1) * (2 * label - 1)
    return _labeled(x, label, 2, noise, disturbance, "sparse parity")


def modular_addition(
    n: int = 529,
    noise: Noise = 0.0,
    seed: int = 0,
    modulus: Annotated[int, Range(3, 59, doc="The p of (a + b) mod p; there are p squared examples.")] = 23,
) -> Dataset:
    """(a + b) mod p for all pairs of numbers below p, each given as p features of which a single one is 1.

    There are p squared examples whatever `n`, which is accepted so that all datasets can be called alike; hold out a
    share of them. Seen as weights on its features, the first layer adds an embedding of a to one of b.
    Source: Power et al. 2022, "Grokking: generalization beyond overfitting on small algorithmic datasets".
    """
    label = _turns(modulus**2, modulus)
    b = np.arange(modulus**2) // modulus
    x = np.hstack([np.eye(modulus)[(label - b) % modulus], np.eye(modulus)[b]])
    if not noise:
        return Dataset(x, label.astype(np.int64), "classes", modulus, "modular addition")
    return _labeled(x, label, modulus, noise, stream(seed, "noise"), "modular addition")


DATASETS: dict[str, Callable[..., Dataset]] = {
    "moons": moons,
    "circles": circles,
    "xor": xor,
    "xor4": xor4,
    "blobs": blobs,
    "spirals": spirals,
    "linear": linear,
    "sine": sine,
    "chebyshev": chebyshev,
    "slope": slope,
    "step": step,
    "gaussian": gaussian,
    "linear teacher": linear_teacher,
    "teacher": teacher,
    "sparse parity": sparse_parity,
    "modular addition": modular_addition,
}


def _turns(n: int, classes: int) -> np.ndarray:
    """(n,) the labels 0, 1, ..., classes - 1 again and again."""
    if classes < 2:
        raise ValueError(f"{classes} classes leave nothing to tell apart; choose 2 or more")
    return np.arange(_enough(n, classes)) % classes


def _grid(n: int) -> np.ndarray:
    """(n,) evenly spaced points from -1 to 1."""
    return np.linspace(-1.0, 1.0, _enough(n, 2))


def _enough(n: int, least: int) -> int:
    if n < least:
        raise ValueError(f"n = {n} is too few examples; this dataset needs {least} or more")
    return n


def _share(outliers: float) -> float:
    if not 0 <= outliers <= 1:
        raise ValueError(f"outliers = {outliers} is not a share of the examples; choose a number from 0 to 1")
    return outliers


def _on_circle(turn: np.ndarray) -> np.ndarray:
    """(n, 2) points on the unit circle, `turn` of the way round."""
    return np.column_stack([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)])


def _disturbed(values: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    if not noise >= 0:
        raise ValueError(f"noise = {noise} is not a standard deviation; choose 0 or more")
    return values + noise * rng.standard_normal(values.shape)


def _labeled(
    x: np.ndarray, label: np.ndarray, classes: int, noise: float, rng: np.random.Generator, name: str
) -> Dataset:
    """A classification problem with noise in where the examples lie."""
    x = _disturbed(x, noise, rng)
    if classes == 2:
        return Dataset(x, label.astype(np.float64), "binary", 2, name)
    return Dataset(x, label.astype(np.int64), "classes", classes, name)


def _valued(x: np.ndarray, y: np.ndarray, noise: float, seed: int, name: str) -> Dataset:
    """A regression problem in one feature, with noise in the values."""
    return Dataset(x[:, None], _disturbed(y, noise, stream(seed, "noise")), "regression", 0, name)
