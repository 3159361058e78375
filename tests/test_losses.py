"""Losses and outputs: laws of every pair that goes together."""

from itertools import product

import numpy as np
import pytest

from engine.losses import LOSSES, OUTPUTS, Penalty, matching_loss

PAIRS = [(loss, output) for loss, output in product(LOSSES, OUTPUTS) if output in LOSSES[loss].outputs]
MISMATCHES = [(loss, output) for loss, output in product(LOSSES, OUTPUTS) if output not in LOSSES[loss].outputs]
N = 12

every_pair = pytest.mark.parametrize(("loss", "output"), PAIRS)


def example(loss: str, output: str, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits and targets, (outputs, n)."""
    rng = np.random.default_rng(0)
    size = {"sigmoid": 1, "softmax": 3, "linear": 1}[output]
    labels = {"sigmoid": np.arange(N) % 2, "softmax": np.arange(N) % 3, "linear": rng.standard_normal(N)}
    encoder = LOSSES[loss].labels(OUTPUTS[output])
    y = labels["sigmoid"] if encoder is OUTPUTS["sigmoid"] else labels[output]
    return scale * rng.standard_normal((size, N)), encoder.targets(y, size)


def slope(loss: str, output: str, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    d = np.empty_like(z)
    LOSSES[loss].slope(z, OUTPUTS[output].function(z), y, OUTPUTS[output], d)
    return d


def curvature(loss: str, output: str, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return LOSSES[loss].curvature(z, OUTPUTS[output].function(z), y, OUTPUTS[output])


@every_pair
def test_every_slope_is_its_losss_derivative(loss, output):
    z, y = example(loss, output)
    h, numeric = 1e-5, np.empty_like(z)
    for unit in range(len(z)):
        step = np.zeros_like(z)
        step[unit] = h
        up, down = (LOSSES[loss].value(z + sign * step, y, OUTPUTS[output]) for sign in (1, -1))
        numeric[unit] = (up - down) / (2 * h)
    # Truncation about h^2 = 1e-10, rounding about 1e-16 / h = 1e-11.
    np.testing.assert_allclose(slope(loss, output, z, y), numeric, rtol=1e-8, atol=1e-9)


@every_pair
def test_every_curvature_is_its_slopes_derivative_and_symmetric(loss, output):
    z, y = example(loss, output)
    h, matrices = 1e-5, curvature(loss, output, z, y)
    for unit in range(len(z)):
        step = np.zeros_like(z)
        step[unit] = h
        numeric = (slope(loss, output, z + step, y) - slope(loss, output, z - step, y)) / (2 * h)
        np.testing.assert_allclose(matrices[:, unit], numeric, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(matrices, matrices.swapaxes(0, 1), rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize(("output", "logits"), [("sigmoid", [[50.0]]), ("softmax", [[50.0], [0.0]])])
def test_a_sure_output_keeps_the_digits_of_its_curvature(output, logits):
    """p (1 - p) is exp(-50), where 1 - p has none of its digits left."""
    matrices = curvature(OUTPUTS[output].loss, output, np.array(logits), np.array([[1.0], [0.0]])[: len(logits)])
    np.testing.assert_allclose(np.abs(matrices), np.exp(-50), rtol=1e-13)


@every_pair
def test_huge_logits_give_finite_losses_and_no_warning(loss, output):
    z, y = example(loss, output, scale=1e3)
    with np.errstate(over="ignore", under="ignore"):
        assert np.isfinite(LOSSES[loss].value(z, y, OUTPUTS[output])).all()
        assert np.isfinite(slope(loss, output, z, y)).all()
        assert np.isfinite(curvature(loss, output, z, y)).all()


@every_pair
def test_axes_in_front_are_many_epochs_at_once(loss, output):
    z, y = example(loss, output)
    both = LOSSES[loss].value(np.stack([z, 2 * z]), y, OUTPUTS[output])
    np.testing.assert_array_equal(both[1], LOSSES[loss].value(2 * z, y, OUTPUTS[output]))


@every_pair
def test_a_loss_is_never_negative(loss, output):
    z, y = example(loss, output)
    assert LOSSES[loss].value(z, y, OUTPUTS[output]).min() >= 0


@pytest.mark.parametrize(("loss", "output"), MISMATCHES)
def test_a_loss_refuses_an_output_it_does_not_go_with(loss, output):
    with pytest.raises(ValueError, match=f"loss '{loss}' does not go with the output '{output}'; choose one of .*mse"):
        matching_loss(loss, output)


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_has_a_loss_of_its_own(output):
    assert output in matching_loss(None, output).outputs


def test_binary_cross_entropy_keeps_its_digits_when_sure_and_right():
    value = LOSSES["binary cross-entropy"].value(np.array([[40.0, -40.0]]), np.array([[1.0, 0.0]]), OUTPUTS["sigmoid"])
    np.testing.assert_allclose(value, np.exp(-40), rtol=1e-15)


def test_two_classes_cost_what_a_binary_output_costs():
    z, y = np.linspace(-5, 5, N), np.arange(N) % 2
    two = LOSSES["cross-entropy"].value(np.stack([0 * z, z]), OUTPUTS["softmax"].targets(y, 2), OUTPUTS["softmax"])
    one = LOSSES["binary cross-entropy"].value(z[None], OUTPUTS["sigmoid"].targets(y, 1), OUTPUTS["sigmoid"])
    np.testing.assert_allclose(two, one, rtol=1e-13)


def test_probabilities_of_a_softmax_sum_to_one():
    p = OUTPUTS["softmax"].function(np.array([[1e3, 0.0], [-1e3, 1.0], [999.0, 2.0]]))
    np.testing.assert_allclose(p.sum(axis=0), 1.0, rtol=1e-15)


def test_hinge_does_not_pull_beyond_the_margin():
    z, y = np.array([[1.5, -1.5, 0.5, -0.5]]), np.array([[1.0, 0.0, 1.0, 0.0]])
    assert slope("hinge", "linear", z, y).tolist() == [[0.0, 0.0, -1.0, 1.0]]


@pytest.mark.parametrize("output", ["sigmoid", "softmax", "linear"])
def test_half_the_squared_error_is_half_of_it_and_so_are_its_derivatives(output):
    z, y = example("mse", output)
    assert LOSSES["half mse"].value(z, y, OUTPUTS[output]).tolist() == [
        value / 2 for value in LOSSES["mse"].value(z, y, OUTPUTS[output]).tolist()
    ]
    np.testing.assert_array_equal(slope("half mse", output, z, y), slope("mse", output, z, y) / 2)
    np.testing.assert_array_equal(curvature("half mse", output, z, y), curvature("mse", output, z, y) / 2)


def test_huber_pulls_no_harder_than_one():
    z, y = np.array([[-50.0, -0.5, 0.5, 50.0]]), np.zeros((1, 4))
    assert slope("huber", "linear", z, y).tolist() == [[-1.0, -0.5, 0.5, 1.0]]


@pytest.mark.parametrize(
    ("output", "size", "y", "message"),
    [
        ("sigmoid", 1, [0, 2], "label 2 does not fit one yes-or-no output; labels must be 0 or 1"),
        ("sigmoid", 1, [[0, 1], [1, 0]], r"y has the shape \(2, 2\); one column of labels 0 and 1 was expected"),
        ("sigmoid", 2, [0, 1], "2 outputs cannot give one yes or no; choose 1 output, or 'softmax'"),
        ("softmax", 3, [0, 3], "class 3 does not fit 3 outputs; classes must be whole, from 0 to 2"),
        ("softmax", 3, [0.5, 1], "class 0.5 does not fit 3 outputs"),
        ("linear", 2, [0.5, 1], "y has 1 values per example; the network has 2 outputs"),
    ],
)
def test_labels_that_cannot_be_are_named(output, size, y, message):
    with pytest.raises(ValueError, match=message):
        OUTPUTS[output].targets(np.array(y), size)


def test_penalty_is_on_weights_alone():
    penalty = Penalty(l1=0.5, l2=3.0, is_weight=np.array([1.0, 1.0, 0.0]))
    assert penalty.value(np.array([[2.0, -1.0, 100.0]])) == pytest.approx(3 / 2 * 5 + 0.5 * 3)
    gradient = np.zeros(3)
    penalty.add_slope(np.array([2.0, -1.0, 100.0]), gradient)
    assert gradient.tolist() == [6.5, -3.5, 0.0]


@pytest.mark.parametrize("strength", [-0.1, np.nan])
@pytest.mark.parametrize("name", ["l1", "l2"])
def test_a_penalty_that_rewards_is_refused(name, strength):
    with pytest.raises(ValueError, match=f"{name} = {strength} would reward large weights; choose 0 or more"):
        Penalty(**{"l1": 0.0, "l2": 0.0, name: strength}, is_weight=np.ones(1))
