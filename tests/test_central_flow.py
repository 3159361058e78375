"""Gradient flow and the central flow: closed forms, whole Hessians, and what a descent at the edge does."""

from itertools import pairwise

import numpy as np
import pytest

from engine.activations import ACTIVATIONS
from engine.chance import stream
from engine.curvature import spectrum
from engine.datasets import DATASETS, Dataset
from engine.network import Network
from engine.theory.central_flow import (
    NEAR,
    LeadingEigenpairs,
    LostFlowError,
    Terrain,
    _complementary,
    central_flow,
    gradient_flow,
    kink,
)


def chebyshev() -> Dataset:
    return DATASETS["chebyshev"](n=20, degree=3)


def curved(seed: int = 0, hidden: tuple[int, ...] = (8, 8)) -> Network:
    return Network([1, *hidden, 1], "tanh", "linear", "xavier", seed)


def valley(outputs: int = 1) -> tuple[Network, Dataset]:
    """A linear model, whose loss is a quadratic, and its data."""
    rng = stream(0, "weights")
    data = Dataset(rng.standard_normal((30, 2)) * [1.0, 0.2], rng.standard_normal(30), "numbers", 0)
    if outputs > 1:
        data = Dataset(data.x, rng.standard_normal((30, outputs)), "numbers", 0)
    return Network([2, outputs], output="linear", seed=1), data


