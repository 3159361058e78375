"""Laws of a run: what repeats it, what keeps its history, what ends it, and what it refuses."""

from typing import Any

import numpy as np
import param
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.state.run import BLOCK, Run
from dashboard.state.settings import LIVE, MAX_PARAMETERS, Settings, Widths
from engine.training import COLUMNS, Epochs

SMALL: dict[str, Any] = {"n": 60, "hidden": [5, 4]}
CASES: dict[str, dict[str, Any]] = {
    "binary": {},
    "classes": {"dataset": "blobs", "activation": "tanh"},
    "regression": {"dataset": "sine", "optimizer": "adam", "standardize": True},
    "minibatches": {"batch_size": 7, "optimizer": "momentum", "l2": 0.01},
    "no hidden layer": {"dataset": "linear", "hidden": []},
    "deep": {"hidden": [4] * 10, "activation": "sigmoid", "skip": True},
    "scheduled": {"schedule": "cosine", "duration": 40, "l1": 0.001},
    "four points": {"dataset": "xor4"},
}
DIVERGING: dict[str, Any] = {"dataset": "sine", "activation": "linear", "learning_rate": 10.0, "hidden": [8]}
every_case = pytest.mark.parametrize("case", CASES)


def run_of(case: str, **more: Any) -> Run:
    return Run(Settings(**{**SMALL, **CASES[case], **more}))


def recorded(run: Run) -> Epochs:
    return run.history.latest()


def assert_same(a: Epochs, b: Epochs) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def another(settings: Settings, name: str) -> Any:
    """A value the setting does not have now, and could."""
    parameter, value = settings.param[name], getattr(settings, name)
    if name == "loss":
        return "mse"
    if isinstance(parameter, param.Selector):
        return next(other for other in parameter.objects if other != value)
    if isinstance(parameter, param.Boolean):
        return not value
    if isinstance(parameter, Widths):
        return [3, 3, 3]
    if name == "features":
        return ["x1", "x2", "x1^2"]
    if name == "layer_rates":
        return [2.0] * (len(settings.hidden) + 1)
    if name in ("n", "own"):
        return {"n": 50, "own": "0123456789abcdef"}[name]
    step = 1 if isinstance(parameter, param.Integer) else 0.01
    return value + step if value + step <= parameter.bounds[1] else value - step


@every_case
def test_same_settings_same_run_bit_for_bit(case):
    first, second = run_of(case), run_of(case)
    for run in (first, second):
        run.advance(80)
    assert_same(recorded(first), recorded(second))


@every_case
def test_another_seed_is_another_run(case):
    first, second = run_of(case), run_of(case, seed=1)
    assert not np.array_equal(first.history[0].parameters, second.history[0].parameters)


