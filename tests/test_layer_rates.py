"""Learning rates of each layer's own, and parametrizations, which are such rates and a start."""

import numpy as np
import pytest
from oracle_optimizers import torch_optimizer

from dashboard.state.analyses.hessian_eigenvalues import HessianEigenvalues
from dashboard.state.analyses.sharpness import SharpnessTracker
from dashboard.state.run import Run, Setup
from dashboard.state.settings import Settings
from dashboard.state.study import Plan, Study
from engine import DATASETS, INITIALIZERS, OPTIMIZERS, PARAMETRIZATIONS, Network, Training
from engine.curvature import Curvature
from engine.datasets import Dataset
from engine.ensemble import Ensemble
from engine.kernel import layer_matrices

MOONS = DATASETS["moons"](n=40)
RATES = [0.5, 3.0, 0.25]
SIZES = (2, 5, 4, 1)
FIRST_ORDER = [name for name, optimizer in OPTIMIZERS.items() if not optimizer.second_order]
EXACT = {"adagrad": {"epsilon": 0.0}, "rmsprop": {"epsilon": 0.0}, "adam": {"epsilon": 0.0}, "adamw": {"epsilon": 0.0}}
"""Options with which a step knows no scale of its own."""

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
every_first_order_optimizer = pytest.mark.parametrize("name", FIRST_ORDER)
every_parametrization = pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)


def network(**arguments) -> Network:
    return Network(SIZES, "tanh", initializer="lecun", bias_std=0.3, **arguments)


def path(name: str = "sgd", rates=None, epochs: int = 20, batch_size: int | None = None, **options) -> np.ndarray:
    optimizer = OPTIMIZERS[name](**options)
    training = Training(network(), MOONS, optimizer=optimizer, batch_size=batch_size, l2=0.01, layer_rates=rates)
    return training.advance(epochs + 1).parameters


# Rates of layers


@every_optimizer
@pytest.mark.parametrize("batch_size", [None, 16])
def test_rates_of_one_change_no_bit(name, batch_size):
    np.testing.assert_array_equal(path(name, [1, 1.0, 1], batch_size=batch_size), path(name, batch_size=batch_size))


@every_optimizer
def test_the_same_rate_in_all_layers_is_another_learning_rate(name):
    both = path(name, [2.0] * 3, learning_rate=0.01), path(name, learning_rate=0.02)
    # Powers of two times the same numbers: only the order of products differs.
    np.testing.assert_allclose(*both, rtol=1e-12, atol=1e-14)


@every_first_order_optimizer
def test_every_layer_goes_as_if_it_had_an_optimizer_of_its_own(name):
    by_hand, optimizer = network(), OPTIMIZERS[name](learning_rate=0.02)
    parts = [matrix.reshape(-1) for matrix in layer_matrices(by_hand.parameters, SIZES)]
    states = [optimizer.start(part) for part in parts]
    for _ in range(20):
        gradients = layer_matrices(by_hand.gradient(MOONS, l2=0.01).flat, SIZES)
        for part, gradient, state, rate in zip(parts, gradients, states, RATES, strict=True):
            optimizer.step(part, gradient.reshape(-1), state, rate * optimizer.learning_rate)
    mine = path(name, RATES, learning_rate=0.02)[-1]
    np.testing.assert_allclose(mine, by_hand.parameters, rtol=1e-12, atol=1e-14)


@pytest.mark.torch
@every_first_order_optimizer
def test_rates_of_layers_are_pytorchs_parameter_groups_live(name):
    torch = pytest.importorskip("torch")
    start = network()
    groups = [
        [torch.tensor(np.array(part), requires_grad=True) for part in pair]
        for pair in zip(start.weights, start.biases, strict=True)
    ]
    optimizer = torch_optimizer(name, {})(
        [{"params": pair, "lr": 0.02 * rate} for pair, rate in zip(groups, RATES, strict=True)], lr=0.02
    )
    x, y = torch.tensor(MOONS.x), torch.tensor(MOONS.y)[:, None]
    for _ in range(20):
        optimizer.zero_grad()
        a = x
        for w, b in groups:
            z = a @ w + b
            a = torch.tanh(z)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
        (loss + 0.005 * sum((w**2).sum() for w, _ in groups)).backward()
        optimizer.step()
    theirs = np.concatenate([part.detach().numpy().ravel() for pair in groups for part in pair])
    np.testing.assert_allclose(path(name, RATES, learning_rate=0.02)[-1], theirs, rtol=1e-9, atol=1e-11)


