"""Pictures of a study: what they draw are quantiles of what was trained, and a click finds the run it meant."""

import numpy as np
import pytest

from dashboard.instruments.first_gradients import FirstGradients
from dashboard.instruments.gradient_ratios import GradientRatios
from dashboard.instruments.layer_curves import LayerCurves
from dashboard.instruments.study_curves import StudyCurves
from dashboard.instruments.study_outcomes import StudyOutcomes
from dashboard.instruments.study_picture import ranked
from dashboard.instruments.study_scatter import StudyScatter
from dashboard.instruments.update_ratios import UpdateRatios
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.state.study import Plan, Study
from dashboard.state.view import StudyView
from engine.measures import gradient_to_weight_ratios, update_ratios

PLAN = Plan(
    {
        "sigmoid 2": {"hidden": [4] * 2, "activation": "sigmoid"},
        "sigmoid 3": {"hidden": [4] * 3, "activation": "sigmoid"},
        "too fast": {
            "hidden": [4],
            "learning_rate": 5.0,
            "initializer": "large",
            "activation": "linear",
            "loss": "mse",
        },
    },
    seeds=7,
    epochs=60,
)
KINDS = (StudyCurves, StudyOutcomes, StudyScatter, GradientRatios, FirstGradients)


def run_with_study(trained: bool = True) -> Run:
    run = Run(Settings(n=40, hidden=[4]), StudyView(), Study(PLAN))
    if trained:
        for _ in run.study.pieces(run.settings):
            pass
    return run


@pytest.fixture(scope="module")
def results():
    return run_with_study().study.results


@pytest.fixture
def run(results) -> Run:
    run = run_with_study(trained=False)
    run.study.results, run.study.progress = dict(results), 1.0
    return run


def drawn(instrument, layer):
    return instrument.sources[layer].data


