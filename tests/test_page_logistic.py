"""Logistic regression: the page's pictures say what scikit-learn, closed forms and the experiment's figures say."""

import numpy as np
import pytest

from dashboard.instruments.confusion_matrix import CELLS, ConfusionMatrix
from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.outlier_twin import OutlierTwin
from dashboard.instruments.penalized_losses import PenalizedLosses
from dashboard.instruments.right_answers import RightAnswers
from dashboard.instruments.roc_curve import RocCurve, between
from dashboard.instruments.weight_norms import WeightNorms
from dashboard.pages.logistic import MISTAKEN, OUTLIERS, OVERLAP, XOR, Logistic
from dashboard.shell.app import App
from dashboard.state.analyses.logistic_theory import LogisticTheory
from dashboard.state.run import EARLY, Run, Setup
from dashboard.state.settings import Settings
from dashboard.state.study import Study
from engine.datasets import DATASETS, Dataset
from engine.max_margin import widest_margin

PRESETS = {preset.label: preset for preset in Logistic.presets}


def run_of(**changes: object) -> Run:
    return Logistic.opened({})[0] if not changes else Run(Settings(**{**Logistic.defaults, **changes}))


def drawn(instrument: object) -> dict[str, dict[str, np.ndarray]]:
    """What is in every layer's source, but for lines."""
    return {
        label: {name: np.array(column) for name, column in source.data.items() if name not in ("xs", "ys")}
        for label, source in instrument.sources.items()
    }


def predictions(instrument: object, run: Run) -> dict[str, float]:
    """The height of every predicted line at its right end, by its name."""
    return {line.label: float(line.y[-1]) for line in instrument.predictions(run.frame())}


def clouds(seed: int = 0) -> Dataset:
    return Setup.of(Settings(**{**Logistic.defaults, "seed": seed})).train


# The page


def test_the_page_opens_and_its_presets_move_its_pictures():
    app = App(page="logistic")
    for preset in Logistic.presets:
        app.shown.choose(preset)
        app.clock.pause()
        app.draw()
        captions = [instrument.caption for instrument in app.shown.shown]
        app.run.advance(30)
        app.draw()
        moved = [instrument.caption for instrument in app.shown.shown]
        assert app.run.message == "", preset.label
        assert captions != moved, preset.label
    app.close()


@pytest.mark.parametrize("label", PRESETS)
def test_a_preset_has_the_page_as_it_would_be_opened_by_its_link(label):
    run, problems = Logistic.opened({})
    page = Logistic(run)
    page.choose(PRESETS[label])
    other, more = Logistic.opened(page.query())
    assert (problems, more) == ([], [])
    assert other.settings.values() == run.settings.values()
    assert other.view.values() == run.view.values()


# What the experiment must show


def test_without_a_penalty_the_weights_grow_by_about_one_per_decade():
    """1.35, 2.19, 3.13, 4.17 at step 10, 100, 1e3, 1e4: other clouds of the same kind, so to 5 %."""
    run, norms = run_of(), []
    instrument = WeightNorms(run)
    for step in (10, 100, 1000, 10_000):
        run.advance(step - run.history[-1].index)
        instrument.draw(run.frame())
        norms.append(float(drawn(instrument)["now"]["value"][0]))
    np.testing.assert_allclose(norms, [1.35, 2.19, 3.13, 4.17], rtol=0.05)
    assert (np.abs(np.diff(norms) - 1) <= 0.2).all()
    assert run.ended


@pytest.mark.parametrize(("l2", "figure"), [(0.01, 1.84), (0.1, 1.13), (1.0, 0.52)])
def test_with_a_penalty_they_stop_where_the_page_said_before(l2, figure):
    run = run_of(l2=l2)
    ((label, predicted),) = [item for item in predictions(WeightNorms(run), run).items() if f"{l2:g}:" in item[0]]
    assert predicted == pytest.approx(figure, rel=0.03)
    assert f"{predicted:.2f}" in label
    run.advance(4000)
    assert np.linalg.norm(run.history[-1].parameters[:2]) == pytest.approx(predicted, rel=1e-6)


def test_on_xor_the_loss_goes_to_ln_2_and_the_weights_to_zero_and_the_accuracy_is_noise():
    run, shares = run_of(**XOR), []
    losses, norms = PenalizedLosses(run), WeightNorms(run)
    assert predictions(losses, run) == {"always 1/2: 0.693147": pytest.approx(np.log(2))}
    assert predictions(norms, run) == {"λ = 0: 0.00": pytest.approx(0, abs=1e-9)}
    for seed in range(4):
        run.settings.seed = seed
        run.advance(2000)
        shares += [run.history.at(epoch).accuracy for epoch in (200, 500, 2000)]
        assert run.history[-1].loss == pytest.approx(np.log(2), abs=1e-9)
        assert np.linalg.norm(run.history[-1].parameters[:2]) < 1e-6
    assert set(shares) <= {0.25, 0.5, 0.75}
    assert len(set(shares)) > 1


