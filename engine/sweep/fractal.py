"""The boundary of trainability as it was published: the map whose every enlargement is as rough as the whole.

    sweep = Sweep(FRACTAL_AXES, {"n": 8}, "trained", epochs=100, size=(128, 128), make=fractal_training)

Look closer for the roughness: with n = 8, and rates of 1 to 30 and of 20 to 63, the boundary's dimension is 1.02 after
10 epochs, 1.25 after 30 and 1.40 after 100, on 160 x 160 pixels. There one ulp more in both rates flips no pixel. At
first rates of 300 to 30,000 it flips a ninth of the boundary's: such runs are chaotic, and rounding decides.

Source: Sohl-Dickstein 2024, "The boundary of neural network trainability is fractal".
"""

import math
from collections.abc import Mapping
from typing import Any

from engine.chance import streams
from engine.datasets import Dataset
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.sweep.axis import Axis
from engine.training import Training

FRACTAL_AXES = (Axis("first_rate", 1e-3, 1e6, "log"), Axis("last_rate", 1e-3, 1e6, "log"))
"""The learning rates of the two layers, over all of the published overview."""

DEFAULTS = {"n": 16, "first_rate": 1.0, "last_rate": 1.0, "seed": 0}


def fractal_training(settings: Mapping[str, Any]) -> Training:
    """y = W1 tanh(sqrt2 W0 x / sqrt n) / n, without biases, on as many standard normal examples as parameters.

    W is standard normal; the loss is the mean square, full batch. The network here holds the scales in its weights,
    V0 = sqrt2 W0 / sqrt n and V1 = W1 / n, which learn as W does if V0's rate is 2 / n of W0's, and V1's 1 / n^2.

    Args:
        settings: `n`, the features and hidden units, 16 without; `first_rate` and `last_rate` of W0 and W1, and `seed`.

    Raises:
        ValueError: For another setting, or one that does not fit.
    """
    unknown = settings.keys() - DEFAULTS.keys()
    if unknown:
        raise ValueError(f"setting {sorted(unknown)[0]!r} is unknown here; choose one of {', '.join(DEFAULTS)}")
    given = DEFAULTS | dict(settings)
    n, seed = int(given["n"]), int(given["seed"])
    if n < 1:
        raise ValueError(f"n {n} is impossible; choose a whole number of 1 or more")
    points, noise, weights = streams(seed, "points", "noise", "weights")
    count = n * n + n
    x, y = points.standard_normal((count, n)), noise.standard_normal(count)
    data: Any = Dataset(x, y, "regression", 0, "normal")
    network = Network([n, n, 1], "tanh", "linear", "zeros", has_biases=False)
    network.weights[0][...] = math.sqrt(2 / n) * weights.standard_normal((n, n))
    network.weights[1][...] = weights.standard_normal((n, 1)) / n
    rates = given["first_rate"] * 2 / n, given["last_rate"] / n**2
    return Training(network, data, "mse", OPTIMIZERS["sgd"](learning_rate=1.0), layer_rates=rates)
