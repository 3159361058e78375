"""A race takes every racer where the engine takes it alone, counts what is predicted, and can be looked back on."""

import numpy as np
import pytest

from dashboard.state import race as race_module
from dashboard.state.race import Race
from dashboard.state.race_settings import MULTIPLES, RaceSettings, RaceView
from dashboard.state.race_setup import COLORS, GOAL, HAVE_LIMITS, LADDER, MAX_RACERS, build, clouds
from engine.optimizers import OPTIMIZERS
from engine.surfaces import SURFACES, LogisticSurface, Quadratic, trajectory

NAMES = (*SURFACES, "logistic")
ALL = {"optimizers": list(OPTIMIZERS), "multiples": [1.0], "counted_in": "given", "learning_rate": 0.01}

every_surface = pytest.mark.parametrize("surface", NAMES)
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def race_of(**choices) -> Race:
    return Race(RaceSettings(**choices))


def run_to_the_end(**choices) -> Race:
    race = race_of(**choices)
    race.advance(5000)
    return race


def alone(race: Race, place: int, steps: int):
    """What the engine makes of one of the racers."""
    setup = race.setup
    return trajectory(setup.surface, setup.start, setup.racers[place].build(), steps)


def settled(race: Race) -> list[float]:
    return race.history.settled(race.frame().epoch.index).tolist()


@every_surface
def test_every_racer_goes_where_it_goes_alone(surface):
    race = race_of(surface=surface, **{**ALL, "learning_rate": 1e-3})
    race.advance(70)
    for place in range(len(race.setup.racers)):
        path = alone(race, place, 70)
        np.testing.assert_array_equal(race.history.points(slice(0, 71))[:, place], path.points)
        for name, memory in race.history[40].states[place].items():
            np.testing.assert_array_equal(memory, path.state[name][40])


def test_the_same_race_again_is_the_same_bit_for_bit():
    race = race_of(surface="rosenbrock", **ALL)
    race.advance(30)
    before = race.history.points(slice(0, 31))
    race.reset()
    assert race.frame().epoch.index == 0
    race.advance(30)
    np.testing.assert_array_equal(race.history.points(slice(0, 31)), before)


def test_a_race_advanced_in_parts_is_the_race_advanced_at_once():
    parts, whole = race_of(), race_of()
    for steps in (1, 2, 30, 67):
        assert parts.advance(steps) == steps
    whole.advance(100)
    np.testing.assert_array_equal(parts.history.points(slice(0, 101)), whole.history.points(slice(0, 101)))


@pytest.mark.parametrize("condition_number", [1.0, 3.0, 10.0, 40.0])
@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_on_a_quadratic_gradient_descent_settles_at_the_predicted_step(condition_number, angle):
    """Exactly: the prediction adds what both directions have left."""
    multiples = [0.5, 1.0, 1.9]
    race = run_to_the_end(condition_number=condition_number, angle=angle, multiples=multiples)
    rates = [racer.learning_rate for racer in race.setup.racers]
    np.testing.assert_array_equal(settled(race), race.setup.predicted_steps("sgd", rates))


def test_on_a_quadratic_the_predicted_losses_are_the_losses():
    race = race_of(condition_number=7.0, angle=20.0, multiples=[0.1, 1.9, 2.0, 2.1])
    race.advance(50)
    steps = np.arange(51)
    for place, racer in enumerate(race.setup.racers):
        heights = race.history.heights(slice(0, 51))[:, place]
        np.testing.assert_allclose(race.setup.predicted_heights(racer, steps), heights, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("optimizer", HAVE_LIMITS)
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_just_below_its_limit_an_optimizer_settles_and_just_above_it_leaves(optimizer, momentum):
    race_setup = race_of(momentum=momentum, condition_number=4.0).setup
    limit, surface = race_setup.limit(optimizer), Quadratic(4.0)
    below, above = (trajectory(surface, None, build(optimizer, r * limit, momentum), 2000) for r in (0.99, 1.01))
    assert below.values[-1] < GOAL
    assert above.values[-1] > above.values[0]
    assert np.isfinite(race_setup.predicted_steps(optimizer, [0.99 * limit]))
    assert np.isinf(race_setup.predicted_steps(optimizer, [1.01 * limit]))


@pytest.mark.parametrize("optimizer", ["momentum", "nesterov"])
@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.9025])
@pytest.mark.parametrize("condition_number", [5.0, 100.0, 400.0])
def test_on_a_quadratic_momentum_settles_at_the_predicted_step(optimizer, momentum, condition_number):
    """Also where both solutions of its recurrence are nearly one, as with (1 - 1 / 20) squared at 400."""
    race = run_to_the_end(
        optimizers=[optimizer], multiples=[0.5, 1.0], momentum=momentum, condition_number=condition_number
    )
    rates = [racer.learning_rate for racer in race.setup.racers]
    np.testing.assert_array_equal(settled(race), race.setup.predicted_steps(optimizer, rates))


