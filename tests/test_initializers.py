"""Laws of all initializers."""

import numpy as np
import pytest

from engine.initializers import INITIALIZERS

FAN_IN, FAN_OUT = 200, 300
VARIANCES = {
    "he": 2 / FAN_IN,
    "xavier": 2 / (FAN_IN + FAN_OUT),
    "lecun": 1 / FAN_IN,
    # Rows of 300 numbers, each of length 1.
    "orthogonal": 1 / FAN_OUT,
    "zeros": 0.0,
    "normal": 1.0,
    "small": 0.01**2,
    "large": 5.0**2,
    "gaussian": 1 / FAN_IN,
}

every_initializer = pytest.mark.parametrize("name", INITIALIZERS)


def drawn(name: str, seed: int = 0, shape: tuple[int, int] = (FAN_IN, FAN_OUT)) -> np.ndarray:
    return INITIALIZERS[name]()(np.random.default_rng(seed), *shape)


@every_initializer
def test_every_initializer_has_its_variance_and_mean_zero(name):
    w = drawn(name)
    # 60,000 draws: the variance is known to sqrt(2 / 60,000) = 0.6 %, the mean to 0.4 % of std; five times that.
    assert w.var() == pytest.approx(VARIANCES[name], rel=0.03)
    assert abs(w.mean()) <= 0.02 * np.sqrt(VARIANCES[name])


@every_initializer
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 4)])
def test_weights_have_the_shape_asked_for(name, shape):
    assert drawn(name, shape=shape).shape == shape


@every_initializer
def test_the_same_generator_gives_the_same_weights(name):
    np.testing.assert_array_equal(drawn(name, seed=3), drawn(name, seed=3))


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (6, 6)])
def test_orthogonal_weights_turn_without_stretching(shape):
    np.testing.assert_allclose(np.linalg.svd(drawn("orthogonal", shape=shape))[1], 1.0, rtol=1e-13)


def test_orthogonal_weights_favor_no_sign():
    signs = [np.sign(drawn("orthogonal", seed, (2, 2))[0, 0]) for seed in range(200)]
    # A fair coin's 200 tosses sum up to more than 60 in 2 of 100,000 cases.
    assert abs(sum(signs)) < 60


def test_normal_has_the_standard_deviation_it_is_given():
    w = INITIALIZERS["normal"](std=0.3)(np.random.default_rng(0), FAN_IN, FAN_OUT)
    assert w.std() == pytest.approx(0.3, rel=0.015)


def test_gaussian_weights_have_the_variance_of_mean_field_theory():
    w = INITIALIZERS["gaussian"](sigma_w=1.7)(np.random.default_rng(0), FAN_IN, FAN_OUT)
    # 60,000 draws: known to 0.3 %; five times that.
    assert w.std() == pytest.approx(1.7 / np.sqrt(FAN_IN), rel=0.015)
    he = INITIALIZERS["he"]()(np.random.default_rng(0), FAN_IN, FAN_OUT)
    same = INITIALIZERS["gaussian"](sigma_w=np.sqrt(2))(np.random.default_rng(0), FAN_IN, FAN_OUT)
    np.testing.assert_allclose(same, he, rtol=1e-14)


@pytest.mark.parametrize("sigma", [-1.0, np.nan, np.inf])
def test_an_impossible_sigma_is_refused(sigma):
    with pytest.raises(ValueError, match=f"sigma_w {sigma} is not a standard deviation"):
        INITIALIZERS["gaussian"](sigma_w=sigma)


@pytest.mark.parametrize("std", [-1.0, np.nan, np.inf])
def test_an_impossible_standard_deviation_is_refused(std):
    with pytest.raises(ValueError, match=f"std {std} is not a standard deviation; choose a finite number of 0 or more"):
        INITIALIZERS["normal"](std=std)
