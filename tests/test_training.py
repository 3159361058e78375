"""What a training records is true, and its path does not depend on how it is looked at."""

from dataclasses import fields
from itertools import islice

import numpy as np
import pytest
from oracle_gradients import L2, REFERENCES, logistic_data, sklearn_answer

from engine import DATASETS, OPTIMIZERS, SCHEDULES, Network, Training, train
from engine.training import Epochs

MOONS = DATASETS["moons"](n=60)
HELD_OUT = DATASETS["moons"](n=30, seed=1)
BLOBS = DATASETS["blobs"](n=50, classes=3)
SINE = DATASETS["sine"](n=40)
COLUMNS = [field.name for field in fields(Epochs) if field.name != "widths"]

SETUPS = {
    "full batch": lambda: Training(Network([2, 6, 5, 1]), MOONS),
    "minibatches": lambda: Training(Network([2, 6, 1], "tanh"), MOONS, batch_size=7, validation=HELD_OUT),
    "momentum": lambda: Training(Network([2, 6, 1]), MOONS, optimizer=OPTIMIZERS["momentum"](), l1=0.01, l2=0.02),
    "softmax": lambda: Training(Network([2, 6, 3], "gelu", "softmax"), BLOBS, optimizer=OPTIMIZERS["adam"](), l2=0.1),
    "regression": lambda: Training(Network([1, 8, 8, 1], "sine", "linear", skip=True), SINE, loss="huber"),
    "hinge": lambda: Training(Network([2, 6, 1], "elu", "linear"), MOONS, loss="hinge", validation=HELD_OUT),
    "schedule": lambda: Training(Network([2, 1]), MOONS, batch_size=20, schedule=SCHEDULES["cosine"](duration=20)),
}
MEASURED = {
    "full batch": (MOONS, {}),
    "minibatches": (MOONS, {}),
    "momentum": (MOONS, {"l1": 0.01, "l2": 0.02}),
    "softmax": (BLOBS, {"l2": 0.1}),
    "regression": (SINE, {"loss": "huber"}),
    "hinge": (MOONS, {"loss": "hinge"}),
    "schedule": (MOONS, {}),
}

every_setup = pytest.mark.parametrize("setup", SETUPS)


def joined(blocks: list[Epochs]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([getattr(block, name) for block in blocks]) for name in COLUMNS}


def assert_same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@every_setup
def test_same_seed_same_run_bit_for_bit(setup):
    one, other = SETUPS[setup](), SETUPS[setup]()
    assert_same_bits(joined([one.advance(30)]), joined([other.advance(30)]))


@every_setup
@pytest.mark.parametrize("blocks", [[1] * 140, [3, 64, 7, 66], [139, 1]])
def test_path_does_not_depend_on_the_block_size_bit_for_bit(setup, blocks):
    whole, pieces = SETUPS[setup](), SETUPS[setup]()
    assert_same_bits(joined([whole.advance(140)]), joined([pieces.advance(k) for k in blocks]))


