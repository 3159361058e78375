"""How a network's scale depends on its width: what its layers are multiplied by, how they start, how fast they learn.

A parametrization lets a layer compute c W x, with a number c that is not trained. Such a layer is the layer V x with
V = c W, which starts c times as large, and on which a step with the learning rate r goes as far as a step of W with
c^(1 + k) r, k being the `degree` of the optimizer: c^2 r for gradient descent, c r where steps are divided by the size
of the gradient. Networks here hold V, and nothing but their start and their learning rates knows of c: what is shown of
weights and gradients, and what penalties and weight decay see, is V. So are the `epsilon` of an optimizer, which is
added to the gradient's size, and Newton's damping.

The fractal of Sohl-Dickstein 2024, y = W1 tanh(sqrt(2) W0 x / sqrt(n)) / n with normal W0 and W1 of variance 1, no
biases, n inputs and n hidden units, is ntk with the initializer gaussian at sigma_w = sqrt(2) and an output scale of
1 / sqrt(2 n). Its learning rates r0 and r1 are a `learning_rate` of 2 and `layer_rates` of r0 and r1: as V0 is
sqrt(2 / n) W0 and V1 is W1 / n, they have to be 2 r0 / n and r1 / n^2, and ntk gives 1 / n and 1 / (2 n^2).
Source: Yang & Hu 2021, "Tensor programs IV: feature learning in infinite-width neural networks", section 3.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True)
class LayerScale:
    """What a parametrization does to a layer.

    Attributes:
        start: Times what the initializer draws, whose variance is in proportion to 1 / fan_in.
        rate: Of its weights, times the learning rate.
        bias_rate: Likewise, of its biases.
    """

    start: float = 1.0
    rate: float = 1.0
    bias_rate: float = 1.0

    def scaled(self, factor: float, degree: int) -> "LayerScale":
        """That of the layer whose weights and biases are multiplied by a factor that is not trained."""
        power = factor ** (1 + degree)
        return LayerScale(self.start * factor, self.rate * power, self.bias_rate * power)


@dataclass(frozen=True)
class Place:
    """Where a layer is in a network.

    Attributes:
        width: Units of the last hidden layer; 1 without hidden layers.
    """

    fan_in: int
    fan_out: int
    is_first: bool
    is_last: bool
    width: int


class Parametrization(ABC):
    """A rule that says how each layer scales."""

    @abstractmethod
    def layer(self, place: Place, degree: int) -> LayerScale:
        """The scale of a layer for an optimizer of this degree."""

    def layers(self, sizes: tuple[int, ...], degree: int) -> list[LayerScale]:
        """The scales of the layers of a network."""
        width, last = sizes[-2] if len(sizes) > 2 else 1, len(sizes) - 2
        places = [Place(sizes[i], sizes[i + 1], i == 0, i == last, width) for i in range(last + 1)]
        return [self.layer(place, degree) for place in places]


class Standard(Parametrization):
    """Every layer learns at the same rate, whatever its size; the wider the network, the smaller it has to be."""

    def layer(self, place: Place, degree: int) -> LayerScale:
        return LayerScale()


class NeuralTangent(Parametrization):
    """W x / sqrt(fan_in) + b in every layer: wider networks move their weights ever less, and learn like their kernel.

    Source: Jacot, Gabriel & Hongler 2018, "Neural tangent kernel".
    """

    def layer(self, place: Place, degree: int) -> LayerScale:
        factor = 1 / math.sqrt(place.fan_in)
        return LayerScale(rate=factor ** (1 + degree))


class MeanField(Parametrization):
    """Like NTK, but the output is a mean over the last hidden layer, W a / fan_in + b: wide networks learn features.

    Because the gradient is smaller by the width of that layer, the learning rate of all but the output's bias is
    multiplied by it, unless the optimizer divides by the gradient's size anyway.
    Source: Mei, Montanari & Nguyen 2018, "A mean field view of the landscape of two-layer neural networks".
    """

    def layer(self, place: Place, degree: int) -> LayerScale:
        is_mean = place.is_last and not place.is_first
        factor = 1 / place.fan_in if is_mean else 1 / math.sqrt(place.fan_in)
        time = float(place.width) if degree == 1 else 1.0
        start = 1 / math.sqrt(place.fan_in) if is_mean else 1.0
        return LayerScale(start, time * factor ** (1 + degree), 1.0 if place.is_last else time)


class MaximalUpdate(Parametrization):
    """Maximal update, muP: every layer changes what it gives by as much as can be, so that rates suit all widths.

    The output's weights start smaller, by sqrt(fan_in). For gradient descent, the learning rate is multiplied by
    fan_out in the first layer and for the biases of hidden layers, and by 1 / fan_in in the last; for optimizers that
    divide by the gradient's size it is multiplied by 1 / fan_in in all layers but the first.
    Source: Yang et al. 2022, "Tensor programs V: tuning large neural networks via zero-shot hyperparameter transfer",
    table 3.
    """

    def layer(self, place: Place, degree: int) -> LayerScale:
        fan_in, fan_out = float(place.fan_in), float(place.fan_out)
        if place.is_first and place.is_last:
            return LayerScale()
        start = 1 / math.sqrt(fan_in) if place.is_last else 1.0
        if degree == 1:
            rate = fan_out if place.is_first else 1 / fan_in if place.is_last else 1.0
            return LayerScale(start, rate, 1.0 if place.is_last else fan_out)
        return LayerScale(start, 1.0 if place.is_first or degree < 0 else 1 / fan_in)


PARAMETRIZATIONS: dict[str, Parametrization] = {
    "standard": Standard(),
    "ntk": NeuralTangent(),
    "mean-field": MeanField(),
    "mup": MaximalUpdate(),
}