def test_squared_error_needs_five_times_the_epochs_from_the_same_confident_mistakes():
    needed = []
    for loss in ("binary cross-entropy", "mse"):
        run = run_of(**{**MISTAKEN, "loss": loss})
        assert run.history[0].accuracy < 0.05
        run.advance(400)
        accuracy = run.history.kept().accuracy
        assert accuracy[-1] >= 0.95
        needed.append(int(np.argmax(accuracy >= 0.95)))
    assert needed[1] >= 5 * needed[0]


def test_outliers_turn_the_line_and_without_them_all_examples_are_right():
    run = run_of(**OUTLIERS)
    instrument = OutlierTwin(run)
    run.advance(1500)
    for _ in instrument.companion.work(run.frame()):
        pass
    instrument.draw(run.frame())
    assert "100.0% right at epoch 1,500" in instrument.caption
    assert run.history[-1].accuracy < 0.92
    turned = float(instrument.caption.split("line by ")[1].rstrip("°"))
    direction = run.history[-1].parameters[:2]
    alone = run_of(**{**OUTLIERS, "outliers": 0.0})
    alone.advance(1500)
    other = alone.history[-1].parameters[:2]
    cosine = direction @ other / np.linalg.norm(direction) / np.linalg.norm(other)
    assert turned == pytest.approx(np.degrees(np.arccos(cosine)), abs=0.06)


def test_the_twin_without_outliers_is_trained_as_the_run_was_then():
    """A changed learning rate and penalty count for the epochs after the change alone, however late the twin looks."""
    run = run_of(**OUTLIERS)
    run.advance(40)
    run.settings.param.update(learning_rate=run.settings.learning_rate / 10, l2=0.1)
    run.advance(40)
    instrument = OutlierTwin(run)
    for _ in instrument.companion.work(run.frame()):
        pass
    run.look_at(30)
    instrument.draw(run.frame())
    alone = run_of(**{**OUTLIERS, "outliers": 0.0})
    alone.advance(40)
    np.testing.assert_array_equal(instrument.companion.twin.frame().epoch.parameters, alone.history.at(30).parameters)
    alone.settings.param.update(learning_rate=alone.settings.learning_rate / 10, l2=0.1)
    alone.advance(40)
    run.look_at(None)
    instrument.draw(run.frame())
    np.testing.assert_array_equal(instrument.companion.twin.frame().epoch.parameters, alone.history[-1].parameters)


def test_the_study_compares_the_penalties_and_the_losses():
    run = run_of()
    run.study.param.update(seeds=2, epochs=200)
    study: Study = run.study
    study._key = study.key(run.settings)
    for _ in study.pieces(run.settings):
        pass
    norms = WeightNorms(run)
    medians = drawn(norms)["medians"]
    ends = {label: ys[-1] for label, ys in zip(medians["variant"], norms.sources["medians"].data["ys"], strict=True)}
    assert ends["λ = 0"] > ends["λ = 0.01"] > ends["λ = 0.1"] > ends["λ = 1"]
    assert ends["λ = 1"] == pytest.approx(0.52, abs=0.01)
    result = study.results["λ = 0.1"]
    expected = [np.linalg.norm(parameters[:2]) for parameters in result.parameters]
    np.testing.assert_allclose(norms.of_result(result)[:, -1], expected)
    assert set(drawn(RightAnswers(run))["medians"]["variant"]) == set(study.plan.variants)


# Threshold, curve and matrix


def test_threshold_curve_matrix_and_map_move_together():
    run = run_of(**{**OVERLAP, "validation": 0.0})
    run.advance(300)
    roc, matrix, plane = RocCurve(run), ConfusionMatrix(run), DecisionMap(run)
    network, data = run.network, run.setup.train
    p = network.predict(data.x)[:, 0]
    for threshold in (0.5, 0.2, 0.9):
        run.view.threshold = threshold
        for instrument in (roc, matrix, plane):
            instrument.draw(run.frame())
        answers = p >= threshold
        expected = [int(((data.y == label) & (answers == answer)).sum()) for label, answer in CELLS.values()]
        assert [int(text) for text in drawn(matrix)["counts"]["text"]] == expected
        now = drawn(roc)["threshold"]
        assert (now["cost"][0], now["found"][0]) == (answers[data.y == 0].mean(), answers[data.y == 1].mean())
        line = plane.sources["threshold"].data
        assert bool(line["xs"]) == (threshold != 0.5)
        if threshold != 0.5:
            points = np.column_stack([line["xs"][0], line["ys"][0]])
            np.testing.assert_allclose(network.predict(points)[:, 0], threshold, atol=0.01)