@every_case
@settings(max_examples=15)
@given(pieces=st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_advancing_in_pieces_is_advancing_at_once(case, pieces):
    whole, divided = run_of(case), run_of(case)
    whole.advance(sum(pieces))
    for piece in pieces:
        divided.advance(piece)
    assert_same(recorded(whole), recorded(divided))


@every_case
def test_reset_goes_back_to_the_same_weights_and_the_same_way(case):
    run = run_of(case)
    run.advance(70)
    way = recorded(run)
    run.reset()
    assert len(run.history) == 1
    assert run.history[-1].index == 0
    np.testing.assert_array_equal(run.network.parameters, way.parameters[0])
    run.advance(70)
    assert_same(recorded(run), way)


def test_reset_lets_go_of_what_was_said():
    run = run_of("binary")
    run.refuse("something was wrong")
    run.reset()
    assert run.message == ""


@every_case
def test_a_new_run_shows_the_untrained_network(case):
    run = run_of(case)
    assert [epoch.index for epoch in run.history] == [0]
    np.testing.assert_array_equal(run.network.parameters, run.setup.network.parameters)
    assert run.history[0].loss == pytest.approx(
        run.setup.network.loss(run.setup.train, run.setup.loss, run.settings.l1, run.settings.l2)
    )


@every_case
def test_a_frame_is_true_to_its_epoch(case):
    run = run_of(case)
    run.advance(30)
    frame = run.frame()
    before = frame.network().parameters.copy()
    run.advance(200)
    np.testing.assert_array_equal(frame.network().parameters, before)
    assert frame.kept().index[-1] == frame.epoch.index == 30
    assert frame.network().loss(frame.setup.train, frame.setup.loss, frame.l1, frame.l2) == pytest.approx(
        frame.epoch.loss
    )


@pytest.mark.parametrize("name", sorted(LIVE))
def test_a_live_setting_keeps_the_history(name):
    run = run_of("binary", optimizer="adam", schedule="step")
    run.advance(20)
    setup, way = run.setup, recorded(run)
    setattr(run.settings, name, another(run.settings, name))
    assert run.message == ""
    assert run.setup is setup
    assert_same(recorded(run), way)
    run.advance(1)
    assert run.history[-1].index == 21


@pytest.mark.parametrize("name", sorted(set(Settings.names()) - LIVE))
def test_any_other_setting_starts_afresh(name):
    run = run_of("binary")
    run.advance(20)
    setup = run.setup
    setattr(run.settings, name, another(run.settings, name))
    assert run.message == ""
    assert run.setup is not setup
    assert [epoch.index for epoch in run.history] == [0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("learning_rate", 0.01), ("momentum", 0.5), ("batch_size", 8), ("l1", 0.01), ("l2", 0.1), ("schedule", "warmup")],
)
def test_a_live_setting_takes_hold(name, value):
    """The way bends where the setting changes, not before; epochs 0 to 20 were measured before it did."""
    straight, bent = (run_of("binary", optimizer="momentum") for _ in range(2))
    for run in (straight, bent):
        run.advance(20)
    setattr(bent.settings, name, value)
    for run in (straight, bent):
        run.advance(5)
    same = (recorded(straight).parameters == recorded(bent).parameters).all(axis=1)
    assert same.tolist() == [True] * 21 + [False] * 5


def test_there_and_back_again_is_the_straight_way():
    straight, detour = run_of("binary"), run_of("binary")
    straight.advance(40)
    detour.advance(20)
    detour.settings.learning_rate, detour.settings.l2 = 0.5, 0.1
    detour.settings.learning_rate, detour.settings.l2 = 0.1, 0.0
    detour.advance(20)
    np.testing.assert_array_equal(recorded(straight).parameters, recorded(detour).parameters)


def test_the_recorded_learning_rate_is_the_one_of_the_next_update():
    run = run_of("binary", schedule="step", every=5, drop=0.5)
    run.advance(12)
    np.testing.assert_allclose(recorded(run).learning_rate, [0.1] * 5 + [0.05] * 5 + [0.025] * 3)


def test_a_new_learning_rate_is_not_written_into_epochs_that_are_over(monkeypatch):
    """The change comes from another thread, while a block is trained ahead."""
    run = run_of("binary")
    step, steps = type(run._attempt.training.optimizer).step, []

    def interrupted(*arguments: Any) -> None:
        step(*arguments)
        steps.append(arguments[-1])
        if len(steps) == 10:
            run.settings.learning_rate = 0.5

    monkeypatch.setattr(type(run._attempt.training.optimizer), "step", interrupted)
    run.advance(40)
    np.testing.assert_array_equal(recorded(run).learning_rate[:-1], steps)


REFUSED = {
    "a batch larger than the data": ({"batch_size": 61}, ["61", "45"]),
    "fewer examples than the batch": ({"n": 8}, ["10", "8"]),
    "too many parameters": ({"hidden": [128] * 10}, ["parameters", f"{MAX_PARAMETERS:,}"]),
    "too long an epoch": ({"hidden": [128] * 4, "n": 2000}, ["50,049 parameters", "1,500", "999 examples"]),
    "too few examples for the classes": ({"dataset": "blobs", "classes": 5, "n": 4, "batch_size": 0}, ["4", "5"]),
    "all examples held out": ({"dataset": "blobs", "classes": 5, "n": 40, "validation": 0.9}, ["0.9", "35"]),
}


