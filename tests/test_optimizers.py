"""Laws of all optimizers, and PyTorch's paths."""

import tracemalloc
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
from oracle_gradients import L2, logistic_data
from oracle_optimizers import (
    LEARNING_RATE,
    OPTIMIZER_CASES,
    REFERENCES,
    parameters_and_gradients,
    torch_path,
)

from engine import DATASETS, Network, Training
from engine.chance import stream
from engine.curvature import hessian
from engine.optimizers import OPTIMIZERS, Newton, Optimizer, State
from engine.options import Option, options

CURVATURES = np.array([1.0, 2.0, 3.0])
ADJUSTABLE = [
    (name, option)
    for name, kind in OPTIMIZERS.items()
    for option in options(kind).values()
    if option.name != "learning_rate"
]

FIRST_ORDER = [name for name, kind in OPTIMIZERS.items() if not kind.second_order]
MOONS = DATASETS["moons"](n=30)

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
every_option = pytest.mark.parametrize(("name", "option"), ADJUSTABLE, ids=lambda value: getattr(value, "name", value))


def started(optimizer: Optimizer, parameters: np.ndarray, curvatures: np.ndarray | float = 1.0) -> State:
    """The state before the first step; a second-order optimizer gets these curvatures of the axes."""
    state = optimizer.start(parameters)
    if optimizer.second_order:
        np.fill_diagonal(state["hessian"], curvatures)
    return state


def rotation(size: int) -> np.ndarray:
    """Columns at right angles and of length 1."""
    return np.linalg.qr(np.random.default_rng(3).normal(size=(size, size)))[0]


def newtons_step(matrix: np.ndarray, gradient: np.ndarray, damping: float = 0.0, rate: float = 1.0) -> np.ndarray:
    """How far a step of Newton's method goes, from 0 and against the gradient."""
    parameters, optimizer = np.zeros(len(gradient)), Newton(damping=damping)
    state = optimizer.start(parameters)
    state["hessian"][...] = matrix
    optimizer.step(parameters, gradient, state, rate)
    return -parameters


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
    state = started(optimizer, parameters, CURVATURES)
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


def test_every_first_order_optimizer_is_compared_with_pytorch():
    assert {name for name, _ in OPTIMIZER_CASES.values()} == set(FIRST_ORDER)


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
    state = started(optimizer, parameters)
    if "is_bias" in state:
        state["is_bias"][:4] = 1.0
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
    state = started(optimizer, parameters)
    for gradient in gradients[:10]:
        optimizer.step(parameters, gradient, state, LEARNING_RATE)
    resumed, kept = parameters.copy(), deepcopy(state)
    for gradient in gradients[10:]:
        optimizer.step(parameters, gradient, state, LEARNING_RATE)
    for gradient in gradients[10:]:
        optimizer.step(resumed, gradient, kept, LEARNING_RATE)
    assert np.array_equal(parameters, resumed)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_a_step_that_solves_no_equations_allocates_no_array(name):
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
    optimizer.step(parameters, gradient, started(optimizer, parameters), 0.1)
    assert np.array_equal(gradient, np.arange(3.0))


def test_a_step_leaves_the_hessian_as_it_is():
    optimizer, parameters = Newton(damping=0.5), np.ones(3)
    state = started(optimizer, parameters, CURVATURES)
    optimizer.step(parameters, np.ones(3), state, 0.1)
    assert np.array_equal(state["hessian"], np.diag(CURVATURES))


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


@pytest.mark.parametrize("damping", [0.0, 0.01, 0.7])
def test_newton_divides_each_eigenvectors_share_of_the_gradient_by_its_damped_eigenvalue(damping):
    axes, eigenvalues, shares = rotation(4), np.array([3.0, 0.5, -2.0, 40.0]), np.array([1.0, -2.0, 3.0, 0.1])
    step = newtons_step(axes * eigenvalues @ axes.T, axes @ shares, damping, rate=0.3)
    np.testing.assert_allclose(axes.T @ step, 0.3 * shares / (eigenvalues + damping), rtol=1e-11)


