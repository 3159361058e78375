"""Laws of the whole engine, tried on architectures, data and scales that nobody would think of."""

from dataclasses import astuple, dataclass, replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import (
    ACTIVATIONS,
    LOSSES,
    OPTIMIZERS,
    OUTPUTS,
    SCHEDULES,
    Dataset,
    Epochs,
    Network,
    Standardization,
    Training,
    train,
)
from engine.chance import stream
from engine.recording import History, Recording
from engine.training import COLUMNS

PAIRS = [(loss, output) for loss, output in product(LOSSES, OUTPUTS) if output in LOSSES[loss].outputs]
FEW_PARAMETERS = 60
"""The most for an optimizer that takes the Hessian, which costs time; others take its place in larger networks."""

some = settings(max_examples=30)
many = settings(max_examples=100)


@dataclass(frozen=True)
class Problem:
    """A network and its data, as the numbers that make them; a case that fails is printed as these."""

    hidden: tuple[tuple[int, str], ...]
    pair: tuple[str, str]
    features: int
    outputs: int
    n: int
    skip: bool
    constant: bool
    scale: int
    weights: int
    l1: float
    l2: float
    seed: int

    @property
    def loss(self) -> str:
        return self.pair[0]

    @property
    def penalties(self) -> dict[str, float]:
        return {"l1": self.l1, "l2": self.l2}

    def network(self) -> Network:
        output = self.pair[1]
        outputs = {"sigmoid": 1, "softmax": self.outputs + 1, "linear": 1 if self.loss == "hinge" else self.outputs}
        sizes = [self.features, *(size for size, _ in self.hidden), outputs[output]]
        names = [name for _, name in self.hidden]
        network = Network(sizes, names, output, seed=self.seed, skip=self.skip, bias=0.1)
        network.parameters *= 10.0**self.weights
        return network

    def data(self) -> SimpleNamespace:
        rng, size = np.random.default_rng(self.seed), self.network().sizes[-1]
        x = 10.0**self.scale * rng.standard_normal((self.n, self.features))
        if self.constant:
            x[:, 0] = 10.0**self.scale
        classes = {"sigmoid": 2, "softmax": size, "linear": 2 if self.loss == "hinge" else 0}[self.pair[1]]
        y = rng.integers(0, classes, self.n) if classes else rng.standard_normal((self.n, size))
        return SimpleNamespace(x=x, y=y)

    def training(self, **arguments: object) -> Training:
        return Training(self.network(), self.data(), self.loss, seed=self.seed, **self.penalties, **arguments)


def problems(scales: int = 8, weights: int = 2) -> st.SearchStrategy[Problem]:
    """Problems with examples of 10**-scales to 10**scales, and likewise weights compared with He's."""
    layer = st.tuples(st.sampled_from([1, 2, 3, 3, 5, 8, 8, 17, 64]), st.sampled_from(sorted(ACTIVATIONS)))
    return st.builds(
        Problem,
        hidden=st.sampled_from(range(5)).flatmap(lambda depth: st.tuples(*[layer] * depth)),
        pair=st.sampled_from(PAIRS),
        features=st.sampled_from([1, 2, 3, 8, 30]),
        outputs=st.sampled_from(range(1, 5)),
        n=st.sampled_from(range(1, 24)),
        skip=st.booleans(),
        constant=st.booleans(),
        scale=st.sampled_from(range(-scales, scales + 1)),
        weights=st.sampled_from(range(-weights, weights + 1)),
        l1=st.sampled_from([0.0, 0.0, 0.3]),
        l2=st.sampled_from([0.0, 0.0, 0.3]),
        seed=st.sampled_from(range(100)),
    )


@dataclass(frozen=True)
class Way:
    """How a problem is trained."""

    optimizer: str
    rate: int
    batch_size: int | None
    schedule: str | None

    def arguments(self, problem: Problem) -> dict[str, object]:
        kind = OPTIMIZERS[self.optimizer]
        if getattr(kind, "second_order", False) and problem.network().n_parameters > FEW_PARAMETERS:
            kind = OPTIMIZERS["adam"]
        schedule = None if self.schedule is None else SCHEDULES[self.schedule]()
        return {"optimizer": kind(learning_rate=10.0**self.rate), "batch_size": self.batch_size, "schedule": schedule}


def ways(rates: int = 3) -> st.SearchStrategy[Way]:
    return st.builds(
        Way,
        optimizer=st.sampled_from(sorted(OPTIMIZERS)),
        rate=st.sampled_from(range(-3, rates + 1)),
        batch_size=st.none() | st.sampled_from(range(1, 26)),
        schedule=st.none() | st.sampled_from(sorted(SCHEDULES)),
    )


def joined(blocks: list[Epochs]) -> Epochs:
    columns = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in COLUMNS}
    return Epochs(**columns, widths=blocks[0].widths)


