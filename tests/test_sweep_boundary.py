"""The boundary between runs that train and runs that do not: its dimension, and what the dimension is worth."""

from dataclasses import replace

import numpy as np
import pytest

from engine import Network
from engine.sweep import Axis, Sweep, training_of
from engine.sweep.boundary import boundary, box_dimension, flips_by_one_ulp, trained_on_ripples
from engine.sweep.fractal import FRACTAL_AXES, fractal_training


def test_a_boundary_lies_where_labels_change_and_nowhere_else():
    labels = np.zeros((4, 5))
    labels[:, 3:] = 1
    expected = np.zeros((4, 5), bool)
    expected[:, 2] = True
    np.testing.assert_array_equal(boundary(labels), expected)
    np.testing.assert_array_equal(boundary(labels.T), expected.T)
    labels[:, 3:] = np.nan
    np.testing.assert_array_equal(boundary(labels), expected)
    assert not boundary(np.full((3, 3), np.nan)).any()


def koch(points: np.ndarray, depth: int) -> np.ndarray:
    """Complex points of Koch's curve over a polygon."""
    for _ in range(depth):
        a, d = points[:-1], points[1:]
        step = (d - a) / 3
        parts = [a, a + step, a + step + step * np.exp(1j * np.pi / 3), a + 2 * step]
        points = np.append(np.column_stack(parts).ravel(), points[-1])
    return points


def drawn(points: np.ndarray, side: int) -> np.ndarray:
    """The pixels of points on the unit square."""
    image = np.zeros((side, side), bool)
    place = np.clip((np.column_stack([points.imag, points.real]) * side).astype(int), 0, side - 1)
    image[place[:, 0], place[:, 1]] = True
    return image


def test_the_dimension_of_shapes_whose_dimension_is_known():
    """Straight lines 1, Koch's curve log 4 / log 3 = 1.262, all of the plane 2.

    Box counts of finite pictures are off by a few hundredths, since boxes do not lie as the curve does.
    """
    side = 1024
    assert box_dimension(np.ones((side, side), bool)).value == pytest.approx(2, abs=1e-12)
    assert box_dimension(np.eye(side, dtype=bool)).value == pytest.approx(1, abs=1e-12)
    curve = drawn(koch(np.array([0.02 + 0.3j, 0.98 + 0.3j]), 8), side)
    assert box_dimension(curve).value == pytest.approx(np.log(4) / np.log(3), abs=0.05)


def test_the_error_is_0_on_a_straight_line_and_more_on_a_shape_of_two_scales():
    assert box_dimension(np.eye(256, dtype=bool)).error == pytest.approx(0, abs=1e-12)
    rough = np.zeros((256, 256), bool)
    rough[::16, ::16] = True  # points from afar a plane
    assert box_dimension(rough).error > 0.1
    assert str(box_dimension(np.eye(256, dtype=bool))) == "1.00 ± 0.00"


@pytest.mark.parametrize(
    ("line", "sizes", "words"),
    [
        (np.zeros((64, 64), bool), None, "all pixels are alike"),
        (np.ones((63, 64), bool), None, "a map of 64 x 64 pixels or more"),
        (np.ones((64, 64), bool), [2, 4], "choose three or more"),
        (np.ones((64, 64), bool), [0, 2, 4], "show no slope"),
    ],
)
def test_what_has_no_dimension_is_refused_in_words(line, sizes, words):
    with pytest.raises(ValueError, match=words):
        box_dimension(line, sizes)


RATES = Axis("rate", 10**-0.4, 10**0.1, "log").values(384)


def test_a_rough_boundary_needs_no_network():
    """Two numbers and a cosine: 1.68. Around it a band for the fit, and for the last bit of a cosine elsewhere."""
    dimension = box_dimension(boundary(trained_on_ripples(RATES, RATES)))
    assert dimension.value == pytest.approx(1.68, abs=0.06)
    assert dimension.error < 0.05


def test_without_the_ripple_the_boundary_is_a_smooth_curve():
    """It is where the spectral radius of 1 - rates x Hessian is 1, a hyperbola."""
    rates = Axis("rate", 10**-1.0, 10**0.5, "log").values(160)
    labels = trained_on_ripples(rates, rates, ripple=0.0, epochs=400)
    assert box_dimension(boundary(labels)).value == pytest.approx(1, abs=0.06)
    x, y = np.meshgrid(rates, rates)
    # Of [[1 - 2x, -.6x], [-.6y, 1 - 2y]] the smaller eigenvalue: trace t and determinant d give t/2 - sqrt(t^2/4 - d).
    trace, determinant = 2 - 2 * x - 2 * y, (1 - 2 * x) * (1 - 2 * y) - 0.36 * x * y
    smaller = trace / 2 - np.sqrt(np.maximum(trace**2 / 4 - determinant, 0))
    clear = np.abs(smaller + 1) > 0.05  # closer, 400 steps do not tell
    np.testing.assert_array_equal(labels[clear], (smaller > -1)[clear])


# The published map