def quadratic(network: Network, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The Hessian of a quadratic, and the way from its minimum to the network's parameters."""
    hessian = spectrum(network, data, "mse").hessian
    return hessian, np.linalg.solve(hessian, network.gradient(data, "mse").flat)


def test_gradient_flow_on_a_quadratic_is_the_exponential_to_the_second_order():
    """Half as long steps, twice as many: a quarter of the error."""
    network, data = valley()
    hessian, away = quadratic(network, data)
    values, vectors = np.linalg.eigh(hessian)
    assert np.linalg.norm(away) == pytest.approx(1, abs=0.1)
    errors = []
    for count in (10, 20, 40):
        rate = 4 / values[-1] / count
        points = list(gradient_flow(Terrain(network, data, "mse"), np.zeros(away.size), [rate] * count))
        gone = vectors @ (np.exp(-4 / values[-1] * values) * (vectors.T @ away))
        errors.append(np.linalg.norm(points[-1].parameters - (network.parameters - away + gone)))
        assert points[0].sharpness == pytest.approx(values[-1], rel=1e-9)
    assert errors[-1] < 1e-3
    assert all(3 < long / short < 6 for long, short in pairwise(errors)), errors


def test_gradient_flow_is_stable_where_a_descent_explodes():
    network, data = valley()
    hessian, away = quadratic(network, data)
    rate = 10 * 2 / np.linalg.eigvalsh(hessian)[-1]
    points = list(gradient_flow(Terrain(network, data, "mse"), np.zeros(away.size), [rate] * 100))
    losses = [point.loss for point in points]
    assert all(after <= before * (1 + 1e-9) for before, after in pairwise(losses))
    assert points[-1].parameters == pytest.approx(network.parameters - away, abs=1e-3)


def test_rates_of_parameters_are_other_coordinates():
    """Twice the rate for every parameter is twice the rate."""
    network, data, origin = curved(), chebyshev(), np.zeros(curved().n_parameters)
    twice = Terrain(network, data, rates=np.full(origin.size, 2.0))
    one = list(gradient_flow(Terrain(network, data), origin, [0.02] * 50))[-1]
    other = list(gradient_flow(twice, origin, [0.01] * 50))[-1]
    np.testing.assert_allclose(other.parameters, one.parameters, rtol=1e-6, atol=1e-8)


def test_leading_eigenpairs_are_those_of_the_whole_hessian_wherever_they_are_followed():
    network, data = curved(), chebyshev()
    terrain, point = Terrain(network, data), np.zeros(network.n_parameters)
    leading, step = LeadingEigenpairs(terrain, point.size), 1e-3 * stream(0, "weights").standard_normal(point.size)
    for count in (2, 2, 2, 4, 4, 4):
        leading.follow(point, count)
        network.parameters = terrain.parameters(point)
        whole = spectrum(network, data)
        np.testing.assert_allclose(leading.values[:2], whole.eigenvalues[::-1][:2], rtol=1e-4)
        assert abs(leading.vectors[0] @ whole.eigenvectors[:, -1]) == pytest.approx(1, abs=1e-3)
        np.testing.assert_allclose(leading.vectors @ leading.vectors.T, np.eye(len(leading.vectors)), atol=1e-9)
        point = point + step


def test_twists_are_how_the_hessian_changes():
    """Against central differences of whole Hessians, good to about 1e-6 of their size."""
    network, data = curved(), chebyshev()
    terrain, rng, epsilon = Terrain(network, data), stream(1, "weights"), 1e-4
    origin = np.zeros(network.n_parameters)
    vectors = np.linalg.qr(rng.standard_normal((origin.size, 3)))[0].T
    twists = terrain.twisted(origin, terrain.slope(origin), vectors)
    away = rng.standard_normal(origin.size)
    hessians = []
    for sign in (1, -1):
        network.parameters = terrain.origin + sign * epsilon * away
        hessians.append(spectrum(network, data).hessian)
    expected = vectors @ (hessians[0] - hessians[1]) @ vectors.T / (2 * epsilon)
    np.testing.assert_allclose(twists @ away, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_the_covariance_is_the_one_that_theory_asks_for(k, seed):
    """X >= 0, response[X] >= excess, and nothing where there is slack, each to about a thousandth of its size."""
    rng = stream(seed, "weights")
    twists = rng.standard_normal((k, k, 40))
    flat = (twists + twists.transpose(1, 0, 2)).reshape(k * k, -1)
    response, excess = flat @ flat.T, rng.standard_normal((k, k))
    excess = excess + excess.T
    found = _complementary(response, excess, np.zeros((k, k)))
    slack = (response @ found.ravel()).reshape(k, k) - excess
    size = np.abs(excess).max()
    assert np.linalg.eigvalsh(found)[0] >= -1e-9
    assert np.linalg.eigvalsh(slack)[0] >= -1e-2 * size
    assert abs((found * slack).sum()) <= 1e-2 * size * np.trace(found)


def test_before_the_edge_both_flows_are_one_and_at_the_edge_the_central_flow_keeps_it():
    network, data, rate = curved(0, (32, 32)), chebyshev(), 0.1
    terrain, origin = Terrain(network, data), np.zeros(network.n_parameters)
    central, slope = (list(flow(terrain, origin, [rate] * 500)) for flow in (central_flow, gradient_flow))
    first = next(point.step for point in central if point.directions)
    assert 100 < first < 400
    np.testing.assert_allclose(central[first].parameters, slope[first].parameters, atol=1e-4)
    assert all(not point.spread for point in central[:first])
    shares = np.array([point.sharpness for point in central]) * rate / 2
    assert shares.max() < 1.02
    settled = shares[first + 50 :]
    assert settled == pytest.approx(1, abs=0.01)
    assert slope[-5].sharpness * rate / 2 > 2
    leaping = [point for point in central if point.spread]
    assert leaping[0].step >= first and shares[leaping[0].step] > NEAR
    assert all(point.loss > terrain.loss(point.parameters - terrain.origin) for point in leaping)


def test_more_directions_at_the_edge_than_can_be_followed_end_the_flow_with_a_reason():
    """Five outputs of a linear model are five equal quadratics."""
    network, data = valley(outputs=5)
    edge = spectrum(network, data, "mse").sharpness
    flow = central_flow(Terrain(network, data, "mse"), np.zeros(network.n_parameters), [2 / edge] * 5)
    with pytest.raises(LostFlowError, match="more than 4 directions"):
        list(flow)


def test_far_above_the_edge_there_is_no_mean_path():
    network, data = curved(), chebyshev()
    rate = 2 * 2 / spectrum(network, data).sharpness
    with pytest.raises(LostFlowError, match=r"2\.00 of the edge"):
        list(central_flow(Terrain(network, data), np.zeros(network.n_parameters), [rate]))


def test_a_loss_that_overflows_ends_gradient_flow():
    network, data = curved(), chebyshev()
    far = np.full(network.n_parameters, 1e200)
    with np.errstate(all="ignore"), pytest.raises(LostFlowError, match="overflows"):
        list(gradient_flow(Terrain(network, data), far, [1.0] * 5))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_networks_with_kinks_are_told_from_smooth_ones(name):
    network = Network([2, 3, 1], name)
    assert bool(kink(network)) == (name in ("relu", "leaky relu", "elu"))
    assert kink(Network([2, 3, 1], "tanh", "linear"), "hinge")
