"""The page of the loss landscape: three planes of one run, each against the truth, and the lines to other runs."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from dashboard.instruments.hessian_landscape import HessianLandscape
from dashboard.instruments.instrument import Instrument
from dashboard.instruments.linear_interpolation import LinearInterpolation
from dashboard.instruments.pca_landscape import PcaLandscape
from dashboard.instruments.surface_errors import SurfaceErrors
from dashboard.instruments.weight_slice import ANOTHER, LandscapeView, WeightSlice
from dashboard.pages.landscape import Landscape
from dashboard.shell.app import App
from dashboard.state.analyses.hessian_plane import SteepestPlane
from dashboard.state.analyses.landscape_survey import window_around
from dashboard.state.analyses.line_losses import ALONG, START, barrier, matched
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.state.study import Study
from engine.curvature import hessian
from engine.network import Network

OTHERS = next(iter(Landscape.plan.variants))


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Every test computes its own study, with one thread as on the server: two wait for each other."""
    Study.remembered.clear()
    with threadpool_limits(1, user_api="blas"):
        yield
    Study.remembered.clear()


def run_of(epochs: int = 1000, seeds: int = 0, **changes: object) -> Run:
    """A run of the page, trained; and its study, if seeds are asked for, trained in this process."""
    run, _ = Landscape.opened()
    run.settings.param.update(**changes)
    run.advance(epochs)
    if seeds:
        run.study.param.update(seeds=seeds, epochs=epochs)
        run.study._key = run.study.key(run.settings)
        for _ in run.study.pieces(run.settings):
            pass
    return run


def surveyed(instrument: Instrument) -> Instrument:
    """An instrument after its heavy work."""
    instrument.draw(instrument.run.frame())
    for _ in instrument.work(instrument.run.frame()) or ():
        pass
    instrument.draw(instrument.run.frame())
    return instrument


def true_loss(run: Run, parameters: np.ndarray) -> float:
    """The loss as the network itself computes it."""
    network = run.setup.network.copy()
    network.parameters[:] = parameters
    return network.loss(run.setup.train, run.setup.loss)


def column(instrument: Instrument, layer: str, name: str) -> np.ndarray:
    return np.asarray(instrument.sources[layer].data[name])


def test_the_page_opens_with_a_study_of_other_starts():
    app = App(Landscape.opened()[0], "landscape")
    assert app.run.study.plan is Landscape.plan
    app.close()


def test_every_preset_can_be_chosen_and_its_pictures_move():
    run, _ = Landscape.opened()
    page = Landscape(run)
    for preset in Landscape.presets:
        page.choose(preset)
        for _ in Landscape.instruments:
            page.draw(run.frame(), run.version)
        while run.study.busy:  # a picture of another run has nothing to say before there is one
            time.sleep(0.01)
        before = [surveyed(instrument).caption for instrument in page.shown]
        run.advance(200)
        after = [surveyed(instrument).caption for instrument in page.shown]
        assert len(after) == len(Landscape.instruments)
        still = [one for one, other in zip(before, after, strict=True) if one == other]
        assert all("a wall of 0 " in caption for caption in still), preset.label
        assert not run.message
    run.close()


def test_the_link_says_whose_slice_is_shown():
    view, problems = LandscapeView.from_query({"slice_of": ANOTHER})
    assert (view.slice_of, problems) == (ANOTHER, [])


def test_the_slice_of_the_run_itself_is_exact_at_its_end_and_a_third_off_at_the_start():
    run = run_of(data_seed=0)
    instrument, reliefs = WeightSlice(run), []
    for seed in range(12):
        run.settings.seed = seed
        run.advance(1000)
        reliefs.append(surveyed(instrument).relief)
    assert max(relief.here for relief in reliefs) < 1e-12
    # Over 60 seeds the median is 0.35, the middle half 0.23 to 0.43.
    assert 0.25 < np.median([relief.start for relief in reliefs]) < 0.45


