"""Laws of all datasets, of splitting them and of standardizing them."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.chance import stream
from engine.datasets import DATASETS, Dataset, Standardization
from engine.network import Network
from engine.options import options

SIZED = [name for name in DATASETS if name not in ("xor4", "modular addition")]
MANY = {"gaussian": 16, "linear teacher": 16, "teacher": 16, "sparse parity": 16, "modular addition": 46}
"""Features of the datasets that cannot be looked at."""
CLASSIFICATIONS = [name for name in DATASETS if DATASETS[name]().task != "regression"]

every_dataset = pytest.mark.parametrize("name", DATASETS)
any_dataset = given(st.sampled_from(sorted(DATASETS)), st.integers(10, 200), st.integers(0, 10**6), st.floats(0, 1))


def class_counts(data: Dataset) -> np.ndarray:
    return np.bincount(data.y.astype(int), minlength=data.n_classes)


@any_dataset
def test_shapes_and_types_are_as_promised(name, n, seed, noise):
    data = DATASETS[name](n, noise, seed)
    assert data.name == name
    assert data.x.shape == (len(data), data.features) and data.x.dtype == np.float64
    assert data.y.shape == (len(data),) and data.y.dtype == (np.int64 if data.task == "classes" else np.float64)
    assert data.features == MANY.get(name, 1 if data.task == "regression" else 2)


@any_dataset
def test_all_numbers_are_finite_and_near_the_origin(name, n, seed, noise):
    """Within 9: shapes reach to about 3, and the noise, of standard deviation 1 at most, was never seen beyond 6."""
    data = DATASETS[name](n, noise, seed)
    assert np.abs(data.x).max() < 9 and (data.task == "classes" or np.abs(data.y).max() < 9)


@any_dataset
def test_the_same_arguments_give_the_same_examples_bit_for_bit(name, n, seed, noise):
    one, other = DATASETS[name](n, noise, seed), DATASETS[name](n, noise, seed)
    assert np.array_equal(one.x, other.x) and np.array_equal(one.y, other.y)


@given(st.sampled_from(SIZED), st.integers(10, 200))
def test_there_are_as_many_examples_as_asked_for(name, n):
    assert len(DATASETS[name](n)) == n


@given(st.sampled_from(CLASSIFICATIONS), st.integers(10, 200))
def test_classes_are_balanced_to_within_one_example(name, n):
    counts = class_counts(DATASETS[name](n))
    assert np.ptp(counts) <= 1 and counts.min() > 0


@every_dataset
def test_another_seed_gives_other_examples_as_long_as_there_is_noise(name):
    one, other = DATASETS[name](noise=0.1, seed=0), DATASETS[name](noise=0.1, seed=1)
    assert not (np.array_equal(one.x, other.x) and np.array_equal(one.y, other.y))


@every_dataset
def test_numbers_are_of_the_order_of_one(name):
    assert 0.2 < DATASETS[name]().x.std() < 2


@every_dataset
def test_every_option_is_explained_and_starts_within_its_bounds(name):
    for option in options(DATASETS[name]).values():
        assert option.range.doc
        assert option.range.low <= option.default <= option.range.high


@every_dataset
def test_arguments_begin_with_n_noise_and_seed(name):
    assert list(inspect.signature(DATASETS[name]).parameters)[:3] == ["n", "noise", "seed"]


def test_xor4_is_the_truth_table_whatever_n():
    data = DATASETS["xor4"](n=1000)
    assert data.x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]] and data.y.tolist() == [0, 1, 1, 0]


def test_moons_are_two_unit_half_circles():
    data = DATASETS["moons"](noise=0)
    upper, lower = data.x[data.y == 0], data.x[data.y == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1)
    np.testing.assert_allclose(np.hypot(*(lower - [1, 0.5]).T), 1)
    assert upper[:, 1].min() >= 0 and lower[:, 1].max() <= 0.5


def test_circles_have_the_radii_asked_for():
    data = DATASETS["circles"](noise=0, inner=0.3)
    np.testing.assert_allclose(np.hypot(*data.x.T), np.where(data.y == 1, 0.3, 1))


def test_xor_has_its_classes_across_from_one_another():
    data = DATASETS["xor"](noise=0)
    assert np.array_equal(data.x[:, 0] * data.x[:, 1] < 0, data.y == 1)


@pytest.mark.parametrize("name", ["blobs", "spirals"])
@pytest.mark.parametrize("classes", [2, 3, 4, 5])
def test_there_are_as_many_classes_as_asked_for(name, classes):
    data = DATASETS[name](classes=classes)
    assert data.n_classes == classes == len(np.unique(data.y))
    assert data.task == ("binary" if classes == 2 else "classes")


@pytest.mark.parametrize("gap", [-0.5, 0.0, 0.2, 1.0])
def test_linear_leaves_the_gap_asked_for(gap):
    data = DATASETS["linear"](n=2000, gap=gap)
    across = data.x.sum(axis=1) / np.sqrt(2)
    assert across[data.y == 1].min() - across[data.y == 0].max() == pytest.approx(gap, abs=0.01)


def test_outliers_keep_their_label_and_leave_the_others_alone():
    clean, dirty = DATASETS["linear"](), DATASETS["linear"](outliers=0.1)
    moved = (clean.x != dirty.x).any(axis=1)
    assert moved.sum() == 20 and np.array_equal(clean.y, dirty.y)
    assert (np.sign(dirty.x[moved].sum(axis=1)) != 2 * dirty.y[moved] - 1).all()


def test_chebyshev_is_the_polynomial():
    data = DATASETS["chebyshev"]()
    x = data.x[:, 0]
    assert len(data) == 20
    np.testing.assert_allclose(data.y, 4 * x**3 - 3 * x, atol=1e-14)


@pytest.mark.parametrize("name", ["gaussian", "linear teacher", "teacher"])
def test_normal_points_are_standard_normal_in_as_many_dimensions_as_asked_for(name):
    data = DATASETS[name](n=4000, dimension=5)
    # 20,000 numbers: their covariances are known to 1.6 %; four times that.
    np.testing.assert_allclose(data.x.T @ data.x / 4000, np.eye(5), atol=0.065)


def test_random_values_say_nothing_about_the_points_and_do_not_change_with_the_noise():
    data = DATASETS["gaussian"](n=4000, dimension=5)
    assert np.abs(data.x.T @ data.y / 4000).max() < 0.065
    assert data.y.std() == pytest.approx(1, rel=0.05)
    noisy = DATASETS["gaussian"](n=4000, dimension=5, noise=0.5)
    assert np.array_equal(noisy.x, data.x) and (noisy.y - data.y).std() == pytest.approx(0.5, rel=0.05)


def test_a_linear_teachers_values_are_a_product_with_weights_of_length_one():
    data = DATASETS["linear teacher"](n=60, noise=0.0, dimension=7)
    weights, *_ = np.linalg.lstsq(data.x, data.y)
    assert np.linalg.norm(weights) == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(data.x @ weights, data.y, atol=1e-13)


def test_the_error_of_least_squares_on_a_linear_teacher_peaks_where_there_are_as_many_weights_as_examples():
    """Hastie et al. 2022, with noise .5: .25 g / (1 - g) below g = 1, 1 - 1/g + .25 / (g - 1) above, for g = p / n."""

    def error(g: float) -> float:
        found = []
        for seed in range(20):
            data = DATASETS["linear teacher"](n=100, noise=0.5, dimension=round(100 * g), seed=seed)
            truth = DATASETS["linear teacher"](n=100, noise=0.0, dimension=round(100 * g), seed=seed)
            # Of the true weights, the data show only what lies along the points.
            beta = _teacher_weights(round(100 * g), seed)
            assert np.allclose(truth.x @ beta, truth.y)
            found.append(((np.linalg.pinv(data.x) @ data.y - beta) ** 2).sum())
        return float(np.mean(found))

    # Means of 20 known to about 8 %; the law is that of infinitely many examples.
    for g, expected in ((0.25, 0.083), (0.5, 0.25), (2.0, 0.75), (4.0, 0.833)):
        assert error(g) == pytest.approx(expected, rel=0.25), g


def _teacher_weights(dimension: int, seed: int) -> np.ndarray:
    weights = stream(seed, "labels").standard_normal(dimension)
    return weights / np.linalg.norm(weights)


def test_a_teachers_values_are_those_of_a_network_of_its_size():
    """A network with the teacher's weights, which come from the stream of labels, makes no error."""
    data, draws = DATASETS["teacher"](n=50, dimension=6, teacher_units=4, seed=2), stream(2, "labels")
    pupil = Network([6, 4, 1], "tanh", "linear", has_biases=False)
    pupil.weights[0][...] = draws.standard_normal((6, 4)) / np.sqrt(6)
    pupil.weights[1][...] = draws.standard_normal(4)[:, None] / 2
    assert pupil.loss(data) < 1e-28


