"""Hessian-vector products, Hessians, spectra and sharpness, also PyTorch's."""

import tracemalloc
from itertools import islice, product
from types import SimpleNamespace

import numpy as np
import pytest
from oracle_curvature import REFERENCES, cases, direction, torch_hessian, wave

from engine import ACTIVATIONS, DATASETS, LOSSES, OPTIMIZERS, Network, Training, curvature_kernel
from engine.curvature import Curvature, Spectrum, hessian, hessian_vector_product, sharpness, spectrum, trace
from engine.kernel import layer_matrices, split

CASES = cases()
MOONS = DATASETS["moons"](n=60)
BLOBS = DATASETS["blobs"](n=70)
QUADRATIC = DATASETS["sine"](n=40)

# ELU's slope has a kink at 0, where a difference of slopes is no derivative.
SMOOTH = [name for name, kind in ACTIVATIONS.items() if kind.curved and name != "elu"]

every_case = pytest.mark.parametrize("number", range(len(CASES)), ids=[case.name for case in CASES])


@pytest.fixture(scope="module")
def stored():
    """PyTorch's Hessian times the direction, case by case."""
    return split(np.load(REFERENCES / "curvature.npz")["products"], [case.network.n_parameters for case in CASES])


def line() -> Network:
    """A linear regression, whose mean squared error is a parabola: H = 2/n X'X, with a column of ones in X."""
    return Network([1, 1], output="linear")


def parabola() -> np.ndarray:
    x = np.column_stack([QUADRATIC.x, np.ones(len(QUADRATIC.x))])
    return 2 / len(x) * x.T @ x


def trained(activation: str = "tanh", epochs: int = 60) -> Network:
    network = Network([2, 8, 8, 1], activation)
    Training(network, MOONS, optimizer=OPTIMIZERS["sgd"](learning_rate=0.5)).advance(epochs)
    return network


@every_case
def test_products_are_pytorchs(number, stored):
    """To 1e-10 of each layer's largest entry: the same sums in another order."""
    case, expected = CASES[number], stored[number]
    mine = hessian_vector_product(case.network, case.data, direction(case), case.loss, case.l1, case.l2)
    sizes = case.network.sizes
    for ours, theirs in zip(layer_matrices(mine, sizes), layer_matrices(expected, sizes), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * np.abs(theirs).max() + 1e-16)


@pytest.mark.torch
@pytest.mark.parametrize("number", range(0, len(CASES), 7))
def test_hessians_are_pytorchs_live(number):
    """To 1e-10 of each block's largest entry, a block being the second derivatives in two layers' parameters."""
    pytest.importorskip("torch")
    case, theirs = CASES[number], torch_hessian(CASES[number])
    ours = hessian(*case.objective)
    ends = np.cumsum([matrix.size for matrix in layer_matrices(case.network.parameters, case.network.sizes)])[:-1]
    for block, expected in zip(_blocks(ours, ends), _blocks(theirs, ends), strict=True):
        np.testing.assert_allclose(block, expected, rtol=0, atol=1e-10 * np.abs(expected).max() + 1e-16)


