"""The stages are those of a textbook, their gradient is the network's, and every mistake does what it says."""

import re

import numpy as np
import pytest
from oracle_gradients import cases

from engine.activations import ACTIVATIONS
from engine.backpropagation import BUGS, RULES, Backpropagation
from engine.datasets import DATASETS, Dataset
from engine.kernel import layer_matrices
from engine.network import Network

CASES = cases()
XOR = DATASETS["xor4"]()
MOONS = DATASETS["moons"](n=20)

every_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
every_bug = pytest.mark.parametrize("bug", BUGS)


def skipping(activation: str = "tanh") -> Network:
    return Network([2, 3, 3, 1], activation, initializer="xavier", skip=True, bias=0.1)


@every_case
def test_the_gradient_is_the_networks(case):
    """In every layer, to 1e-12 of its largest entry: sums of a few products, in another order."""
    passes = Backpropagation(case.network, case.data, case.loss, case.l1, case.l2)
    expected = case.network.gradient(case.data, case.loss, case.l1, case.l2)
    ours, theirs = (layer_matrices(flat, case.network.sizes) for flat in (passes.gradient.flat, expected.flat))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-12 * np.abs(other).max())
    assert passes["loss"] == pytest.approx(case.network.loss(case.data, case.loss, case.l1, case.l2), rel=1e-12)


@every_case
def test_forward_stages_are_the_networks_trace(case):
    passes, trace = Backpropagation(case.network, case.data, case.loss), case.network.trace(case.data.x)
    for i, (z, a) in enumerate(zip(trace.pre_activations, trace.activations, strict=True), start=1):
        np.testing.assert_allclose(passes[f"z{i}"], z, rtol=1e-12)
        np.testing.assert_allclose(passes[f"a{i}"], a, rtol=1e-12)
    np.testing.assert_allclose(passes[f"a{len(trace.activations) + 1}"], trace.outputs, rtol=1e-12)


def test_stages_come_in_the_order_of_a_textbook():
    names = [stage.name for stage in Backpropagation(Network([2, 4, 1]), XOR)]
    assert names[:6] == ["a0", "W1", "b1", "W2", "b2", "y"]
    assert names[6:13] == ["z1", "f'(z1)", "a1", "z2", "a2", "costs", "loss"]
    assert names[13:] == ["∂costs", "dz2", "dW2", "db2", "da1", "dz1", "dW1", "db1"]


def test_shapes_are_one_row_per_example_and_derivatives_are_shaped_like_what_they_derive_by():
    passes = Backpropagation(Network([2, 4, 1]), XOR)
    shapes = {stage.name: stage.shape for stage in passes}
    assert shapes["z1"] == (4, 4) and shapes["a2"] == (4, 1) and shapes["costs"] == (4,) and shapes["loss"] == ()
    assert all(shapes[name] == shapes[name[1:]] for name in shapes if name[0] == "d")


