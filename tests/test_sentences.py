"""Sentences of the pages, computed: each is quoted as it stands, and measured over seeds with the engine.

A sentence that is changed fails here until what it says is measured.
"""

from collections.abc import Mapping
from functools import cache
from html import unescape
from typing import Any

import numpy as np
import pytest

from dashboard.instruments.fates_by_start import FatesByStart
from dashboard.instruments.loss_landscape import LossLandscape
from dashboard.pages import PAGES
from dashboard.run import Setup
from dashboard.settings import Settings
from engine.ensemble import Ensemble
from engine.landscape import random_plane
from engine.losses import OUTPUTS
from engine.margins import widest_margin
from engine.measures import weight_norms

LN2 = np.log(2)


def quoted(slug: str, sentence: str) -> None:
    """The page says so, in its words, its trap or one of its presets."""
    page = PAGES[slug]
    words = [page.question, page.look_for, unescape(page.trap), *(preset.doc for preset in page.presets)]
    assert any(sentence in text for text in words), f"{slug} does not say {sentence!r}"


def changes_of(slug: str, label: str) -> Mapping[str, Any]:
    (preset,) = [preset for preset in PAGES[slug].presets if preset.label == label]
    return {**PAGES[slug].defaults, **preset.changes}


@cache
def _ensemble(slug: str, changes: tuple[tuple[str, Any], ...], seeds: int, epochs: int, every: int) -> Ensemble:
    page = PAGES[slug]
    settings = page.settings(**{**page.defaults, **{k: list(v) if type(v) is tuple else v for k, v in changes}})
    setup = Setup.of(settings)
    network = setup.network
    ensemble = Ensemble(
        network.sizes,
        setup.train,
        axes={"seed": range(seeds)},
        activation=list(network.activations),
        output=network.output,
        initializer=settings.build("initializer"),
        skip=settings.skip,
        bias=settings.bias,
        loss=setup.loss,
        optimizer=settings.build("optimizer"),
        batch_size=settings.batch_size or None,
        l1=settings.l1,
        l2=settings.l2,
        every=every,
    )
    ensemble.advance(1 + epochs)
    return ensemble


def runs(slug: str, label: str = "", seeds: int = 10, epochs: int = 0, every: int = 1, **changes: Any) -> Ensemble:
    """A page's runs, as a preset has them but for some changes, from many seeds."""
    whole = {**(changes_of(slug, label) if label else {}), **changes}
    frozen = tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in whole.items())
    return _ensemble(slug, frozen, seeds, epochs, every)


def fade(ensemble: Ensemble, epoch: int = 0) -> float:
    """The median of the first layer's gradient norm over the last one's."""
    norms = ensemble.gradient_norms[:, epoch]
    return float(np.median(norms[:, 0] / norms[:, -1]))


def first_all_right(ensemble: Ensemble) -> np.ndarray:
    """(runs,) the first epoch at which all answers were right; infinite if never."""
    right = ensemble.accuracy == 1
    return np.where(right.any(axis=1), right.argmax(axis=1), np.inf)


def test_a_sine_with_steps_far_too_long_overflows_within_a_hundred_epochs():
    quoted("home", "within a hundred epochs the loss overflows")
    ensemble = runs("home", "It explodes", epochs=100)
    assert ensemble.diverged.all()


def test_six_sigmoid_layers_from_small_weights_do_not_move():
    quoted("home", "the error dies on its way back, and nothing moves")
    ensemble = runs("home", "It does not", epochs=200, every=100)
    assert fade(ensemble) < 1e-10
    assert np.ptp(np.median(ensemble.loss, axis=0)) < 0.01


def test_weights_grow_by_about_1_for_every_tenfold_increase_in_epochs():
    quoted("logistic", "by about 1 for every tenfold increase in epochs")
    quoted("logistic", "about 1 more for every tenfold increase in epochs")
    ensemble = runs("logistic", epochs=1000, seeds=2)
    sizes = np.linalg.norm(ensemble.weight_norms, axis=-1)
    assert (np.diff(sizes[:, [10, 100, 1000]], axis=1) > 0.7).all()
    assert (np.diff(sizes[:, [10, 100, 1000]], axis=1) < 1.3).all()
    quoted("logistic", "The line is found within a few epochs")
    assert (first_all_right(ensemble) <= 10).all()


def test_the_penalty_stops_the_weights_near_1_8():
    quoted("logistic", "The same run stops with |w| near 1.8")
    ensemble = runs("logistic", "λ = 0.01", epochs=2000, every=1000, seeds=1)
    sizes = [np.linalg.norm(weight_norms(row, ensemble.network(0).sizes)) for row in ensemble.parameters]
    assert sizes == [pytest.approx(1.8, abs=0.1)]


