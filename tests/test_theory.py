"""The theories of trainings that are solved exactly, against published figures and direct simulation."""

import math

import numpy as np
import pytest

from engine.chance import stream
from engine.datasets import DATASETS, Dataset
from engine.initializers import Gaussian
from engine.network import Network
from engine.optimizers import SGD
from engine.theory import cascade, deep_linear
from engine.theory.catapult import advanced, catapult
from engine.theory.double_descent import excess_risk, finite_excess_risk, measured_risk
from engine.theory.mean_field import MeanField, critical_weight_variance
from engine.theory.wide_network import Linearized, jacobian
from engine.training import Training


def test_tanh_is_critical_where_it_was_published():
    assert critical_weight_variance(0.05) == pytest.approx(1.7610, abs=1e-3)


@pytest.mark.parametrize(
    ("weight_variance", "length", "factor", "layers"),
    [
        (1, 0.1936, 0.759, 22),
        (1.3, 0.3153, 0.880, 47),
        (1.6, 0.4743, 0.964, 162),
        (2, 0.7218, 1.048, 151),
        (2.5, 1.0640, 1.134, 71),
    ],
)
def test_lengths_gradients_and_depths_are_the_published_ones(weight_variance, length, factor, layers):
    found = MeanField(weight_variance, 0.05)
    assert found.fixed_length() == pytest.approx(length, abs=1e-4)
    assert found.gradient_factor() == pytest.approx(factor, abs=1e-3)
    assert round(6 * found.correlation_depth()) == layers


@pytest.mark.parametrize("weight_variance", [0.5, 1.5, 2, 3])
def test_a_relu_network_s_gradient_grows_by_half_the_variance(weight_variance):
    assert MeanField(weight_variance, 0.1, "relu").gradient_factor() == pytest.approx(weight_variance / 2)


def test_random_wide_networks_have_the_predicted_lengths():
    """200 tanh networks of width 128: q layer by layer within 3 %, as its spread over networks allows."""
    width, depth, theory = 128, 10, MeanField(1.6, 0.05)
    first, expected, measured = theory.fixed_length(), theory.lengths(theory.fixed_length(), depth), []
    for seed in range(200):
        rng = stream(seed, "weights")
        z = math.sqrt(first) * rng.standard_normal(width)
        lengths = [first]
        for _ in range(depth - 1):
            w, b = rng.standard_normal((width, width)), rng.standard_normal(width)
            z = math.sqrt(1.6 / width) * np.tanh(z) @ w + math.sqrt(0.05) * b
            lengths.append((z**2).mean())
        measured.append(lengths)
    assert np.mean(measured, axis=0) == pytest.approx(expected, rel=0.03)


def test_a_correlation_settles_where_the_map_of_two_networks_does():
    """c* in the chaotic phase, against two inputs sent through wide networks; the tolerance is 4 standard errors."""
    theory, width, found = MeanField(2.5, 0.05), 400, []
    for seed in range(12):
        rng = stream(seed, "weights")
        z = math.sqrt(theory.fixed_length()) * rng.standard_normal((2, width))
        for _ in range(20):
            w, b = rng.standard_normal((width, width), dtype=np.float32), rng.standard_normal(width)
            z = math.sqrt(2.5 / width) * np.tanh(z) @ w + math.sqrt(0.05) * b
        found.append((z[0] @ z[1]) / math.sqrt((z[0] @ z[0]) * (z[1] @ z[1])))
    assert abs(np.mean(found) - theory.fixed_correlation()) < 4 * np.std(found) / math.sqrt(len(found)) + 0.01
    assert theory.fixed_correlation() < 0.9


def test_of_a_relu_network_that_explodes_only_ratios_are_known():
    found = MeanField(3, 0.1, "relu")
    assert found.fixed_length() == math.inf
    assert found.gradient_factor() == pytest.approx(1.5)


@pytest.mark.parametrize("mistake", [{"weight_variance": -1}, {"weight_variance": 1, "activation": "tahn"}])
def test_an_impossible_network_is_refused(mistake):
    with pytest.raises(ValueError, match=r"choose"):
        MeanField(**mistake)


def test_there_is_no_critical_variance_of_a_constant():
    with pytest.raises(ValueError, match="no critical"):
        critical_weight_variance(1e6, "sigmoid")


# The catapult


def test_the_two_numbers_move_as_the_weights_do():
    """The recursion of answer and curvature against gradient descent on all 2n weights."""
    n, rate = 50, 0.7
    u, v = stream(3, "weights").standard_normal((2, n))
    f, curvature = np.array(u @ v / math.sqrt(n)), np.array((u @ u + v @ v) / n)
    for _ in range(30):
        answer = u @ v / math.sqrt(n)
        u, v = u - rate * answer * v / math.sqrt(n), v - rate * answer * u / math.sqrt(n)
        f, curvature = advanced(f, curvature, rate, n)
        assert f == pytest.approx(u @ v / math.sqrt(n), rel=1e-9, abs=1e-12)
        assert curvature == pytest.approx((u @ u + v @ v) / n, rel=1e-9)


