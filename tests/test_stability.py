"""The bookmark of the edge of stability depends on the run alone: the first epoch whose sharpness reaches the edge."""

import numpy as np
import pytest

from dashboard.state.analyses.sharpness import StabilityMonitor
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from engine.curvature import Curvature, spectrum
from engine.optimizers import OPTIMIZERS

SMALL = {
    "dataset": "chebyshev",
    "n": 20,
    "noise": 0.0,
    "validation": 0.0,
    "loss": "mse",
    "hidden": [8],
    "activation": "tanh",
    "initializer": "xavier",
    "learning_rate": 0.3,
}
MOONS = {"dataset": "moons", "n": 60, "noise": 0.2, "validation": 0.0, "loss": "binary cross-entropy", "hidden": [8]}
CASES = {
    "gradient descent": SMALL,
    "momentum": {**SMALL, "optimizer": "momentum", "momentum": 0.5, "learning_rate": 0.3},
    "Nesterov": {**SMALL, "optimizer": "nesterov", "momentum": 0.5, "learning_rate": 0.15},
    "from above": {**SMALL, "learning_rate": 0.5},
    "spikes": {**MOONS, "activation": "relu", "learning_rate": 2.0},
    "a penalty": {**SMALL, "l2": 0.002, "learning_rate": 0.35},
    "minibatches": {**SMALL, "batch_size": 7, "learning_rate": 0.25},
    "a schedule": {**SMALL, "schedule": "warmup", "learning_rate": 0.3},
}
PRECONDITIONED = {
    "Adam": {**SMALL, "optimizer": "adam", "learning_rate": 0.01},
    "Adam, another momentum": {**SMALL, "optimizer": "adam", "beta1": 0.5, "learning_rate": 0.003},
    "AdamW": {**SMALL, "optimizer": "adamw", "weight_decay": 0.5, "learning_rate": 0.01},
    "RMSProp": {**SMALL, "optimizer": "rmsprop", "learning_rate": 0.003},
    "AdaGrad": {**SMALL, "optimizer": "adagrad", "learning_rate": 0.1},
    "Adam on minibatches": {**SMALL, "optimizer": "adam", "batch_size": 7, "learning_rate": 0.01},
}


def run_of(epochs: int = 0, **choices) -> Run:
    run = Run(Settings(**choices))
    run.advance(epochs)
    return run


def look(monitor: StabilityMonitor, pieces: int | None = None) -> None:
    """Let it work until there is nothing more, or drop its work after so many pieces."""
    while (work := monitor.work(monitor.run.frame())) is not None:
        for count, _ in enumerate(work):
            if count == pieces:
                work.close()
                return


def found(run: Run) -> int | None:
    return next((mark.epoch for mark in run.bookmarks if mark.kind == "edge"), None)


def factor(settings: Settings) -> float:
    """The edge times the learning rate, as in Cohen et al. 2021."""
    m = settings.momentum
    return {"sgd": 2, "momentum": 2 + 2 * m, "nesterov": (2 + 2 * m) / (1 + 2 * m)}[settings.optimizer]


def divided_by(run: Run) -> list[np.ndarray]:
    """P of the update after each epoch, as the engine's own training has it when it comes by."""
    training, found = run.setup.training(run.settings), []
    for _ in run.history:
        training.advance(1)
        found.append(training.preconditioner.copy())
    np.testing.assert_array_equal(training.network.parameters, run.history[-1].parameters)
    return found


def shares_of_the_edge(run: Run) -> np.ndarray:
    """Preconditioned sharpness over the edge at every epoch whose next update is known, by whole matrices."""
    network, shares = run.setup.network.copy(), []
    for epoch, divisor in zip(list(run.history)[:-1], divided_by(run), strict=False):
        network.parameters[:] = epoch.parameters
        hessian = spectrum(network, run.setup.train, run.setup.loss).hessian
        edge = run.settings.build("optimizer").edge_of_stability(epoch.learning_rate)
        shares.append(np.linalg.eigvalsh(hessian / np.sqrt(np.outer(divisor, divisor)))[-1] / edge)
    return np.array(shares)


def first_from_below(shares: np.ndarray) -> int | None:
    """The first at the edge after one below it."""
    below = np.flatnonzero(shares < 1)
    above = np.flatnonzero(shares >= 1)
    later = above[above > below[0]] if len(below) else above[:0]
    return int(later[0]) if len(later) else None


def first_crossing(run: Run) -> int | None:
    """By all eigenvalues of the whole Hessian, at every epoch whose next update is known."""
    network = run.setup.network.copy()
    for epoch in list(run.history)[:-1]:
        network.parameters[:] = epoch.parameters
        objective = run.setup.train, run.setup.loss, run.settings.l1, run.settings.l2
        if spectrum(network, *objective).sharpness >= factor(run.settings) / epoch.learning_rate:
            return epoch.index
    return None


@pytest.mark.parametrize("case", CASES)
def test_the_bookmark_is_the_first_epoch_whose_sharpness_is_at_the_edge(case):
    run = run_of(160, **CASES[case])
    look(StabilityMonitor(run))
    assert found(run) == first_crossing(run)


def test_some_of_these_runs_start_above_the_edge_and_some_meet_it_later():
    crossings = [first_crossing(run_of(160, **choices)) for choices in CASES.values()]
    assert 0 in crossings
    assert sum(epoch is not None and epoch > 0 for epoch in crossings) >= 4