def _blocks(matrix: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
    return [block for rows in np.split(matrix, ends) for block in np.split(rows, ends, axis=1)]


@every_case
def test_hessian_products_and_trace_are_of_the_same_matrix(number):
    of_case = Curvature(*CASES[number].objective)
    matrix = of_case.hessian()
    size = np.abs(matrix).max()
    # All are exact; twelve digits of the largest entry leave room for sums in another order.
    np.testing.assert_allclose(of_case.product(np.eye(len(matrix))), matrix, rtol=0, atol=1e-12 * size)
    assert of_case.trace() == pytest.approx(np.trace(matrix), rel=0, abs=1e-12 * len(matrix) * size)
    assert np.array_equal(matrix, matrix.T)


def test_cases_hold_every_activation_with_every_loss_both_with_skip_connections_and_without():
    of_cases = {(case.network.activations[0], case.loss, any(case.network.skips)) for case in CASES}
    assert of_cases == set(product(ACTIVATIONS, LOSSES, (False, True)))
    assert {case.l1 > 0 for case in CASES} == {case.l2 > 0 for case in CASES} == {True, False}


def test_no_case_is_easy_because_most_of_its_product_is_zero(stored):
    assert max(np.mean(theirs == 0) for theirs in stored) < 0.5


@pytest.mark.parametrize("activation", SMOOTH)
def test_a_product_is_how_the_gradient_changes_along_the_vector(activation):
    network = Network([2, 6, 6, 3], activation, "softmax", skip=True)
    vector, start, h = wave(network.n_parameters, seed=1), network.parameters.copy(), 1e-4
    given = hessian_vector_product(network, BLOBS, vector, l2=0.1)
    ahead, behind = (_gradient_at(network, start + sign * h * vector) for sign in (1, -1))
    # Truncation about h^2 = 1e-8, rounding about 1e-16 / h = 1e-12.
    np.testing.assert_allclose(given, (ahead - behind) / (2 * h), atol=1e-6)


def _gradient_at(network: Network, parameters: np.ndarray) -> np.ndarray:
    network.parameters = parameters
    return network.gradient(BLOBS, l2=0.1).flat


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_many_examples_in_parts_give_the_hessian_of_all(output, monkeypatch):
    data, outputs = (MOONS, 1) if output == "sigmoid" else (BLOBS, BLOBS.y.max() + 1)
    network = Network([2, 5, 5, outputs], "gelu", output, skip=True)
    at_once = hessian(network, data)
    monkeypatch.setattr(curvature_kernel, "BYTES", 0)
    monkeypatch.setattr(curvature_kernel, "FEWEST", 17)
    np.testing.assert_allclose(hessian(network, data), at_once, rtol=1e-12, atol=1e-15)
    assert trace(network, data) == pytest.approx(np.trace(at_once), rel=1e-12)


def test_a_parabolas_hessian_is_known():
    np.testing.assert_allclose(hessian(line(), QUADRATIC), parabola(), atol=1e-14)


def test_a_logistic_regressions_hessian_is_known():
    """X' diag(p (1 - p)) X / n, with a column of ones in X."""
    network = Network([2, 1])
    x, p = np.column_stack([MOONS.x, np.ones(60)]), network.predict(MOONS.x)
    np.testing.assert_allclose(hessian(network, MOONS), (x * p * (1 - p)).T @ x / 60, atol=1e-14)


def test_l2_bends_weights_alone_and_l1_bends_nothing():
    network = Network([2, 3, 1], "tanh")
    difference = hessian(network, MOONS, l1=0.5, l2=0.25) - hessian(network, MOONS)
    is_weight = [1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0]
    np.testing.assert_allclose(difference, 0.25 * np.diag(is_weight), atol=1e-15)


def test_products_of_many_vectors_are_those_of_each():
    network = trained()
    vectors = wave(3, network.n_parameters, seed=2)
    together = hessian_vector_product(network, MOONS, vectors)
    assert np.array_equal(together, [hessian_vector_product(network, MOONS, vector) for vector in vectors])


def test_changed_parameters_are_seen_and_left_alone():
    network = Network([2, 5, 1], "silu")
    of_network, vector = Curvature(network, MOONS), wave(21, seed=3)
    before = of_network.product(vector)
    network.parameters = 2 * network.parameters
    parameters = network.parameters.copy()
    assert not np.array_equal(of_network.product(vector), before)
    assert np.array_equal(of_network.product(vector), hessian_vector_product(network, MOONS, vector))
    assert np.array_equal(of_network.hessian(), hessian(network, MOONS))
    assert np.array_equal(network.parameters, parameters)


def test_answers_stay_true_when_more_is_asked():
    network = trained()
    of_network = Curvature(network, MOONS)
    answers = (
        of_network.product(wave(network.n_parameters, seed=3)),
        of_network.hessian(),
        of_network.sharpness().vector,
    )
    kept = [answer.copy() for answer in answers]
    network.parameters = 2 * network.parameters
    of_network.product(wave(network.n_parameters, seed=4)), of_network.hessian(), of_network.sharpness()
    assert all(np.array_equal(*pair) for pair in zip(answers, kept, strict=True))


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_a_product_allocates_no_array_per_example(output):
    data = SimpleNamespace(x=wave(4000, 2, seed=1), y=np.arange(4000) % 2)
    network = Network([2, 8, 8, 1 if output == "sigmoid" else 2], "tanh", output, skip=True)
    of_network, vector = Curvature(network, data), wave(network.n_parameters, seed=2)
    of_network.product(vector)
    tracemalloc.start()
    of_network.product(vector)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4000 * 8 / 2


def test_eigenvalues_ascend_and_belong_to_their_eigenvectors():
    found = spectrum(trained(), MOONS, l2=0.01)
    assert np.array_equal(found.eigenvalues, np.sort(found.eigenvalues))
    turned = found.hessian @ found.eigenvectors
    np.testing.assert_allclose(turned, found.eigenvectors * found.eigenvalues, atol=1e-13 * found.sharpness)


def test_a_spectrum_is_summed_up_as_the_field_does():
    found = Spectrum(np.diag([3.0, -0.5, 8.0, -4.0]))
    assert found.sharpness == 8.0
    assert found.trace == 6.5
    assert found.condition_number == 16.0
    assert found.n_negative == 2


def test_an_eigenvalue_of_rounding_is_neither_negative_nor_invertible():
    found = Spectrum(np.array([[1.0, 0.0, 0.0], [0.0, -1e-17, 0.0], [0.0, 0.0, 2.0]]))
    assert found.n_negative == 0
    assert found.condition_number == np.inf


def test_a_minimum_has_no_negative_eigenvalue_and_zero_weights_are_a_saddle():
    assert spectrum(line(), QUADRATIC).n_negative == 0
    assert spectrum(Network([2, 4, 1], "tanh", initializer="zeros"), MOONS).n_negative > 0


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
def test_sharpness_is_the_largest_eigenvalue(activation):
    network = trained(activation)
    found, exact = sharpness(network, MOONS, l2=0.01), spectrum(network, MOONS, l2=0.01)
    # The eigenvalue's error is the square of the residual's 1e-6, over the distance to the next eigenvalue.
    assert found.value == pytest.approx(exact.sharpness, rel=1e-9)
    assert abs(found.vector @ exact.eigenvectors[:, -1]) == pytest.approx(1.0, abs=1e-6)
    change = hessian_vector_product(network, MOONS, found.vector, l2=0.01) - found.value * found.vector
    assert np.linalg.norm(change) == pytest.approx(found.residual, abs=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 50, -2])
