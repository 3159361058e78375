"""Networks without biases, and networks whose biases start at random."""

import numpy as np
import pytest
from oracle_gradients import Case, torch_answer

from dashboard.state.run import Run, Setup
from dashboard.state.settings import Settings
from engine import ACTIVATIONS, DATASETS, INITIALIZERS, OPTIMIZERS, Network, Training
from engine.backpropagation import Backpropagation
from engine.curvature import hessian, sharpness, spectrum
from engine.ensemble import Ensemble
from engine.gradient_check import gradient_check
from engine.kernel import layer_matrices
from engine.measures import example_gradient_norms

MOONS = DATASETS["moons"](n=40)
every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


def bare(activation: str = "tanh", **arguments) -> Network:
    return Network([2, 4, 4, 1], activation, initializer="xavier", skip=True, has_biases=False, **arguments)


def usual(activation: str = "tanh") -> Network:
    """The same network with biases, all of them 0."""
    return Network([2, 4, 4, 1], activation, initializer="xavier", skip=True)


def are_weights(network: Network) -> np.ndarray:
    return network.penalty(0.0, 0.0).is_weight == 1


@every_activation
def test_without_biases_the_weights_gradient_is_that_at_biases_of_zero_and_the_biases_is_zero(activation):
    mine, other = bare(activation).gradient(MOONS, l2=0.1), usual(activation).gradient(MOONS, l2=0.1)
    for ours, theirs in zip(mine.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not any(b.any() for b in mine.biases)
    assert any(b.any() for b in other.biases)


@pytest.mark.torch
@every_activation
def test_without_biases_the_gradient_is_pytorchs_live(activation):
    pytest.importorskip("torch")
    case = Case(usual(activation), MOONS, "mse", 0.01, 0.1)
    loss, flat = torch_answer(case)
    mine = bare(activation).gradient(MOONS, "mse", 0.01, 0.1)
    assert bare(activation).loss(MOONS, "mse", 0.01, 0.1) == pytest.approx(loss, rel=1e-12)
    for ours, theirs in zip(mine.weights, layer_matrices(flat, (2, 4, 4, 1)), strict=True):
        np.testing.assert_allclose(ours, theirs[:-1], rtol=0, atol=1e-9 * np.abs(theirs).max())


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [None, 16])
def test_no_optimizer_ever_moves_a_bias_that_is_not_there(name, batch_size):
    training = Training(bare(), MOONS, optimizer=OPTIMIZERS[name](), batch_size=batch_size, l2=0.01)
    paths = training.advance(20).parameters
    missing = ~are_weights(training.network)
    assert not paths[:, missing].any()
    assert (np.ptp(paths[:, ~missing], axis=0) > 0).all()


def test_gradient_descent_without_biases_is_that_of_the_weights_alone():
    """Against a loop that computes its gradients with biases, and throws those of the biases away."""
    network, by_hand = bare(), usual()
    trained = Training(network, MOONS, optimizer=OPTIMIZERS["sgd"](learning_rate=0.5)).advance(31).parameters[-1]
    for _ in range(30):
        by_hand.parameters -= 0.5 * by_hand.gradient(MOONS).flat * are_weights(by_hand)
    # The same sums, to the rounding of 30 steps.
    np.testing.assert_allclose(trained, by_hand.parameters, rtol=1e-12, atol=1e-14)


def test_nothing_depends_on_what_stands_in_the_biases_place():
    network, other = bare(), bare()
    for b in other.biases:
        b[...] = 7.0
    np.testing.assert_array_equal(network.predict(MOONS.x), other.predict(MOONS.x))
    np.testing.assert_array_equal(network.trace(MOONS.x).outputs, other.trace(MOONS.x).outputs)
    np.testing.assert_allclose(network.trace(MOONS.x).logits, network.logits(MOONS.x), rtol=1e-12)
    assert network.loss(MOONS) == other.loss(MOONS)
    assert Backpropagation(other, MOONS)["loss"] == pytest.approx(network.loss(MOONS), rel=1e-14)


@every_activation
def test_the_curvature_is_that_in_the_weights_alone(activation):
    network, weights = bare(activation), are_weights(bare())
    mine, other = hessian(network, MOONS, l2=0.1), hessian(usual(activation), MOONS, l2=0.1)
    np.testing.assert_allclose(mine[np.ix_(weights, weights)], other[np.ix_(weights, weights)], rtol=1e-12, atol=1e-14)
    assert not mine[~weights].any() and not mine[:, ~weights].any()
    largest = np.linalg.eigvalsh(other[np.ix_(weights, weights)])[-1]
    assert sharpness(network, MOONS, l2=0.1).value == pytest.approx(largest, rel=1e-9)
    assert spectrum(network, MOONS, l2=0.1).sharpness == pytest.approx(largest, rel=1e-12)


