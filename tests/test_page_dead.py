"""The page on dead neurons: what its pictures draw, checked by other means, and what is to be seen there."""

import math

import numpy as np
import pytest

from dashboard.instruments.activation_map import ActivationMap
from dashboard.instruments.activation_swap import ActivationSwap
from dashboard.instruments.fate_counts import FateCounts
from dashboard.instruments.fates_by_start import FatesByStart
from dashboard.instruments.instrument import Instrument
from dashboard.instruments.unit_plane import UnitPlane
from dashboard.instruments.unit_sizes import UnitSizes
from dashboard.pages.dead import Dead
from dashboard.state.analyses.activation_trial import EPOCHS_AHEAD
from dashboard.state.analyses.unit_health import place_of, revivals, since, unit_at
from dashboard.state.run import Run
from engine.measures import FATES, Fates, unit_fates
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.training import train

PRESETS = {preset.label: preset for preset in Dead.presets}


def run_of(label: str = "He", **changes: object) -> Run:
    """The page's run as a preset starts it."""
    preset = PRESETS[label]
    settings = Dead.settings(**{**Dead.defaults, **preset.changes, **changes})
    return Run(settings, Dead.view(**preset.view))


def columns(instrument: Instrument) -> dict[str, dict[str, np.ndarray]]:
    """Everything that is drawn, layer by layer."""
    return {
        label: {name: np.array(column) for name, column in source.data.items()}
        for label, source in instrument.sources.items()
    }


def finish(instrument: Instrument) -> None:
    """Do all the heavy work that waits, and draw what it gave."""
    for _ in instrument.work(instrument.run.frame()) or ():
        pass
    instrument.draw(instrument.run.frame())


def told(run: Run) -> tuple[Fates, np.ndarray]:
    """What the engine says of every epoch, one by one, and the fates (epochs, units)."""
    fates, network, rows = Fates(), run.frame().setup.network.copy(), []
    for epoch in run.history:
        network.parameters = epoch.parameters
        now = unit_fates(network.trace(run.frame().setup.train.x), network.activations)
        fates.update(epoch.index, now)
        rows.append(np.concatenate(now))
    return fates, np.array(rows)


def test_the_starts_divide_into_dead_and_dim_as_measured():
    """Medians over 40 seeds on one draw of the data; another draw moves them by up to a fifth in layer 2."""
    run, _ = Dead.opened({"seeds": "40"})
    starts = FatesByStart(run)
    finish(starts)
    shares = {label: np.median(known, axis=0) for label, known in starts._known.items()}
    dead, dim = FATES.index("dead"), FATES.index("dim")
    assert shares["He"][:, dead] == pytest.approx([0, 0.07], abs=0.07)
    assert shares["He, bias −1"][:, dead] == pytest.approx([0.21, 0.54], abs=0.2)
    assert shares["He, bias −5"][:, dead] == pytest.approx([0.98, 1], abs=0.05)
    assert shares["std 0.001"][0, [dead, dim]] == pytest.approx([0, 0.91], abs=0.1)
    assert shares["std 0.001"][1, [dead, dim]].sum() == 1
    assert shares["std 0.001, bias −0.01"][:, dead] == pytest.approx([1, 1])


def test_the_shares_of_a_trained_comparison_are_those_of_its_newest_parameters():
    run, _ = Dead.opened({"seeds": "2", "epochs": "10"})
    for _ in run.study.pieces(run.settings):
        pass
    starts = FatesByStart(run)
    starts.trained = True
    finish(starts)
    assert set(starts._known) == set(Dead.plan.variants)
    result = run.study.results["He, bias −1"]
    network = result.setup.network.copy()
    network.parameters = result.parameters[1]
    own = [np.mean(layer == "dead") for layer in unit_fates(network.trace(result.setup.train.x), network.activations)]
    np.testing.assert_allclose(starts._known["He, bias −1"][1, :, 0], own)
    starts.tapped(0.3, len(Dead.plan.variants) - 1)
    assert run.view.picked == ["He, bias −1", 0]
    run.close()


def test_dim_is_not_dead_and_the_loss_stays_at_ln_two():
    run = run_of("Tiny weights")
    first = run.frame().setup.network.gradient(run.frame().setup.train).weights[0]
    assert (np.abs(first).sum(axis=0) > 0).all(), "every unit of layer 1 has a gradient"
    run.advance(1000)
    assert run.history[-1].loss == pytest.approx(math.log(2), abs=1e-4)
    codes = UnitSizes(run)._codes
    assert (codes[:16] == FATES.index("dim")).mean() > 0.8
    assert not (codes[:16] == FATES.index("dead")).any()


def test_all_units_are_dead_from_the_start_where_the_bias_is_ten_times_the_weights():
    run = run_of("Tiny weights, bias −0.01")
    run.advance(50)
    assert "32 dead" in FateCounts(run).caption
    weights = run.frame().setup.network.weights
    assert all((a == b).all() for a, b in zip(weights, run.network.weights, strict=True))


def test_the_columns_of_fates_count_what_the_engine_finds_epoch_by_epoch():
    run = run_of("Killed by large steps")
    run.advance(100)
    fates, rows = told(run)
    counts = FateCounts(run)
    image = columns(counts)["fates"]["image"][0]
    for epoch in (0, 3, 50, 100):
        drawn = [int((image[:, epoch] == code).sum()) for code in range(len(FATES))]
        assert drawn == [int((rows[epoch] == fate).sum()) for fate in FATES]
    assert (image[:, 101:] == len(FATES)).all()
    codes = np.array([[FATES.index(fate) for fate in row] for row in rows])
    np.testing.assert_array_equal(since(np.arange(101), codes), fates.since)
    np.testing.assert_array_equal(revivals(codes), fates.revivals)
    counts.by_unit = True
    died = fates.deaths[fates.deaths > 0]
    np.testing.assert_array_equal(columns(counts)["deaths"]["x"], died)
    assert len(died) >= 10, "large steps kill"
    np.testing.assert_array_equal(columns(counts)["fates"]["image"][0][::-1, :101], codes.T)