def test_no_other_eigenvector_given_as_a_start_hides_the_sharpest(rank):
    network = trained()
    exact = spectrum(network, MOONS)
    found = sharpness(network, MOONS, start=exact.eigenvectors[:, rank])
    assert found.value == pytest.approx(exact.sharpness, rel=1e-9)


@pytest.mark.parametrize("start", [np.zeros(105), np.full(105, np.nan)])
def test_a_start_that_says_nothing_is_as_good_as_none(start):
    network = trained()
    assert np.array_equal(sharpness(network, MOONS, start=start).vector, sharpness(network, MOONS).vector)


def test_a_start_from_the_epoch_before_saves_products_and_keeps_its_direction():
    network = trained()
    of_network = Curvature(network, MOONS)
    before = of_network.sharpness()
    Training(network, MOONS, optimizer=OPTIMIZERS["sgd"](learning_rate=0.01)).advance(2)
    warm, cold = of_network.sharpness(-before.vector), of_network.sharpness()
    assert warm.value == pytest.approx(cold.value, rel=1e-9)
    assert warm.products < cold.products
    assert warm.vector @ before.vector < 0


def test_sharpness_of_a_flat_place_is_zero():
    """Every example is beyond the margin, so that no hinge loss pulls."""
    network = Network([2, 4, 1], "tanh", "linear", initializer="zeros")
    network.biases[1][...] = 5.0
    data = SimpleNamespace(x=wave(6, 2, seed=1), y=np.ones(6))
    found = sharpness(network, data, "hinge")
    assert found.value == found.residual == 0.0