def test_a_network_without_biases_passes_the_gradient_check_and_backpropagation_agrees():
    network = bare("sigmoid")
    assert gradient_check(network, MOONS).passed
    flat = network.gradient(MOONS).flat
    np.testing.assert_allclose(Backpropagation(network, MOONS).gradient.flat, flat, rtol=0, atol=1e-15)
    norms = example_gradient_norms(network, MOONS)
    for i in (0, 17):
        alone = network.gradient(MOONS.take(np.array([i])))
        np.testing.assert_allclose(norms[i], [np.linalg.norm(w) for w in alone.weights], rtol=1e-12)


def test_without_biases_zero_is_answered_with_one_half():
    assert bare("tanh").predict(np.zeros((1, 2))).item() == 0.5


def test_random_biases_are_normal_around_the_initial_bias_and_change_no_weight():
    plain, random = (Network([2, 400, 400, 1], bias=-1.0, bias_std=std, seed=3) for std in (0.0, 0.5))
    biases = np.concatenate(random.biases)
    # 801 draws: mean and standard deviation are known to 0.018 and 0.013; four times that.
    assert biases.mean() == pytest.approx(-1.0, abs=0.07)
    assert biases.std() == pytest.approx(0.5, abs=0.05)
    for one, other in zip(plain.weights, random.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(
        Network([2, 400, 400, 1], bias=-1.0, bias_std=0.5, seed=3).parameters, random.parameters
    )


@pytest.mark.parametrize("std", [-0.1, np.nan, np.inf])
def test_an_impossible_spread_of_biases_is_refused(std):
    with pytest.raises(ValueError, match=f"bias_std {std} is not a standard deviation; choose a finite number"):
        Network([2, 3, 1], bias_std=std)


def test_a_copy_has_no_biases_either():
    assert not bare().copy().gradient(MOONS).biases[0].any()


def test_an_ensemble_trains_with_and_without_biases_as_single_trainings_do():
    axes = {"has_biases": [True, False], "bias_std": [0.0, 0.5], "seed": range(2)}
    runs = Ensemble([2, 5, 1], MOONS, axes, "tanh")
    runs.advance(12)
    for k in range(len(runs)):
        alone = Network([2, 5, 1], "tanh", **runs.choices(k))
        np.testing.assert_array_equal(Training(alone, MOONS).advance(12).parameters[-1], runs.parameters[k])


def test_settings_say_whether_there_are_biases_and_how_they_start():
    network = Setup.of(Settings(biases=False, bias=-1.0, bias_std=1.0)).network
    assert not network.has_biases and not any(b.any() for b in network.biases)
    spread = Setup.of(Settings(bias_std=0.7, seed=4)).network
    assert np.concatenate(spread.biases).std() > 0.3
    critical = Settings(initializer="gaussian", sigma_w=1.5)
    assert critical.build("initializer") == INITIALIZERS["gaussian"](sigma_w=1.5)


def test_a_bias_that_is_not_there_cannot_be_changed_by_hand():
    run = Run(Settings(biases=False, hidden=[3]))
    run.advance(3)
    with pytest.raises(ValueError, match="this network has no biases; switch them on to change one"):
        run.edit({6: 1.0})
    run.edit({5: 1.0})
    assert run.history[-1].parameters[5] == 1.0


@pytest.mark.parametrize(("variance", "q", "chi"), [(1.3, 0.3153, 0.880), (1.6, 0.4743, 0.964), (2.5, 1.0640, 1.134)])
def test_signals_and_gradients_of_random_networks_go_the_way_of_the_mean_field(variance, q, chi):
    """Schoenholz et al. 2017, tanh with biases of variance .05: the fixed point q* and the factor chi of gradients^2.

    Medians of 60 networks of width 128 and depth 20; a layer's mean square is known to 128^(-1/2), the median to 2 %.
    """
    start = {"initializer": INITIALIZERS["gaussian"](sigma_w=np.sqrt(variance)), "bias_std": np.sqrt(0.05)}
    data, squares, factors = MOONS.take(np.arange(8)), [], []
    for seed in range(60):
        one = Network([2, *[128] * 20, 1], "tanh", "linear", seed=seed, **start)
        squares.append(np.mean(one.trace(data.x).pre_activations[14] ** 2))
        # Of a single example: others pull the other way, the less the more layers lie between.
        gradient = one.gradient(data.take(np.array([0])), "mse")
        norms = np.array([np.linalg.norm(b) ** 2 for b in gradient.biases])
        factors.append((norms[5] / norms[17]) ** (1 / 12))
    assert np.median(squares) == pytest.approx(q, rel=0.05)
    assert np.median(factors) == pytest.approx(chi, rel=0.05)
