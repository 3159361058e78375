"""Surfaces are the network's own losses, planes are where they say, and nothing is left changed."""

import numpy as np
import pytest

from engine.datasets import DATASETS
from engine.landscape import Plane, Survey, loss_on_plane, loss_surfaces, random_plane, weight_plane
from engine.network import Network

MOONS = DATASETS["moons"](n=50)
X, Y = np.linspace(-1, 1, 9), np.linspace(-0.5, 2, 6)

CASES = {
    "relu": (Network([2, 5, 4, 1]), MOONS, {}),
    "penalties": (Network([2, 5, 4, 1], "tanh"), MOONS, {"l1": 0.01, "l2": 0.1}),
    "logistic regression, mse": (Network([2, 1]), MOONS, {"loss": "mse"}),
    "skip, softmax": (Network([2, 4, 4, 3], "gelu", "softmax", skip=True), DATASETS["blobs"](n=30), {}),
    "values": (Network([1, 6, 1], "elu", "linear"), DATASETS["sine"](n=20), {"loss": "huber"}),
}

every_case = pytest.mark.parametrize(("network", "data", "options"), CASES.values(), ids=CASES)


def naive_surface(network, data, plane, options) -> np.ndarray:
    """Point by point through `Network.loss`."""
    visitor, surface = network.copy(), np.empty((len(Y), len(X)))
    for row, column in np.ndindex(surface.shape):
        visitor.parameters = plane.point(X[column], Y[row])
        surface[row, column] = visitor.loss(data, **options)
    return surface


@every_case
def test_the_surface_is_the_networks_own_loss(network, data, options):
    """To 1e-12: sums over the examples of many points at once may be added up in another order."""
    plane = random_plane(network)
    surface = loss_on_plane(network, data, plane, X, Y, **options)
    assert surface.dtype == np.float64
    np.testing.assert_allclose(surface, naive_surface(network, data, plane, options), rtol=1e-12)


@every_case
def test_the_last_of_the_finer_and_finer_surfaces_is_exact(network, data, options):
    plane = random_plane(network)
    *_, last = loss_surfaces(network, data, plane, X, Y, **options, block=5)
    np.testing.assert_allclose(last, loss_on_plane(network, data, plane, X, Y, **options), rtol=1e-12)


@every_case
def test_the_surface_where_the_network_stands_is_its_loss(network, data, options):
    here = loss_on_plane(network, data, random_plane(network), [0.0], [0.0], **options)
    assert here.item() == pytest.approx(network.loss(data, **options), rel=1e-12)


@pytest.mark.parametrize(("height", "width", "block"), [(6, 9, 5), (1, 40, 7), (13, 1, 1), (3, 3, 100), (51, 51, 64)])
def test_surfaces_are_complete_from_the_first_and_computed_in_blocks(height, width, block, monkeypatch):
    network, computed = Network([2, 1]), []
    monkeypatch.setattr(
        Survey, "losses_on", lambda survey, plane, a, b: computed.append((a, b)) or np.arange(len(a), dtype=float)
    )
    x, y = np.arange(width, dtype=float), np.arange(height, dtype=float)
    surfaces = list(loss_surfaces(network, MOONS, random_plane(network), x, y, block=block))
    assert np.isfinite(surfaces[0]).all()
    assert len(surfaces) == len(computed)
    assert max(len(a) for a, _ in computed) <= block
    visited = [point for a, b in computed for point in zip(a, b, strict=True)]
    assert sorted(visited) == sorted((a, b) for a in x for b in y)


def test_an_early_surface_is_exact_at_the_coarse_points():
    network = CASES["relu"][0]
    plane, x = random_plane(network), np.linspace(-1, 1, 16)
    first = next(loss_surfaces(network, MOONS, plane, x, x, block=16))
    exact = loss_on_plane(network, MOONS, plane, x, x)
    np.testing.assert_allclose(first[::4, ::4], exact[::4, ::4], rtol=1e-12)
    assert np.array_equal(first, np.kron(first[::4, ::4], np.ones((4, 4))))


def test_surfaces_seen_stay_as_they_were():
    network = CASES["relu"][0]
    surfaces = loss_surfaces(network, MOONS, random_plane(network), X, Y, block=5)
    first = next(surfaces)
    seen = first.copy()
    list(surfaces)
    assert np.array_equal(first, seen)


@every_case
def test_the_network_is_left_as_it_is(network, data, options):
    before = network.parameters.copy()
    plane = random_plane(network)
    loss_on_plane(network, data, plane, X, Y, **options)
    dropped = loss_surfaces(network, data, plane, X, Y, **options, block=5)
    next(dropped)
    del dropped
    assert np.array_equal(network.parameters, before)