def test_the_slice_of_another_run_is_off_even_at_the_end():
    run = run_of(seeds=6)
    run.view.slice_of = ANOTHER
    instrument = WeightSlice(run)
    errors = []
    for seed in range(1, 6):
        instrument.pick(OTHERS, seed)
        errors.append(surveyed(instrument).relief.here)
        assert f"seed {seed}" in instrument.caption
    assert np.median(errors) > 0.05


def test_a_slice_shows_the_loss_with_two_weights_changed():
    run = run_of(100)
    instrument = surveyed(WeightSlice(run))
    relief, parameters = instrument.relief, run.frame().epoch.parameters.copy()
    across, up = relief.axes
    for i, j in ((0, 0), (7, 30), (40, 40)):
        parameters[[0, 2]] = across[j], up[i]
        assert relief.losses[i, j] == pytest.approx(true_loss(run, parameters), rel=1e-12)
    assert column(instrument, "here", "a") == run.frame().epoch.parameters[0]
    assert instrument.axis_labels(run.frame()) == ("W₁[0, 0]", "W₁[1, 0]")


def test_with_one_input_the_slice_is_over_a_weight_and_a_bias():
    run = Run(Settings(dataset="sine", hidden=[3], learning_rate=0.01))
    assert WeightSlice(run).axis_labels(run.frame()) == ("W₁[0, 0]", "b₁[0]")


def test_the_paths_plane_explains_98_percent_and_is_still_wrong_at_the_start():
    preset = next(preset for preset in Landscape.presets if "98" in preset.label)
    found = [surveyed(PcaLandscape(run_of(2000, **preset.changes, seed=seed))).relief for seed in range(5)]
    explained = [relief.plane.variance_explained.sum() for relief in found]
    assert 0.97 < np.median(explained) < 0.995
    assert 0.2 < np.median([relief.start for relief in found]) < 1.2


def test_the_paths_plane_explains_what_singular_values_say():
    run = run_of(300)
    relief = surveyed(PcaLandscape(run)).relief
    path = PcaLandscape(run).rows(run.frame(), -1).parameters
    squares = np.linalg.svd(path - path.mean(axis=0), compute_uv=False) ** 2
    np.testing.assert_allclose(relief.plane.variance_explained, squares[:2] / squares.sum(), rtol=1e-6)


def test_the_hessians_plane_shows_the_path_along_its_two_largest_eigenvectors():
    run = run_of(300)
    instrument = surveyed(HessianLandscape(run))
    here, start = run.frame().epoch.parameters, run.history.at(0).parameters
    values, vectors = np.linalg.eigh(hessian(run.network, run.setup.train, run.setup.loss))
    rows = instrument.rows(run.frame(), -1)
    for name, place in (("a", -1), ("b", -2)):
        along = vectors[:, place] * np.sign(vectors[:, place] @ (here - start))
        np.testing.assert_allclose(column(instrument, "path", name), (rows.parameters - here) @ along, atol=1e-7)
        assert column(instrument, "path", name)[0] < 0
    assert column(instrument, "here", "a") == pytest.approx(0, abs=1e-12)
    labels = [axis.axis_label for axis in (instrument.figure.xaxis[0], instrument.figure.yaxis[0])]
    assert labels == [f"eigenvector 1, λ = {values[-1]:.3g}", f"eigenvector 2, λ = {values[-2]:.3g}"]
    assert f"λ₁ {values[-1]:.3g}, λ₂ {values[-2]:.3g} at epoch 300" in instrument.caption
    assert instrument.relief.here < 1e-12


def test_the_hessians_plane_is_that_of_the_epoch_that_is_looked_at_whatever_was_looked_at_before():
    run = run_of(200)
    instrument = surveyed(HessianLandscape(run))
    run.look_at(50)
    again = surveyed(instrument).relief
    alone = surveyed(HessianLandscape(run)).relief
    np.testing.assert_array_equal(again.losses, alone.losses)
    np.testing.assert_array_equal(again.plane.origin, run.history.at(50).parameters)
    assert again.epoch == 50