def test_sharpness_is_negative_where_everything_bends_downwards():
    """Being wrong and sure of it costs (p - 0)^2 nearly 1, at most: a plateau whose edges fall off."""
    network, data = Network([1, 1], initializer="zeros", bias=5.0), SimpleNamespace(x=np.array([[-1], [1]]), y=[0, 0])
    found = sharpness(network, data, "mse")
    assert found.value < 0
    assert found.value == pytest.approx(spectrum(network, data, "mse").sharpness, rel=1e-12)


@pytest.mark.parametrize(("share", "falls"), [(0.98, True), (1.02, False)])
def test_gradient_descent_overshoots_beyond_2_over_sharpness(share, falls):
    network, rate = line(), share * 2 / sharpness(line(), QUADRATIC).value
    losses = Training(network, QUADRATIC, optimizer=OPTIMIZERS["sgd"](learning_rate=rate)).advance(400).loss
    assert (losses[-1] < losses[0]) == falls
    assert (losses[-1] > 1e3 * losses[0]) == (not falls)


def test_what_is_not_finite_is_answered_with_nan():
    network = trained()
    network.weights[1][0, 0] = np.inf
    of_network = Curvature(network, MOONS)
    found = of_network.sharpness()
    assert np.isnan([found.value, found.residual, *found.vector]).all()
    assert np.isnan(of_network.spectrum().eigenvalues).all()
    assert np.isnan(of_network.spectrum().eigenvectors).all()
    assert not np.isfinite(of_network.product(wave(105, seed=1))).all()


def test_large_networks_have_products_sharpness_and_trace_but_no_hessian():
    network = Network([2, 60, 60, 1], "tanh")
    of_network = Curvature(network, MOONS)
    with pytest.raises(ValueError, match="a Hessian for 3901 parameters is too large; choose 2000 or fewer"):
        of_network.hessian()
    found = of_network.sharpness()
    assert found.value > 0
    assert found.residual <= 1e-6 * found.value
    # A tenth: the mean of 300 probes with variance 2 |H|^2 each.
    probes = np.sign(wave(300, network.n_parameters, seed=5))
    assert of_network.trace() == pytest.approx((probes * of_network.product(probes)).sum() / 300, rel=0.1)


@pytest.mark.parametrize("shape", [(104,), (2, 104), (1, 1, 105), ()])
def test_vectors_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match=r"vectors have the shape .*; expected \(\.\.\., 105\), one or many"):
        Curvature(trained(epochs=1), MOONS).product(np.ones(shape))


def test_a_start_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"start has the shape \(3,\); expected \(105,\), one number per parameter"):
        sharpness(trained(epochs=1), MOONS, start=np.ones(3))


def test_a_loss_that_does_not_go_with_the_output_is_refused():
    with pytest.raises(ValueError, match="loss 'cross-entropy' does not go with the output 'sigmoid'"):
        Curvature(Network([2, 1]), MOONS, "cross-entropy")


@pytest.mark.parametrize("count", [1, 3, 8])
def test_leading_eigenpairs_are_the_spectrums_largest(count):
    network = Network([2, 6, 1], "tanh", seed=3)
    curvature = Curvature(network, MOONS)
    found, whole = curvature.leading(count), curvature.spectrum()
    np.testing.assert_allclose(found.values, whole.eigenvalues[::-1][:count], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(count), atol=1e-9)
    bent = curvature.product(found.vectors)
    np.testing.assert_allclose(bent, found.values[:, None] * found.vectors, atol=2e-6 * found.values[0])
    again = curvature.leading(count, found.vectors.sum(axis=0))
    np.testing.assert_allclose(again.values, found.values, rtol=1e-6, atol=1e-9)


def test_fewer_than_one_eigenvalue_is_refused_and_more_than_there_are_are_all():
    curvature = Curvature(line(), QUADRATIC)
    with pytest.raises(ValueError, match="0 eigenvalues"):
        curvature.leading(0)
    np.testing.assert_allclose(curvature.leading(5).values, np.linalg.eigvalsh(parabola())[::-1])