def test_a_layer_whose_rate_is_zero_stays_where_it_starts():
    moved = [np.ptp(matrix) for matrix in layer_matrices(np.ptp(path(rates=[1, 0, 1]), axis=0), SIZES)]
    assert moved[0] > 0 and moved[1] == 0 and moved[2] > 0


def test_rates_take_hold_at_the_next_update_and_do_not_depend_on_how_epochs_are_pulled():
    whole, pieces = (Training(network(), MOONS, batch_size=7, layer_rates=RATES) for _ in range(2))
    first, *rest = [whole.advance(20)], pieces.advance(3), pieces.advance(17)
    np.testing.assert_array_equal(first[0].parameters, rest[0].then(*rest[1:]).parameters)
    pieces.layer_rates = [0, 0, 0]
    assert not np.ptp(pieces.advance(5).parameters - rest[-1].parameters[-1], axis=0).any()


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ([1.0, 2.0], "2 layer_rates for 3 layers; give one for each hidden layer and one for the output"),
        ([1.0, -2.0, 1.0], "layer_rates contain -2.0; choose finite numbers of 0 or more"),
        ([1.0, np.inf, 1.0], "layer_rates contain inf"),
    ],
)
def test_rates_that_do_not_fit_are_refused(rates, message):
    with pytest.raises(ValueError, match=message):
        Training(network(), MOONS, layer_rates=rates)
    if np.isfinite(rates).all():
        with pytest.raises(ValueError, match=message):
            Ensemble(SIZES, MOONS, layer_rates=rates)


# Parametrizations


def raw_layers(parametrization: str, name: str) -> list[tuple[float, float, float, float]]:
    """Of each layer as papers have it, for (2, 5, 4, 1): what W and b are multiplied by, and the rates of both.

    Yang & Hu 2021, table 1, for gradient descent: muP multiplies by sqrt(n), 1, 1 / sqrt(n); their rates are all 1. For
    Adam: Yang et al. 2022, table 3, which multiplies nothing.
    """
    adaptive = OPTIMIZERS[name].degree == 0
    if parametrization == "standard":
        return [(1, 1, 1, 1)] * 3
    if parametrization == "ntk":
        return [(2**-0.5, 1, 1, 1), (5**-0.5, 1, 1, 1), (4**-0.5, 1, 1, 1)]
    if parametrization == "mean-field":
        time = 1 if adaptive else 4
        return [(2**-0.5, 1, time, time), (5**-0.5, 1, time, time), (1 / 4, 1, time, 1)]
    if adaptive:
        return [(1, 1, 1, 1), (1, 1, 1 / 5, 1), (1, 1, 1 / 4, 1)]
    return [(5**0.5, 5**0.5, 1, 1), (1, 4**0.5, 1, 1), (4**-0.5, 1, 1, 1)]


STARTS = {"standard": 1.0, "ntk": 1.0, "mean-field": 0.5, "mup": 0.5}
"""How much smaller the output's weights start: by the root of 4 units."""