def test_the_bookmark_does_not_depend_on_when_the_monitor_had_its_turns():
    """A look before every epoch, looks that are dropped half way, one look at a run whose history is long thinned."""
    wanted = first_crossing(run_of(160, **SMALL))
    for block, pieces, total in ((1, None, 160), (7, 3, 160), (40, 11, 160), (3000, None, 3000)):
        run = run_of(**SMALL)
        monitor = StabilityMonitor(run)
        for _ in range(0, total, block):
            run.advance(block)
            look(monitor, pieces)
        assert run.history.stride == (1 if total < 1000 else 4)
        look(monitor)
        assert found(run) == wanted, (block, pieces, total)


@pytest.mark.parametrize("case", PRECONDITIONED)
def test_of_a_preconditioned_run_it_is_the_first_epoch_at_the_edge_after_one_below(case):
    run = run_of(400, **PRECONDITIONED[case])
    shares = shares_of_the_edge(run)
    look(StabilityMonitor(run))
    assert found(run) == first_from_below(shares)
    assert shares[0] > 10
    mark = next((mark for mark in run.bookmarks if mark.kind == "edge"), None)
    assert mark is None or mark.title.startswith("preconditioned sharpness")


def test_most_of_these_runs_come_to_their_edge_within_these_epochs():
    crossings = [first_from_below(shares_of_the_edge(run_of(400, **case))) for case in PRECONDITIONED.values()]
    assert sum(epoch is not None for epoch in crossings) >= 4
    assert min(epoch for epoch in crossings if epoch is not None) > 3


def test_the_bookmark_of_adam_does_not_depend_on_when_the_monitor_had_its_turns():
    choices = PRECONDITIONED["Adam"]
    wanted = first_from_below(shares_of_the_edge(run_of(400, **choices)))
    assert wanted is not None
    for block, pieces, total in ((1, None, 400), (7, 5, 400), (40, 11, 400), (3000, None, 3000)):
        run = run_of(**choices)
        monitor = StabilityMonitor(run)
        for _ in range(0, total, block):
            run.advance(block)
            look(monitor, pieces)
        look(monitor)
        assert found(run) == wanted, (block, pieces, total)


@pytest.mark.parametrize("epoch", [1, 2, 40])
def test_a_fork_or_a_saved_run_of_adam_finds_the_same_whether_it_has_been_below_yet_or_not(epoch):
    choices = PRECONDITIONED["Adam"]
    wanted = first_from_below(shares_of_the_edge(run_of(400, **choices)))
    run = run_of(50, **choices)
    monitor = StabilityMonitor(run)
    look(monitor)
    assert found(run) is None and run.bookmarks.below_edge >= 32
    run.look_at(epoch)
    run.fork()
    again = Run.reopened(run.recording())
    for one, watching in ((run, monitor), (again, StabilityMonitor(again))):
        one.advance(350)
        look(watching)
        assert found(one) == wanted


def test_a_saved_run_goes_on_looking_where_it_was_and_finds_the_same():
    run = run_of(40, **SMALL)
    monitor = StabilityMonitor(run)
    look(monitor)
    assert found(run) is None
    again = Run.reopened(run.recording())
    assert again.bookmarks.below_edge == run.bookmarks.below_edge == 32
    again.advance(120)
    look(StabilityMonitor(again))
    assert found(again) == first_crossing(run_of(160, **SMALL))


def test_a_bookmark_that_was_saved_before_every_epoch_was_looked_at_is_looked_for_again():
    run = run_of(160, **SMALL)
    run.bookmarks.mark("edge", 155, "sharpness meets the edge")
    recording = run.recording()
    del recording.notes["below_edge"]
    again = Run.reopened(recording)
    look(StabilityMonitor(again))
    assert found(again) == first_crossing(run)


def test_a_changed_learning_rate_moves_the_edge_from_its_own_epoch_on():
    run = run_of(30, **{**SMALL, "learning_rate": 0.05})
    monitor = StabilityMonitor(run)
    look(monitor)
    run.settings.learning_rate = 0.6
    run.advance(20)
    look(monitor)
    assert found(run) == 30


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_but_newtons_has_an_edge(name):
    edge = OPTIMIZERS[name](learning_rate=0.1).edge_of_stability(np.array([0.1, 0.2]))
    assert np.isfinite(edge).all() == (name != "newton")


@pytest.mark.parametrize("tolerance", [1e-1, 1e-2, 1e-6])
def test_a_start_at_another_eigenvector_does_not_hide_the_sharpest(tolerance):
    """Each of the second to the fifth eigenvector is offered as the one found before."""
    run = run_of(100, **SMALL)
    network = run.network
    curvature = Curvature(network, run.setup.train, run.setup.loss)
    whole = curvature.spectrum()
    for place in range(2, 6):
        value = curvature.sharpness(whole.eigenvectors[:, -place], tolerance=tolerance).value
        assert value == pytest.approx(whole.sharpness, rel=1e-6)


def test_along_a_run_at_the_edge_no_sharpness_is_that_of_the_second_eigenvector():
    """From epoch to epoch, with the vector of the one before: all as the whole Hessian has them."""
    run = run_of(150, **{**SMALL, "learning_rate": 0.35})
    network, vector = run.setup.network.copy(), None
    curvature = Curvature(network, run.setup.train, run.setup.loss)
    for epoch in run.history:
        network.parameters[:] = epoch.parameters
        found = curvature.sharpness(vector, tolerance=1e-2)
        vector = found.vector
        assert found.value == pytest.approx(curvature.spectrum().sharpness, rel=1e-5), epoch.index
