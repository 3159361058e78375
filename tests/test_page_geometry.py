"""The geometry page shows what is known of learning rates, scaling and optimizers, and its pictures tell the truth."""

from types import SimpleNamespace

import numpy as np
import pytest

from dashboard.instruments.race_losses import BOTTOM, LOWEST, RaceLosses
from dashboard.instruments.race_map import RaceMap
from dashboard.instruments.race_picture import color_index
from dashboard.instruments.race_table import RaceTable
from dashboard.instruments.rate_limits import RateLimits
from dashboard.instruments.step_directions import StepDirections
from dashboard.pages.geometry import Geometry
from dashboard.shell.app import App
from dashboard.state.race import Race
from dashboard.state.race_settings import RaceSettings
from dashboard.state.race_setup import GOAL, clouds
from engine.optimizers import OPTIMIZERS
from engine.surfaces import SURFACES

KINDS = (RaceMap, RaceLosses, RateLimits, StepDirections, RaceTable)
PICTURES = KINDS[:-1]
NAMES = (*SURFACES, "logistic")

every_kind = pytest.mark.parametrize("kind", KINDS)
every_picture = pytest.mark.parametrize("kind", PICTURES)
every_preset = pytest.mark.parametrize("preset", Geometry.presets, ids=lambda preset: preset.label)


@pytest.fixture(scope="module")
def app():
    app = App(Geometry.opened({})[0], "geometry")
    yield app
    app.close()
    app.run.close()


def race_of(**choices) -> Race:
    return Race(RaceSettings(**choices))


def settled(race: Race) -> list[float]:
    return race.history.settled(race.frame().epoch.index).tolist()


def content(instrument) -> dict | str:
    """All that a picture shows, as something that can be compared."""
    if isinstance(instrument, RaceTable):
        return instrument.figure.text
    return {
        label: {name: np.asarray(column, dtype=object).tolist() for name, column in source.data.items()}
        for label, source in instrument.sources.items()
    }


def column(instrument, label: str, name: str) -> np.ndarray:
    return np.array(instrument.sources[label].data[name])


def segments(instrument, label: str) -> np.ndarray:
    """(k, 2, 2) the two ends of each segment of a layer."""
    return np.stack([column(instrument, label, name) for name in ("x0", "y0", "x1", "y1")], axis=1).reshape(-1, 2, 2)


@every_preset
def test_every_preset_moves_every_picture(app, preset):
    app.shown.choose(preset)
    app.clock.pause()
    app.draw()
    before = [content(picture) for picture in app.shown.in_view]
    assert len(before) == len(KINDS)
    assert app.run.frame().epoch.index == 0
    app.run.advance(20)
    app.draw()
    for old, picture in zip(before, app.shown.in_view, strict=True):
        assert content(picture) != old
        assert picture.caption
    assert not app.run.message


@every_preset
def test_every_preset_looks_into_one_of_its_racers(preset):
    race = race_of(**preset.changes)
    assert preset.view["racer"] in [racer.label for racer in race.setup.racers]


# What is known


def test_below_the_limit_the_quadratic_decays_at_it_it_stays_and_above_it_grows():
    """lambda = (1, 10): .199 decays, .2 is neutral, .201 grows. The preset says these numbers."""
    race = race_of(**Geometry.presets[0].changes)
    race.advance(400)
    assert [racer.learning_rate for racer in race.setup.racers] == pytest.approx([0.199, 0.2, 0.201])
    heights = race.history.heights(slice(100, 401))
    decays, stays, grows = heights[-1] / heights[0]
    assert decays == pytest.approx(0.99**600)
    assert stays == pytest.approx(1)
    assert grows == pytest.approx(1.01**600)


def test_a_logistic_regression_takes_the_measured_steps_and_never_settles_above_the_limit():
    """Measured elsewhere over many draws: 136 / 37 / 31 at .1 / 1 / 1.99 over lambda_max; this draw within 15 %."""
    race = race_of(surface="logistic")
    race.advance(3000)
    np.testing.assert_allclose(settled(race)[:3], [136, 37, 31], rtol=0.15)
    assert np.isnan(settled(race)[3])
    late = race.history.heights(slice(2900, 3001))[:, 3]
    assert late.min() > 1e-3
    assert late.max() < 1