@pytest.mark.parametrize("surface", ["saddle", "himmelblau"])
@pytest.mark.parametrize("optimizer", HAVE_LIMITS)
def test_no_steps_are_predicted_where_the_surface_bends_down_at_the_start(surface, optimizer):
    """Newton's method stays on a saddle or a hilltop; one step to the minimum was what a parabola would have."""
    race = race_of(surface=surface, optimizers=[optimizer], multiples=[1.0])
    assert np.isnan(race.setup.predicted_steps(optimizer, [0.1, 1.0])).all()
    assert np.isnan(race.setup.predicted_heights(race.setup.racers[0], np.arange(5))).all()
    assert np.isfinite(race.setup.limit(optimizer))


def test_there_is_no_limit_for_steps_that_adapt():
    race_setup = race_of().setup
    for optimizer in OPTIMIZERS.keys() - set(HAVE_LIMITS):
        assert np.isnan(race_setup.limit(optimizer))
        assert np.isnan(race_setup.predicted_steps(optimizer, [0.1])).all()


def test_newtons_method_solves_a_quadratic_in_one_step():
    race = run_to_the_end(optimizers=["newton"], multiples=[1.0], condition_number=100.0, angle=30.0)
    assert settled(race) == [1]
    assert race.setup.predicted_steps("newton", [1.0]) == 1


def test_who_comes_near_and_leaves_again_has_not_settled():
    """At 2.1 / lambda_max a logistic regression falls below a millionth for a while, then swings for ever."""
    race = race_of(surface="logistic", multiples=[2.1])
    race.advance(3000)
    assert not race.ended
    assert np.isfinite(race.history.settled(40)).all()
    assert np.isnan(race.history.settled(3000)).all()


def test_who_blows_up_is_out_and_leaves_the_others_alone():
    race = run_to_the_end(multiples=[1.0, 2.1])
    assert race.ended.endswith("the racer is at rest, the others have blown up")
    assert np.isnan(race.frame().epoch.values).tolist() == [False, True]
    np.testing.assert_array_equal(race.history.points(slice(0, 60))[:, 0], alone(race, 0, 59).points)


def test_a_race_in_which_all_blow_up_says_so():
    race = run_to_the_end(multiples=[2.1])
    assert "diverged" in race.ended
    race.resume()
    assert race.ended
    assert race.advance(1) == 0


def test_a_race_ends_when_all_are_at_rest_and_goes_on_if_asked_to():
    race = run_to_the_end(multiples=[1.0, 1.9])
    last = race.frame().epoch.index
    assert race.ended == f"at step {last:,} all 2 racers are at rest"
    race.resume()
    assert race.advance(5) == 5


def test_no_race_is_longer_than_the_most(monkeypatch):
    monkeypatch.setattr(race_module, "MAX_STEPS", 100)
    race = run_to_the_end(multiples=[2.0])
    assert race.frame().epoch.index == 100
    assert race.ended.startswith("stopped at step 100")


def test_looking_back_shows_all_racers_as_they_were():
    race = race_of(**ALL)
    race.advance(90)
    race.look_at(17)
    frame = race.frame()
    assert frame.epoch.index == 17
    np.testing.assert_array_equal(frame.epoch.points, race.history.points(slice(17, 18))[0])
    race.advance(5)
    assert race.frame().epoch.index == 17


@every_optimizer
def test_the_next_move_is_the_one_that_comes_next(optimizer):
    race = race_of(surface="himmelblau", **{**ALL, "optimizers": [optimizer]})
    race.advance(6)
    expected = np.diff(race.history.points(slice(5, 7)), axis=0)[0, 0]
    race.look_at(5)
    np.testing.assert_allclose(race.frame().next_move(0), expected, rtol=1e-9, atol=1e-15)


def test_turns_are_the_engines():
    race = race_of(surface="logistic", stretch=10.0, multiples=[1.9])
    race.advance(50)
    assert race.history.turns(50)[0] == pytest.approx(np.median(alone(race, 0, 50).turns))
    assert np.isnan(race.history.turns(1)).all()


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adagrad", "adam"])
def test_the_best_rate_is_the_one_that_settles_first_tried_one_by_one(optimizer):
    race = race_of(optimizers=[optimizer], multiples=[1.0], counted_in="best", angle=30.0)
    surface = race.setup.surface

    def result(rate: float) -> tuple[float, float]:
        heights = trajectory(surface, None, build(optimizer, rate, 0.9), 300).values
        far = np.flatnonzero(~(heights < GOAL))
        return far[-1], heights[-1] if np.isfinite(heights[-1]) else np.inf

    rates = LADDER if optimizer in HAVE_LIMITS else [rate for rate in LADDER if rate <= 1]
    assert race.setup.racers[0].learning_rate == min(rates, key=result)