def test_no_line_gets_every_point_of_overlapping_classes_right():
    quoted("logistic", "No line gets every point right")
    settings = Settings(**changes_of("logistic", "Overlapping classes"))
    assert widest_margin(Setup.of(settings).train) is None


@pytest.mark.parametrize(
    ("label", "sentence", "least", "most"),
    [
        ("Confident mistakes, cross-entropy", "is corrected within ten epochs", 1, 10),
        ("Confident mistakes, squared error", "It takes more than a hundred epochs", 101, np.inf),
    ],
)
def test_confident_mistakes_are_corrected_when_the_page_says(label, sentence, least, most):
    quoted("logistic", sentence)
    page = PAGES["logistic"]
    run = page.store(page.settings(**changes_of("logistic", label)))
    labels, data = run.setup.train.y, run.setup.train
    wrong = OUTPUTS["sigmoid"].answers(run.network.logits(data.x).T) != labels
    assert wrong.any()
    run.advance(200)
    right = [epoch for epoch in range(200) if run.history.at(epoch).accuracy == 1]
    assert least <= (right[0] if right else np.inf) <= most


def test_sigmoid_layers_let_about_a_quarter_through_and_relu_layers_most():
    quoted("depth", "each sigmoid layer lets only about a quarter of the gradient through")
    quoted("depth", "a ReLU layer lets most of it through")
    quoted("depth", "The ratio at epoch 0 is near (1/4)⁸ = 1.5e-5")
    for activation, initializer, low, high in (("sigmoid", "xavier", 0.15, 0.4), ("relu", "he", 0.35, 1.5)):
        norms = runs("depth", activation=activation, initializer=initializer, seeds=20).gradient_norms[:, 0]
        steps = np.median(norms[:, :-1] / norms[:, 1:], axis=0)
        assert (steps > low).all() and (steps < high).all(), (activation, steps)
    assert 0.5 < fade(runs("depth", activation="sigmoid", initializer="xavier", seeds=20)) / 0.25**8 < 2


def test_the_plateau_brings_the_ratio_back_to_one():
    quoted("depth", "Within a hundred epochs a deep sigmoid network's ratio climbs back to about 1")
    quoted("depth", "the loss stays at ln 2")
    ensemble = runs("depth", epochs=100, every=100)
    assert fade(ensemble, -1) == pytest.approx(1, abs=0.2)
    assert np.median(ensemble.loss[:, -1]) == pytest.approx(LN2, abs=1e-3)


def test_large_weights_do_not_always_explode():
    quoted("depth", "at std 1 or 2 a sigmoid network still vanishes, at 5 it is flat; it takes width 32 and std 10")
    fades = {std: fade(runs("depth", initializer="large", std=std, seeds=20)) for std in (1.0, 2.0, 5.0)}
    assert fades[1.0] < 0.05 and fades[2.0] < 0.3 and 0.3 < fades[5.0] < 3
    quoted("depth", "from 1 at the end to tens at the first layer")
    norms = np.median(runs("depth", "Exploding: sigmoid", seeds=20).gradient_norms[:, 0], axis=0)
    assert 0.3 < norms[-1] < 3 and 10 < norms[0] < 100


def test_relu_explodes_at_the_first_step():
    quoted("depth", "norms of hundreds and more at epoch 0. One step of usual size, and the loss is thousands of times")
    ensemble = runs("depth", "Exploding: ReLU", epochs=1, seeds=20)
    assert np.median(ensemble.gradient_norms[:, 0, 0]) > 100
    assert np.median(ensemble.loss[:, 1] / ensemble.loss[:, 0]) > 1000


def test_twenty_plain_layers_lose_twelve_powers_of_ten_and_skip_connections_do_not():
    quoted("depth", "about twelve powers of ten from the last to the first")
    assert np.log10(fade(runs("depth", "20 layers, plain", seeds=20))) == pytest.approx(-12, abs=1)
    assert fade(runs("depth", "20 layers, skip connections")) > 1e-3


def test_ten_sigmoid_layers_let_a_millionth_through_and_relu_learns():
    quoted("activations", "Less than a millionth of the gradient arrives, and nothing is learned")
    assert fade(runs("activations", seeds=40)) < 1e-6
    quoted("activations", "the gradient arrives, and the loss falls")
    relu = runs("activations", "Ten ReLU layers", epochs=200, every=200)
    assert fade(relu) > 0.1 and np.median(relu.loss[:, -1]) < 0.8 * np.median(relu.loss[:, 0])
    quoted("activations", "slopes below a quarter, and yet the gradient grows on its way back")
    assert fade(runs("activations", "Against the bound")) > 3


def test_xor_is_solved_when_the_page_says():
    quoted("backpropagation", "from most starts all four points are right within 700 epochs")
    quoted("backpropagation", "less than half the epochs at half the learning rate")
    sigmoid = first_all_right(runs("backpropagation", "Sigmoid", epochs=700, seeds=20))
    tanh = first_all_right(runs("backpropagation", "Tanh", epochs=350, seeds=20))
    assert np.mean(sigmoid <= 700) > 0.7
    assert np.median(tanh) < np.median(sigmoid) / 2


