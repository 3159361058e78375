"""The page on depth opens, its presets vanish and explode as they say, and its study meets the prediction."""

from collections.abc import Iterator

import numpy as np
import pytest

from dashboard.instruments.depth_bars import DepthBars
from dashboard.pages.depth import DEPTHS, Depth
from dashboard.shell.app import App
from dashboard.state.run import Run
from dashboard.state.study import Study

PRESETS = {preset.label: preset for preset in Depth.presets}


@pytest.fixture(scope="module")
def trained() -> Run:
    run, problems = Depth.opened({"seeds": "10", "epochs": "150"})
    assert not problems
    for _ in run.study.pieces(run.settings):
        pass
    return run


def ratios(study: Study, label: str, row: int) -> float:
    norms = study.results[label].gradient_norms[:, row]
    return float(np.median(norms[:, 0] / norms[:, -1]))


def norms_at_the_start(label: str, seeds: int = 7) -> np.ndarray:
    """(layers,) the median over seeds of the gradient norms of a preset's network at epoch 0."""
    values = {**Depth.defaults, **PRESETS[label].changes}
    return np.median([Run(Depth.settings(**values, seed=s)).history[0].gradient_norms for s in range(seeds)], axis=0)


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    app = App(page="depth")
    yield app
    app.close()


def test_the_page_opens_and_every_picture_moves(app):
    before = [picture.caption for picture in app.shown.shown]
    app.run.advance(20)
    app.draw()
    assert len(before) == 8
    moved = [picture.caption != old for picture, old in zip(app.shown.shown, before, strict=True)]
    assert all(moved[1:]), "the bars wait for the study"


@pytest.mark.parametrize("preset", Depth.presets, ids=lambda preset: preset.label)
def test_every_preset_can_be_chosen(app, preset):
    app.shown.play = lambda: None
    app.shown.choose(preset)
    for name, value in preset.changes.items():
        assert getattr(app.run.settings, name) == value
    app.run.advance(3)
    app.draw()
    assert not app.run.message


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_sigmoid_loses_a_quarter_a_layer_before_training(trained, depth):
    """Within a factor of 2.5 of (1/4)^L over five powers of ten: the prediction leaves out what the weights do."""
    assert 0.4 < ratios(trained.study, f"sigmoid {depth}", 0) / 0.25**depth < 2.5


@pytest.mark.parametrize("depth", DEPTHS)
def test_relu_loses_next_to_nothing_at_any_depth(trained, depth):
    assert 0.2 < ratios(trained.study, f"ReLU {depth}", 0) < 1.5


def test_on_the_plateau_the_ratio_is_near_one_and_the_norms_are_tiny(trained):
    last = trained.study.results["sigmoid 8"].gradient_norms[:, -1]
    assert 0.5 < ratios(trained.study, "sigmoid 8", -1) < 2
    assert np.median(last.max(axis=1)) < 1e-4


def test_bars_are_medians_at_the_cursor_over_those_of_epoch_zero(trained):
    trained.advance(60)
    bars = DepthBars(trained)
    drawn, ghost = bars.sources["bars"].data, bars.sources["epoch 0"].data
    expected, first = [], []
    for result in trained.study.results.values():
        expected += np.sort(result.gradient_norms[:, result.row(60)], axis=0)[4].tolist()
        first += np.sort(result.gradient_norms[:, 0], axis=0)[4].tolist()
    assert len(drawn["top"]) == 2 * sum(depth + 1 for depth in DEPTHS)
    np.testing.assert_allclose(drawn["top"], expected, rtol=1e-3)
    np.testing.assert_allclose(ghost["y0"], first, rtol=1e-3)


def test_a_wide_sigmoid_network_with_huge_weights_explodes():
    norms = norms_at_the_start("Exploding: sigmoid")
    assert norms[0] / norms[-1] > 10


def test_relu_with_a_standard_deviation_of_one_explodes():
    assert norms_at_the_start("Exploding: ReLU")[0] > 100


def test_skip_connections_carry_the_gradient_through_twenty_layers():
    plain, skipping = norms_at_the_start("20 layers, plain"), norms_at_the_start("20 layers, skip connections")
    assert plain[0] / plain[-1] < 1e-10
    assert skipping[0] / skipping[-1] > 1e-3


def test_the_bars_show_epoch_0_of_every_variant_before_any_is_trained():
    run, _ = Depth.opened({"seeds": "3"})
    bars = DepthBars(run)
    assert bars.caption == "press Compare to train the variants"
    for _ in bars.work(run.frame()):
        pass
    bars.draw(run.frame())
    assert bars.work(run.frame()) is None
    drawn = bars.table()["bars"]
    for label in run.study.plan.variants:
        runs = [Run(Depth.settings(**run.study.settings_of(run.settings, label, seed))) for seed in range(3)]
        median = np.median([one.history[0].gradient_norms for one in runs], axis=0)
        shown = [norm for norm, variant in zip(drawn["norm"], drawn["variant"], strict=True) if variant == label]
        np.testing.assert_allclose(shown, median, rtol=1e-3)
    assert "epoch 0" in bars.caption
    run.view.left_out = list(run.study.plan.variants)[1:]
    bars.draw(run.frame())
    assert set(bars.table()["bars"]["variant"]) == {next(iter(run.study.plan.variants))}
    run.close()


def test_the_bars_of_epoch_0_are_of_the_present_settings():
    run, _ = Depth.opened({"seeds": "3"})
    bars = DepthBars(run)
    for _ in bars.work(run.frame()):
        pass
    run.settings.noise = 0.3
    assert bars.work(run.frame()) is not None
    run.close()