@every_parametrization
def test_a_parametrization_changes_no_draw_and_only_how_large_the_output_starts(parametrization):
    plain, mine = network(), network(parametrization=parametrization, output_scale=3.0)
    for one, other in zip(plain.weights[:-1], mine.weights[:-1], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(mine.weights[-1], plain.weights[-1] * STARTS[parametrization] * 3, rtol=1e-14)
    np.testing.assert_allclose(mine.biases[-1], plain.biases[-1] * 3, rtol=1e-14)


@pytest.mark.torch
@every_first_order_optimizer
@every_parametrization
def test_training_is_that_of_the_layers_as_papers_write_them_live(parametrization, name):
    """PyTorch trains W and b of c W x + d b, the logits times 1.5; the engine trains what is multiplied out."""
    torch = pytest.importorskip("torch")
    options = {**EXACT.get(name, {}), **({"weight_decay": 0.0} if name == "adamw" else {})}
    start = network(parametrization=parametrization, output_scale=1.5)
    raw, groups = raw_layers(parametrization, name), []
    for i, (w, b) in enumerate(zip(start.weights, start.biases, strict=True)):
        c, d, rate, bias_rate = raw[i]
        scale = 1.5 if i == 2 else 1.0
        groups += [
            {"params": [torch.tensor(w / c / scale, requires_grad=True)], "lr": 0.02 * rate},
            {"params": [torch.tensor(b / d / scale, requires_grad=True)], "lr": 0.02 * bias_rate},
        ]
    optimizer = torch_optimizer(name, options)(groups, lr=0.02)
    tensors = [group["params"][0] for group in groups]
    x, y = torch.tensor(MOONS.x), torch.tensor(MOONS.y)[:, None]
    for _ in range(15):
        optimizer.zero_grad()
        a = x
        for (c, d, _, _), w, b in zip(raw, tensors[::2], tensors[1::2], strict=True):
            z = c * (a @ w) + d * b
            a = torch.tanh(z)
        torch.nn.functional.binary_cross_entropy_with_logits(1.5 * z, y).backward()
        optimizer.step()
    trained = Training(start, MOONS, optimizer=OPTIMIZERS[name](learning_rate=0.02, **options)).advance(16)
    theirs = []
    for i, (c, d, _, _) in enumerate(raw):
        scale = 1.5 if i == 2 else 1.0
        theirs += [scale * c * tensors[2 * i].detach().numpy(), scale * d * tensors[2 * i + 1].detach().numpy()]
    expected = np.concatenate([part.ravel() for part in theirs])
    # Signs of gradients near 0 decide Adam's first steps; 15 steps amplify rounding by no more than this.
    np.testing.assert_allclose(trained.parameters[-1], expected, rtol=1e-8, atol=1e-10)


def test_newtons_step_does_not_depend_on_the_parametrization():
    assert all(network(parametrization=one).rates(degree=-1) is None for one in PARAMETRIZATIONS)
    assert network(output_scale=7.0).rates(degree=-1) is None


def tangent_kernel(width: int, parametrization: str, x: np.ndarray) -> float:
    """How far a step at rate 1 moves the answer to x, per slope of the loss in it: the sum of rates times slopes^2."""
    arguments = {"initializer": INITIALIZERS["gaussian"](), "has_biases": False, "parametrization": parametrization}
    one = Network([2, width, 1], "relu", "linear", **arguments)
    data = Dataset(x, one.predict(x)[:, 0] - 1, "regression", 0)
    slopes = one.gradient(data, "half mse").flat
    rates = one.rates()
    return float((slopes**2 * (1.0 if rates is None else rates)).sum())


def test_the_kernel_of_a_wide_relu_network_in_ntk_is_the_known_one_at_any_width():
    """Cho & Saul 2009: half of |x|^2 / 2 for each of both layers.

    Sums over 4000 units, which are known to 4 %; one seed.
    """
    x = np.array([[1.2, -0.7]])
    for width in (4000, 8000):
        assert tangent_kernel(width, "ntk", x) == pytest.approx((x**2).sum() / 2, rel=0.12)
    assert tangent_kernel(8000, "standard", x) == pytest.approx(2 * tangent_kernel(4000, "standard", x), rel=0.2)


@pytest.mark.parametrize("parametrization", ["mean-field", "mup"])
def test_wide_networks_move_their_features_in_mean_field_and_mup_but_not_in_ntk(parametrization):
    """How far the hidden activations move in 20 steps at rate 0.2, relative to their size: 4 times wider networks."""

    def moved(width: int, which: str) -> float:
        one = Network([2, width, 1], "tanh", initializer="lecun", parametrization=which, seed=1)
        before = one.trace(MOONS.x).activations[0]
        Training(one, MOONS, optimizer=OPTIMIZERS["sgd"](learning_rate=0.2)).advance(21)
        after = one.trace(MOONS.x).activations[0]
        return float(np.linalg.norm(after - before) / np.linalg.norm(before))

    narrow, wide = moved(128, parametrization), moved(2048, parametrization)
    assert wide == pytest.approx(narrow, rel=0.25)
    # In ntk it falls like the root of the width: to a quarter.
    assert moved(2048, "ntk") == pytest.approx(moved(128, "ntk") / 4, rel=0.35)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parametrization": "muP"}, "parametrization 'muP' is unknown; choose one of standard, ntk, mean-field, mup"),
        ({"output_scale": 0.0}, "output_scale 0.0 is impossible; choose a finite number above 0"),
        ({"output_scale": np.nan}, "output_scale nan is impossible"),
    ],
)
def test_an_impossible_parametrization_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        network(**arguments)