@every_setup
def test_every_number_is_measured_at_the_epochs_parameters(setup):
    training, (data, arguments) = SETUPS[setup](), MEASURED[setup]
    network = training.network.copy()
    for epoch in training.advance(12):
        network.parameters = epoch.parameters
        gradient = network.gradient(data, **arguments)
        layers = zip(gradient.weights, gradient.biases, strict=True)
        norms = [np.linalg.norm(np.append(w, b)) for w, b in layers]
        assert epoch.loss == pytest.approx(network.loss(data, **arguments), rel=1e-13)
        assert epoch.accuracy == pytest.approx(network.accuracy(data, arguments.get("loss")), nan_ok=True)
        np.testing.assert_allclose(epoch.gradient_norms, norms, rtol=1e-13)
        for recorded, activations in zip(epoch.mean_activations, network.trace(data.x).activations, strict=True):
            np.testing.assert_allclose(recorded, activations.mean(axis=0), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("setup", ["minibatches", "hinge"])
def test_validation_is_measured_at_the_epochs_parameters(setup):
    training, arguments = SETUPS[setup](), MEASURED[setup][1]
    network = training.network.copy()
    for epoch in training.advance(80):
        network.parameters = epoch.parameters
        assert epoch.validation_loss == pytest.approx(network.loss(HELD_OUT, **arguments), rel=1e-13)
        assert epoch.validation_accuracy == network.accuracy(HELD_OUT, arguments.get("loss"))


def test_without_validation_its_columns_are_nan():
    epochs = SETUPS["full batch"]().advance(3)
    assert np.isnan(epochs.validation_loss).all()
    assert np.isnan(epochs.validation_accuracy).all()


def test_a_regression_has_no_accuracy():
    assert np.isnan(SETUPS["regression"]().advance(3).accuracy).all()


@every_setup
def test_epoch_0_is_the_untrained_network(setup):
    training = SETUPS[setup]()
    start = training.network.parameters.copy()
    epochs = training.advance(2)
    assert epochs.index.tolist() == [0, 1]
    np.testing.assert_array_equal(epochs.parameters[0], start)
    assert not np.array_equal(epochs.parameters[1], start)


@every_setup
def test_after_advance_the_network_is_the_last_epochs(setup):
    training = SETUPS[setup]()
    for k in (1, 5, 70):
        np.testing.assert_array_equal(training.advance(k)[-1].parameters, training.network.parameters)


def test_gradient_descent_steps_against_the_recorded_gradient():
    training = SETUPS["full batch"]()
    network = training.network.copy()
    epochs = training.advance(2)
    gradient = network.gradient(MOONS).flat
    np.testing.assert_array_equal(epochs.parameters[1], epochs.parameters[0] - 0.1 * gradient)


def test_minibatches_visit_every_example_once_per_epoch():
    # Without hidden layers, a step of 1e-9 hardly moves the gradient, so nine batches add up to the whole data's.
    n, rate = 63, 1e-9
    data = DATASETS["moons"](n=n)
    network = Network([2, 1])
    gradient = network.gradient(data).flat
    training = Training(network, data, optimizer=OPTIMIZERS["sgd"](learning_rate=rate), batch_size=7)
    parameters = training.advance(2).parameters
    np.testing.assert_allclose((parameters[0] - parameters[1]) / rate, n / 7 * gradient, rtol=1e-5)


def test_a_batch_of_all_the_data_is_the_full_batch():
    full, large = Training(Network([2, 4, 1]), MOONS), Training(Network([2, 4, 1]), MOONS, batch_size=60)
    assert_same_bits(joined([full.advance(20)]), joined([large.advance(20)]))


def test_batches_come_in_an_order_that_the_seed_decides():
    paths = [Training(Network([2, 4, 1]), MOONS, batch_size=7, seed=seed).advance(5).parameters for seed in (0, 1)]
    assert not np.array_equal(*paths)


def test_what_was_seen_stays_true():
    training = SETUPS["momentum"]()
    seen = training.advance(5)
    before = {name: getattr(seen, name).copy() for name in COLUMNS}
    training.advance(100)
    assert_same_bits(joined([seen]), before)


def test_epochs_are_a_sequence_of_their_rows():
    epochs = SETUPS["full batch"]().advance(5)
    assert len(epochs) == 5
    assert [epoch.index for epoch in epochs] == [0, 1, 2, 3, 4]
    assert epochs[-1].index == epochs[4].index == 4
    assert epochs[2].loss == epochs.loss[2]
    assert [m.shape for m in epochs[2].mean_activations] == [(6,), (5,)]
    np.testing.assert_array_equal(np.concatenate(epochs[2].mean_activations), epochs.mean_activations[2])
    with pytest.raises(IndexError, match="epoch 5 of a block of 5; positions go from -5 to 4"):
        epochs[5]


def test_a_network_without_hidden_layers_has_no_activations():
    assert SETUPS["schedule"]().advance(2)[1].mean_activations == []


# What is written between two calls


def test_a_learning_rate_written_takes_hold_at_the_next_update():
    training = SETUPS["full batch"]()
    first = training.advance(1)
    gradient = training.network.gradient(MOONS).flat
    training.optimizer.learning_rate = 0.025
    second = training.advance(1)
    np.testing.assert_array_equal(second.parameters[0], first.parameters[0] - 0.025 * gradient)
    assert [first.learning_rate[0], second.learning_rate[0]] == [0.1, 0.025]


def test_a_penalty_written_takes_hold_at_the_next_update():
    training = SETUPS["full batch"]()
    start = training.advance(1).parameters[0]
    gradient = training.network.gradient(MOONS, l2=0.5).flat
    training.l2 = 0.5
    np.testing.assert_allclose(training.advance(1).parameters[0], start - 0.1 * gradient, rtol=1e-14)
    assert training.advance(1).loss[0] == pytest.approx(training.network.loss(MOONS, l2=0.5))


def test_another_optimizer_starts_from_scratch():
    training = SETUPS["momentum"]()
    start = training.advance(10).parameters[-1]
    fresh = Training(training.network.copy(), MOONS, optimizer=OPTIMIZERS["adam"](), l1=0.01, l2=0.02)
    training.optimizer = OPTIMIZERS["adam"]()
    np.testing.assert_array_equal(fresh.advance(1).parameters[0], start)
    np.testing.assert_array_equal(fresh.advance(5).parameters, training.advance(5).parameters)


def test_a_batch_size_written_takes_hold_at_the_next_update():
    training = SETUPS["full batch"]()
    training.advance(1)
    training.batch_size = 7
    whole = Training(Network([2, 6, 5, 1]), MOONS, batch_size=7)
    whole.advance(1)
    np.testing.assert_array_equal(training.advance(3).parameters, whole.advance(3).parameters)


def test_a_schedule_multiplies_the_learning_rate():
    schedule = SCHEDULES["step"](every=2, drop=0.5)
    epochs = Training(Network([2, 3, 1]), MOONS, schedule=schedule).advance(5)
    assert epochs.learning_rate.tolist() == [0.1, 0.1, 0.05, 0.05, 0.025]


# The generator


def test_train_yields_every_epoch_from_0_on():
    assert [epoch.index for epoch in islice(train(Network([2, 4, 1]), MOONS), 200)] == list(range(200))


@pytest.mark.parametrize("block", [1, 5, 64])
def test_train_goes_the_same_way_whatever_its_block(block):
    expected = SETUPS["minibatches"]().advance(100).parameters
    run = train(Network([2, 6, 1], "tanh"), MOONS, batch_size=7, block=block)
    np.testing.assert_array_equal([epoch.parameters for epoch in islice(run, 100)], expected)


def test_the_network_mirrors_the_epoch_in_hand():
    network = Network([2, 4, 1])
    for epoch in islice(train(network, MOONS), 50):
        np.testing.assert_array_equal(network.parameters, epoch.parameters)


# Divergence


@pytest.mark.parametrize("batch_size", [None, 16])
def test_a_training_that_diverges_goes_on_in_silence(batch_size):
    data, optimizer = DATASETS["sine"](n=30), OPTIMIZERS["sgd"](learning_rate=1e3)
    network = Network([1, 8, 8, 1], output="linear")
    epochs = Training(network, data, optimizer=optimizer, batch_size=batch_size, l2=0.1).advance(200)
    assert epochs.finite[0]
    assert not epochs.finite[-1]
    assert not np.isfinite(epochs.loss[-1])
    np.testing.assert_array_equal(epochs.index, np.arange(200))


# Oracles


def trained_logistic_regression() -> np.ndarray:
    training = Training(Network([2, 1]), logistic_data(), optimizer=OPTIMIZERS["momentum"](learning_rate=0.5), l2=L2)
    return training.advance(1000)[-1].parameters


def test_logistic_regression_ends_where_scikit_learn_ends():
    stored = np.load(REFERENCES / "gradients.npz")["logistic"]
    np.testing.assert_allclose(trained_logistic_regression(), stored, rtol=1e-8)


@pytest.mark.torch
def test_logistic_regression_ends_where_scikit_learn_ends_live():
    pytest.importorskip("sklearn")
    np.testing.assert_allclose(trained_logistic_regression(), sklearn_answer(), rtol=1e-8)


def test_a_small_network_learns_the_moons():
    training = Training(Network([2, 16, 16, 1]), MOONS, optimizer=OPTIMIZERS["adam"]())
    assert training.advance(600)[-1].accuracy == 1.0


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch size 0 is impossible; choose a whole number of 1 or more, or None for all"),
        ({"batch_size": 2.5}, "batch size 2.5 is impossible"),
        ({"l2": -1.0}, "l2 = -1.0 would reward large weights; choose 0 or more"),
        ({"loss": "cross-entropy"}, "loss 'cross-entropy' does not go with the output 'sigmoid'; choose one of binary"),
        ({"loss": "crossentropy"}, "loss 'crossentropy' is unknown; choose one of binary cross-entropy"),
        ({"data": SINE}, r"x has the shape \(40, 1\); expected \(n, 2\)"),
        ({"validation": SINE}, r"x has the shape \(40, 1\); expected \(n, 2\)"),
    ],
)
def test_an_impossible_training_is_refused_with_a_remedy(arguments, message):
    with pytest.raises(ValueError, match=message):
        Training(**{"network": Network([2, 3, 1]), "data": MOONS, **arguments})


@pytest.mark.parametrize("k", [0, -1])
def test_no_epochs_cannot_be_trained(k):
    with pytest.raises(ValueError, match=f"{k} epochs cannot be trained; choose 1 or more"):
        SETUPS["full batch"]().advance(k)


def test_a_block_of_nothing_is_refused():
    with pytest.raises(ValueError, match="a block of 0 epochs is impossible; choose 1 or more"):
        next(train(Network([2, 3, 1]), MOONS, block=0))


@every_setup
@pytest.mark.parametrize("done", [0, 1, 40])
def test_restored_from_a_checkpoint_goes_on_bit_for_bit(setup, done):
    whole, first, second = (SETUPS[setup]() for _ in range(3))
    expected = joined([whole.advance(done + 30)])
    if done:
        first.advance(done)
    checkpoint = first.checkpoint()
    first.advance(9)
    second.advance(3)
    for training in (first, second):
        training.restore(checkpoint)
        rest = joined([training.advance(30)])
        assert_same_bits({name: column[done:] for name, column in expected.items()}, rest)


def test_checkpoint_of_another_network_is_refused():
    with pytest.raises(ValueError, match="this network has"):
        SETUPS["momentum"]().restore(SETUPS["softmax"]().checkpoint())