@pytest.mark.parametrize(("dimension", "bits"), [(16, 3), (5, 5), (4, 8), (1, 1)])
def test_a_parity_is_the_product_of_the_first_signs_and_fewer_of_them_say_nothing(dimension, bits):
    data = DATASETS["sparse parity"](n=4000, dimension=dimension, bits=bits)
    assert set(np.unique(data.x)) == {-1.0, 1.0}
    sign = 2 * data.y - 1
    np.testing.assert_array_equal(data.x[:, :bits].prod(axis=1), sign)
    if dimension > 1:
        # Means of 4000 signs are known to 1.6 %; four times that.
        assert np.abs(data.x.T @ sign / 4000).max() < 0.065
        assert np.abs(data.x[:, : min(bits, dimension) - 1].prod(axis=1) @ sign / 4000) < 0.065
        assert np.abs(data.x.mean(axis=0)).max() < 0.065


@pytest.mark.parametrize("modulus", [3, 23, 53])
def test_modular_addition_has_every_pair_once_and_its_sum(modulus):
    data = DATASETS["modular addition"](n=1, modulus=modulus)
    a, b = data.x[:, :modulus].argmax(axis=1), data.x[:, modulus:].argmax(axis=1)
    assert (data.x.sum(axis=1) == 2).all() and set(np.unique(data.x)) == {0.0, 1.0}
    assert len(set(zip(a.tolist(), b.tolist(), strict=True))) == modulus**2 == len(data)
    np.testing.assert_array_equal(data.y, (a + b) % modulus)
    assert data.task == "classes" and data.n_classes == modulus


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("moons", {"n": 1}, "n = 1 is too few"),
        ("sine", {"n": 1}, "n = 1 is too few"),
        ("blobs", {"n": 3, "classes": 4}, "n = 3 is too few"),
        ("blobs", {"classes": 1}, "1 classes"),
        ("circles", {"noise": -0.1}, "noise = -0.1"),
        ("linear", {"outliers": 1.5}, "outliers = 1.5"),
    ],
)
def test_an_impossible_request_is_refused_with_its_value(name, wrong, message):
    with pytest.raises(ValueError, match=message):
        DATASETS[name](**wrong)


