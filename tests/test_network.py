"""Parameters of networks, the forward pass, losses and gradients, also PyTorch's."""

from types import SimpleNamespace

import numpy as np
import pytest
from oracle_gradients import REFERENCES, Case, cases, torch_answer

from engine import ACTIVATIONS, DATASETS, OUTPUTS, Network
from engine.initializers import INITIALIZERS
from engine.kernel import layer_matrices

CASES = cases()
MOONS = DATASETS["moons"](n=40)

every_case = pytest.mark.parametrize("number", range(len(CASES)), ids=[case.name for case in CASES])


@pytest.fixture(scope="module")
def stored():
    """PyTorch's answers: (loss, gradient) per case."""
    file = np.load(REFERENCES / "gradients.npz")
    ends = np.cumsum([case.network.n_parameters for case in CASES])
    return list(zip(file["losses"], np.split(file["gradients"], ends[:-1]), strict=True))


def assert_answers_agree(case: Case, loss: float, gradient: np.ndarray) -> None:
    """The loss, and every layer's gradient relative to that layer's largest entry, however small that is."""
    mine = case.network.gradient(case.data, case.loss, case.l1, case.l2).flat
    assert case.network.loss(case.data, case.loss, case.l1, case.l2) == pytest.approx(loss, rel=1e-9)
    sizes = case.network.sizes
    for ours, theirs in zip(layer_matrices(mine, sizes), layer_matrices(gradient, sizes), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9 * np.abs(theirs).max())


@every_case
def test_gradients_are_pytorchs(number, stored):
    assert_answers_agree(CASES[number], *stored[number])


@pytest.mark.torch
@every_case
def test_gradients_are_pytorchs_live(number):
    pytest.importorskip("torch")
    assert_answers_agree(CASES[number], *torch_answer(CASES[number]))


