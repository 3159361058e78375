"""Input features: a run on them is a run on data that have them as columns, and pictures go through the same map."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.instruments.decision_map import RESOLUTION, DecisionMap
from dashboard.instruments.network_picture import NetworkPicture
from dashboard.instruments.unit_plane import UnitPlane
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.storage.tables import Table
from dashboard.widgets.controls import FeatureTicks
from engine.datasets import DATASETS, Dataset, Standardization
from engine.features import COORDINATES, FEATURES, FeatureMap
from engine.network import Network
from engine.source_code import as_numpy, as_torch
from engine.training import train

BY_HAND = {
    "x1": lambda x: x[:, 0],
    "x2": lambda x: x[:, 1],
    "x1^2": lambda x: np.square(x[:, 0]),
    "x2^2": lambda x: np.square(x[:, 1]),
    "x1 x2": lambda x: np.prod(x, axis=1),
    "sin x1": lambda x: np.sin(x)[:, 0],
    "sin x2": lambda x: np.sin(x)[:, 1],
}
"""Every feature as somebody would write it who has never seen `engine.features`."""

CHOICES = [["x1"], ["x1^2", "x2^2"], ["x1", "x2", "x1 x2"], ["x2", "sin x1"], list(FEATURES)]


def by_hand(x: np.ndarray, names: list[str]) -> np.ndarray:
    return np.stack([BY_HAND[name](x) for name in names], axis=1)


def run_of(features: list[str], **settings: object) -> Run:
    return Run(Settings(**{"n": 60, "noise": 0.2, "hidden": [5, 4], "features": features, **settings}))


def test_there_is_an_answer_by_hand_for_every_feature():
    assert list(BY_HAND) == list(FEATURES)


@pytest.mark.parametrize("names", CHOICES, ids=str)
def test_the_map_gives_what_is_made_by_hand(names):
    x = np.random.default_rng(0).normal(size=(50, 2))
    np.testing.assert_allclose(FeatureMap.of(names)(x), by_hand(x, names), rtol=1e-15)


def test_the_products_of_scikit_learn_are_ours():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    x = np.random.default_rng(1).normal(size=(50, 2))
    theirs = preprocessing.PolynomialFeatures(2, include_bias=False).fit_transform(x)
    mine = FeatureMap.of(["x1", "x2", "x1^2", "x1 x2", "x2^2"])
    columns = [mine.names.index(name) for name in ("x1", "x2", "x1^2", "x1 x2", "x2^2")]
    np.testing.assert_allclose(mine(x)[:, columns], theirs, rtol=1e-15)


@given(st.permutations(list(FEATURES)), st.integers(1, len(FEATURES)))
def test_the_order_in_which_features_are_named_changes_nothing(names, count):
    assert FeatureMap.of(names[:count]) == FeatureMap.of(sorted(names[:count]))


@pytest.mark.parametrize(("names", "message"), [([], "nothing is no input feature"), (["x3"], "'x3' is no input")])
def test_a_map_of_nothing_or_of_unknown_features_is_refused(names, message):
    with pytest.raises(ValueError, match=message):
        FeatureMap.of(names)


def test_features_of_other_than_two_numbers_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 3\); features are made of two numbers"):
        FeatureMap.of(["x1"])(np.zeros((4, 3)))


@pytest.mark.parametrize("names", CHOICES, ids=str)
@pytest.mark.parametrize("standardize", [False, True])
def test_a_run_on_features_is_the_engines_on_data_that_have_them_as_columns(names, standardize):
    """To 1e-9 after 30 epochs: a square made in another way may differ in its last digit, which training spreads."""
    run = run_of(names, standardize=standardize, activation="tanh")
    run.advance(30)
    settings = run.settings
    raw, held = DATASETS["moons"](60, 0.2, settings.draws(0)).split(0.25, settings.draws(0))
    scale = Standardization.of(raw.x) if standardize else Standardization(np.zeros(2), np.ones(2))
    plain, other = (
        Dataset(by_hand((part.x - scale.mean) / scale.std, names), part.y, "binary", 2) for part in (raw, held)
    )
    network = Network([len(names), 5, 4, 1], "tanh", "sigmoid", settings.build("initializer"), seed=settings.draws(0))
    epochs = train(network, plain, optimizer=settings.build("optimizer"), seed=settings.draws(0), validation=other)
    last = next(itertools.islice(epochs, 30, None))
    np.testing.assert_allclose(run.history[-1].parameters, last.parameters, rtol=1e-9, atol=1e-12)
    assert run.history[-1].loss == pytest.approx(last.loss, rel=1e-9)
    assert run.history[-1].validation_loss == pytest.approx(last.validation_loss, rel=1e-9)


def test_with_the_coordinates_alone_a_run_is_bit_for_bit_the_engines_on_the_data_themselves():
    run = run_of(list(COORDINATES))
    run.advance(30)
    settings = run.settings
    data, held = DATASETS["moons"](60, 0.2, settings.draws(0)).split(0.25, settings.draws(0))
    network = Network([2, 5, 4, 1], "relu", "sigmoid", settings.build("initializer"), seed=settings.draws(0))
    epochs = train(network, data, optimizer=settings.build("optimizer"), seed=settings.draws(0), validation=held)
    last = next(itertools.islice(epochs, 30, None))
    assert run.history[-1].parameters.tobytes() == last.parameters.tobytes()
    assert run.setup.features is None


@pytest.mark.parametrize("dataset", ["sine", "gaussian"])
def test_data_that_are_no_points_of_a_plane_are_given_as_they_are(dataset):
    plain, asked = (run_of(features, dataset=dataset) for features in (list(COORDINATES), ["x1^2"]))
    for run in (plain, asked):
        run.advance(5)
    assert plain.history[-1].parameters.tobytes() == asked.history[-1].parameters.tobytes()
    assert not asked.settings.is_plane


def test_data_of_ones_own_with_two_columns_have_features_too():
    data = DATASETS["moons"](40)
    settings = Settings(features=["x1^2", "x1 x2"])
    settings.take(Table.of(data))
    assert settings.is_plane
    run = Run(settings)
    np.testing.assert_allclose(run.setup.train.x, by_hand(run.setup.examples.x, ["x1^2", "x1 x2"]), rtol=1e-15)


@pytest.mark.parametrize("wrong", [[], ["x1", "x1"], ["x3"], ["x1", 2]])
def test_settings_refuse_features_that_cannot_be(wrong):
    settings = Settings()
    with pytest.raises(ValueError, match=r"features cannot be .* choose a list of at least one of"):
        settings.features = wrong
    assert settings.features == list(COORDINATES)


def test_a_link_carries_the_features_and_says_what_is_wrong_with_others():
    asked, problems = Settings.from_query({"features": '["sin x1"]'})
    assert (asked.features, problems) == (["sin x1"], [])
    for text in ("[]", '["<b>"]', "x1", '{"x1": 1}', "[[]]"):
        found, problems = Settings.from_query({"features": text})
        assert found.features == list(COORDINATES)
        assert len(problems) == 1 and "at least one of" in problems[0]


@pytest.mark.parametrize("names", CHOICES, ids=str)
@pytest.mark.parametrize("standardize", [False, True])
def test_the_plane_is_shaded_and_its_examples_lie_where_they_are(names, standardize):
    run = run_of(names, standardize=standardize)
    run.advance(20)
    picture = DecisionMap(run)
    picture.draw(run.frame())
    regions = picture.table()["regions"]
    points = np.column_stack([regions["x1"], regions["x2"]])
    assert len(points) == RESOLUTION**2
    expected = run.network.predict(by_hand(points, names))[:, 0]
    np.testing.assert_allclose(regions["probability of class 1"], expected, rtol=1e-9, atol=1e-12)
    shown = picture.table()["training"]
    np.testing.assert_array_equal(np.column_stack([shown["x1"], shown["x2"]]), run.setup.examples.x)
    np.testing.assert_allclose(by_hand(run.setup.examples.x, names), run.setup.train.x, rtol=1e-15)
    picture.tapped(*run.setup.examples.x[7])
    assert run.view.example == 7


def test_a_unit_answers_over_the_plane_what_it_does_on_features():
    names = ["x1^2", "x2^2", "x1 x2"]
    run = run_of(names)
    run.view.unit = [0, 2]
    picture = UnitPlane(run)
    picture.draw(run.frame())
    fires = run.network.trace(run.setup.train.x).pre_activations[0][:, 2] > 0
    drawn = picture.sources["firing"].data
    np.testing.assert_array_equal(np.column_stack([drawn["x1"], drawn["x2"]]), run.setup.examples.x[fires])


def test_the_network_picture_has_a_named_input_for_every_feature():
    run = run_of(["sin x2", "x1^2"])
    canvas = (picture := NetworkPicture(run)).__panel__()
    assert canvas.network["sizes"] == [2, 5, 4, 1]
    assert canvas.network["features"] == ["x1^2", "sin x2"]
    assert canvas.network["inputs"] == ["x₁²", "sin x₂"]
    shown = canvas.examples.reshape(-1, 3)[:, :2]
    np.testing.assert_array_equal(shown, run.setup.examples.x.astype(np.float32))
    picture.figure  # noqa: B018
    assert picture.sources["weights"].data["name"][0].startswith("x₁² → layer 1")


@pytest.mark.parametrize(("dataset", "names"), [("moons", ["x1", "x2"]), ("sine", []), ("gaussian", [])])
def test_the_browser_is_told_whether_examples_are_points_of_a_plane(dataset, names):
    assert NetworkPicture(run_of(list(COORDINATES), dataset=dataset)).__panel__().network["features"] == names


def test_circles_are_told_apart_by_their_squares_without_a_hidden_layer_and_not_by_their_coordinates():
    right = {}
    for names in (["x1^2", "x2^2"], ["x1", "x2"]):
        run = run_of(names, dataset="circles", n=200, noise=0.05, hidden=[], learning_rate=1.0)
        run.advance(1000)
        right[len(names[0])] = run.history[-1].accuracy
    assert right[len("x1^2")] > 0.95
    assert right[len("x1")] < 0.75


def test_another_feature_starts_the_run_afresh_and_undo_brings_the_old_one_back():
    run = run_of(list(COORDINATES))
    run.advance(10)
    before = run.history[-1].parameters.copy()
    run.settings.features = ["x1", "x2", "x1^2"]
    assert run.history[-1].index == 0
    assert run.setup.network.sizes == (3, 5, 4, 1)
    run.undo()
    assert run.settings.features == list(COORDINATES)
    np.testing.assert_array_equal(run.history[-1].parameters, before)


def test_a_kept_run_comes_back_with_its_features():
    run = run_of(["x1^2", "x2"])
    run.advance(10)
    again = Run.reopened(run.recording())
    assert again.settings.features == ["x1^2", "x2"]
    for one in (run, again):
        one.advance(10)
    assert again.history[-1].parameters.tobytes() == run.history[-1].parameters.tobytes()


@pytest.mark.parametrize("write", [as_numpy, pytest.param(as_torch, marks=pytest.mark.torch)])
@pytest.mark.parametrize("names", CHOICES, ids=str)
def test_the_code_of_a_network_takes_points_of_the_plane(write, names):
    if write is as_torch:
        pytest.importorskip("torch")
    network = Network([len(names), 4, 1], "tanh", "sigmoid", seed=2)
    scale = Standardization(np.array([3.0, -1.0]), np.array([2.0, 0.5]))
    x = np.random.default_rng(5).normal(size=(9, 2))
    features, module = FeatureMap.of(names), {"__name__": "network"}
    exec(write(network, scale, "", x, features), module)
    expected = network.predict(by_hand((x - scale.mean) / scale.std, names))
    np.testing.assert_allclose(np.asarray(module["predict"](x.tolist())), expected, rtol=1e-12)
    with pytest.raises(ValueError, match="input features"):
        write(Network([9, 4, 1], "tanh", "sigmoid"), None, "", None, features)


def test_the_last_box_stays_ticked_and_the_boxes_follow_the_settings():
    said: list[str] = []
    settings = Settings()
    ticks = FeatureTicks(settings, said.append)
    boxes = ticks.__panel__()[0]
    boxes.value = ["x1^2", "x1"]
    assert settings.features == ["x1", "x1^2"]
    boxes.value = []
    assert settings.features == boxes.value == ["x1", "x1^2"]
    assert len(said) == 1 and said[0].startswith("One input feature stays on")
    settings.features = ["sin x1"]
    assert boxes.value == ["sin x1"]
    settings.dataset = "sine"
    assert not ticks.__panel__().visible
    settings.dataset = "xor"
    assert ticks.__panel__().visible