def test_a_feature_in_other_units_stretches_the_valley_and_standardizing_undoes_it():
    """Measured elsewhere: condition 3.1, 140.7, 3.1; 37, 651 and 37 steps at 1 / lambda_max; the same lowest loss."""
    choices = {"surface": "logistic", "multiples": [1.0]}
    races = [race_of(**choices, **more) for more in ({}, {"stretch": 10.0}, {"stretch": 10.0, "standardize": True})]
    for race in races:
        race.advance(1500)
    conditions = [float(race.setup.curvature.condition_number) for race in races]
    np.testing.assert_allclose(conditions, [3.1, 140.7, 3.1], rtol=0.15)
    np.testing.assert_allclose([settled(race)[0] for race in races], [37, 651, 37], rtol=0.15)
    plain, stretched, _ = races
    assert stretched.setup.lowest == pytest.approx(plain.setup.lowest, rel=1e-14)
    np.testing.assert_allclose(stretched.setup.goal, plain.setup.goal / [1, 10], rtol=1e-12)
    np.testing.assert_allclose(clouds(10.0).x @ stretched.setup.goal, clouds().x @ plain.setup.goal, atol=1e-13)


def test_a_long_valley_makes_a_zigzag_near_the_limit_and_a_round_one_does_not():
    """Median cosine of successive steps at 1.9 / lambda_max over fifty steps: -.98 stretched, +1 scaled."""
    for stretch, cosine in ((10.0, -0.98), (1.0, 1.0)):
        race = race_of(surface="logistic", stretch=stretch, multiples=[1.9])
        race.advance(50)
        assert race.history.turns(50)[0] == pytest.approx(cosine, abs=0.02)


def test_of_all_who_race_newton_is_there_after_one_step_and_momentum_beats_gradient_descent():
    race = race_of(**Geometry.presets[4].changes)
    race.advance(400)
    steps = dict(zip((racer.label for racer in race.setup.racers), settled(race), strict=True))
    assert steps["newton"] == 1
    assert steps["momentum"] < steps["sgd"]
    assert steps["nesterov"] < steps["momentum"]


def test_at_the_saddle_momentum_leaves_before_gradient_descent_and_newton_stays():
    race = race_of(**Geometry.presets[6].changes)
    race.advance(600)
    names = [racer.label for racer in race.setup.racers]
    left = np.argmax(np.abs(race.history.points(slice(0, 601))[..., 1]) > 0.5, axis=0)
    assert 0 < left[names.index("momentum")] < left[names.index("sgd")] / 2
    newton = race.frame().epoch.points[names.index("newton")]
    np.testing.assert_allclose(newton, 0, atol=1e-3)


def test_on_the_hill_of_four_minima_newton_climbs_and_adaptive_steps_lead_to_another_minimum():
    race = race_of(**Geometry.presets[7].changes)
    race.advance(300)
    setup, points = race.setup, race.frame().epoch.points
    ends = dict(zip((racer.label for racer in setup.racers), points, strict=True))
    assert (setup.surface.curvature(ends["newton"]).eigenvalues < 0).all()
    assert np.linalg.norm(setup.surface.gradient(ends["newton"])) < 1e-9
    assert np.linalg.norm(ends["momentum"] - ends["sgd"]) < 1e-3
    assert np.linalg.norm(ends["adam"] - ends["adagrad"]) < 1e-3
    assert np.linalg.norm(ends["adam"] - ends["sgd"]) > 1


# What the pictures show


@every_kind
def test_a_streamed_picture_is_the_one_drawn_anew(kind):
    """Also beyond 400 steps, where pictures are thinned."""
    race = race_of(surface="rosenbrock", optimizers=["sgd", "momentum", "adam"], multiples=[0.1, 0.5])
    streamed = kind(race)
    for steps in (1, 1, 1, 7, 300, 1, 240):
        race.advance(steps)
        streamed.draw(race.frame())
    assert content(streamed) == content(kind(race))


@every_kind
def test_looking_back_shows_what_was_there(kind):
    race, other = race_of(), race_of()
    race.advance(80)
    other.advance(30)
    picture = kind(race)
    race.look_at(30)
    picture.draw(race.frame())
    assert content(picture) == content(kind(other))


@every_kind
def test_a_fresh_start_is_drawn_as_a_new_picture_would_be(kind):
    race = race_of()
    picture = kind(race)
    race.advance(30)
    picture.draw(race.frame())
    race.settings.param.update(surface="himmelblau", optimizers=["sgd", "adam"], multiples=[0.5])
    race.advance(3)
    picture.draw(race.frame())
    assert content(picture) == content(kind(race))


@every_picture
def test_who_is_hidden_is_gone_from_every_picture_and_comes_back(kind):
    race = race_of()
    picture = kind(race)
    race.advance(40)
    picture.draw(race.frame())
    all_shown = content(picture)
    race.view.param.update(hidden=["1 / λ"], racer="0.1 / λ")
    picture.draw(race.frame())
    if kind is not StepDirections:
        assert content(picture) != all_shown
    race.view.hidden = []
    picture.draw(race.frame())
    assert content(picture) == all_shown


@pytest.fixture(scope="module")
def surfaces():
    return RaceMap(race_of(multiples=[0.1]))


def shown(picture: RaceMap, surface: str) -> Race:
    """Have the picture show a surface."""
    picture.run.settings.surface = surface
    picture.draw(picture.run.frame())
    return picture.run