@every_case
def test_trace_computes_example_by_example_what_the_kernel_computes_at_once(number):
    network, x = CASES[number].network, CASES[number].data.x
    trace = network.trace(x)
    np.testing.assert_allclose(trace.logits, network.logits(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(trace.outputs, network.predict(x), rtol=1e-12, atol=1e-12)
    assert [a.shape for a in trace.activations] == [(len(x), width) for width in network.widths]
    assert [z.shape for z in trace.pre_activations] == [(len(x), width) for width in network.widths]


def test_cases_hold_every_activation_every_loss_and_depths_0_to_8():
    assert {name for case in CASES for name in case.network.activations} == set(ACTIVATIONS)
    assert {(case.loss, case.network.output) for case in CASES} >= {("hinge", "linear"), ("mse", "softmax")}
    assert {len(case.network.widths) for case in CASES} == set(range(9))
    assert {case.network.skip for case in CASES} == {True, False}


def test_no_case_is_easy_because_most_of_its_gradient_is_zero(stored):
    assert max(np.mean(gradient == 0) for _, gradient in stored) < 0.5


def test_parameters_lie_layer_by_layer_weights_then_biases():
    network = Network([2, 3, 1], initializer="zeros")
    network.parameters = np.arange(13.0)
    assert network.weights[0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert network.biases[0].tolist() == [6, 7, 8]
    assert network.weights[1].tolist() == [[9], [10], [11]]
    assert network.biases[1].tolist() == [12]


def test_writing_to_a_view_changes_the_network():
    network = Network([2, 3, 1])
    network.weights[0][1, 2] = 7.0
    network.biases[1][0] = 8.0
    assert network.parameters[[5, 12]].tolist() == [7.0, 8.0]


def test_assigned_parameters_are_copied():
    network, values = Network([2, 3, 1]), np.arange(13.0)
    weights = network.weights[0]
    network.parameters = values
    values[:] = 0.0
    assert weights[0].tolist() == [0.0, 1.0, 2.0]


def test_a_copy_goes_its_own_way():
    network = Network([2, 4, 1], activation="tanh", skip=True)
    twin = network.copy()
    np.testing.assert_array_equal(twin.predict(MOONS.x), network.predict(MOONS.x))
    twin.weights[0][:] = 0.0
    assert network.weights[0].all()


def test_same_seed_same_network_whatever_activation_and_output():
    one = Network([2, 5, 1], activation="relu", output="sigmoid", seed=4)
    other = Network([2, 5, 1], activation="sine", output="linear", seed=4)
    np.testing.assert_array_equal(one.parameters, other.parameters)
    assert not np.array_equal(one.parameters, Network([2, 5, 1], seed=5).parameters)


def test_an_initializer_may_be_an_instance():
    weights = Network([50, 80, 1], initializer=INITIALIZERS["normal"](std=3.0)).weights[0]
    # 4000 draws: known to 1 %; three times that.
    assert weights.std() == pytest.approx(3.0, rel=0.03)


def test_bias_is_where_all_biases_start():
    assert {b for biases in Network([2, 3, 3, 1], bias=-0.5).biases for b in biases} == {-0.5}


def test_without_hidden_layers_it_is_logistic_regression():
    network = Network([2, 1], initializer="zeros")
    network.parameters = [2.0, -1.0, 0.5]
    expected = 1 / (1 + np.exp(-(MOONS.x @ [2.0, -1.0] + 0.5)))
    np.testing.assert_allclose(network.predict(MOONS.x)[:, 0], expected, rtol=1e-14)


def test_skip_adds_the_input_where_widths_are_equal():
    network = Network([2, 2, 3, 3, 1], activation="linear", initializer="zeros", skip=True)
    activations = network.trace(MOONS.x).activations
    np.testing.assert_array_equal(activations[0], MOONS.x)
    assert not activations[1].any()
    network.biases[1][:] = 1.0
    np.testing.assert_array_equal(network.trace(MOONS.x).activations[2], np.ones((40, 3)))


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_loss_without_a_name_is_the_outputs_own(output):
    network = Network([2, 3, 2 if output == "softmax" else 1], output=output)
    assert network.loss(MOONS) == network.loss(MOONS, OUTPUTS[output].loss)


def test_penalties_count_weights_and_spare_biases():
    network = Network([2, 3, 1], bias=5.0)
    w = np.concatenate([w.ravel() for w in network.weights])
    penalty = network.loss(MOONS, l1=0.3, l2=0.7) - network.loss(MOONS)
    assert penalty == pytest.approx(0.7 / 2 * (w @ w) + 0.3 * np.abs(w).sum(), rel=1e-12)


def test_the_gradients_parts_are_views_of_it():
    gradient = Network([2, 3, 1]).gradient(MOONS)
    assert [w.shape for w in gradient.weights] == [(2, 3), (3, 1)]
    assert [b.shape for b in gradient.biases] == [(3,), (1,)]
    assert all(np.shares_memory(part, gradient.flat) for part in gradient.weights + gradient.biases)


def test_accuracy_is_the_share_of_right_answers():
    network = Network([2, 8, 1], seed=1)
    right = (network.predict(MOONS.x)[:, 0] >= 0.5) == (MOONS.y == 1)
    assert network.accuracy(MOONS) == right.mean()


def test_accuracy_of_classes_goes_by_the_largest_output():
    blobs = DATASETS["blobs"](n=60, classes=4)
    network = Network([2, 8, 4], output="softmax")
    assert network.accuracy(blobs) == (network.predict(blobs.x).argmax(axis=1) == blobs.y).mean()


def test_values_have_no_accuracy_but_margins_have():
    network = Network([2, 4, 1], output="linear")
    assert np.isnan(network.accuracy(MOONS))
    assert network.accuracy(MOONS, "hinge") == ((network.predict(MOONS.x)[:, 0] >= 0) == (MOONS.y == 1)).mean()


@pytest.mark.parametrize("size", [1e3, 1e200, np.inf, np.nan])
def test_wild_parameters_warn_of_nothing(size):
    network = Network([2, 4, 4, 1], activation="elu")
    network.parameters = np.full(network.n_parameters, size)
    network.gradient(MOONS, l2=0.1)
    network.trace(MOONS.x)
    assert np.isfinite(network.loss(MOONS)) == (size == 1e3)


def changed(**changes: object) -> SimpleNamespace:
    return SimpleNamespace(**{"x": MOONS.x, "y": MOONS.y, **changes})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": [2]}, r"sizes \[2\] are too few; give at least the features and the outputs"),
        ({"sizes": [2, 0, 1]}, r"size 0 in \[2, 0, 1\] is impossible; .* 1 or more"),
        ({"sizes": [2, 1.5, 1]}, "size 1.5 in .* whole number"),
        ({"activation": "rleu"}, "activation 'rleu' is unknown; choose one of sigmoid, tanh, relu"),
        ({"activation": ["relu", "tanh"]}, "2 activations for 1 hidden layers; give one name, or one per layer"),
        ({"output": "softmox"}, "output 'softmox' is unknown; choose one of sigmoid, softmax, linear"),
        ({"initializer": "hee"}, "initializer 'hee' is unknown; choose one of he, xavier"),
        ({"sizes": [2, 3, 4]}, "a sigmoid output of 4 units is unknown; choose 1 unit, or the output 'softmax'"),
        ({"output": "softmax"}, "a softmax output of 1 unit is always 1; choose 2 units or more, or 'sigmoid'"),
    ],
)
def test_an_impossible_network_is_refused_with_a_remedy(arguments, message):
    with pytest.raises(ValueError, match=message):
        Network(**{"sizes": [2, 3, 1], **arguments})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(x=np.ones((40, 3))), r"x has the shape \(40, 3\); expected \(n, 2\)"),
        (changed(x=np.ones(40)), r"x has the shape \(40,\); expected \(n, 2\)"),
        (changed(x=np.ones((0, 2)), y=np.ones(0)), r"x has the shape \(0, 2\); expected \(n, 2\) with n of at least 1"),
        (changed(x=np.full((40, 2), np.nan)), "x contains nan; leave such examples out or fill them in"),
        (changed(y=MOONS.y[:-1]), "y has 39 labels for 40 examples; there must be one for each"),
        (changed(y=MOONS.y - np.inf), "label -inf is not a finite number"),
        (changed(y=MOONS.y + 1), "label 2.0 does not fit one yes-or-no output; labels must be 0 or 1"),
    ],
)
def test_data_that_does_not_fit_is_refused_with_a_remedy(data, message):
    with pytest.raises(ValueError, match=message):
        Network([2, 3, 1]).loss(data)


def test_parameters_of_another_network_are_refused():
    with pytest.raises(ValueError, match=r"parameters have the shape \(3,\); this network has 13"):
        Network([2, 3, 1]).parameters = np.ones(3)


@pytest.mark.parametrize(("output", "outputs"), [("sigmoid", 1), ("softmax", 3), ("linear", 2)])
def test_a_predictor_follows_the_parameters_and_gives_what_predict_gives(output, outputs):
    network = Network([2, 5, 5, outputs], activation="tanh", output=output, skip=True, seed=1)
    x = np.random.default_rng(0).normal(size=(37, 2))
    predict = network.predictor(x, block=10)
    for factor in (1.0, 0.5):
        network.parameters *= factor
        np.testing.assert_allclose(predict(), network.predict(x), rtol=1e-12)