@pytest.mark.parametrize("scaled", [False, True])
def test_eigenpairs_come_one_after_the_other_as_the_spectrum_has_them(scaled):
    network = trained()
    rates = np.linspace(0.1, 3.0, network.n_parameters) if scaled else None
    curvature = Curvature(network, MOONS, l2=0.01, rates=rates)
    whole, found = curvature.spectrum(), list(islice(curvature.eigenpairs(), 6))
    vectors = np.stack([one.vector for one in found])
    # Each is sought beside what is known of those before it, whose residuals are 1e-6 of the largest eigenvalue.
    np.testing.assert_allclose(
        [one.value for one in found], whole.eigenvalues[:-7:-1], rtol=0, atol=1e-6 * whole.sharpness
    )
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(
        vectors @ whole.hessian, vectors * whole.eigenvalues[:-7:-1, None], atol=1e-5 * whole.sharpness
    )


def test_of_equal_eigenvalues_all_are_found_which_leading_cannot():
    """A linear model of two outputs has the Hessian of one output twice: each of its eigenvalues comes twice."""
    data = SimpleNamespace(x=wave(30, 2, seed=4), y=wave(30, 2, seed=5))
    curvature = Curvature(Network([2, 2], output="linear"), data)
    whole = curvature.spectrum().eigenvalues[::-1]
    assert whole[0] == pytest.approx(whole[1], rel=1e-12)
    np.testing.assert_allclose([one.value for one in curvature.eigenpairs()], whole, rtol=1e-9)
    assert curvature.leading(2).values[1] == pytest.approx(whole[2], rel=1e-9)


def test_a_network_has_no_more_eigenpairs_than_parameters():
    assert len(list(Curvature(line(), QUADRATIC).eigenpairs())) == 2


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("number", [0, 7, 24, 40])
def test_a_layers_sharpness_is_the_largest_eigenvalue_of_its_own_block(number, scaled):
    case = CASES[number]
    network = case.network
    rates = np.linspace(0.1, 3.0, network.n_parameters) if scaled else None
    curvature = Curvature(*case.objective, rates=rates)
    _check_layers(curvature, curvature.spectrum().hessian, network)


@pytest.mark.torch
@pytest.mark.parametrize("number", [0, 24])
def test_a_layers_sharpness_is_that_of_pytorchs_block_live(number):
    pytest.importorskip("torch")
    _check_layers(Curvature(*CASES[number].objective), torch_hessian(CASES[number]), CASES[number].network)


def _check_layers(curvature: Curvature, hessian: np.ndarray, network: Network) -> None:
    """Each block's largest eigenvalue, by all of them; to a millionth of the block's largest in size."""
    ends = np.cumsum([0, *(matrix.size for matrix in layer_matrices(network.parameters, network.sizes))])
    found = list(curvature.layers())
    assert len(found) == len(network.weights)
    for one, start, end in zip(found, ends, ends[1:], strict=False):
        block = np.linalg.eigvalsh(hessian[start:end, start:end])
        assert one.value == pytest.approx(block[-1], rel=0, abs=1e-6 * np.abs(block).max() + 1e-15)
        assert not one.vector[:start].any() and not one.vector[end:].any()
        assert np.linalg.norm(one.vector) == pytest.approx(1.0, abs=1e-12)
    again = list(curvature.layers([one.vector for one in found]))
    for one, other in zip(found, again, strict=True):
        assert other.value == pytest.approx(one.value, rel=0, abs=1e-6 * abs(one.value) + 1e-15)
    assert max(one.value for one in found) <= curvature.sharpness().value * (1 + 1e-6) + 1e-15


def test_one_layer_alone_is_the_whole_network():
    found, whole = list(Curvature(line(), QUADRATIC).layers()), Curvature(line(), QUADRATIC).sharpness()
    assert [one.value for one in found] == pytest.approx([whole.value], rel=1e-12)