def test_newton_solves_a_linear_regression_in_one_step():
    data, network = DATASETS["sine"](n=40), Network([1, 1], output="linear")
    Training(network, data, optimizer=Newton(damping=0.0)).advance(2)
    x = np.column_stack([data.x, np.ones(40)])
    np.testing.assert_allclose(network.parameters, np.linalg.lstsq(x, data.y.ravel())[0], rtol=1e-12, atol=1e-14)


def test_newton_finds_scikit_learns_logistic_regression_in_ten_steps():
    network, data = Network([2, 1], initializer="zeros"), logistic_data()
    Training(network, data, optimizer=Newton(damping=0.0), l2=L2).advance(11)
    # scikit-learn stops at a gradient of 1e-12, at a smallest curvature of L2.
    expected = np.load(REFERENCES / "gradients.npz")["logistic"]
    np.testing.assert_allclose(network.parameters, expected, rtol=1e-9)


@pytest.mark.parametrize("batch_size", [None, 30, 8])
def test_newton_in_training_uses_the_hessian_of_the_gradients_own_examples(batch_size, monkeypatch):
    """The same batches in the same order as another optimizer's, whose gradients tell which they are."""
    seen = []
    step = Newton.step

    def spy(self: Newton, parameters: np.ndarray, gradient: np.ndarray, state: State, rate: float) -> None:
        seen.append((parameters.copy(), gradient.copy(), state["hessian"].copy()))
        step(self, parameters, gradient, state, rate)

    monkeypatch.setattr(Newton, "step", spy)
    network = Network([2, 4, 1], "tanh")
    Training(network, MOONS, optimizer=Newton(damping=1.0), batch_size=batch_size, l1=0.01, l2=0.1).advance(3)
    assert len(seen) == (8 if batch_size == 8 else 2)
    for (here, gradient, matrix), order in zip(seen, batches(batch_size), strict=True):
        network.parameters = here
        part = SimpleNamespace(x=MOONS.x[order], y=MOONS.y[order])
        np.testing.assert_allclose(gradient, network.gradient(part, l1=0.01, l2=0.1).flat, rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(matrix, hessian(network, part, l1=0.01, l2=0.1), rtol=1e-11, atol=1e-14)


def batches(size: int | None) -> list[np.ndarray]:
    """Which examples each update of two epochs sees."""
    if size != 8:
        return 2 * [np.arange(30)]
    rng = stream(0, "minibatches")
    return [part for _ in range(2) for part in np.split(rng.permutation(30), [8, 16, 24])]


def test_newtons_singular_equations_are_solved_by_least_squares():
    """Zero rows as of a dead ReLU, and a direction without curvature that rounding hides."""
    axes = rotation(5)
    for matrix in (np.diag([2.0, 0.0, 1.0, 0.0, 3.0]), axes * [1.0, 2.0, 0.0, 3.0, 1e-17] @ axes.T, np.zeros((5, 5))):
        gradient = np.arange(1.0, 6.0)
        expected = np.linalg.pinv(matrix, rcond=1e-13, hermitian=True) @ gradient
        np.testing.assert_allclose(newtons_step(matrix, gradient), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("seed", range(60))
def test_undamped_newton_takes_the_shortest_step_where_directions_have_no_curvature(seed):
    """Against the pseudoinverse, for gradients that the matrix can and cannot give; every other matrix bends down too.

    Rounding leaves about 1e-16 of the largest eigenvalue where there is none, the others are above 1e-6 of it.
    """
    rng = np.random.default_rng(seed)
    size = int(rng.integers(3, 60))
    rank = int(rng.integers(1, size))
    factor = rng.normal(size=(size, rank)) * 10 ** rng.uniform(-3, 3)
    signs = np.where((rng.random(rank) < 0.3) & (seed % 2 == 1), -1.0, 1.0)
    matrix = factor * signs @ factor.T
    gradient = matrix @ rng.normal(size=size) if seed % 3 else rng.normal(size=size)
    expected = np.linalg.pinv(matrix, rcond=1e-11, hermitian=True) @ gradient
    step = newtons_step(matrix, gradient)
    np.testing.assert_allclose(step, expected, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize(("n", "features"), [(5, 100), (10, 25), (20, 40), (30, 31), (39, 40)])
def test_undamped_newton_finds_the_interpolation_of_least_norm_where_there_are_more_weights_than_examples(n, features):
    """NumPy's `lstsq` is the oracle, of the weights and of the risk on data never seen; later steps stay there."""
    rng = np.random.default_rng(n)
    x, truth = rng.normal(size=(n + 500, features)), rng.normal(size=features)
    y = x @ truth + 0.1 * rng.normal(size=n + 500)
    network = Network([features, 1], output="linear", initializer="zeros")
    training = Training(network, SimpleNamespace(x=x[:n], y=y[:n]), "mse", Newton(damping=0.0))
    expected = np.linalg.lstsq(np.column_stack([x[:n], np.ones(n)]), y[:n])[0]
    for parameters in training.advance(10).parameters[1:]:
        np.testing.assert_allclose(parameters, expected, atol=1e-9 * np.abs(expected).max())
    risk = np.mean((network.predict(x[n:])[:, 0] - y[n:]) ** 2)
    shortest = np.mean((np.column_stack([x[n:], np.ones(500)]) @ expected - y[n:]) ** 2)
    assert risk == pytest.approx(shortest, rel=1e-8)


def test_undamped_newton_still_solves_what_is_only_badly_conditioned():
    """A condition number of 1e10 is no missing direction: the step along the flattest axis is the longest."""
    axes, curvatures = rotation(6), np.logspace(0, -10, 6)
    step = newtons_step(axes * curvatures @ axes.T, axes @ np.ones(6))
    np.testing.assert_allclose(axes.T @ step, 1 / curvatures, rtol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_newton_turns_what_is_not_finite_into_nan(bad):
    assert np.isnan(newtons_step(np.diag([1.0, bad]), np.ones(2))).all()
    assert np.isnan(newtons_step(np.eye(2), np.array([1.0, bad]))).all()


def test_newton_is_for_small_networks():
    with pytest.raises(ValueError, match="a Hessian for 2001 parameters is too large; choose 2000 or fewer"):
        Newton().start(np.zeros(2001))
    assert Newton().start(np.zeros(2))["hessian"].tolist() == [[0.0, 0.0], [0.0, 0.0]]


def spared(parameters: np.ndarray, gradients: np.ndarray, **options: float) -> np.ndarray:
    """The parameters after these gradients of an AdamW that decays no biases, the last three of them."""
    optimizer = OPTIMIZERS["adamw"](learning_rate=0.05, weight_decay=0.3, **options)
    state = optimizer.start(parameters)
    state["is_bias"][-3:] = 1.0
    for gradient in gradients:
        optimizer.step(parameters, gradient, state, 0.05)
    return parameters


def test_a_bias_decay_of_0_leaves_biases_where_they_are_and_shrinks_weights_alone():
    decayed = spared(np.ones(8), np.zeros((20, 8)), bias_decay=0.0)
    np.testing.assert_allclose(decayed, np.append(np.full(5, (1 - 0.05 * 0.3) ** 20), np.ones(3)), rtol=1e-12)
    half = spared(np.ones(8), np.zeros((20, 8)), bias_decay=0.5)
    np.testing.assert_allclose(half[-3:], (1 - 0.05 * 0.15) ** 20, rtol=1e-12)
    np.testing.assert_array_equal(spared(np.ones(8), np.zeros((20, 8)), bias_decay=1.0), np.full(8, half[0]))


@pytest.mark.torch
def test_it_is_pytorchs_adamw_with_two_groups_of_parameters():
    torch = pytest.importorskip("torch")
    start, gradients = parameters_and_gradients()
    weights, biases = (torch.tensor(part, requires_grad=True) for part in (start[:5], start[5:]))
    groups = [{"params": [weights], "weight_decay": 0.3}, {"params": [biases], "weight_decay": 0.0}]
    theirs = torch.optim.AdamW(groups, lr=0.05)
    for gradient in gradients:
        weights.grad, biases.grad = torch.tensor(gradient[:5]), torch.tensor(gradient[5:])
        theirs.step()
    expected = np.concatenate([part.detach().numpy() for part in (weights, biases)])
    np.testing.assert_allclose(spared(start.copy(), gradients, bias_decay=0.0), expected, rtol=1e-9)