@pytest.mark.parametrize(("times", "height"), [(2.1, 12), (2.5, 242), (3, 694), (3.5, 1060), (3.9, 2070)])
def test_the_loss_leaps_as_high_as_published_and_lands_flatter(times, height):
    """Medians of 20 seeds at n = 1000; over other seeds they vary by a factor of 2.5 to both sides."""
    runs = catapult(times, width=1000, runs=100, steps=2000)
    assert height / 2.5 < np.median(runs.losses.max(axis=0) / runs.losses[0]) < height * 2.5
    assert runs.converged.all()
    assert (runs.rates * runs.curvatures[-1] < 2).all()


def test_above_4_none_converges_and_below_2_none_leaps():
    assert not catapult(4.1).converged.any()
    calm = catapult(1.9)
    assert calm.converged.all()
    assert (calm.losses.max(axis=0) == calm.losses[0]).all()


@pytest.mark.parametrize("mistake", [{"rate_by_curvature": 0}, {"rate_by_curvature": 2, "width": 0}])
def test_an_impossible_catapult_is_refused(mistake):
    with pytest.raises(ValueError, match="above 0"):
        catapult(**mistake)


# The cascade


def test_the_fixed_point_gives_way_at_the_edge_and_then_to_cycles():
    rates = np.array([0.99, 1.01, cascade.SECOND - 2e-3, cascade.SECOND + 2e-3, 1.285, 1.295, 1.46])
    assert cascade.periods(cascade.orbits(rates, skip=20_000)).tolist() == [1, 2, 2, 4, 4, 8, 3]


def test_beyond_the_cascade_everything_diverges():
    found = cascade.orbits(np.array([1.9, 2.05]))
    assert np.isfinite(found[:, 0]).all()
    assert np.isnan(found[:, 1]).all()
    assert cascade.periods(found)[1] == 0


def test_the_map_is_gradient_descent_on_both_weights():
    w1 = w2 = 0.7
    expected = w1 - 1.1 * (w1 * w2 - 1) * w2
    assert cascade.advanced(np.array(w1), np.array(1.1)) == pytest.approx(expected, rel=1e-15)


# Deep linear networks


def test_the_modes_are_learned_along_their_sigmoids():
    """Gradient descent comes to the closed form as its rate falls: a tenth of the rate, a tenth of the error."""
    strengths, errors = np.array([3.0, 2.0, 1.0]), []
    for rate in (1e-2, 1e-3):
        steps = round(6 / rate)
        found = deep_linear.descended(strengths, 1e-3, rate, steps)
        exact = deep_linear.mode_strengths(np.arange(steps + 1)[:, None], strengths, 1e-3, tau=1 / rate)
        errors.append(np.abs(found - exact).max())
    assert errors[1] < 0.01
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.05)


def test_strong_modes_come_first_and_small_starts_wait_by_the_logarithm():
    strengths = np.array([3.0, 2.0, 1.0])
    times = deep_linear.half_time(strengths, 1e-3)
    assert (np.diff(times) > 0).all()
    assert deep_linear.mode_strengths(times, strengths, 1e-3) == pytest.approx(strengths / 2)
    waits = deep_linear.half_time(1.0, np.array([1e-3, 1e-4, 1e-5]))
    assert np.diff(waits) == pytest.approx(math.log(10) / 2, rel=1e-3)


# Double descent


@pytest.mark.parametrize(
    ("ratio", "risk"), [(0.25, 0.083), (0.5, 0.25), (0.8, 1.0), (1.25, 1.2), (2, 0.75), (4, 0.833)]
)
def test_the_risk_of_least_squares_is_the_published_one_and_that_of_draws(ratio, risk):
    """Of 80 examples the mean is off by about 1/n over the distance from g = 1, and draws by their standard error."""
    assert float(excess_risk(ratio, 0.5)) == pytest.approx(risk, abs=1e-3)
    draws = np.array([measured_risk(round(80 * ratio), 80, 0.5, seed=seed) for seed in range(40)])
    error = draws.std() / math.sqrt(len(draws))
    assert abs(draws.mean() - risk) < 4 * error + risk / (80 * abs(1 - ratio))


def test_the_risk_is_infinite_where_features_are_as_many_as_examples():
    assert np.isinf(excess_risk(1.0, 0.5))
    with pytest.raises(ValueError, match="cannot be fitted"):
        measured_risk(0, 10, 0.5)