def test_a_plane_keeps_its_place_when_the_network_moves_on():
    network = Network([2, 3, 1])
    plane, sliced = random_plane(network), weight_plane(network, 0, 1)
    before = plane.point(0.5, 0.5), sliced.point(0.5, 0.5)
    network.parameters[...] += 1.0
    assert np.array_equal(before, (plane.point(0.5, 0.5), sliced.point(0.5, 0.5)))


def test_losses_that_overflow_are_not_numbers_and_no_warning():
    network = Network([2, 4, 4, 1])
    far = loss_on_plane(network, MOONS, random_plane(network), [1e200], [0.0])
    assert not np.isfinite(far).all()


def test_a_survey_gives_the_true_loss_along_a_path():
    network = Network([2, 4, 1])
    path = network.parameters + np.linspace(0, 1, 100)[:, None]
    visitor, expected = network.copy(), []
    for parameters in path:
        visitor.parameters = parameters
        expected.append(visitor.loss(MOONS, l2=0.1))
    np.testing.assert_allclose(Survey(network, MOONS, l2=0.1).losses(path), expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_random_directions_are_as_long_as_the_networks_filters(seed):
    network, direction = Network([2, 5, 4, 3], output="softmax", bias=0.3), Network([2, 5, 4, 3], output="softmax")
    for row in random_plane(network, seed).directions:
        direction.parameters = row
        for own, drawn, biases in zip(network.weights, direction.weights, direction.biases, strict=True):
            np.testing.assert_allclose(np.linalg.norm(drawn, axis=0), np.linalg.norm(own, axis=0))
            assert not biases.any()


def test_a_network_of_zeros_still_has_a_plane():
    network = Network([2, 3, 1], initializer="zeros")
    assert np.linalg.matrix_rank(random_plane(network).directions) == 2


def test_the_same_seed_gives_the_same_plane_and_another_another():
    network = Network([2, 3, 1])
    one, again, other = (random_plane(network, seed).directions for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.allclose(one, other)


def test_a_weight_plane_has_the_weights_themselves_as_coordinates():
    network = Network([2, 2, 1])
    moved = network.parameters.copy()
    moved[[0, 2]] = 0.7, -0.3
    assert np.array_equal(weight_plane(network, 0, 2).point(0.7, -0.3), moved)


def test_a_network_lies_exactly_on_its_own_weight_plane():
    network = Network([2, 2, 1])
    plane = weight_plane(network, 0, 2)
    (a, b), distance = plane.project(network.parameters)
    assert np.array_equal(plane.point(a, b), network.parameters)
    assert distance == 0


def test_projection_undoes_point():
    """The directions are neither of length 1 nor at right angles."""
    rng = np.random.default_rng(0)
    plane = Plane(rng.normal(size=6), rng.normal(size=(2, 6)) * [[3.0], [0.1]])
    points = np.stack([plane.point(a, b) for a, b in [(0.2, -4.0), (-1.0, 7.0)]])
    coordinates, distances = plane.project(points)
    np.testing.assert_allclose(coordinates, [(0.2, -4.0), (-1.0, 7.0)])
    np.testing.assert_allclose(distances, 0, atol=1e-14)


def test_projection_finds_the_nearest_point():
    rng = np.random.default_rng(1)
    plane, parameters = Plane(np.zeros(6), rng.normal(size=(2, 6))), rng.normal(size=6)
    coordinates, distance = plane.project(parameters)
    away = parameters - plane.point(*coordinates)
    np.testing.assert_allclose(plane.directions @ away, 0, atol=1e-14)
    assert distance == pytest.approx(np.linalg.norm(away))


@pytest.mark.parametrize(
    ("i", "j", "message"), [(0, 9, "parameter 9"), (-1, 0, "parameter -1"), (2, 2, "parameter 2 alone")]
)
def test_parameters_that_make_no_plane_are_refused(i, j, message):
    with pytest.raises(ValueError, match=message):
        weight_plane(Network([2, 2, 1]), i, j)


def test_the_plane_of_another_network_is_refused():
    with pytest.raises(ValueError, match="points have 3 parameters; this network has 9"):
        loss_on_plane(Network([2, 2, 1]), MOONS, random_plane(Network([2, 1])), X, Y)


def test_blocks_of_nothing_are_refused():
    network = Network([2, 1])
    with pytest.raises(ValueError, match="blocks of 0 points"):
        next(loss_surfaces(network, MOONS, random_plane(network), X, Y, block=0))