def test_a_median_is_the_middle_run_and_a_band_its_quartiles(run):
    instrument = StudyCurves(run)
    for place, (label, result) in enumerate(run.study.results.items()):
        median = np.sort(result.loss, axis=0)[3]
        quarters = np.sort(result.loss, axis=0)[[1, 4]], np.sort(result.loss, axis=0)[[2, 5]]
        assert drawn(instrument, "medians")["variant"][place] == label
        np.testing.assert_allclose(drawn(instrument, "medians")["xs"][place], result.index)
        np.testing.assert_allclose(drawn(instrument, "medians")["ys"][place], np.minimum(median, 1e30), rtol=1e-3)
        band = np.array(drawn(instrument, "bands")["ys"][place][0][0])
        low, high = band[: len(band) // 2], band[len(band) // 2 :][::-1]
        thin = np.isin(result.index, drawn(instrument, "bands")["xs"][place][0][0][: len(low)])
        assert (low >= quarters[0][0][thin] * 0.99).all()
        assert (low <= quarters[1][0][thin] * 1.01).all()
        assert (high >= np.minimum(quarters[0][1], 1e30)[thin] * 0.99).all()
        assert (low <= high).all()


def test_infinite_losses_rank_last_and_leave_the_median_finite():
    values = np.array([[1.0], [np.inf], [2.0], [np.nan], [3.0]])
    np.testing.assert_array_equal(ranked(values, 0, 0.5, 0.75, 1)[:, 0], [1, 3, np.inf, np.inf])


@pytest.mark.parametrize("kind", KINDS)
def test_a_diverged_run_spoils_no_axis(run, kind):
    instrument = kind(run)
    for axis in (instrument.figure.x_range, instrument.figure.y_range):
        assert np.isfinite([axis.start, axis.end]).all()
        assert axis.start < axis.end


@pytest.mark.parametrize("kind", KINDS)
def test_every_study_picture_waits_for_results_and_then_shows_them(results, kind):
    run = run_with_study(trained=False)
    instrument = kind(run)
    layer = "medians" if "medians" in instrument.sources else "dots"
    assert len(drawn(instrument, layer)["color"]) == 0
    run.study.results = dict(results)
    instrument.draw(run.frame())
    assert len(drawn(instrument, layer)["color"]) >= len(PLAN.variants)


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_not_changed_is_not_sent_again(run, kind):
    instrument = kind(run)
    layer = "medians" if "medians" in instrument.sources else "dots"
    before = drawn(instrument, layer)["color"]
    run.advance(5)
    instrument.draw(run.frame())
    assert drawn(instrument, layer)["color"] is before


@pytest.mark.parametrize("kind", KINDS)
def test_a_hidden_variant_is_in_no_picture_and_comes_back(run, kind):
    instrument = kind(run)
    layer = "medians" if "medians" in instrument.sources else "dots"
    everything = list(drawn(instrument, layer)["color"])
    gone = instrument.color("sigmoid 3")
    run.view.left_out = ["sigmoid 3"]
    instrument.draw(run.frame())
    assert gone in everything
    assert gone not in drawn(instrument, layer)["color"]
    run.view.left_out = []
    instrument.draw(run.frame())
    assert list(drawn(instrument, layer)["color"]) == everything


def test_chips_hide_show_and_show_alone(run):
    instrument = StudyCurves(run)
    instrument._chips._handle_msg({"act": "toggle", "label": "sigmoid 2"})
    assert run.view.left_out == ["sigmoid 2"]
    instrument._chips._handle_msg({"act": "toggle", "label": "sigmoid 2"})
    assert run.view.left_out == []
    instrument._chips._handle_msg({"act": "only", "label": "sigmoid 2"})
    assert run.view.left_out == ["sigmoid 3", "too fast"]
    instrument._chips._handle_msg({"act": "only", "label": "sigmoid 2"})
    assert run.view.left_out == []


def test_a_link_remembers_what_is_hidden_and_picked():
    view = StudyView(left_out=["sigmoid 3"], picked=["sigmoid 2", 4])
    again, problems = StudyView.from_query(view.query())
    assert not problems
    assert again.values() == view.values()


@pytest.mark.parametrize("picked", [["nobody", 0], ["sigmoid 2", 99], ["sigmoid 2", "x"], ["sigmoid 2"], [1, 2, 3]])
def test_a_pick_of_a_run_that_is_not_there_picks_none(run, picked):
    run.view.picked = picked
    assert StudyCurves(run).picked is None


@pytest.mark.parametrize("log_y", [True, False])
def test_a_click_on_a_run_picks_it_and_a_click_elsewhere_looks_at_that_epoch(run, log_y):
    run.view.left_out = ["too fast"]
    run.advance(50)
    instrument = StudyCurves(run, log_y=log_y)
    result = run.study.results["sigmoid 3"]
    row = result.row(1)
    instrument.tapped(float(result.index[row]), float(result.loss[5, row]))
    assert run.view.picked == ["sigmoid 3", 5]
    instrument.draw(run.frame())
    assert "sigmoid 3, seed 5" in instrument.caption
    np.testing.assert_allclose(drawn(instrument, "picked")["ys"][0], result.loss[5], rtol=1e-3)
    instrument.tapped(20.0, float(instrument.figure.y_range.end))
    assert run.looked_at == 20
    assert run.view.picked == ["sigmoid 3", 5]


@pytest.mark.parametrize("kind", [StudyOutcomes, StudyScatter])
def test_a_click_on_a_dot_picks_its_run(run, kind):
    instrument = kind(run)
    dots = drawn(instrument, "dots")
    variants, seeds = list(dots["variant"]), list(dots["seed"])
    for place in (0, 6, 9, 13):
        instrument.tapped(float(dots["x"][place]), float(dots["y"][place]))
        assert run.view.picked == [variants[place], seeds[place]]


@pytest.mark.parametrize(("label", "seed"), [("sigmoid 2", 0), ("sigmoid 3", 5)])
def test_a_picked_run_that_is_watched_is_the_very_same_run(run, label, seed):
    run.view.picked = [label, seed]
    StudyCurves(run)._chips._handle_msg({"act": "watch"})
    run.advance(PLAN.epochs)
    result = run.study.results[label]
    losses = [run.history.at(int(epoch)).loss for epoch in result.index]
    np.testing.assert_array_equal(losses, result.loss[seed])


def test_outcomes_are_the_last_losses_and_count_the_solved(run):
    instrument = StudyOutcomes(run)
    dots = drawn(instrument, "dots")
    for label, result in run.study.results.items():
        x = np.array([value for value, variant in zip(dots["x"], dots["variant"], strict=True) if variant == label])
        np.testing.assert_allclose(x, np.clip(result.loss[:, -1], 1e-12, 1e9), rtol=1e-6)
    instrument.goal = float(np.median(run.study.results["sigmoid 2"].loss[:, -1]))
    instrument.redraw()
    assert drawn(instrument, "words")["text"][0] == "3/7"


def test_outcomes_at_the_cursor_are_those_of_its_epoch(run):
    run.advance(30)
    instrument = StudyOutcomes(run, at_cursor=True)
    result = run.study.results["sigmoid 2"]
    np.testing.assert_allclose(drawn(instrument, "dots")["x"][:7], result.loss[:, result.row(30)], rtol=1e-6)


def test_the_scatter_has_every_run_where_it_ended(run):
    dots = drawn(StudyScatter(run), "dots")
    result = run.study.results["sigmoid 2"]
    np.testing.assert_allclose(dots["x"][:7], result.loss[:, -1], rtol=1e-6)
    np.testing.assert_allclose(dots["y"][:7], np.sqrt((result.gradient_norms[:, -1] ** 2).sum(axis=1)), rtol=1e-6)


def test_the_prediction_stands_before_anything_is_trained():
    instrument = GradientRatios(run_with_study(trained=False))
    assert [line[0] for line in drawn(instrument, "predictions")["ys"]] == [0.0625, 0.01562]
    assert drawn(instrument, "words")["text"] == ["(¼)² = 0.062", "(¼)³ = 0.016"]


@pytest.mark.parametrize("kind", [GradientRatios, FirstGradients, UpdateRatios])
def test_a_streamed_picture_is_the_one_drawn_anew(run, kind):
    streamed = kind(run)
    for step in (1, 7, 300, 1, 400):
        run.advance(step)
        streamed.draw(run.frame())
    fresh = kind(run)
    for layer, source in streamed.sources.items():
        for name, column in source.data.items():
            again = fresh.sources[layer].data[name]
            if len(column) and isinstance(column[0], str | list):
                assert list(column) == list(again)
            else:
                np.testing.assert_allclose(column, again, rtol=1e-9)


def test_every_layer_has_its_line():
    run = Run(Settings(n=40, hidden=[4] * 3))
    run.advance(30)
    instrument = LayerCurves(run)
    for layer in range(4):
        norms = run.history.kept().gradient_norms[:, layer]
        np.testing.assert_allclose(drawn(instrument, f"line {layer}")["value"], norms)


def test_the_pace_of_an_update_is_an_epochs_way_over_the_updates_it_took():
    """40 examples in batches of 10 make 4 updates an epoch, after epoch 10 in batches of 20 make 2."""
    run = Run(Settings(n=40, validation=0.0, hidden=[4], batch_size=10))
    run.advance(10)
    run.settings.batch_size = 20
    run.advance(10)
    instrument = UpdateRatios(run)
    epochs = list(run.history)
    networks = [run.setup.network.copy() for _ in epochs]
    for network, epoch in zip(networks, epochs, strict=True):
        network.parameters[:] = epoch.parameters
    for i in range(1, 21):
        expected = update_ratios(networks[i - 1].weights, networks[i].weights) / (4 if i <= 10 else 2)
        shown = [drawn(instrument, f"line {layer}")["value"][i] for layer in range(2)]
        np.testing.assert_allclose(shown, expected, rtol=1e-12)
    assert "1e-3" in instrument.caption
    assert instrument.figure.yaxis[0].axis_label == "update / weight"
    instrument.pull = True
    assert instrument.figure.yaxis[0].axis_label == "gradient / weight"
    assert "1e-3" not in instrument.caption


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_update_ratios_are_those_of_the_weights_between_two_epochs(optimizer):
    run = Run(Settings(n=40, hidden=[4] * 2, optimizer=optimizer))
    run.advance(20)
    instrument = UpdateRatios(run)
    networks = [run.setup.network.copy() for _ in run.history]
    for network, epoch in zip(networks, run.history, strict=True):
        network.parameters[:] = epoch.parameters
    for i in range(1, 21):
        expected = update_ratios(networks[i - 1].weights, networks[i].weights)
        shown = [drawn(instrument, f"line {layer}")["value"][i] for layer in range(3)]
        np.testing.assert_allclose(shown, expected, rtol=1e-12)
    instrument.pull = True
    gradient = networks[-1].gradient(run.setup.train, run.setup.loss)
    expected = gradient_to_weight_ratios(gradient.weights, networks[-1].weights)
    np.testing.assert_allclose([drawn(instrument, f"line {i}")["value"][-1] for i in range(3)], expected, rtol=1e-12)