@pytest.mark.parametrize("surface", NAMES)
def test_arrows_point_downhill_and_across_the_contours(surfaces, surface):
    race, picture = shown(surfaces, surface), surfaces
    shafts = segments(picture, "downhill")[::3].astype(float)
    ways, slopes = shafts[:, 1] - shafts[:, 0], race.setup.surface.gradient(shafts.mean(axis=1))
    cosines = (ways * -slopes).sum(axis=1) / np.linalg.norm(ways, axis=1) / np.linalg.norm(slopes, axis=1)
    assert np.median(cosines) > 0.9999
    assert cosines.min() > 0.9


@pytest.mark.parametrize("surface", NAMES)
def test_contours_are_lines_of_one_height(surfaces, surface):
    """To half the distance between two lines at the median: they are drawn on a coarse grid of logarithms."""
    race, picture = shown(surfaces, surface), surfaces
    lines = [np.stack(line, axis=1) for line in zip(*picture.sources["contours"].data.values(), strict=True)]
    assert len(lines) >= 10
    spreads = [np.ptp(np.log10(race.setup.surface.value(line) - race.setup.lowest)) for line in lines if len(line) > 20]
    assert np.median(spreads) < 0.2


def test_the_map_has_every_path_with_the_same_scale_on_both_axes():
    race = race_of()
    picture = RaceMap(race)
    race.advance(60)
    picture.draw(race.frame())
    for place, racer in enumerate(race.setup.racers):
        path = race.history.points(slice(0, 61))[:, place]
        drawn = np.stack([column(picture, color_index(racer.color_index), name) for name in "xy"], axis=1)
        np.testing.assert_allclose(drawn, path, atol=1e-5)
    (left, right), (bottom, top) = picture._box
    assert (right - left) / (top - bottom) == pytest.approx(picture.aspect)


def test_a_picture_of_other_proportions_keeps_one_scale():
    picture = RaceMap(race_of())
    picture._measure("inner_width", None, 300)
    picture._measure("inner_height", None, 400)
    (left, right), (bottom, top) = picture._box
    assert (right - left) / (top - bottom) == pytest.approx(0.75)
    assert picture.figure.x_range.end == right
    assert left <= -2
    assert top >= 2


def test_the_cross_is_the_hessians_eigenvectors_at_the_picked_racer():
    race = race_of(condition_number=9.0, angle=30.0, multiples=[0.5, 1.0])
    race.view.racer = "1 / λ"
    race.advance(3)
    picture = RaceMap(race)
    arms = segments(picture, "eigenvectors")
    np.testing.assert_allclose(arms.mean(axis=1), race.frame().epoch.points[[1, 1]], atol=1e-12)
    flat, steep = arms[:, 1] - arms[:, 0]
    assert np.abs(flat @ [np.cos(np.pi / 6), np.sin(np.pi / 6)]) == pytest.approx(np.linalg.norm(flat))
    assert flat @ steep == pytest.approx(0, abs=1e-12)
    assert np.linalg.norm(flat) / np.linalg.norm(steep) == pytest.approx(3)
    assert "condition number 9" in picture.caption


def test_signs_at_the_racers_are_their_optimizers_memory():
    race = race_of(optimizers=["sgd", "momentum", "adagrad", "adam"], multiples=[1.0], counted_in="given")
    race.advance(7)
    picture, race_step = RaceMap(race), race.frame().epoch
    shafts = segments(picture, "velocities")[::3]
    ways = (shafts[:, 1] - shafts[:, 0]) / np.linalg.norm(shafts[:, 1] - shafts[:, 0], axis=1, keepdims=True)
    memories = [race_step.states[1]["velocity"], race_step.states[3]["mean"]]
    np.testing.assert_allclose(ways, [-one / np.linalg.norm(one) for one in memories], atol=1e-9)
    rings = column(picture, "scales", "xs"), column(picture, "scales", "ys")
    sizes = [np.ptp(xs) / np.ptp(ys) for xs, ys in zip(*rings, strict=True)]
    squares = [race_step.states[2]["square_sum"], race_step.states[3]["square"]]
    np.testing.assert_allclose(sizes, [np.sqrt(one[1] / one[0]) for one in squares], rtol=1e-3)


def test_losses_are_drawn_as_they_are_and_predictions_before_the_run():
    race = race_of(surface="logistic")
    picture = RaceLosses(race)
    for place, racer in enumerate(race.setup.racers):
        steps, heights = (column(picture, f"forecast {racer.color_index}", name) for name in ("step", "height"))
        expected = race.setup.predicted_heights(racer, steps)
        np.testing.assert_allclose(heights, expected, rtol=1e-3)
        assert len(steps) > 5, place
    race.advance(200)
    picture.draw(race.frame())
    for place, racer in enumerate(race.setup.racers):
        drawn = column(picture, color_index(racer.color_index), "height")
        np.testing.assert_allclose(drawn, np.maximum(race.history.heights(slice(0, 201))[:, place], LOWEST), rtol=1e-4)
    assert picture.figure.x_range.end >= 200
    assert picture.figure.y_range.start >= BOTTOM / 10