@given(st.sampled_from(SIZED), st.integers(10, 100), st.floats(0.1, 0.8), st.integers(0, 100))
def test_a_split_deals_out_every_example_once(name, n, share, seed):
    data = DATASETS[name](n)
    train, validation = data.split(share, seed)
    assert len(validation) == round(share * n)
    rows = np.column_stack([data.x, data.y])
    dealt = np.column_stack([np.concatenate([train.x, validation.x]), np.concatenate([train.y, validation.y])])
    assert np.array_equal(rows[np.lexsort(rows.T)], dealt[np.lexsort(dealt.T)])


@given(st.integers(2, 5), st.integers(0, 1000))
def test_every_class_stays_in_train(classes, seed):
    data = DATASETS["blobs"](n=2 * classes, classes=classes)
    train, _ = data.split(0.5, seed)
    assert (class_counts(train) > 0).all()


def test_the_same_seed_splits_alike_and_another_does_not():
    data = DATASETS["moons"]()
    one, again, other = (data.split(0.25, seed)[1].x for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.99, 1.0, -0.5])
def test_a_split_that_leaves_nothing_is_refused(share):
    with pytest.raises(ValueError, match=f"validation share {share}"):
        DATASETS["moons"](n=20).split(share)


@every_dataset
def test_standardized_features_have_mean_zero_and_deviation_one(name):
    data = DATASETS[name]()
    x = Standardization.of(data.x).apply(data).x
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(x.std(axis=0), 1)


def test_a_constant_feature_is_left_alone():
    x = np.column_stack([np.arange(5.0), np.full(5, 0.1)])
    data = Dataset(x, np.zeros(5), "regression", 0)
    assert np.array_equal(Standardization.of(x).apply(data).x[:, 1], x[:, 1])


def test_standardization_of_other_data_uses_the_training_numbers():
    train, validation = DATASETS["moons"]().split()
    standardization = Standardization.of(train.x)
    expected = (validation.x - train.x.mean(axis=0)) / train.x.std(axis=0)
    np.testing.assert_allclose(standardization.apply(validation).x, expected)


def test_standardization_of_other_features_is_refused():
    with pytest.raises(ValueError, match="data has 2 features; this standardization is for 1"):
        Standardization.of(DATASETS["sine"]().x).apply(DATASETS["moons"]())