@every_surface
def test_steepest_descent_ends_in_a_minimum_and_never_rises(surface):
    setup = race_of(surface=surface).setup
    path = setup.flow()
    heights = setup.surface.value(path) - setup.lowest
    assert heights[-1] < 1e-4
    assert (np.diff(heights) <= 1e-12).all()


@pytest.mark.torch
@pytest.mark.parametrize("surface", ["quadratic", "rosenbrock", "himmelblau", "logistic"])
def test_steepest_descent_is_scipys_solution_of_its_equation(surface):
    """To a thirtieth of the picture: pieces are an eightieth long, and only one point in each is on the true line."""
    integrate = pytest.importorskip("scipy.integrate")
    setup = race_of(surface=surface).setup
    found = integrate.solve_ivp(
        lambda _, point: -setup.surface.gradient(point), (0, 1e3), setup.start, "LSODA", rtol=1e-8, atol=1e-10
    ).y.T
    size = np.ptp(setup.surface.bounds, axis=1).max()
    for point in setup.flow():
        legs = np.diff(found, axis=0)
        along = np.clip(((point - found[:-1]) * legs).sum(1) / np.maximum((legs * legs).sum(1), 1e-30), 0, 1)
        assert np.linalg.norm(found[:-1] + along[:, None] * legs - point, axis=1).min() < size / 30


def test_every_racer_has_a_color_of_its_own_that_it_keeps():
    for choices in (ALL, {"multiples": list(MULTIPLES)}, {"optimizers": ["sgd", "adam"], "multiples": [1.0, 2.0]}):
        color_indices = [racer.color_index for racer in race_of(**choices).setup.racers]
        assert len(set(color_indices)) == len(color_indices)
        assert max(color_indices) < COLORS
    few = race_of(**{**ALL, "optimizers": ["adam", "newton"]}).setup.racers
    assert [racer.color_index for racer in few] == [list(OPTIMIZERS).index(name) for name in ("adam", "newton")]


@pytest.mark.parametrize(
    "change", [{"optimizers": []}, {"multiples": []}, {"optimizers": list(OPTIMIZERS), "multiples": [1.0, 2.0]}]
)
def test_a_race_of_nobody_or_of_too_many_is_refused_and_taken_back(change):
    race = race_of()
    before = race.settings.values()
    race.settings.param.update(**change)
    assert f"choose 1 to {MAX_RACERS}" in race.message
    assert race.settings.values() == before


def test_another_surface_lets_go_of_the_start():
    race = race_of(start=[0.5, 0.5])
    race.settings.surface = "beale"
    assert race.settings.start == []
    np.testing.assert_array_equal(race.setup.start, [1, 1])


def test_a_new_start_is_where_all_begin():
    race = race_of()
    race.advance(5)
    race.settings.start = [0.25, -1.5]
    assert race.frame().epoch.index == 0
    np.testing.assert_array_equal(race.frame().epoch.points, [[0.25, -1.5]] * 4)


def test_the_speed_disturbs_nobody():
    race = race_of()
    race.advance(5)
    race.settings.speed = 100
    assert race.frame().epoch.index == 5


def test_a_link_opens_the_same_race():
    settings = RaceSettings(surface="logistic", start=[1.5, -1], multiples=[1.0, 2.1], counted_in="best", stretch=3.0)
    again, problems = RaceSettings.from_query(settings.query())
    assert not problems
    assert again.values() == settings.values()
    view, problems = RaceView.from_query(RaceView(hidden=["1 / λ"], racer="2.1 / λ").query())
    assert not problems
    assert view.hidden == ["1 / λ"]


@pytest.mark.parametrize("start", ["[1]", "[1, NaN]", "[1, 1e9]", '["a", 1]', "7"])
def test_a_start_that_is_no_point_is_reported(start):
    settings, problems = RaceSettings.from_query({"start": start})
    assert settings.start == []
    assert "two numbers from -1000 to 1000" in problems[0]


def test_the_clouds_are_standardized_and_their_second_feature_stretched():
    x = clouds(10.0).x
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(x.std(axis=0), [1, 10])
    assert not LogisticSurface(clouds()).separable