def test_the_learning_rates_are_where_they_are_and_the_limit_is_drawn_first():
    race = race_of()
    picture = RateLimits(race)
    assert segments(picture, "limits")[0, 0, 0] == pytest.approx(0.2)
    rates, steps = (column(picture, "sgd", name) for name in ("rate", "steps"))
    assert rates.max() < 0.2
    np.testing.assert_allclose(steps, race.setup.predicted_steps("sgd", rates), rtol=0.05, atol=1)
    race.advance(100)
    picture.draw(race.frame())
    np.testing.assert_allclose(column(picture, "racers", "rate"), [0.01, 0.1, 0.199, 0.21])
    assert column(picture, "racers", "fill_alpha").tolist() == [0, 1, 0, 0]
    assert column(picture, "racers", "steps").tolist() == [100, 67, 100, 100]


def test_the_compass_shows_downhill_and_the_step_that_comes():
    names = list(OPTIMIZERS)
    race = race_of(surface="himmelblau", optimizers=names, multiples=[1.0], counted_in="given", learning_rate=0.01)
    picture = StepDirections(race)
    race.advance(6)
    moves = np.diff(race.history.points(slice(5, 7)), axis=0)[0]
    race.look_at(5)
    downhill = -race.setup.surface.gradient(race.frame().epoch.points)
    for place, name in enumerate(names):
        race.view.racer = name
        picture.draw(race.frame())
        for label, way in (("downhill", downhill[place]), ("next step", moves[place])):
            np.testing.assert_allclose(segments(picture, label)[0, 1], way / np.linalg.norm(way), atol=1e-3)


def test_the_table_says_what_was_predicted_and_what_came():
    race = race_of()
    race.advance(100)
    text = RaceTable(race).figure.text
    assert "<td>0.1</td><td>67</td><td>67</td>" in text
    assert "<td>0.21</td><td>never</td><td></td>" in text


# What a click does


def test_a_click_on_the_map_moves_the_start_and_one_on_a_disc_picks_the_racer():
    race = race_of(multiples=[0.1, 0.5])
    picture = RaceMap(race)
    race.advance(10)
    picture.draw(race.frame())
    picture.tapped(*race.frame().epoch.points[1])
    assert race.view.racer == "0.5 / λ"
    assert race.frame().epoch.index == 10
    picture.tapped(1.23456, -0.5)
    assert race.settings.start == [1.235, -0.5]
    picture.tapped(999, 0)
    assert race.settings.start == [1.235, -0.5]


def test_the_start_can_be_dragged_and_nothing_else():
    race = race_of()
    picture = RaceMap(race)
    picture._grab(SimpleNamespace(x=1.0, y=1.0))
    picture._drag(SimpleNamespace(x=0.5, y=1.0))
    assert race.settings.start == []
    picture._grab(SimpleNamespace(x=-1.55, y=0.78))
    picture._drag(SimpleNamespace(x=0.5, y=1.0))
    assert race.settings.start == [0.5, 1.0]


def test_a_click_among_the_losses_picks_the_nearest_racer_and_takes_all_pictures_there():
    race = race_of()
    race.advance(60)
    picture = RaceLosses(race)
    picture.tapped(30.2, race.history.heights(slice(30, 31))[0, 1])
    assert race.view.racer == "1 / λ"
    assert race.looked_at == 30


def test_a_click_among_the_rates_picks_the_nearest():
    race = race_of()
    RateLimits(race).tapped(0.09, 10)
    assert race.view.racer == "1 / λ"


def test_the_chips_hide_and_show():
    race = race_of()
    picture = RaceLosses(race)
    picture._hear({"act": "toggle", "label": "1 / λ"})
    assert race.view.hidden == ["1 / λ"]
    picture._hear({"act": "toggle", "label": "1 / λ"})
    assert race.view.hidden == []
    picture._hear({"act": "only", "label": "1 / λ"})
    assert race.view.hidden == ["0.1 / λ", "1.99 / λ", "2.1 / λ"]
    picture.draw(race.frame())
    assert [item["hidden"] for item in picture._chips.items] == [True, False, True, True]
    picture._hear({"act": "only", "label": "1 / λ"})
    assert race.view.hidden == []
    picture._hear({"act": "toggle", "label": "nobody"})
    assert race.view.hidden == []


def test_settled_means_within_a_millionth():
    race = race_of(multiples=[1.0])
    race.advance(67)
    heights = race.history.heights(slice(66, 68))[:, 0]
    assert heights[1] < GOAL < heights[0]