def test_before_the_hessians_plane_is_known_no_path_is_drawn():
    run = run_of(20)
    instrument = HessianLandscape(run)
    assert [len(column(instrument, layer, "a")) for layer in ("path", "here")] == [0, 0]
    instrument.tapped(0.0, 0.0)
    assert run.looked_at is None
    assert len(column(surveyed(instrument), "path", "a")) == 21


def test_the_hessians_plane_says_where_another_one_would_be_as_good():
    """Without any weights all three units are alike: what one of them has, the Hessian has three times."""
    run = run_of(0, hidden=[3], initializer="zeros")
    values = np.linalg.eigvalsh(hessian(run.network, run.setup.train, run.setup.loss))[::-1]
    caption = surveyed(HessianLandscape(run)).caption
    assert ("λ₁ ≈ λ₂" in caption) == (values[0] - values[1] < 0.05 * values[0])
    assert ("λ₂ ≈ λ₃" in caption) == (values[1] - values[2] < 0.05 * values[1])
    assert "≈" in caption
    assert "≈" not in surveyed(HessianLandscape(run_of(300))).caption


def test_the_hessians_plane_says_that_it_knows_nothing_of_kinks():
    assert "kinks of relu" in surveyed(HessianLandscape(run_of(20, activation="relu"))).caption
    assert "kinks of L1" in surveyed(HessianLandscape(run_of(20, l1=0.01))).caption
    assert "kinks" not in surveyed(HessianLandscape(run_of(20))).caption


def test_a_hessian_that_is_not_finite_has_no_plane_to_show():
    run = run_of(5)
    frame = run.frame()
    frame.epoch.parameters = np.full_like(frame.epoch.parameters, np.nan)
    steepest = SteepestPlane(run)
    for _ in steepest.work(frame):
        pass
    assert steepest.plane is None and steepest.knows(frame) and steepest.work(frame) is None