def assert_same_bits(one: Epochs, other: Epochs) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


# Backpropagation, once more, one example after the other


def logit_slope(problem: Problem, z: np.ndarray, p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The derivative of one example's cost in its logits, by the formulas of the textbooks; y are its targets."""
    loss, output = problem.pair
    if loss in ("binary cross-entropy", "cross-entropy"):
        return p - y
    if loss == "hinge" and len(z) == 1:
        sign = 2 * y - 1
        return np.where(sign * z < 1, -sign, 0.0)
    if loss == "hinge":
        true = int(y.argmax())
        pulls = (z - z[true] + 1 > 0) / len(z)
        pulls[true] = 0.0
        return pulls - pulls.sum() * y
    e = p - y
    d = {"mse": 2 * e, "half mse": e, "huber": np.clip(e, -1, 1)}[loss] / len(z)
    jacobian = {
        "sigmoid": lambda: np.diag(p * (1 - p)),
        "softmax": lambda: np.diag(p) - np.outer(p, p),
        "linear": lambda: np.eye(len(z)),
    }
    return jacobian[output]() @ d


def targets(problem: Problem, y: np.ndarray, size: int) -> np.ndarray:
    """(n, outputs): classes as rows with a single one in them."""
    return np.eye(size)[y] if problem.pair[1] == "softmax" else y.reshape(len(y), size).astype(float)


def backward(weights: list, skips: list[bool], inputs: list, slopes: list, d: np.ndarray) -> list[np.ndarray]:
    """Each layer's gradient, (fan_in + 1, fan_out), for one example, from what came into the layers."""
    gradients = [np.outer(np.append(inputs[-1], 1.0), d)]
    d = weights[-1] @ d
    for w, skip, a, slope in reversed(list(zip(weights[:-1], skips, inputs[:-1], slopes, strict=True))):
        gradients.insert(0, np.outer(np.append(a, 1.0), d * slope))
        d = w @ (d * slope) + (d if skip else 0.0)
    return gradients


def plain_gradient(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The gradient, laid out like the parameters, and how far rounding may be off in it.

    The latter is the same sum with every number's size in its place, times 1e-13. A slope counts as 1 there at least,
    and what is pulled at likewise, because they may be differences of larger numbers; and as slopes are read at
    pre-activations that are rounded, too, all of it counts as often as the largest of them is large.
    """
    network, data = problem.network(), problem.data()
    trace, y = network.trace(data.x), targets(problem, data.y, network.sizes[-1])
    total, sizes = np.zeros(network.n_parameters), np.zeros(network.n_parameters)
    for i, x in enumerate(data.x):
        inputs = [x, *(a[i] for a in trace.activations)]
        slopes = [f.slope(z[i]) for f, z in zip(network.functions, trace.pre_activations, strict=True)]
        d = logit_slope(problem, trace.logits[i], trace.outputs[i], y[i]) / len(y)
        total += flat(backward(network.weights, network.skips, inputs, slopes, d))
        sizes += flat(
            backward(
                [np.abs(w) for w in network.weights],
                network.skips,
                [np.abs(a) for a in inputs],
                [np.maximum(np.abs(slope), 1.0) for slope in slopes],
                np.maximum(np.abs(d), 1 / len(y)),
            )
        )
    pulls = flat([np.vstack([problem.l2 * w + problem.l1 * np.sign(w), 0 * w[:1]]) for w in network.weights])
    largest = max([1.0, *(np.abs(z).max() for z in trace.pre_activations)])
    return total + pulls, 1e-13 * largest * (sizes + np.abs(pulls))


def flat(matrices: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([matrix.ravel() for matrix in matrices])


@many
@given(problems())
def test_gradients_are_those_of_plain_backpropagation(problem):
    expected, rounding = plain_gradient(problem)
    gradient = problem.network().gradient(problem.data(), problem.loss, **problem.penalties).flat
    assert (np.abs(gradient - expected) <= rounding).all()


def test_what_rounding_is_allowed_leaves_nearly_all_gradients_to_be_compared():
    """At ordinary scales; where all is saturated, the gradient itself is nothing but rounding."""
    compared = []

    @many
    @given(problems(scales=1, weights=0))
    def look(problem: Problem) -> None:
        expected, rounding = plain_gradient(problem)
        compared.append(rounding.max() < 1e-4 * np.abs(expected).max())

    look()
    assert np.mean(compared) > 0.9


# Outputs and losses


@many
@given(problems())
def test_predictions_have_a_row_per_example_and_probabilities_are_such(problem):
    network, data = problem.network(), problem.data()
    outputs = network.predict(data.x)
    assert outputs.shape == (problem.n, network.sizes[-1])
    assert np.isfinite(outputs).all()
    if network.output != "linear":
        assert outputs.min() >= 0.0
        assert outputs.max() <= 1.0
    if network.output == "softmax":
        # Up to 5 terms and a division.
        np.testing.assert_allclose(outputs.sum(axis=1), 1.0, rtol=1e-15)


@some
@given(problems(scales=2, weights=0))
def test_a_prediction_does_not_depend_on_the_other_examples(problem):
    """Up to the order in which a matrix product of another shape adds: it is felt in saturated outputs' last digits."""
    network, x = problem.network(), problem.data().x
    alone = np.concatenate([network.logits(x[i : i + 1]) for i in range(problem.n)])
    together = network.logits(x)
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-10 * (1 + np.abs(together).max()))


@many
@given(problems(), st.integers(0, 100))
def test_the_loss_does_not_depend_on_the_order_of_the_examples(problem, seed):
    network, data = problem.network(), problem.data()
    order = np.random.default_rng(seed).permutation(problem.n)
    shuffled = SimpleNamespace(x=data.x[order], y=data.y[order])
    one, other = (network.loss(each, problem.loss, **problem.penalties) for each in (data, shuffled))
    assert other == pytest.approx(one, rel=1e-7)
    assert network.accuracy(shuffled, problem.loss) == pytest.approx(network.accuracy(data, problem.loss), nan_ok=True)


@some
@given(problems())
def test_a_loss_is_never_below_zero_and_penalties_add_to_it(problem):
    network, data = problem.network(), problem.data()
    bare = network.loss(data, problem.loss)
    assert bare >= 0.0
    assert network.loss(data, problem.loss, **problem.penalties) >= bare


# Copies


@some
@given(problems(scales=1), ways())
def test_whatever_is_done_to_a_copy_leaves_the_original_as_it_was(problem, way):
    network, data = problem.network(), problem.data()
    before, x, y = network.parameters.copy(), data.x.copy(), data.y.copy()
    twin = network.copy()
    Training(twin, data, problem.loss, **way.arguments(problem)).advance(3)
    twin.weights[0][:] = np.nan
    twin.biases[-1][:] = np.inf
    assert network.parameters.tobytes() == before.tobytes()
    assert data.x.tobytes() == x.tobytes() and data.y.tobytes() == y.tobytes()
    assert not np.shares_memory(twin.parameters, network.parameters)


@some
@given(problems())
def test_measuring_changes_neither_network_nor_data(problem):
    network, data = problem.network(), problem.data()
    before, x, y = network.parameters.copy(), data.x.copy(), data.y.copy()
    for measure in (network.loss, network.gradient, network.accuracy):
        measure(data, problem.loss)
    for look in (network.predict, network.trace, network.predictor):
        look(data.x)
    assert network.parameters.tobytes() == before.tobytes()
    assert data.x.tobytes() == x.tobytes() and data.y.tobytes() == y.tobytes()


# Training


@many
@given(problems(), ways(), st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_training_in_blocks_is_training_epoch_by_epoch_bit_for_bit(problem, way, blocks):
    whole, parts = (problem.training(**way.arguments(problem)) for _ in range(2))
    together = joined([parts.advance(k) for k in blocks])
    assert_same_bits(whole.advance(sum(blocks)), together)
    np.testing.assert_array_equal(together.index, np.arange(sum(blocks)))


@some
@given(problems(), ways(), st.integers(1, 9))
def test_the_generator_gives_the_epochs_of_the_training(problem, way, block):
    network, data = problem.network(), problem.data()
    arguments = problem.penalties | way.arguments(problem)
    epochs = train(network, data, problem.loss, seed=problem.seed, block=block, **arguments)
    expected = problem.training(**way.arguments(problem)).advance(6)
    for epoch, other in zip(epochs, expected, strict=False):
        alone, of_the_training = (replace(one, block=None) for one in (epoch, other))
        np.testing.assert_equal(astuple(alone), astuple(of_the_training))


@many
@given(problems(scales=1, weights=0), st.sampled_from(range(1, 26)))
def test_an_epoch_of_minibatches_is_one_step_per_batch_in_the_order_of_its_seed(problem, batch_size):
    """The last batch is smaller where they do not divide the examples, and its mean is over those it has."""
    network, data, rate = problem.network(), problem.data(), 1e-3
    arguments = {"optimizer": OPTIMIZERS["sgd"](learning_rate=rate), "batch_size": batch_size}
    order = stream(problem.seed, "minibatches").permutation(problem.n)
    for batch in np.split(order, range(batch_size, problem.n, batch_size)):
        part = SimpleNamespace(x=data.x[batch], y=data.y[batch])
        network.parameters -= rate * network.gradient(part, problem.loss, **problem.penalties).flat
    trained = problem.training(**arguments).advance(2).parameters[1]
    np.testing.assert_allclose(trained, network.parameters, rtol=1e-9, atol=1e-12)


@many
@given(problems(), ways(), st.integers(0, 10))
def test_batches_of_all_the_examples_or_more_are_the_full_batch_bit_for_bit(problem, way, more):
    full, batched = (problem.training(**way.arguments(problem)) for _ in range(2))
    full.batch_size, batched.batch_size = None, problem.n + more
    assert_same_bits(full.advance(5), batched.advance(5))


@some
@given(problems(scales=1), ways(), st.integers(0, 6))
def test_a_training_restored_from_a_checkpoint_goes_on_bit_for_bit(problem, way, done):
    first, second = (problem.training(**way.arguments(problem)) for _ in range(2))
    first.advance(done + 1)
    second.restore(first.checkpoint())
    assert_same_bits(first.advance(4), second.advance(4))


@many
@given(problems(), ways(rates=4))
def test_training_is_finite_or_says_that_it_is_not(problem, way):
    """Warnings are errors here, so that none escapes either."""
    epochs = problem.training(**way.arguments(problem)).advance(12)
    for name in ("loss", "gradient_norms"):
        assert np.isfinite(getattr(epochs, name)[epochs.finite]).all()
    broken = ~np.isfinite(epochs.loss) | ~np.isfinite(epochs.gradient_norms).all(axis=1)
    np.testing.assert_array_equal(epochs.finite, ~broken)
    assert np.isfinite(epochs.parameters[epochs.finite]).all()
    assert np.isfinite(epochs.mean_activations[epochs.finite]).all()


@some
@given(problems(scales=1), ways(rates=0))
def test_losses_and_accuracies_are_what_the_network_gives_at_the_parameters(problem, way):
    epochs, network, data = problem.training(**way.arguments(problem)).advance(3), problem.network(), problem.data()
    for epoch in epochs:
        network.parameters = epoch.parameters
        assert epoch.loss == pytest.approx(network.loss(data, problem.loss, **problem.penalties), rel=1e-9, nan_ok=True)
        assert 0 <= epoch.accuracy <= 1 or np.isnan(network.accuracy(data, problem.loss))


# Histories


@some
@given(problems(scales=1), st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(4, 40), st.integers(1, 30))
def test_a_history_is_a_sequence_of_what_was_trained(problem, blocks, capacity, recent):
    training, history, seen = problem.training(), History(capacity, recent), []
    for k in blocks:
        seen.append(training.advance(k))
        history.extend(seen[-1])
    everything = joined(seen)
    index = [epoch.index for epoch in history]
    assert index == sorted(set(index)) and index[-1] == everything.index[-1]
    assert index[-recent:] == everything.index[-recent:].tolist()
    assert_same_bits(history.epochs(), everything.rows(np.array(index)))
    again = Recording.of(history).history()
    assert_same_bits(again.epochs(), history.epochs())
    assert_same_bits(again.kept(), history.kept())


# Standardization


@many
@given(st.integers(1, 40), st.integers(1, 5), st.integers(-8, 8), st.integers(-8, 8), st.integers(0, 100))
def test_standardized_features_have_mean_0_and_deviation_1_whatever_their_scale(n, features, scale, shift, seed):
    """As far as the digits go that the shift leaves: of a feature at 1e8 with a spread of 1, eight."""
    x = 10.0**scale * np.random.default_rng(seed).standard_normal((n, features)) + 10.0**shift
    standardized = standardize(x)
    lost = 1e-14 * np.abs(x).max(axis=0) / np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), 1.0)
    varied = (np.ptp(x, axis=0) > 0) & (lost < 1e-3)
    assert (np.abs(standardized.mean(axis=0)) <= 1e-12 + n * lost)[varied].all()
    assert (np.abs(standardized.std(axis=0) - 1) <= 1e-12 + n * lost)[varied].all()
    assert np.isfinite(standardized).all()


@some
@given(st.integers(1, 20), st.integers(-8, 8), st.booleans(), st.integers(0, 100))
def test_a_feature_without_spread_is_left_alone(n, scale, negative, seed):
    x = np.random.default_rng(seed).standard_normal((n, 2))
    x[:, 1] = (-1 if negative else 1) * 10.0**scale / 3
    assert standardize(x)[:, 1].tolist() == x[:, 1].tolist()


@some
@given(st.integers(2, 40), st.sampled_from([*range(-8, 9), -200, 200]), st.integers(0, 100))
def test_standardizing_twice_changes_nothing_more_and_scales_do_not_matter(n, scale, seed):
    x = np.random.default_rng(seed).standard_normal((n, 3))
    once = standardize(x)
    np.testing.assert_allclose(standardize(once), once, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(standardize(10.0**scale * x), once, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(standardize(-x), -once, rtol=1e-11, atol=1e-12)


def standardize(x: np.ndarray) -> np.ndarray:
    return Standardization.of(x).apply(Dataset(x, np.zeros(len(x)), "regression", 0)).x