def test_every_stage_of_xor_is_what_its_formula_says():
    """A network 2-2-1 of sigmoids, written out by hand."""
    network = Network([2, 2, 1], "sigmoid")
    network.parameters = [0.5, -1.0, 1.5, 2.0, 0.1, -0.2, 1.0, -2.0, 0.3]
    s = Backpropagation(network, XOR, l2=0.1)
    w1, w2 = network.weights
    a1 = 1 / (1 + np.exp(-(XOR.x @ w1 + [0.1, -0.2])))
    p, y = 1 / (1 + np.exp(-(a1 @ w2 + 0.3))), XOR.y[:, None]
    costs = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    dz2 = (p - y) / 4
    dz1 = dz2 @ w2.T * a1 * (1 - a1)
    expected = {"a1": a1, "a2": p, "costs": costs[:, 0], "dz2": dz2, "db2": dz2.sum(axis=0), "dz1": dz1}
    expected |= {"loss": costs.mean() + 0.05 * ((w1**2).sum() + (w2**2).sum()), "f'(z1)": a1 * (1 - a1)}
    expected |= {"dW2": a1.T @ dz2 + 0.1 * w2, "dW1": XOR.x.T @ dz1 + 0.1 * w1, "db1": dz1.sum(axis=0)}
    for name, array in expected.items():
        np.testing.assert_allclose(s[name], array, rtol=1e-12, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("bug", [None, *BUGS])
def test_formulas_name_only_stages_that_came_before(bug):
    for case in CASES:
        seen = set()
        for stage in Backpropagation(case.network, case.data, case.loss, case.l1, case.l2, bug):
            assert set(re.findall(r"∂costs|\bd?[abzW]\d+", stage.formula)) <= seen, f"{stage.name} = {stage.formula}"
            seen.add(stage.name)


def test_formulas_say_what_is_added_on_skip_connections_and_penalties():
    formulas = {stage.name: stage.formula for stage in Backpropagation(skipping("relu"), XOR, l1=0.1, l2=0.2)}
    assert formulas["a1"] == "relu(z1)" and formulas["a2"] == "relu(z2) + a1"
    assert formulas["da1"] == "dz2 W2ᵀ + da2" and formulas["da2"] == "dz3 W3ᵀ"
    assert formulas["dW1"] == "a0ᵀ dz1 + l1 sign(W1) + l2 W1"
    assert formulas["loss"] == "mean of the costs + l1 |W| + l2/2 |W|²"
    assert formulas["∂costs"] == "a3 - y" and formulas["dz3"] == "∂costs / n"


def test_stages_stay_when_the_network_moves_on():
    network = skipping()
    passes = Backpropagation(network, MOONS)
    before = {stage.name: stage.array.copy() for stage in passes}
    network.parameters += 1.0
    assert all(np.array_equal(passes[name], array) for name, array in before.items())


def test_looking_changes_nothing():
    network = skipping()
    before = network.parameters.copy()
    for bug in (None, *BUGS):
        Backpropagation(network, MOONS, l1=0.1, bug=bug)
    assert np.array_equal(network.parameters, before)


def test_the_gradients_parts_are_views_of_it():
    gradient = Backpropagation(skipping(), MOONS).gradient
    assert [w.shape for w in gradient.weights] == [(2, 3), (3, 3), (3, 1)]
    assert all(np.shares_memory(part, gradient.flat) for part in gradient.weights + gradient.biases)


@pytest.mark.parametrize("size", [1e200, np.inf, np.nan])
def test_wild_parameters_warn_of_nothing(size):
    network = skipping("elu")
    network.parameters[...] = size
    assert len(Backpropagation(network, MOONS, l2=0.1))


@every_bug
def test_a_bug_changes_the_gradient_but_not_the_forward_pass(bug):
    right, wrong = (Backpropagation(skipping(), MOONS, l2=0.1, bug=name) for name in (None, bug))
    assert not np.allclose(right.gradient.flat, wrong.gradient.flat, rtol=1e-3)
    for mine, other in zip(right, wrong, strict=True):
        assert mine.part == "backward" or np.array_equal(mine.array, other.array)


@every_bug
def test_a_bug_shows_in_the_formulas_where_it_was_made(bug):
    right, wrong = (Backpropagation(skipping(), MOONS, l2=0.1, bug=name) for name in (None, bug))
    changed = [a.name for a, b in zip(right, wrong, strict=True) if a.formula != b.formula]
    stage = {"output": "dz3", "slope": "dz2", "down": "da2", "skip": "da1", "weights": "dW3", "biases": "db3"}
    assert changed[0] == stage.get(BUGS[bug].replaces, "dW3")


@every_bug
def test_a_bug_takes_the_place_of_a_rule_and_says_what_goes_wrong(bug):
    assert BUGS[bug].replaces in RULES
    assert BUGS[bug].doc.endswith(".") and len(BUGS[bug].doc) > 20
    assert BUGS[bug].rule.formula != RULES[BUGS[bug].replaces].formula


def test_without_1_over_n_the_gradient_is_n_times_as_long():
    right, wrong = (Backpropagation(skipping(), MOONS, bug=name).gradient.flat for name in (None, "forget 1/n"))
    np.testing.assert_allclose(wrong, len(MOONS) * right, rtol=1e-12)


def test_the_wrong_sign_points_uphill():
    right, wrong = (Backpropagation(skipping(), MOONS, bug=name).gradient.flat for name in (None, "wrong sign"))
    np.testing.assert_array_equal(wrong, -right)


def test_transposed_weights_that_are_not_square_are_reshaped():
    """The numbers of W2 (3, 2), read row by row into (2, 3), where the transpose has its columns as rows."""
    network = Network([2, 3, 2], output="linear")
    network.weights[1][...] = [[1, 2], [3, 4], [5, 6]]
    data = Dataset(MOONS.x, MOONS.x, "regression", 0)
    right, wrong = (Backpropagation(network, data, bug=name) for name in (None, "transpose the weights"))
    np.testing.assert_allclose(right["da1"], right["dz2"] @ [[1, 3, 5], [2, 4, 6]])
    np.testing.assert_allclose(wrong["da1"], wrong["dz2"] @ [[1, 2, 3], [4, 5, 6]])


def test_dropped_slopes_are_slopes_of_linear_units():
    """In one hidden layer the mistake is the gradient of a linear network that forward is not linear."""
    network = Network([2, 3, 1], "tanh")
    s = Backpropagation(network, MOONS, bug="drop the slope")
    np.testing.assert_allclose(s["dW1"], MOONS.x.T @ (s["dz2"] @ network.weights[1].T), rtol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "leaky relu", "linear"])
def test_relu_and_its_like_forgive_a_slope_taken_at_the_activation(activation):
    right, wrong = (
        Backpropagation(skipping(activation), MOONS, bug=name) for name in (None, "slope of the activation")
    )
    np.testing.assert_array_equal(right.gradient.flat, wrong.gradient.flat)


def test_every_activation_has_its_slope_among_the_stages():
    for name, activation in ACTIVATIONS.items():
        passes = Backpropagation(Network([2, 3, 1], name), MOONS)
        np.testing.assert_array_equal(passes["f'(z1)"], activation.slope(passes["z1"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bug": "off by one"}, "bug 'off by one' is unknown; choose one of drop the slope"),
        ({"loss": "mean"}, "loss 'mean' is unknown"),
        ({"loss": "cross-entropy"}, "loss 'cross-entropy' does not go with the output 'sigmoid'"),
        ({"l1": -1.0}, "l1 = -1.0 would reward large weights"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_would_be_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        Backpropagation(skipping(), MOONS, **arguments)


def test_an_unknown_array_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="array 'z9' is unknown; choose one of a0, W1, b1"):
        Backpropagation(skipping(), MOONS)["z9"]