def test_the_fractal_of_learning_rates_is_a_choice_of_settings():
    """Against y = W1 tanh(sqrt(2) W0 x / sqrt(n)) / n, its gradient written out and its two layers' own rates."""
    n, examples, rates = 8, 72, (3.0, 40.0)
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((examples, n)), rng.standard_normal(examples)
    one = Network(
        [n, n, 1],
        "tanh",
        "linear",
        initializer=INITIALIZERS["gaussian"](sigma_w=np.sqrt(2)),
        has_biases=False,
        parametrization="ntk",
        output_scale=1 / np.sqrt(2 * n),
        seed=3,
    )
    first, second = one.weights[0] / np.sqrt(2 / n), one.weights[1] * n
    assert first.std() == pytest.approx(1.0, rel=0.3) and second.std() == pytest.approx(1.0, rel=0.6)
    data = Dataset(x, y, "regression", 0)
    trained = Training(one, data, "mse", OPTIMIZERS["sgd"](learning_rate=2.0), layer_rates=rates).advance(41)
    losses = []
    for _ in range(41):
        a = np.tanh(np.sqrt(2 / n) * x @ first)
        e = a @ second[:, 0] / n - y
        losses.append((e**2).mean())
        slope = 2 * e[:, None] / examples
        d = slope * second[:, 0] / n * (1 - a**2)
        second, first = (
            second - rates[1] * a.T @ slope / n,
            first - rates[0] * np.sqrt(2 / n) * x.T @ d,
        )
    # At these rates the loss falls by a third; rounding grows little.
    np.testing.assert_allclose(trained.loss, losses, rtol=1e-9)
    assert losses[-1] < 0.9 * losses[0]


# Sharpness