@pytest.mark.parametrize(("features", "examples"), [(20, 80), (60, 80), (100, 80), (240, 80)])
def test_the_mean_risk_of_few_examples_is_known_exactly(features, examples):
    """Over 400 draws, within 4 standard errors; the limit of many examples is off by more than 1 / n."""
    draws = np.array([measured_risk(features, examples, 0.5, seed=seed) for seed in range(400)])
    exact = finite_excess_risk(features, examples, 0.5)
    assert abs(draws.mean() - exact) < 4 * draws.std() / math.sqrt(len(draws))
    assert float(excess_risk(features / examples, 0.5)) == pytest.approx(exact, rel=3 / abs(features - examples))


def test_without_two_features_more_or_less_there_is_no_mean_risk():
    assert [finite_excess_risk(p, 10, 0.5) for p in (9, 10, 11)] == [math.inf] * 3
    with pytest.raises(ValueError, match="cannot be fitted"):
        finite_excess_risk(0, 10, 0.5)


def test_a_mode_is_learned_from_any_start_along_the_closed_form():
    """Gradient descent comes to it as its rate falls: a tenth of the rate, a tenth of the error."""
    u, v = 0.1 * stream(1, "weights").standard_normal((2, 20))
    grown, shrunk, errors = (u + v) @ (u + v) / 4, (u - v) @ (u - v) / 4, []
    for rate in (1e-2, 1e-3):
        first, second, found = u, v, [u @ v]
        for _ in range(round(4 / rate)):
            missing = 2.0 - first @ second
            first, second = first + rate * missing * second, second + rate * missing * first
            found.append(first @ second)
        exact = deep_linear.from_start(np.arange(len(found)), 2.0, grown, shrunk, tau=1 / rate)
        errors.append(np.abs(found - exact).max())
    assert errors[1] < 0.01
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)


def test_from_a_balanced_start_that_is_the_sigmoid():
    t = np.linspace(0, 5, 50)
    exact = deep_linear.mode_strengths(t, 3.0, 1e-3)
    assert deep_linear.from_start(t, 3.0, 1e-3, 0.0) == pytest.approx(exact, rel=1e-9)


# Wide networks


def wide(*widths: int, seed: int = 0) -> tuple[Network, Dataset]:
    network = Network([1, *widths, 1], "tanh", "linear", Gaussian(1.5), seed, parametrization="ntk")
    return network, DATASETS["sine"](n=12, noise=0.0)


def test_the_jacobian_is_that_of_central_differences():
    network, data = wide(5)
    found, step = jacobian(network, data.x), 1e-6
    for place in range(network.n_parameters):
        start = network.parameters[place]
        network.parameters[place] = start + step
        above = network.predict(data.x)[:, 0]
        network.parameters[place] = start - step
        expected = (above - network.predict(data.x)[:, 0]) / (2 * step)
        network.parameters[place] = start
        assert found[:, place] == pytest.approx(expected, abs=1e-8)


def test_only_one_linear_output_has_such_a_kernel():
    with pytest.raises(ValueError, match="one linear output"):
        jacobian(Network([2, 3, 1]), np.zeros((1, 2)))


def test_a_network_that_is_linear_follows_its_kernel_exactly():
    """Only the last layer learns: gradient descent on the outputs, and the flow as its rate falls."""
    network, data = wide(30)
    training = Training(network.copy(), data, "half mse", SGD(0.3), layer_rates=[0.0, 1.0])
    linear = Linearized.of(network, data, training.rates)
    assert training.advance(200).loss == pytest.approx(linear.losses(np.arange(200), 0.3), rel=1e-10)
    flow = linear.outputs(np.arange(200) * 1000, 0.3 / 1000, is_flow=True)
    fine = linear.outputs(np.arange(200) * 1000, 0.3 / 1000)
    assert np.abs(flow - fine).max() < 1e-3 * np.abs(flow).max()


def test_the_flow_is_the_published_formula():
    network, data = wide(8)
    linear = Linearized.of(network, data)
    values, vectors = np.linalg.eigh(linear.kernel)
    decay = vectors @ np.diag(np.exp(-0.2 * values * 30 / len(data))) @ vectors.T
    expected = linear.targets + decay @ (linear.start - linear.targets)
    assert linear.outputs(np.array([30.0]), 0.2, is_flow=True)[0] == pytest.approx(expected, rel=1e-9)


def test_a_network_parts_from_its_kernel_by_the_root_of_its_width():
    """Published: a slope of -0.5 within 0.1 over widths 16 to 128, here of two hidden layers; medians of 20 seeds."""
    widths, epochs, medians = [16, 32, 64, 128], np.array([0, 300]), []
    for width in widths:
        apart = []
        for seed in range(20):
            network, data = wide(width, width, seed=seed)
            training = Training(network.copy(), data, "half mse", SGD(0.2))
            expected = Linearized.of(network, data, training.rates).outputs(epochs, 0.2)[-1]
            training.advance(301)
            apart.append(np.linalg.norm(training.network.predict(data.x)[:, 0] - expected))
        medians.append(np.median(apart))
    slope = np.polyfit(np.log(widths), np.log(medians), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1)