@pytest.mark.torch
def test_curve_and_metrics_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    run = run_of(**OVERLAP)
    run.advance(100)
    run.view.threshold = 0.3
    roc, matrix = RocCurve(run), ConfusionMatrix(run)
    for name, data in (("training", run.setup.train), ("held out", run.setup.validation)):
        p = run.network.predict(data.x)[:, 0]
        cost, found, _ = metrics.roc_curve(data.y, p)
        np.testing.assert_allclose(drawn(roc)[name]["cost"], cost, atol=1e-5)
        np.testing.assert_allclose(drawn(roc)[name]["found"], found, atol=1e-5)
        assert f"{metrics.roc_auc_score(data.y, p):.4f}" in roc.caption
        matrix.held_out = name == "held out"
        answers = p >= 0.3
        ours = [text.split()[-1] for text in drawn(matrix)["metrics"]["text"]]
        theirs = [metrics.accuracy_score, metrics.precision_score, metrics.recall_score, metrics.f1_score]
        assert ours == [f"{score(data.y, answers):.1%}" for score in theirs]
        assert [int(text) for text in drawn(matrix)["counts"]["text"]] == metrics.confusion_matrix(
            data.y, answers
        ).ravel().tolist()


def test_a_click_on_the_curve_chooses_the_threshold_of_that_point():
    run = run_of(**OVERLAP)
    run.advance(100)
    roc = RocCurve(run)
    curve = drawn(roc)["training"]
    for cost, found in zip(curve["cost"], curve["found"], strict=True):
        roc.tapped(cost, found)
        roc.draw(run.frame())
        now = drawn(roc)["threshold"]
        assert (now["cost"][0], now["found"][0]) == (pytest.approx(cost, abs=1e-5), pytest.approx(found, abs=1e-5))


@pytest.mark.parametrize(
    ("thresholds", "place", "expected"),
    [([1.0, 0.8, 0.3], 1, 0.5), ([1.0, 0.8, 0.3], 2, 0.15), ([0.9, 0.8123, 0.8122], 1, 0.81226), ([1.0, 0.2], 0, 0.5)],
)
def test_the_threshold_of_a_point_is_a_short_number_between_its_neighbors(thresholds, place, expected):
    value = between(np.array(thresholds), place)
    assert value == pytest.approx(expected, abs=1e-4)
    assert value <= thresholds[place]


def test_a_click_on_a_cell_picks_its_surest_mistakes_one_after_the_other():
    run = run_of(**{**OVERLAP, "validation": 0.0})
    run.advance(300)
    matrix = ConfusionMatrix(run)
    data, p = run.setup.train, run.network.predict(run.setup.train.x)[:, 0]
    mistakes = np.flatnonzero((data.y == 0) & (p >= 0.5))
    assert len(mistakes) >= 2
    expected = mistakes[np.argsort(-p[mistakes])]
    for example in [*expected, expected[0]]:
        matrix.tapped(1.5, 1.5)
        assert run.view.example == example
        matrix.draw(run.frame())
        assert drawn(matrix)["picked"]["left"] == pytest.approx(1.02)


def test_a_click_on_the_map_picks_the_nearest_example_for_all_pictures():
    run = run_of(**{**OVERLAP, "validation": 0.0})
    run.advance(50)
    plane, roc = DecisionMap(run), RocCurve(run)
    x, y, scores = run.setup.train.x, run.setup.train.y, run.network.logits(run.setup.train.x)[:, 0]
    for example in (0, 7, 41):
        plane.tapped(*(x[example] + 1e-4))
        assert run.view.example == example
        plane.draw(run.frame())
        roc.draw(run.frame())
        ring = drawn(plane)["picked"]
        assert [ring["x1"][0], ring["x2"][0]] == x[example].tolist()
        assert drawn(roc)["picked"]["found"][0] == (scores[y == 1] >= scores[example]).mean()


# What theory says


def test_the_widest_margin_holds_every_example_off_and_rests_on_its_support():
    for seed in range(5):
        data = clouds(seed)
        margin = widest_margin(data)
        points = np.where(data.y == 1, 1.0, -1.0)[:, None] * np.column_stack([data.x, np.ones(len(data))])
        assert (points @ margin.parameters).min() == pytest.approx(1, abs=1e-9)
        np.testing.assert_allclose(points[margin.support] @ margin.parameters, 1, atol=1e-9)
        np.testing.assert_allclose(margin.pulls @ points[margin.support], margin.parameters, atol=1e-12)
        assert (margin.pulls > 0).all()
        assert margin.width == pytest.approx(1 / np.linalg.norm(margin.parameters))


