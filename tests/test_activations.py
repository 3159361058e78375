"""Laws of all activations."""

import math

import numpy as np
import pytest
from oracle_curvature import torch_curvature

from engine.activations import ACTIVATIONS, erf

every_activation = pytest.mark.parametrize("name", ACTIVATIONS)

# Around 0, where some have a kink, a difference quotient is no derivative.
AWAY_FROM_KINKS = np.concatenate([np.linspace(-12, -0.01, 400), np.linspace(0.01, 12, 400)])
HUGE = np.array([-1e3, -750.0, -40.0, 40.0, 750.0, 1e3])


@every_activation
def test_every_slope_is_its_functions_derivative(name):
    f, z, h = ACTIVATIONS[name].function, AWAY_FROM_KINKS, 1e-3
    quotient = (8 * (f(z + h) - f(z - h)) - (f(z + 2 * h) - f(z - 2 * h))) / (12 * h)
    # Of fourth order: truncation about h^4 = 1e-12, rounding about 12 * 1e-16 / h = 1e-12.
    np.testing.assert_allclose(ACTIVATIONS[name].slope(z), quotient, rtol=1e-10, atol=1e-11)


@every_activation
def test_every_curvature_is_its_slopes_derivative(name):
    f, z, h = ACTIVATIONS[name].slope, AWAY_FROM_KINKS, 1e-3
    quotient = (8 * (f(z + h) - f(z - h)) - (f(z + 2 * h) - f(z - 2 * h))) / (12 * h)
    np.testing.assert_allclose(ACTIVATIONS[name].curvature(z), quotient, rtol=1e-10, atol=1e-11)


@pytest.mark.torch
@every_activation
def test_curvatures_are_pytorchs_live(name):
    pytest.importorskip("torch")
    z = np.concatenate([AWAY_FROM_KINKS, HUGE])
    # PyTorch computes 1 - a, which rounds to 1e-16 of 1, and its softplus is straight from z = 20 on.
    np.testing.assert_allclose(ACTIVATIONS[name].curvature(z), torch_curvature(name, z), rtol=1e-12, atol=3e-15)


@every_activation
def test_only_what_is_straight_everywhere_has_no_curvature(name):
    assert ACTIVATIONS[name].curved == bool(ACTIVATIONS[name].curvature(AWAY_FROM_KINKS).any())


@every_activation
@pytest.mark.parametrize("in_place", [False, True])
def test_in_place_forms_agree_with_the_formulas(name, in_place):
    activation, z = ACTIVATIONS[name], np.linspace(-9, 9, 60).reshape(4, 15)
    a, d, workspace = np.empty_like(z), np.full_like(z, 3.0), activation.workspace(z.shape)
    given = a if in_place and not activation.reads_z else z.copy()
    given[...] = z
    activation.forward(given, a, workspace)
    np.testing.assert_allclose(a, activation.function(z), rtol=1e-15)
    activation.backward(d, given, a, workspace)
    # a (1 - a) and 1 - a^2 are computed from a, which is near 1 where the slope is small.
    np.testing.assert_allclose(d, 3 * activation.slope(z), rtol=1e-12, atol=1e-15)


@every_activation
def test_the_in_place_form_of_the_curvature_agrees_with_the_formula(name):
    activation, z = ACTIVATIONS[name], np.linspace(-9, 9, 60).reshape(4, 15)
    out = np.empty_like(z)
    activation.bend(activation.slope(z), z, activation.function(z), out)
    # 1 - 2 a is computed from a, which is rounded to 1e-16.
    np.testing.assert_allclose(out, activation.curvature(z), rtol=1e-12, atol=1e-16)


@every_activation
def test_huge_arguments_give_finite_numbers_and_no_warning(name):
    activation = ACTIVATIONS[name]
    assert np.isfinite(activation.function(HUGE)).all()
    assert np.isfinite(activation.slope(HUGE)).all()
    assert np.isfinite(activation.curvature(HUGE)).all()


@every_activation
def test_the_argument_is_left_alone(name):
    z = np.linspace(-2, 2, 9)
    ACTIVATIONS[name].function(z)[:] = 7
    ACTIVATIONS[name].slope(z)[:] = 7
    ACTIVATIONS[name].curvature(z)[:] = 7
    np.testing.assert_array_equal(z, np.linspace(-2, 2, 9))


def test_relu_has_slope_zero_at_zero():
    assert ACTIVATIONS["relu"].slope(np.array([0.0, -0.0])).tolist() == [0.0, 0.0]


def test_sigmoids_slope_is_at_most_a_quarter_and_never_rounds_to_zero():
    slopes = ACTIVATIONS["sigmoid"].slope(np.linspace(-700, 700, 1401))
    assert slopes.max() == 0.25
    assert slopes.min() > 0


def test_a_sure_sigmoid_keeps_the_digits_of_its_curvature():
    z = np.array([-600.0, -40.0, 40.0, 600.0])
    np.testing.assert_allclose(ACTIVATIONS["sigmoid"].curvature(z), -np.sign(z) * np.exp(-np.abs(z)), rtol=1e-13)


def test_erf_is_the_standard_librarys():
    x = np.concatenate([np.linspace(-7, 7, 5001), [-0.46875, 0.46875, 4.0, -4.0, 1e3]])
    np.testing.assert_allclose(erf(x), [math.erf(v) for v in x], rtol=0, atol=5e-16)


def test_the_erf_activation_is_the_standard_librarys_and_its_slope_the_bell_curve():
    z = np.linspace(-7, 7, 501)
    np.testing.assert_allclose(ACTIVATIONS["erf"].function(z), [math.erf(v) for v in z], rtol=0, atol=5e-16)
    np.testing.assert_allclose(ACTIVATIONS["erf"].slope(z), [2 / math.sqrt(math.pi) * math.exp(-v * v) for v in z])


def test_gelu_keeps_its_digits_in_the_left_tail():
    z = np.linspace(-30, -1, 200)
    exact = [v / 2 * math.erfc(-v / math.sqrt(2)) for v in z]
    # exp(-z^2 / 2) carries the rounding of z^2 / 2 = 450, which is 6e-14.
    np.testing.assert_allclose(ACTIVATIONS["gelu"].function(z), exact, rtol=3e-13)


def test_softplus_is_exact_where_it_is_nearly_linear():
    z = np.array([21.0, 30.0])
    excess = ACTIVATIONS["softplus"].function(z) - z
    # The sum is rounded to 4e-15.
    np.testing.assert_allclose(excess, np.log1p(np.exp(-z)), rtol=0, atol=4e-15)
    assert excess[0] > 0