def test_the_sharpness_with_rates_is_that_of_parameters_that_learn_at_one_rate():
    one = network()
    rates = one.rates(1, RATES)
    curvature = Curvature(one, MOONS, rates=rates)
    expected = np.linalg.eigvalsh(np.sqrt(rates)[:, None] * curvature.hessian() * np.sqrt(rates))
    assert curvature.sharpness().value == pytest.approx(expected[-1], rel=1e-9)
    np.testing.assert_allclose(curvature.spectrum().eigenvalues, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(curvature.hessian(), Curvature(one, MOONS).hessian())


@pytest.mark.parametrize(("share", "falls"), [(0.99, True), (1.01, False)])
def test_with_rates_gradient_descent_still_overshoots_beyond_2_over_sharpness(share, falls):
    """A line, whose loss is a parabola, with a slower bias."""
    line = Network([1, 1], output="linear", initializer="zeros", parametrization="ntk", output_scale=3.0)
    line.parameters[:] = 0.1
    data = DATASETS["sine"](n=20, noise=0.0)
    rates = line.rates(1, [0.3])
    sharpness = Curvature(line, data, rates=rates).sharpness().value
    descent = OPTIMIZERS["sgd"](learning_rate=share * 2 / sharpness)
    losses = Training(line, data, optimizer=descent, layer_rates=[0.3]).advance(1200).loss
    assert (losses[-1] < losses[0]) == falls


def test_what_a_page_shows_of_the_curvature_counts_rates():
    run = Run(Settings(hidden=[4], layer_rates=[2.0, 0.5], n=40))
    setup, parameters = run.frame().setup, run.history[-1].parameters
    found = SharpnessTracker(setup).measure(0, parameters)
    expected = Curvature(setup.network, setup.train, setup.loss, rates=setup.rates).spectrum().sharpness
    assert found == pytest.approx(expected, rel=1e-6)
    eigenvalues = HessianEigenvalues(run)
    for _ in eigenvalues.work(run.frame()):
        pass
    assert eigenvalues.newest.sharpness == pytest.approx(expected, rel=1e-9)
    assert found != pytest.approx(
        SharpnessTracker(Setup.of(Settings(hidden=[4], n=40))).measure(0, parameters), rel=0.1
    )


# Ensembles, settings


def test_an_ensemble_goes_the_way_of_single_trainings():
    axes = {"parametrization": list(PARAMETRIZATIONS), "layer_rates": [None, [1.0, 5.0]], "batch_seed": [None, 7]}
    runs = Ensemble([2, 5, 1], MOONS, {**axes, "output_scale": [1.0, 0.5]}, "tanh", batch_size=16)
    runs.advance(9)
    for k in range(len(runs)):
        chosen = runs.choices(k)
        one = Network([2, 5, 1], "tanh", parametrization=chosen["parametrization"], output_scale=chosen["output_scale"])
        seed, rates = chosen["batch_seed"] or 0, chosen["layer_rates"]
        alone = Training(one, MOONS, batch_size=16, seed=seed, layer_rates=rates)
        np.testing.assert_array_equal(alone.advance(9).parameters[-1], runs.parameters[k])


def test_a_run_of_a_study_is_the_run_of_its_settings_bit_for_bit():
    settings = Settings(hidden=[4], n=40, parametrization="mup", layer_rates=[1, 2], batch_seed=3, batch_size=8)
    study = Study(Plan({"as it is": {}}, seeds=2, epochs=20))
    for _ in study.pieces(settings):
        pass
    run = Run(Settings(**study.settings_of(settings, "as it is", seed=1)))
    run.advance(20)
    np.testing.assert_array_equal(run.history[-1].parameters, study.results["as it is"].parameters[1])


def test_settings_hand_rates_and_parametrization_to_the_training():
    setup = Setup.of(Settings(hidden=[4], layer_rates=[2, 3.5], parametrization="ntk", optimizer="adam"))
    np.testing.assert_array_equal(setup.rates, setup.network.rates(0, [2, 3.5]))
    assert setup.training(Settings(hidden=[4], layer_rates=[2, 3.5])).layer_rates == [2, 3.5]
    assert Setup.of(Settings()).rates is None


def test_rates_that_do_not_fit_the_layers_are_refused_and_taken_back():
    run = Run(Settings(hidden=[4, 4]))
    run.settings.layer_rates = [1.0, 2.0]
    assert "2 layer_rates for 3 layers" in run.message
    assert run.settings.layer_rates == []
    run.settings.param.update(hidden=[4], layer_rates=[1.0, 2.0])
    assert not run.message and run.frame().setup.rates is not None


def test_batches_have_a_seed_of_their_own():
    plain = Settings(hidden=[4], batch_size=8)
    runs = [Run(Settings(**{**plain.values(), "batch_seed": seed})) for seed in (-1, plain.seed, 5)]
    for run in runs:
        run.advance(3)
    start, after = ([run.history.at(epoch).parameters.tolist() for run in runs] for epoch in (0, 3))
    assert start[0] == start[1] == start[2]
    assert after[0] == after[1] != after[2]


def test_the_fractal_opens_by_its_settings_and_diverges_at_one_end_of_the_rates_but_not_at_the_other():
    """n = 16, 272 examples, as many as weights; the published map goes from 1e-3 to 1e6 in both rates."""
    fixed = {
        "dataset": "gaussian",
        "dimension": 16,
        "n": 272,
        "noise": 0.0,
        "validation": 0.0,
        "hidden": [16],
        "activation": "tanh",
        "biases": False,
        "initializer": "gaussian",
        "sigma_w": np.sqrt(2),
        "parametrization": "ntk",
        "output_scale": 1 / np.sqrt(32),
        "learning_rate": 2.0,
    }
    ends = {}
    for rates in ([1e-3, 1e-3], [1.0, 100.0], [1e6, 1e6]):
        settings = Settings(**fixed, layer_rates=rates)
        again, problems = Settings.from_query(settings.query())
        assert problems == [] and again.values() == settings.values()
        setup = Setup.of(again)
        assert (setup.network.sizes, setup.loss, len(setup.train)) == ((16, 16, 1), "mse", 272)
        loss = setup.training(again).advance(101).loss
        ends[rates[0]] = np.fmin(loss[-20:] / loss[0], 1e6).mean()  # a run that overflows ends as nan
    assert 0.99 < ends[1e-3] < 1 and ends[1.0] < 0.9 and ends[1e6] > 1