@pytest.mark.torch
def test_the_widest_margin_is_that_of_a_support_vector_machine():
    svm = pytest.importorskip("sklearn.svm")
    data = clouds()
    points = np.column_stack([data.x, np.ones(len(data))])
    theirs = svm.SVC(kernel="linear", C=1e6, tol=1e-8).fit(points - 0.0, data.y)
    free = widest_margin(data).parameters
    hard = svm.LinearSVC(C=1e4, loss="hinge", tol=1e-10, max_iter=1_000_000, fit_intercept=False).fit(points, data.y)
    np.testing.assert_allclose(free, hard.coef_[0], rtol=1e-4, atol=1e-5)
    assert np.linalg.norm(free[:2]) >= np.linalg.norm(theirs.coef_[0][:2]) - 1e-6, "a free bias allows shorter weights"


@pytest.mark.parametrize("name", ["xor4", "xor", "moons", "circles"])
def test_what_no_line_separates_has_no_margin(name):
    assert widest_margin(DATASETS[name](n=40, noise=0.1, seed=0)) is None


@pytest.mark.torch
@pytest.mark.parametrize("l2", [0.01, 1.0])
def test_the_predicted_optimum_is_scikit_learns(l2):
    linear = pytest.importorskip("sklearn.linear_model")
    data = clouds()
    model = linear.LogisticRegression(C=1 / (l2 * len(data)), tol=1e-12, max_iter=10_000).fit(data.x, data.y)
    forecast = LogisticTheory.of(Setup.of(Settings(**Logistic.defaults)))
    assert forecast.best(l2)[0] == pytest.approx(np.linalg.norm(model.coef_), rel=1e-5)


def test_where_each_class_is_a_point_the_prediction_is_what_happens():
    """The prediction has continuous time: at a small learning rate both agree to a percent."""
    rate = 0.01
    run = run_of(noise=0.0, learning_rate=rate, initializer="zeros")
    run.advance(3000)
    kept = run.history.kept(300)
    norms, losses = LogisticTheory.of(run.setup).as_points(rate, kept.index)
    np.testing.assert_allclose(np.linalg.norm(kept.parameters[:, :2], axis=1), norms, rtol=0.01)
    np.testing.assert_allclose(kept.loss, losses, rtol=0.02)


def test_there_is_no_forecast_of_a_network_with_hidden_layers_or_another_loss():
    assert LogisticTheory.of(run_of(hidden=[3]).setup) is None
    assert LogisticTheory.of(run_of(loss="mse").setup) is None
    run = run_of(hidden=[3])
    instrument = WeightNorms(run)
    run.advance(5)
    instrument.draw(run.frame())
    assert instrument.predictions(run.frame()) == []
    sizes = [np.linalg.norm(np.concatenate([w.ravel() for w in run.network.weights]))]
    np.testing.assert_allclose(drawn(instrument)["now"]["value"], sizes)


def test_a_long_run_keeps_its_first_epochs_on_the_logarithmic_axis():
    run = run_of()
    instrument = WeightNorms(run)
    for _ in range(60):
        run.advance(50)
        instrument.draw(run.frame())
    epochs = drawn(instrument)["run"]["epoch"]
    assert epochs[1:EARLY].tolist() == list(range(1, EARLY))
    assert (np.diff(epochs) > 0).all()
    run.look_at(20)
    instrument.draw(run.frame())
    assert drawn(instrument)["run"]["epoch"].tolist() == epochs.tolist()  # the future stays, under a veil
    assert instrument.shown == 20


def test_the_twin_follows_a_change_of_the_penalty_and_a_fresh_start():
    run = run_of(**OUTLIERS)
    instrument = OutlierTwin(run)
    run.advance(20)
    run.settings.l2 = 0.5
    run.advance(1)
    for _ in instrument.companion.work(run.frame()):
        pass
    instrument.draw(run.frame())
    assert instrument.companion.twin.settings.l2 == 0.5
    assert instrument.shown == 21
    run.settings.seed = 4
    instrument.draw(run.frame())
    assert instrument.companion.twin.settings.seed == 4
    assert instrument.shown == 0


def test_a_picture_of_the_twin_draws_and_trains_nothing():
    run = run_of(**OUTLIERS)
    instrument = OutlierTwin(run)
    run.advance(20)
    instrument.draw(run.frame())
    assert instrument.shown == 0
    assert instrument.workers == [instrument, instrument.companion]