def swept(*bounds: tuple[float, float], **options) -> Sweep:
    axes = [Axis(axis.name, low, high, "log") for axis, (low, high) in zip(FRACTAL_AXES, bounds, strict=True)]
    settings = {"measures": "trained", "epochs": 100, "size": (64, 64), "make": fractal_training, "workers": 1}
    sweep = Sweep(axes, {"n": 8}, **{**settings, **options})
    list(sweep.run())
    return sweep


@pytest.fixture(scope="module")
def window():
    return swept((1, 30), (10**1.3, 10**1.8), size=(96, 96), marks=(10, 30))


def test_the_published_network_is_the_formula():
    """y = W1 tanh(sqrt2 W0 x / sqrt n) / n, its loss and both layers' steps, by central differences."""
    n, rates = 3, {"first_rate": 0.3, "last_rate": 2.0}
    training = fractal_training({"n": n, "seed": 1, **rates})
    data, network = training.data, training.network
    assert len(data.x) == n * n + n
    w0, w1 = network.weights[0] * np.sqrt(n / 2), network.weights[1] * n

    def loss(w0, w1):
        return np.mean((np.tanh(np.sqrt(2) * data.x @ w0 / np.sqrt(n)) @ w1[:, 0] / n - data.y) ** 2)

    def slope(one, other, swap):
        numbers = np.zeros_like(one)
        for place in np.ndindex(one.shape):
            step = np.zeros_like(one)
            step[place] = 1e-6
            up, down = (
                ((other, one + step), (other, one - step)) if swap else ((one + step, other), (one - step, other))
            )
            numbers[place] = (loss(*up) - loss(*down)) / 2e-6
        return numbers

    expected = w0 - 0.3 * slope(w0, w1, False), w1 - 2.0 * slope(w1, w0, True)
    epochs = training.advance(2)
    assert epochs.loss[0] == pytest.approx(loss(w0, w1), rel=1e-12)
    after = Network([n, n, 1], "tanh", "linear", has_biases=False)
    after.parameters = epochs.parameters[1]
    # Central differences of a loss about 1 are good to 1e-16 / 1e-6.
    np.testing.assert_allclose(after.weights[0] * np.sqrt(n / 2), expected[0], atol=1e-8)
    np.testing.assert_allclose(after.weights[1] * n, expected[1], atol=1e-8)


def test_the_published_boundary_roughens_as_training_goes_on(window):
    """Published for n = 16: 1.05 after 10 steps, 1.27 after 30, 1.37 after 100."""
    dimensions = [box_dimension(boundary(window.values("trained", mark))).value for mark in window.marks]
    np.testing.assert_allclose(dimensions, [1.05, 1.27, 1.37], atol=0.15)
    assert dimensions[0] < dimensions[1]


def test_the_boundary_is_that_of_the_runs_where_an_ulp_flips_nothing(window):
    assert flips_by_one_ulp(window) <= 0.002


def test_an_ulp_tells_a_boundary_of_rounding():
    """Chaotic runs amplify the last bit: of these labels, more than 1 % are not the model's."""
    chaotic = swept((10**3, 10**4), (10**1.3, 10**1.8), size=(32, 32))
    assert flips_by_one_ulp(chaotic) > 0.01


def test_with_a_frozen_first_layer_the_boundary_is_smooth():
    """What is left to learn is a quadratic, which descends if the rate times its sharpness is below 2 + 2 momentum."""
    settings = {"dataset": "chebyshev", "hidden": [16], "activation": "tanh", "optimizer": "momentum"}
    axes = [Axis("learning_rate", 0.01, 1, "log"), Axis("momentum", 0, 0.9)]
    frozen = settings | {"layer_rates.0": 0.0}
    sweep = Sweep(axes, frozen, "trained", epochs=100, size=(64, 64), make=training_of, workers=1)
    list(sweep.run())
    assert box_dimension(boundary(sweep.values("trained"))).value == pytest.approx(1, abs=0.12)
    assert flips_by_one_ulp(sweep) == 0


def test_whole_numbers_are_left_as_they_are_and_two_axes_of_them_have_no_neighbors(monkeypatch):
    rate, width, depth = Axis("learning_rate", 0.1, 1e4, "log"), Axis("width", 1, 8, whole=True), Axis("depth", 1, 4)
    options = {"epochs": 20, "size": (8, 8), "make": training_of, "workers": 1}
    sweep = Sweep([rate, width], {"dataset": "sine", "activation": "tanh"}, "trained", **options)
    list(sweep.run())
    tried, measured_at = [], sweep.measured_at
    monkeypatch.setattr(sweep, "measured_at", lambda beside: tried.append(beside) or measured_at(beside))
    flips_by_one_ulp(sweep)
    assert tried
    for beside in tried:
        assert type(beside["width"]) is int
        assert beside["learning_rate"] in np.nextafter(sweep.x, np.inf)
    whole = Sweep([width, replace(depth, whole=True)], {"learning_rate": 50.0, "dataset": "sine"}, "trained", **options)
    list(whole.run())
    with pytest.raises(ValueError, match="whole numbers have no neighbors"):
        flips_by_one_ulp(whole)
