"""Laws of all optimizers, and PyTorch's paths."""

import tracemalloc
from copy import deepcopy

import numpy as np
import pytest
from oracle_optimizers import (
    LEARNING_RATE,
    OPTIMIZER_CASES,
    REFERENCES,
    parameters_and_gradients,
    torch_path,
)

from engine.optimizers import OPTIMIZERS, Optimizer
from engine.ranges import Option, options

CURVATURES = np.array([1.0, 2.0, 3.0])
ADJUSTABLE = [
    (name, option)
    for name, kind in OPTIMIZERS.items()
    for option in options(kind).values()
    if option.name != "learning_rate"
]

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
every_option = pytest.mark.parametrize(("name", "option"), ADJUSTABLE, ids=lambda value: getattr(value, "name", value))


def given_path(name: str, hyperparameters: dict[str, float]) -> np.ndarray:
    """The parameters after each step along the oracle's gradients, (50, 8)."""
    parameters, gradients = parameters_and_gradients()
    optimizer = OPTIMIZERS[name](**hyperparameters)
    state = optimizer.start(parameters)
    path = []
    for gradient in gradients:
        optimizer.step(parameters, gradient, state, LEARNING_RATE)
        path.append(parameters.copy())
    return np.array(path)


def descend(optimizer: Optimizer, steps: int) -> np.ndarray:
    """Where the optimizer ends that starts at (1, 1, 1) of a bowl with its minimum at 0."""
    parameters = np.ones(3)
    state = optimizer.start(parameters)
    for _ in range(steps):
        optimizer.step(parameters, CURVATURES * parameters, state, optimizer.learning_rate)
    return parameters


def other_value(option: Option) -> float:
    """A value of the option's range well away from its default."""
    return max((option.range.low, option.range.high), key=lambda bound: abs(bound - option.default))


@pytest.mark.parametrize("case", OPTIMIZER_CASES)
def test_fifty_steps_are_pytorchs(case):
    """To 1e-9: the same formulas, rounded in another order."""
    expected = np.load(REFERENCES / "optimizers.npz")[case]
    np.testing.assert_allclose(given_path(*OPTIMIZER_CASES[case]), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.torch
@pytest.mark.parametrize("case", OPTIMIZER_CASES)
def test_fifty_steps_are_pytorchs_live(case):
    pytest.importorskip("torch")
    expected = torch_path(*OPTIMIZER_CASES[case])
    np.testing.assert_allclose(given_path(*OPTIMIZER_CASES[case]), expected, rtol=1e-9, atol=1e-9)


def test_every_optimizer_is_compared_with_pytorch():
    assert {name for name, _ in OPTIMIZER_CASES.values()} == set(OPTIMIZERS)


@every_optimizer
def test_the_minimum_of_a_bowl_is_reached(name):
    """To .01: steps divided by the gradient's size do not fade, and RMSProp goes on trembling by a learning rate."""
    assert np.abs(descend(OPTIMIZERS[name](), steps=2000)).max() < 0.01


@every_optimizer
def test_the_same_start_gives_the_same_path_bit_for_bit(name):
    assert np.array_equal(descend(OPTIMIZERS[name](), 20), descend(OPTIMIZERS[name](), 20))


@every_option
def test_a_hyperparameter_written_mid_run_takes_hold_at_the_next_step(name, option):
    parameters, gradients = parameters_and_gradients()
    optimizer = OPTIMIZERS[name]()
    state = optimizer.start(parameters)
    for gradient in gradients[:10]:
        optimizer.step(parameters, gradient, state, LEARNING_RATE)
    unchanged, rewritten = parameters.copy(), parameters.copy()
    optimizer.step(unchanged, gradients[10], deepcopy(state), LEARNING_RATE)
    setattr(optimizer, option.name, other_value(option))
    optimizer.step(rewritten, gradients[10], state, LEARNING_RATE)
    assert np.abs(rewritten - unchanged).max() > 1e-5


@every_optimizer
def test_a_copied_state_continues_the_same_path(name):
    parameters, gradients = parameters_and_gradients()
    optimizer = OPTIMIZERS[name]()
    state = optimizer.start(parameters)
    for gradient in gradients[:10]:
        optimizer.step(parameters, gradient, state, LEARNING_RATE)
    resumed, kept = parameters.copy(), deepcopy(state)
    for gradient in gradients[10:]:
        optimizer.step(parameters, gradient, state, LEARNING_RATE)
    for gradient in gradients[10:]:
        optimizer.step(resumed, gradient, kept, LEARNING_RATE)
    assert np.array_equal(parameters, resumed)


@every_optimizer
def test_a_step_allocates_no_array(name):
    parameters, gradient = np.ones(10_000), np.ones(10_000)
    optimizer = OPTIMIZERS[name]()
    state = optimizer.start(parameters)
    optimizer.step(parameters, gradient, state, 0.1)
    tracemalloc.start()
    optimizer.step(parameters, gradient, state, 0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < parameters.nbytes / 10


@every_optimizer
def test_a_step_leaves_the_gradient_as_it_is(name):
    parameters, gradient = np.ones(3), np.arange(3.0)
    optimizer = OPTIMIZERS[name]()
    optimizer.step(parameters, gradient, optimizer.start(parameters), 0.1)
    assert np.array_equal(gradient, np.arange(3.0))


@every_optimizer
def test_starting_leaves_the_parameters_as_they_are(name):
    parameters = np.arange(3.0)
    OPTIMIZERS[name]().start(parameters)
    assert np.array_equal(parameters, np.arange(3.0))


@every_optimizer
def test_every_option_is_explained_and_starts_within_its_bounds(name):
    for option in options(OPTIMIZERS[name]).values():
        assert option.range.doc
        assert option.range.low <= option.default <= option.range.high


@every_optimizer
def test_the_learning_rate_is_adjustable_on_a_log_scale(name):
    assert options(OPTIMIZERS[name])["learning_rate"].range.log


@every_option
@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf")])
def test_an_impossible_hyperparameter_is_refused_by_name(name, option, wrong):
    with pytest.raises(ValueError, match=f"{option.name} {wrong} is out of bounds"):
        OPTIMIZERS[name](**{option.name: wrong})


def test_an_impossible_hyperparameter_is_refused_mid_run_too():
    optimizer = OPTIMIZERS["momentum"]()
    with pytest.raises(ValueError, match=r"momentum 1.0 is out of bounds"):
        optimizer.momentum = 1.0
    assert optimizer.momentum == 0.9