@pytest.mark.parametrize("change", REFUSED)
def test_what_cannot_be_is_explained_and_taken_back_and_the_run_stays(change):
    change, words = REFUSED[change]
    run = run_of("binary", batch_size=10)
    run.advance(20)
    before, setup, way, version = run.settings.values(), run.setup, recorded(run), run.version
    run.settings.param.update(**change)
    assert all(word in run.message for word in words), run.message
    assert "choose" in run.message or "needs" in run.message
    assert run.settings.values() == before
    assert run.setup is setup
    assert run.version > version
    assert_same(recorded(run), way)
    run.advance(20)
    untouched = run_of("binary", batch_size=10)
    untouched.advance(40)
    assert_same(recorded(run), recorded(untouched))


def test_the_next_possible_request_clears_the_message():
    run = run_of("binary")
    run.settings.batch_size = 1000
    assert run.message
    run.settings.batch_size = 10
    assert run.message == ""


@pytest.mark.parametrize("change", ["a batch larger than the data", "too many parameters"])
def test_a_run_cannot_begin_with_what_cannot_be(change):
    change, words = REFUSED[change]
    with pytest.raises(ValueError, match=words[0]):
        run_of("binary", **change)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("dataset", ["blobs", "spirals"])
def test_any_number_of_classes_can_be_trained(dataset, classes):
    run = run_of("binary", dataset=dataset)
    run.settings.classes = classes
    run.advance(3)
    assert run.message == ""
    assert run.setup.train.n_classes == classes
    assert run.network.sizes[-1] == (1 if classes == 2 else classes)


def test_a_diverging_run_ends_at_its_last_finite_epoch():
    run = Run(Settings(**SMALL | DIVERGING))
    run.advance(5000)
    last = run.history[-1]
    assert run.ended == f"diverged at epoch {last.index + 1}"
    assert np.isfinite(last.loss)
    assert np.isfinite(last.parameters).all()
    assert np.isfinite(run.history.kept().loss).all()


@pytest.mark.parametrize("pieces", [1, 7, 64, 1000])
def test_where_a_run_diverges_does_not_depend_on_how_it_is_advanced(pieces):
    whole, divided = Run(Settings(**SMALL | DIVERGING)), Run(Settings(**SMALL | DIVERGING))
    whole.advance(1000)
    while not divided.ended:
        divided.advance(pieces)
    assert divided.ended == whole.ended
    assert_same(recorded(whole), recorded(divided))


def test_a_run_that_diverged_goes_on_only_after_a_fresh_start():
    run = Run(Settings(**SMALL | DIVERGING))
    run.advance(5000)
    ended, last = run.ended, run.history[-1].index
    run.resume()
    run.advance(10)
    assert (run.ended, run.history[-1].index) == (ended, last)
    run.settings.learning_rate = 0.01
    run.advance(10)
    assert run.history[-1].index == last
    run.reset()
    run.advance(10)
    assert (run.ended, run.history[-1].index) == ("", 10)


@pytest.mark.parametrize("epoch", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 150])
@pytest.mark.parametrize("piece", [1, 10, 1000])
def test_a_run_stops_at_the_epoch_asked_for(epoch, piece):
    run = run_of("binary", stop_epoch=epoch)
    for _ in range(0, 300, piece):
        run.advance(piece)
    assert run.history[-1].index == epoch
    assert run.ended == f"stopped at epoch {epoch}, where it was to stop; Play goes on"


def test_a_run_stops_at_the_first_epoch_whose_loss_is_small_enough():
    free = run_of("binary")
    free.advance(150)
    losses = recorded(free).loss
    goal = float(losses[100])
    run = run_of("binary", stop_loss=goal)
    run.advance(150)
    assert run.history[-1].index == int(np.argmax(losses <= goal))
    assert run.history[-1].loss <= goal
    assert f"{goal:g}" in run.ended


@pytest.mark.parametrize("patience", [1, 5, 30])
def test_a_run_stops_when_the_loss_has_not_fallen_by_a_thousandth_for_so_long(patience):
    free = run_of("binary", learning_rate=1.0, n=40)
    free.advance(199)
    best, since, expected = np.inf, 0, None
    for epoch in free.history:
        if epoch.loss < best * 0.999:
            best, since = epoch.loss, epoch.index
        if epoch.index - since == patience:
            expected = epoch.index
            break
    run = run_of("binary", learning_rate=1.0, n=40, stop_plateau=patience)
    run.advance(199)
    assert run.history[-1].index == (199 if expected is None else expected)
    assert bool(run.ended) == (expected is not None)