def test_surface_errors_show_the_loss_at_the_nearest_point_of_each_plane():
    run = run_of(300)
    instrument = surveyed(SurfaceErrors(run))
    found, end = instrument._found, run.frame().epoch.parameters
    for i in (0, len(found.epochs) // 2, -1):
        parameters = run.history.at(int(found.epochs[i])).parameters.copy()
        assert found.losses[i] == pytest.approx(true_loss(run, parameters), rel=1e-12)
        beneath = end.copy()
        beneath[[0, 2]] = parameters[[0, 2]]
        assert found.shown["slice"][i] == pytest.approx(true_loss(run, beneath), rel=1e-12)
    assert found.epochs[[0, -1]].tolist() == [0, 300]
    assert all(abs(losses[-1] - found.losses[-1]) < 1e-12 for losses in found.shown.values())


def test_after_a_changed_penalty_every_epoch_is_compared_by_the_objective_it_had():
    """All of the difference is the plane's: none at the end, and before the change none that the penalty makes."""
    run = run_of(100)
    run.settings.l2 = 0.3
    run.advance(100)
    found = surveyed(SurfaceErrors(run))._found
    end = run.frame().epoch.parameters
    for i in (0, len(found.epochs) // 2, -1):
        epoch = int(found.epochs[i])
        network = run.setup.network.copy()
        network.parameters[:] = end
        network.parameters[[0, 2]] = run.history.at(epoch).parameters[[0, 2]]
        expected = network.loss(run.setup.train, run.setup.loss, l2=0.0 if epoch <= 100 else 0.3)
        assert found.shown["slice"][i] == pytest.approx(expected, rel=1e-12)
    run.look_at(50)
    relief = surveyed(WeightSlice(run)).relief
    assert relief.here == pytest.approx(0, abs=1e-12)


def test_a_click_on_the_path_takes_all_pictures_to_that_epoch():
    run = run_of(200)
    instrument = surveyed(WeightSlice(run))
    dot = 40
    instrument.tapped(*(float(column(instrument, "path", name)[dot]) for name in ("a", "b")))
    assert run.frame().epoch.index == column(instrument, "path", "epoch")[dot]


def test_lines_run_from_the_start_and_from_every_other_run_to_this_one():
    run = run_of(seeds=4)
    instrument = surveyed(LinearInterpolation(run))
    lines, here = instrument.lines.losses, run.frame().epoch.parameters
    assert list(lines) == [START, *((OTHERS, seed) for seed in (1, 2, 3))]
    ends = [run.history.at(0).parameters, *run.study.results[OTHERS].parameters[1:]]
    for losses, end in zip(lines.values(), ends, strict=True):
        for i in (0, 20, 60):
            point = (1 - ALONG[i]) * end + ALONG[i] * here
            assert losses[i] == pytest.approx(true_loss(run, point), rel=1e-12)


def test_a_click_on_a_line_picks_the_run_in_all_pictures():
    run = run_of(seeds=4)
    instrument = surveyed(LinearInterpolation(run))
    losses = instrument.lines.losses[OTHERS, 3]
    instrument.tapped(0.4, float(np.interp(0.4, ALONG, losses)))
    assert run.view.picked == [OTHERS, 3]
    np.testing.assert_array_equal(column(surveyed(instrument), "picked", "loss"), losses)
    assert "seed 3" in instrument.caption


def test_without_a_study_there_is_the_line_from_the_start():
    run = Run(Settings(n=40, hidden=[3]))
    run.advance(50)
    assert "its own start" in surveyed(LinearInterpolation(run)).caption


def test_a_barrier_is_the_height_above_the_straight_connection():
    slanted = 3 - 2 * ALONG
    assert barrier(slanted) == pytest.approx(0, abs=1e-12)
    assert barrier(slanted + 4 * ALONG * (1 - ALONG)) == pytest.approx(1)


def test_walls_between_runs_vanish_once_their_units_are_matched():
    run = run_of(seeds=4, hidden=[16], noise=0.1)
    instrument = surveyed(LinearInterpolation(run))
    before = [barrier(losses) for key, losses in instrument.lines.losses.items() if key != START]
    instrument.match = True
    after = [barrier(losses) for key, losses in surveyed(instrument).lines.losses.items() if key != START]
    assert min(before) > 0.05 and np.median(before) > 0.3
    assert max(after) < 0.05


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "sine"])
def test_matched_networks_answer_as_before_and_undo_any_reordering(activation):
    network = Network([2, 6, 5, 1], activation, initializer="xavier", bias=0.1, seed=0)
    other, x = network.copy(), np.random.default_rng(0).standard_normal((20, 2))
    for layer, order in ((0, [3, 1, 5, 0, 2, 4]), (1, [4, 0, 3, 2, 1])):
        for part in (other.weights[layer], other.biases[layer]):
            part[...] = part[..., order]
        other.weights[layer + 1][...] = other.weights[layer + 1][order]
    np.testing.assert_allclose(matched(network, other.parameters), network.parameters)
    stranger = Network([2, 6, 5, 1], activation, initializer="xavier", bias=0.1, seed=1)
    moved = stranger.copy()
    moved.parameters[:] = matched(network, stranger.parameters)
    assert not np.array_equal(moved.parameters, stranger.parameters)
    np.testing.assert_allclose(moved.predict(x), stranger.predict(x), atol=1e-12)


def test_a_window_holds_all_places_and_stays_while_they_move_a_little():
    places = np.random.default_rng(0).uniform(-3, 5, (50, 2))
    (left, right), (bottom, top) = window = window_around(places, 0.5)
    assert left <= places[:, 0].min() - 0.5 and right >= places[:, 0].max() + 0.5
    assert bottom <= places[:, 1].min() - 0.5 and top >= places[:, 1].max() + 0.5
    assert right - left < 3 * np.ptp(places[:, 0])
    assert window_around(places * 1.0001, 0.5) == window
