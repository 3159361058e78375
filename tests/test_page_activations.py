"""The page on activations: what its pictures draw, checked by other means, and what is to be seen there."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dashboard.instruments.activation_curve import ActivationCurve, flat_zones, round_up, steepest
from dashboard.instruments.error_signal import ErrorSignal
from dashboard.instruments.gradient_factors import GradientFactors
from dashboard.instruments.instrument import Instrument
from dashboard.instruments.pre_activation_map import PreActivationMap
from dashboard.pages.activations import Activations
from dashboard.state.run import Run
from engine.activations import ACTIVATIONS

PRESETS = {preset.label: preset for preset in Activations.presets}


def run_of(label: str = "Ten sigmoid layers", **changes: object) -> Run:
    """The page's run as a preset starts it."""
    preset = PRESETS[label]
    settings = Activations.settings(**{**Activations.defaults, **preset.changes, **changes})
    return Run(settings, Activations.view(**preset.view))


def columns(instrument: Instrument) -> dict[str, dict[str, np.ndarray]]:
    """Everything that is drawn, layer by layer."""
    return {
        label: {name: np.array(column) for name, column in source.data.items()}
        for label, source in instrument.sources.items()
    }


def backward(run: Run) -> list[np.ndarray]:
    """dL/dz of every layer, (n, units), by the engine's fast gradient: of one example it is that of the biases."""
    setup, network = run.frame().setup, run.network
    one_by_one = [replace(setup.train, x=setup.train.x[[i]], y=setup.train.y[[i]]) for i in range(len(setup.train))]
    gradients = [network.gradient(one, setup.loss).biases for one in one_by_one]
    return [np.stack(layer) for layer in zip(*gradients, strict=True)]


def loss_after(run: Run, epochs: int) -> float:
    run.advance(epochs)
    return run.history[-1].loss


def test_ten_sigmoids_let_through_a_millionth_at_most():
    factors = GradientFactors(run_of())
    assert columns(factors)["bound"]["share"][0] == pytest.approx(9.54e-7, rel=1e-3)
    assert steepest("sigmoid") == 0.25
    assert steepest("relu") == 1.0


def test_the_measured_factors_are_those_of_the_fast_gradient():
    run = run_of()
    run.advance(20)
    deltas = [np.linalg.norm(layer) for layer in backward(run)]
    drawn = columns(GradientFactors(run))["measured"]["share"]
    np.testing.assert_allclose(drawn, np.array(deltas) / deltas[-1], rtol=1e-9)


def test_xaviers_sigmoids_leave_about_what_the_slopes_do():
    drawn = columns(GradientFactors(run_of()))
    assert 0.1 < drawn["measured"]["share"][0] / drawn["slopes"]["share"][0] < 10
    assert drawn["slopes"]["share"][0] <= drawn["bound"]["share"][0]


def test_weights_of_ten_make_the_gradient_grow_against_the_bound_of_the_slopes():
    drawn = columns(GradientFactors(run_of("Against the bound")))
    assert drawn["bound"]["share"][0] == pytest.approx(0.25**8)
    assert drawn["measured"]["share"][0] > 1


def test_ten_sigmoids_learn_nothing_and_ten_relus_do():
    assert loss_after(run_of(), 500) == pytest.approx(math.log(2), abs=1e-3)
    assert loss_after(run_of("Ten ReLU layers"), 500) < 0.35


def test_the_bars_count_the_layers_pre_activations():
    run = run_of("Saturated")
    run.advance(10)
    bars, network, x = columns(ActivationCurve(run))["bars"], run.network, run.frame().setup.train.x
    first = 1 / (1 + np.exp(-(x @ network.weights[0] + network.biases[0])))
    z = first @ network.weights[1] + network.biases[1]
    edges = np.append(bars["left"], bars["right"][-1])
    np.testing.assert_allclose(bars["share"], np.histogram(z, edges)[0] / z.size, atol=2 / z.size)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_flat_zone_is_where_the_slope_is_below_a_hundredth(name):
    left, right = flat_zones(name, 20.0)
    z = np.linspace(-20, 20, 4001)
    inside = ((z[:, None] >= left) & (z[:, None] <= right)).any(axis=1)
    flat = np.abs(ACTIVATIONS[name].slope(z)) < 0.01
    assert np.mean(inside != flat) < 0.01, "they may differ at the ends of a zone only"


def test_large_weights_saturate_a_sigmoid_layer_and_xaviers_do_not():
    large, xavier = (PreActivationMap(run_of("Saturated", **changes)) for changes in ({}, {"initializer": "xavier"}))
    assert large._layers[1].flat > 0.5
    assert xavier._layers[1].flat == 0
    assert columns(large)["words"]["text"][2] == f"{large._layers[1].flat:.0%}, {large._layers[1].saturated:.0%}"


@pytest.mark.parametrize("loss", ["binary cross-entropy", "mse"])
def test_the_signal_of_every_example_is_the_derivative_of_its_cost(loss):
    run = run_of("Confident mistakes, cross-entropy", loss=loss)
    run.advance(10)
    signal = ErrorSignal(run)
    delta = np.abs(backward(run)[-1][:, 0])
    np.testing.assert_allclose(signal._signals, delta, rtol=1e-9, atol=1e-15)
    p, y = run.network.predict(run.frame().setup.train.x)[:, 0], run.frame().setup.train.y
    closed = np.abs(p - y) * (1 if loss != "mse" else 2 * p * (1 - p))
    np.testing.assert_allclose(signal._signals, closed, rtol=1e-6, atol=1e-12)


def test_cross_entropy_corrects_the_surest_mistakes_and_squared_error_leaves_them():
    """The same start: what pulls at the surest mistake, and how sure it still is after 200 epochs."""
    signals, margins = {}, {}
    for loss in ("cross-entropy", "squared error"):
        run = run_of(f"Confident mistakes, {loss}")
        signal = ErrorSignal(run)
        surest = int(np.argmin(signal._margins))
        signals[loss] = signal._signals[surest]
        run.advance(200)
        signal.draw(run.frame())
        margins[loss] = signal._margins.min()
    assert signals["cross-entropy"] > 0.9 > 0.1 > signals["squared error"]
    assert margins["squared error"] < 1.5 * margins["cross-entropy"] < 0


def test_clicks_pick_the_layer_and_the_example_for_all_pictures():
    run = run_of()
    rows, signal = PreActivationMap(run), ErrorSignal(run)
    rows.tapped(0.0, 6.5)
    assert run.view.layer == 4
    GradientFactors(run).tapped(7.2, 1e-3)
    assert run.view.layer == 7
    signal.tapped(float(signal._margins[17]), float(signal._signals[17]))
    assert signal._margins[run.view.example] == pytest.approx(signal._margins[17])
    curve = ActivationCurve(run)
    assert len(columns(curve)["example"]["z"]) == run.settings.hidden[6]
    assert "layer 7" in curve.caption


@pytest.mark.parametrize(("size", "rounded"), [(0.9, 1), (1, 1), (1.1, 2), (4, 5), (5.1, 10), (37, 50), (100, 100)])
def test_reaches_are_rounded_up_to_one_two_or_five(size, rounded):
    assert round_up(size) == rounded