@pytest.mark.parametrize("patience", [1, 5, 100])
def test_a_run_that_stands_still_stops_after_exactly_so_many_epochs(patience):
    run = run_of("binary", initializer="zeros", learning_rate=0.0001, stop_plateau=patience)
    run.advance(500)
    assert run.history[-1].index == patience


def test_stop_rules_do_not_bend_the_way():
    free, ruled = run_of("binary"), run_of("binary", stop_loss=1e-9, stop_plateau=100_000, stop_epoch=100)
    free.advance(100)
    ruled.advance(1000)
    assert_same(recorded(free), recorded(ruled))


@pytest.mark.parametrize("rule", [{"stop_epoch": 10}, {"stop_loss": 100.0}, {"stop_plateau": 1}])
def test_a_stopped_run_goes_on_when_it_is_told_to(rule):
    run = run_of("binary", initializer="zeros", learning_rate=0.0001, **rule)
    run.advance(30)
    stopped = run.history[-1].index
    assert run.ended
    run.resume()
    assert run.ended == ""
    run.advance(1)
    assert run.history[-1].index == stopped + 1


@pytest.mark.parametrize("rule", [{"stop_epoch": 50}, {"stop_plateau": 3}])
def test_a_rule_made_while_the_run_goes_on_is_kept(rule):
    run = run_of("binary", initializer="zeros", learning_rate=0.0001)
    run.advance(30)
    run.settings.param.update(**rule)
    run.advance(100)
    assert run.history[-1].index == rule.get("stop_epoch", 30 + 1 + 3)


def change_after_ten_steps(run: Run, monkeypatch: pytest.MonkeyPatch, **change: int) -> None:
    """Have a setting change while a block is trained ahead."""
    optimizer = type(run._attempt.training.optimizer)
    step, steps = optimizer.step, []

    def interrupted(*arguments: Any) -> None:
        step(*arguments)
        steps.append(1)
        if len(steps) == 10:
            run.settings.param.update(**change)

    monkeypatch.setattr(optimizer, "step", interrupted)


def test_an_epoch_to_stop_at_that_is_passed_while_a_block_is_trained_ahead_still_stops_the_run(monkeypatch):
    run = run_of("binary")
    change_after_ten_steps(run, monkeypatch, stop_epoch=20)
    run.advance(500)
    assert run.ended
    assert run.history[-1].index <= BLOCK


def test_a_fresh_start_while_a_block_is_trained_ahead_is_not_mixed_with_it(monkeypatch):
    run = run_of("binary")
    change_after_ten_steps(run, monkeypatch, seed=5)
    run.advance(BLOCK)
    assert [epoch.index for epoch in run.history] == [0]
    np.testing.assert_array_equal(run.history[0].parameters, run_of("binary", seed=5).history[0].parameters)


def test_every_recorded_block_is_a_new_version():
    run = run_of("binary")
    for _ in range(3):
        version = run.version
        run.advance(1)
        assert run.version > version


def test_a_closed_run_no_longer_follows_its_settings():
    settings = Settings(**SMALL)
    run = Run(settings)
    setup = run.setup
    run.close()
    settings.seed = 5
    assert run.setup is setup


def test_validation_examples_are_never_trained_on():
    run = run_of("binary", standardize=True)
    train, validation = run.setup.train, run.setup.validation
    assert len(train.x) + len(validation.x) == 60
    assert not {tuple(x) for x in train.x} & {tuple(x) for x in validation.x}
    np.testing.assert_allclose(train.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(train.x.std(axis=0), 1)


def test_an_optimizer_that_solves_for_the_hessian_is_refused_a_network_too_large_for_it():
    run = Run(Settings(n=40, hidden=[32, 32]))
    run.settings.optimizer = "newton"
    assert "the most with newton is 600" in run.message
    assert run.settings.optimizer == "sgd"
    run.settings.param.update(hidden=[8], optimizer="newton")
    assert run.advance(3) == 3