def test_the_dead_of_layer_one_stay_dead_and_some_above_come_back():
    run = run_of("He, bias −1")
    run.advance(190)
    _, rows = told(run)
    dead = rows == "dead"
    woken = (dead[:-1] & ~dead[1:]).sum(axis=0)
    assert dead[0, :16].any() and not woken[:16][dead[0, :16]].any()
    assert woken[16:].sum() > 0


def test_sizes_are_means_over_the_examples_and_the_dead_lie_at_the_bottom():
    run = run_of("He, bias −1")
    run.advance(30)
    sizes, network, x = UnitSizes(run), run.network, run.frame().setup.train.x
    first = np.maximum(x @ network.weights[0] + network.biases[0], 0)
    second = np.maximum(first @ network.weights[1] + network.biases[1], 0)
    means = np.concatenate([first.mean(axis=0), second.mean(axis=0)])
    drawn = columns(sizes)
    np.testing.assert_array_equal(drawn["dead"]["x"], np.flatnonzero(means == 0))
    np.testing.assert_allclose(drawn["firing"]["y"], means[means > 0], rtol=1e-12)
    assert drawn["dead"]["y"].max() < drawn["firing"]["y"].min()


def test_a_unit_fires_where_its_plane_says():
    run = run_of("He, bias −1")
    run.view.unit = [1, 5]
    run.advance(30)
    plane, network, x = UnitPlane(run), run.network, run.frame().setup.train.x
    first = np.maximum(x @ network.weights[0] + network.biases[0], 0)
    fires = first @ network.weights[1][:, 5] + network.biases[1][5] > 0
    drawn = columns(plane)
    np.testing.assert_array_equal(drawn["firing"]["x1"], x[fires, 0])
    assert len(drawn["silent"]["x1"]) == (~fires).sum()
    assert "layer 2, unit 6" in plane.caption


def test_elu_wakes_units_that_leaky_relu_does_not():
    """Biases of -3: 2 of 32 units fire. The count is compared with a training of its own."""
    run = run_of("Leaky ReLU, bias −3", activation="relu")
    revival = ActivationSwap(run)
    finish(revival)
    ends = {name: counts[-1] for name, counts in revival.trial.counts.items()}
    assert ends["relu"] == ends["leaky relu"] < ends["elu"]
    setup = run.frame().setup
    network = Network(setup.network.sizes, "elu", initializer="he", seed=0, bias=-3.0)
    for epoch in train(network, setup.train, optimizer=OPTIMIZERS["sgd"](learning_rate=0.1)):
        if epoch.index == EPOCHS_AHEAD:
            break
    z = network.trace(setup.train.x).pre_activations
    assert ends["elu"] == sum(int((layer > 0).any(axis=0).sum()) for layer in z)


@pytest.mark.parametrize("seed", [0, 1])
def test_with_biases_of_minus_three_leaky_relu_is_as_stuck_as_relu_and_elu_learns(seed):
    ends = {}
    for activation in ("relu", "leaky relu", "elu"):
        run = run_of("ELU, bias −3", activation=activation, seed=seed)
        run.advance(1500)
        ends[activation] = run.history[-1].loss
    assert ends["relu"] == pytest.approx(math.log(2), abs=0.05)
    assert ends["leaky relu"] == pytest.approx(math.log(2), abs=0.05)
    assert ends["elu"] < 0.4


def test_clicks_pick_the_unit_and_the_epoch_for_all_pictures():
    run = run_of()
    run.advance(60)
    rows, sizes, plane = ActivationMap(run), UnitSizes(run), UnitPlane(run)
    rows.tapped(20.4, 31.5)
    assert (run.view.unit, run.looked_at) == ([0, 0], 20)
    rows.tapped(30.0, 0.5)
    assert (run.view.unit, run.looked_at) == ([1, 15], 30)
    sizes.tapped(17.2, 1.0)
    assert run.view.unit == [1, 1]
    x = run.frame().setup.train.x
    plane.tapped(*x[7])
    assert run.view.example == 7
    rows.draw(run.frame())
    assert columns(rows)["picked"]["bottom"].tolist() == [14]


def test_units_are_found_by_their_place_and_the_other_way_round():
    widths = (3, 1, 4)
    units = [[layer, unit] for layer, width in enumerate(widths) for unit in range(width)]
    assert [place_of(unit, widths) for unit in units] == list(range(8))
    assert [unit_at(place, widths) for place in range(8)] == units
    assert place_of([], widths) is place_of([1, 1], widths) is place_of([3, 0], widths) is None


def test_the_map_shows_a_units_own_activation_and_not_what_a_skip_connection_adds():
    """A dead unit's row is 0 from its death on; with the skip connection it was as bright as the unit below it."""
    run = run_of(skip=True, hidden=[4, 4], bias=-1.0)
    run.advance(20)
    instrument = ActivationMap(run)
    image = instrument._image[::-1, :21]
    network = run.network
    trace = network.trace(run.setup.train.x)
    own = np.concatenate([np.maximum(z, 0).mean(axis=0) for z in trace.pre_activations])
    np.testing.assert_allclose(image[:, 20], own, atol=1e-6)