def test_large_starts_end_lower_than_scaled_ones_at_small_steps_and_fail_at_large_ones():
    quoted("initialization", "standard deviations of 1 and 5 start far higher than He and <em>end lower</em>")
    quoted("initialization", "at 0.5, the start with 5 fails in most runs")
    quoted("initialization", "Starts several times above the scaled starts and ends below them")
    normal = {std: runs("initialization", epochs=2000, every=2000, initializer="normal", std=std) for std in (1.0, 5.0)}
    scaled = {name: runs("initialization", epochs=2000, every=2000, initializer=name) for name in ("he", "xavier")}
    first, last = ({k: float(np.median(v.loss[:, i])) for k, v in (normal | scaled).items()} for i in (0, -1))
    assert first[5.0] > 50 * first["he"] and first[1.0] > 2 * max(first["he"], first["xavier"])
    assert max(last[1.0], last[5.0]) < min(last["he"], last["xavier"])
    failing = runs("initialization", epochs=1000, every=1000, initializer="normal", std=5.0, learning_rate=0.5)
    assert np.mean(failing.loss[:, -1] > 0.5) > 0.5


def test_two_tanh_units_cannot_close_around_a_circle_and_three_can():
    quoted("playground", "three units can, two cannot")
    best = {
        units: runs("playground", "Circles", hidden=[units], epochs=1000, every=1000, seeds=8).accuracy[:, -1]
        for units in (2, 3)
    }
    assert best[2].max() < 0.9 and np.median(best[3]) > 0.95


def test_a_line_on_xor_has_the_loss_of_a_guess_and_four_tanh_units_tell_it_apart():
    quoted("playground", "A line's loss stays near ln 2, that of a guess; four tanh units tell the clouds apart")
    line = runs("playground", "XOR", hidden=[], epochs=500, every=500, seeds=2)
    assert line.loss[:, -1] == pytest.approx(LN2, abs=0.02)
    assert np.median(runs("playground", "XOR", epochs=500, every=500, seeds=8).accuracy[:, -1]) > 0.9


def race(label: str) -> Any:
    page = PAGES["geometry"]
    return page.store(page.settings(**changes_of("geometry", label)))


def test_the_saddle_is_left_in_the_order_that_the_page_says_and_nothing_is_predicted_there():
    quoted("geometry", "Adam leaves first, then momentum; gradient descent lingers, and Newton stays at the saddle")
    run = race("Saddle")
    run.advance(300)
    away = np.abs(run.history.points(slice(0, 301))[..., :]).max(axis=2) > 0.5
    names = [racer.optimizer for racer in run.setup.racers]
    left = {name: int(np.argmax(away[:, i] & (np.arange(301) > 0))) for i, name in enumerate(names)}
    stays = np.linalg.norm(run.history.points(slice(300, 301))[0, names.index("newton")])
    assert stays < 1e-3
    moved = run.history.points(slice(0, 301))
    escape = np.abs(moved[..., 1]) > 2 * np.abs(moved[0, :, 1])
    order = {name: int(np.argmax(escape[:, i])) for i, name in enumerate(names) if name != "newton"}
    assert order["adam"] < order["momentum"] < order["sgd"], (order, left)
    assert np.isnan(run.setup.predicted_steps("newton", np.array([1.0]))).all()
    assert np.isnan(run.setup.predicted_steps("sgd", np.array([0.05]))).all()


def test_newton_on_a_hilltop_is_foretold_nothing():
    run = race("Four minima")
    assert not run.setup.is_foreseen
    assert np.isnan(run.setup.predicted_heights(run.setup.racers[-1], np.arange(3))).all()


def test_a_stretched_feature_makes_the_condition_number_some_fifty_times_larger():
    quoted("geometry", "a condition number some fifty times larger")
    plain, stretched = (
        race(label).setup.curvature.condition_number for label in ("Logistic does not blow up", "A feature × 10")
    )
    assert 30 < stretched / plain < 80


def test_a_random_direction_makes_weights_about_1_4_times_as_long():
    assert "about 1.4 times as long" in LossLandscape.__doc__
    network = Setup.of(Settings()).network
    plane = random_plane(network, seed=5)
    moved = network.copy()
    moved.parameters[:] = plane.point(1.0, 0.0)
    ratios = [
        np.linalg.norm(new, axis=0) / np.linalg.norm(old, axis=0)
        for new, old in zip(moved.weights, network.weights, strict=True)
    ]
    assert np.median(np.concatenate(ratios)) == pytest.approx(2**0.5, abs=0.15)


def test_units_of_elu_that_never_fire_have_the_fate_that_the_picture_says():
    assert "count as alive" not in FatesByStart.reading
