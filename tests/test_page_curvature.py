"""The page of the edge of stability: what it measures is the Hessian's, and the sharpness ends where theory says."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from dashboard.instruments.hessian_spectrum import HessianSpectrum
from dashboard.instruments.instrument import Instrument
from dashboard.instruments.layer_curvature import LayerCurvature
from dashboard.instruments.sharpest_direction import SharpestDirection
from dashboard.instruments.sharpness_curve import SharpnessCurve
from dashboard.instruments.sharpness_study import SharpnessStudy
from dashboard.pages import PAGES
from dashboard.pages.curvature import EdgeOfStability
from dashboard.shell.app import App
from dashboard.state.analyses.foresight import FLOWS, Foresight
from dashboard.state.analyses.optimizer_geometry import Geometry
from dashboard.state.analyses.sharpest_cut import STEPS
from dashboard.state.analyses.sharpness import DrawnSharpness, edge_of_stability
from dashboard.state.analyses.study_sharpness import StudyRun
from dashboard.state.followed import FollowedRun, SharedRun
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.state.study import Study
from engine.curvature import spectrum
from engine.optimizers import OPTIMIZERS

SMALL = {"hidden": [6]}
OWN_EDGES = [
    ("Adam's own edge", "adam", 0.001),
    ("", "adamw", 0.001),
    ("", "rmsprop", 0.001),
    ("", "adagrad", 0.02),
]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Every test computes its own study, with one thread as on the server: two wait for each other."""
    for memory in (Study.remembered, StudyRun.remembered):
        memory.clear()
    with threadpool_limits(1, user_api="blas"):
        yield
    for memory in (Study.remembered, StudyRun.remembered):
        memory.clear()


def run_of(epochs: int = 0, **changes: object) -> Run:
    run, _ = EdgeOfStability.opened()
    run.settings.param.update(**changes)
    run.advance(epochs)
    return run


def preset(label: str) -> dict[str, object]:
    return dict(next(preset.changes for preset in EdgeOfStability.presets if preset.label == label))


def study(run: Run, seeds: int, epochs: int) -> Study:
    """The run's study, computed in this process."""
    run.study.param.update(seeds=seeds, epochs=epochs)
    run.study._key = run.study.key(run.settings)
    for _ in run.study.pieces(run.settings):
        pass
    return run.study


def surveyed(instrument: Instrument) -> Instrument:
    """An instrument after all its heavy work."""
    instrument.draw(instrument.run.frame())
    while work := instrument.work(instrument.run.frame()):
        for _ in work:
            pass
        instrument.draw(instrument.run.frame())
    return instrument


def eigenvalues(run: Run) -> np.ndarray:
    """Of the Hessian at the run's newest epoch, from differences of gradients."""
    network, step = run.network, 1e-5
    start, columns = network.parameters.copy(), []
    for i in range(network.n_parameters):
        both = []
        for sign in (1, -1):
            network.parameters[:] = start
            network.parameters[i] += sign * step
            both.append(network.gradient(run.setup.train, run.setup.loss).flat.copy())
        columns.append((both[0] - both[1]) / (2 * step))
    hessian = np.array(columns)
    return np.linalg.eigvalsh((hessian + hessian.T) / 2)


def column(instrument: Instrument, layer: str, name: str) -> np.ndarray:
    return np.asarray(instrument.sources[layer].data[name])


def test_the_page_opens_with_a_study_of_learning_rates():
    app = App(EdgeOfStability.opened()[0], "curvature")
    assert app.run.study.plan is EdgeOfStability.plan
    app.close()


def test_every_preset_can_be_chosen_and_its_pictures_move():
    run, _ = EdgeOfStability.opened()
    page = EdgeOfStability(run)
    for chosen in EdgeOfStability.presets:
        page.choose(chosen)
        for _ in EdgeOfStability.instruments:
            page.draw(run.frame(), run.version)
        pictures = page.shown[:4]
        before = [surveyed(instrument).caption for instrument in pictures]
        run.advance(600)
        after = [surveyed(instrument).caption for instrument in pictures]
        assert len(page.shown) == len(EdgeOfStability.instruments)
        assert all(one != other for one, other in zip(before, after, strict=True)), chosen.label
        assert not run.message
    run.close()


def test_the_curve_is_the_largest_eigenvalue_at_every_epoch_that_is_drawn():
    run = run_of(60, **SMALL)
    instrument = surveyed(SharpnessCurve(run))
    assert column(instrument, "dots", "epoch").tolist() == list(range(61))
    # Differences of gradients over 1e-5 are good to about 1e-9 of the largest entry.
    assert column(instrument, "dots", "sharpness")[-1] == pytest.approx(eigenvalues(run)[-1], rel=1e-6)
    assert column(instrument, "now", "sharpness") == column(instrument, "dots", "sharpness")[-1]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_next_eigenvalues_are_those_of_the_whole_hessian(optimizer):
    run = run_of(40, **SMALL, optimizer=optimizer)
    instrument = SharpnessCurve(run, eigenvalues=4)
    surveyed(instrument)
    hessian = spectrum(run.network, run.setup.train, run.setup.loss).hessian
    scale = np.sqrt(divisors(run)) if optimizer == "adam" else np.ones(len(hessian))
    expected = np.linalg.eigvalsh(hessian / np.outer(scale, scale))[::-1][:4]
    last = column(instrument, "others", "epoch") == 40
    assert column(instrument, "dots", "sharpness")[-1] == pytest.approx(expected[0], rel=1e-6)
    np.testing.assert_allclose(column(instrument, "others", "sharpness")[last], expected[1:], rtol=1e-5)
    assert len(column(instrument, "others", "epoch")) == 3 * 41
    instrument.eigenvalues = 1
    assert len(column(surveyed(instrument), "others", "epoch")) == 0


def test_a_curve_that_stays_behind_says_where_it_has_come_to_and_catches_up():
    run = run_of(60, **SMALL)
    instrument = SharpnessCurve(run)
    work = instrument.work(run.frame())
    for _ in range(10):
        next(work)
    instrument.draw(run.frame())
    known = instrument._sharpness.found
    came_to = next(epoch for epoch in range(61) if epoch + 1 not in known)
    assert 0 < came_to < 59
    assert f"the curve has come to epoch {came_to}" in instrument.caption
    assert "the curve has come" not in surveyed(instrument).caption


def test_over_rate_times_epoch_all_rates_lie_on_one_curve_until_each_meets_its_edge():
    """Well below its edge a large rate is where a small one is, but for the discrete steps: within 5 %."""
    run = run_of()
    study(run, seeds=1, epochs=200)
    instrument = surveyed(SharpnessStudy(run, by_distance=True))
    curves = instrument.curves
    assert instrument.figure.yaxis[0].axis_label == "sharpness"
    assert "learning rate" in instrument.figure.xaxis[0].axis_label
    rates = {label: curve.result.settings["learning_rate"] for label, curve in curves.items()}
    for label, curve in curves.items():
        np.testing.assert_allclose(curve.index, rates[label] * curve.result.index)
    slow, fast = curves["rate 0.05"], curves["rate 0.1"]
    together = np.interp(slow.index, fast.index, fast.runs[0])
    below = (slow.index > 0) & (together < 0.8 * 2 / 0.1)
    assert below.sum() > 5
    np.testing.assert_allclose(slow.runs[0][below], together[below], rtol=0.05)
    by_epoch = np.interp(slow.result.index, fast.result.index, fast.runs[0])
    assert np.abs(slow.runs[0] / by_epoch - 1).max() > 0.05
    heights = sorted(ys[0] for ys in instrument.sources["predictions"].data["ys"])
    assert heights == pytest.approx([10.0, 20.0, 40.0])


def test_over_rate_times_epoch_a_run_of_twice_the_rate_lies_on_the_same_curve_until_its_edge():
    """Well below its edge a large rate is where a small one is, but for the discrete steps: within 5 %."""
    drawn = {}
    for rate in (0.05, 0.1):
        picture = surveyed(SharpnessCurve(run_of(240, learning_rate=rate), by_distance=True))
        drawn[rate] = column(picture, "dots", "distance"), column(picture, "dots", "sharpness")
        np.testing.assert_allclose(drawn[rate][0], rate * column(picture, "dots", "epoch"))
        assert "learning rate" in picture.figure.xaxis[0].axis_label
    distance, slow = drawn[0.05]
    fast = np.interp(distance, *drawn[0.1])
    below = fast < 0.8 * 2 / 0.1
    assert below.sum() > 100
    np.testing.assert_allclose(slow[below], fast[below], rtol=0.05)
    assert np.abs(slow / drawn[0.1][1] - 1).max() > 0.05  # over epochs they differ


def test_over_rate_times_epoch_a_changed_rate_or_schedule_counts_from_its_own_epoch_on():
    run = run_of(40, **SMALL, schedule="step", every=10, drop=0.5)
    run.settings.learning_rate = 0.02
    instrument = surveyed(SharpnessCurve(run, by_distance=True))
    factor = 0.5 ** (np.arange(60) // 10)
    expected = np.concatenate([[0.0], np.cumsum(np.where(np.arange(60) < 40, 0.1, 0.02) * factor)])
    assert column(instrument, "now", "distance") == pytest.approx(expected[40])
    assert column(instrument, "ahead", "x1") == pytest.approx(expected[instrument._right(run.frame())])
    run.advance(20)
    surveyed(instrument)
    np.testing.assert_allclose(column(instrument, "dots", "distance"), expected)
    np.testing.assert_allclose(column(instrument, "edge", "distance"), expected)
    np.testing.assert_array_equal(column(instrument, "edge", "sharpness"), run.frame().edges(np.arange(61)))
    assert instrument.figure.x_range.end > expected[-1]


def test_a_click_over_rate_times_epoch_looks_at_the_epoch_that_was_there():
    run = run_of(60, **SMALL)
    instrument = surveyed(SharpnessCurve(run, by_distance=True))
    instrument.tapped(3.04, 5.0)
    assert run.looked_at == 30
    instrument.by_distance = False
    assert instrument.figure.xaxis[0].axis_label == "epoch"
    assert instrument.work(run.frame()) is None  # another axis takes no measuring
    instrument.tapped(12.2, 5.0)
    assert run.looked_at == 12


def test_what_is_foreseen_lies_over_rate_times_epoch_too():
    run = run_of(20, **SMALL, learning_rate=0.2)
    run.view.param.update(foreseen_from=20, foreseen_steps=60)
    for _ in run.analysis(Foresight).work(run.frame()):
        pass
    instrument = surveyed(SharpnessCurve(run, by_distance=True))
    for name in FLOWS:
        epochs = column(instrument, name, "epoch")
        assert len(epochs) > 3
        np.testing.assert_allclose(column(instrument, name, "distance"), 0.2 * epochs)


def test_looking_back_measures_at_the_epoch_that_is_shown():
    run = run_of(600, **SMALL)
    instrument = surveyed(SharpnessCurve(run))
    run.look_at(101)
    surveyed(instrument)
    at_101 = run_of(101, **SMALL)
    assert column(instrument, "now", "epoch").tolist() == [run.frame().epoch.index]
    if run.frame().epoch.index == 101:
        assert column(instrument, "now", "sharpness")[0] == pytest.approx(eigenvalues(at_101)[-1], rel=1e-6)


def test_the_edge_moves_with_the_slider_before_anything_is_trained():
    run = run_of(10, **SMALL)
    instrument = surveyed(SharpnessCurve(run))
    assert column(instrument, "ahead", "y0") == pytest.approx(20)
    run.settings.learning_rate = 0.2
    instrument.draw(run.frame())
    assert column(instrument, "ahead", "y0") == pytest.approx(10)
    assert column(instrument, "edge", "sharpness")[-1] == pytest.approx(20)
    run.advance(5)
    instrument.draw(run.frame())
    assert column(instrument, "edge", "sharpness")[-1] == pytest.approx(10)


def test_newtons_method_has_no_line_and_says_why():
    run = run_of(10, **SMALL, optimizer="newton")
    instrument = surveyed(SharpnessCurve(run))
    assert len(column(instrument, "ahead", "y0")) == 0
    assert "newton divides by the Hessian itself" in instrument.caption


def divisors(run: Run) -> np.ndarray:
    """What the run's Adam divides its next step by, from the gradients of all epochs, as Kingma & Ba write it."""
    settings, network, square = run.settings, run.setup.network.copy(), 0.0
    steps = run.history[-1].index + 1
    for epoch in range(steps):
        network.parameters[:] = run.history.at(epoch).parameters
        gradient = network.gradient(run.setup.train, run.setup.loss).flat
        square = settings.beta2 * square + (1 - settings.beta2) * gradient**2
    return (1 - settings.beta1**steps) * (np.sqrt(square / (1 - settings.beta2**steps)) + settings.epsilon)


def preconditioned_sharpness(run: Run, divisor: np.ndarray) -> float:
    """The largest eigenvalue of H / P: P^-1/2 H P^-1/2 has the same."""
    hessian = spectrum(run.network, run.setup.train, run.setup.loss).hessian
    return float(np.linalg.eigvalsh(hessian / np.sqrt(np.outer(divisor, divisor)))[-1])


@pytest.mark.parametrize("beta1", [0.5, 0.9])
def test_adams_sharpness_is_that_of_the_preconditioned_hessian_and_its_edge_is_adams_own(beta1):
    run = run_of(30, **SMALL, optimizer="adam", beta1=beta1)
    instrument = surveyed(SharpnessCurve(run))
    expected, edge = preconditioned_sharpness(run, divisors(run)), (2 + 2 * beta1) / (1 - beta1) / 0.01
    assert column(instrument, "dots", "sharpness")[-1] == pytest.approx(expected, rel=1e-6)
    assert column(instrument, "ahead", "y0") == pytest.approx(edge)
    assert f"{expected / edge:.2f} of the edge" in instrument.caption


def test_adams_sharpness_of_the_past_is_measured_with_what_it_divided_by_then():
    """Looking back, and after a change of the rate on the way, as if the run had been measured as it went."""
    run = run_of(40, **SMALL, optimizer="adam")
    expected = preconditioned_sharpness(run, divisors(run))
    run.settings.learning_rate = 0.002
    run.advance(40)
    drawn = column(surveyed(SharpnessCurve(run)), "dots", "sharpness")
    assert len(drawn) == 81
    assert drawn[40] == pytest.approx(expected, rel=1e-6)
    assert drawn[80] == pytest.approx(preconditioned_sharpness(run, divisors(run)), rel=1e-6)
    follower = FollowedRun(SharedRun(run, "curvature"))
    np.testing.assert_allclose(column(surveyed(SharpnessCurve(follower)), "dots", "sharpness"), drawn, rtol=1e-6)


@pytest.mark.parametrize(("label", "optimizer", "rate"), OWN_EDGES)
def test_the_preconditioned_sharpness_settles_at_the_optimizers_own_edge(label, optimizer, rate):
    """Cohen 2022; the last 20 of 40 measurements, 50 epochs apart: one alone is off by up to a fifth."""
    run = run_of(**(preset(label) if label else {"optimizer": optimizer, "learning_rate": rate}))
    assert (run.settings.optimizer, run.settings.learning_rate) == (optimizer, rate)
    run.advance(2000)
    sharpness = DrawnSharpness(run, run.setup)
    rows = run.frame().kept()
    for _ in sharpness.work(run.frame(), rows.rows(rows.index % 50 == 0), 50):
        pass
    shares = np.array([sharpness.found[epoch] for epoch in range(1000, 2001, 50)]) / run.frame().edge
    assert np.median(shares) == pytest.approx(1, abs=0.06)


def test_after_a_changed_penalty_the_sharpness_of_the_past_is_that_of_the_past():
    run = run_of(20, **SMALL)
    run.settings.l2 = 0.5
    run.advance(20)
    drawn = column(surveyed(SharpnessCurve(run)), "dots", "sharpness")
    plain = column(surveyed(SharpnessCurve(run_of(20, **SMALL))), "dots", "sharpness")
    np.testing.assert_allclose(drawn[:21], plain, rtol=1e-6)
    network = run.setup.network.copy()
    for epoch in (21, 40):
        network.parameters[:] = run.history.at(epoch).parameters
        assert drawn[epoch] == pytest.approx(spectrum(network, run.setup.train, run.setup.loss, l2=0.5).sharpness)


def test_the_edge_that_was_stays_where_it_was_when_momentum_is_changed():
    run = run_of(20, **SMALL, optimizer="momentum", momentum=0.9)
    instrument = surveyed(SharpnessCurve(run))
    run.settings.momentum = 0.5
    run.advance(20)
    instrument.draw(run.frame())
    rate = run.settings.learning_rate
    expected = np.where(np.arange(41) < 20, 3.8 / rate, 3.0 / rate)
    np.testing.assert_allclose(column(instrument, "edge", "sharpness"), expected)
    assert column(instrument, "ahead", "y0") == pytest.approx(3.0 / rate)


def test_a_fork_shows_no_sharpness_of_the_way_it_left():
    run = run_of(60, **SMALL)
    instrument = surveyed(SharpnessCurve(run))
    run.look_at(30)
    run.settings.learning_rate = 0.01
    run.fork()
    run.advance(30)
    drawn = column(surveyed(instrument), "dots", "sharpness")
    network = run.network
    assert drawn[60] == pytest.approx(spectrum(network, run.setup.train, run.setup.loss).sharpness)


@pytest.mark.parametrize("pieces", range(1, 6))
def test_a_measurement_that_is_dropped_after_any_piece_can_be_begun_again(pieces):
    settings = run_of(**SMALL).settings.values()
    whole = StudyRun(settings, 0)
    for _ in whole.measure(np.array([0, 40, 80])):
        pass
    StudyRun.remembered.clear()
    dropped = StudyRun(settings, 0)
    while len(dropped.measured) < 3:
        work = dropped.measure(np.array([0, 40, 80])[len(dropped.measured) :])
        for count, _ in enumerate(work, 1):
            if count == pieces:
                break
        work.close()
    np.testing.assert_allclose(dropped.measured, whole.measured, rtol=1e-9)


@pytest.mark.parametrize(
    ("optimizer", "edge"), [("sgd", 2.0), ("momentum", 3.6), ("nesterov", 3.6 / 2.6), ("newton", None)]
)
def test_the_study_draws_the_share_of_the_optimizers_own_edge_or_the_sharpness_where_there_is_none(optimizer, edge):
    run = run_of(**SMALL, optimizer=optimizer, **({"momentum": 0.8} if optimizer in ("momentum", "nesterov") else {}))
    result = study(run, seeds=1, epochs=20).results["rate 0.1"]
    instrument = surveyed(SharpnessStudy(run))
    one = Run(Settings(**result.settings))
    one.advance(20)
    sharp = spectrum(one.network, one.setup.train, one.setup.loss).sharpness
    shown = instrument.of_result(result)[0, -1]
    assert shown == pytest.approx(sharp if edge is None else sharp * 0.1 / edge, rel=1e-6)
    label = instrument.figure.yaxis[0].axis_label
    assert label == ("sharpness" if edge is None else "sharpness / edge of stability")
    assert ("newton divides by the Hessian itself" in instrument.caption) == (edge is None)
    assert len(instrument.sources["predictions"].data["xs"]) == (edge is not None)


def test_the_studys_adam_is_measured_with_what_it_divides_by():
    run = run_of(**SMALL, optimizer="adam")
    result = study(run, seeds=1, epochs=20).results["rate 0.1"]
    instrument = surveyed(SharpnessStudy(run))
    one = Run(Settings(**result.settings))
    one.advance(20)
    expected = preconditioned_sharpness(one, divisors(one)) / (38 / 0.1)
    assert instrument.of_result(result)[0, -1] == pytest.approx(expected, rel=1e-6)
    assert instrument.figure.yaxis[0].axis_label == "sharpness / edge of stability"


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "newton"])
@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_a_quadratic_as_sharp_as_the_edge_is_where_the_optimizer_begins_to_diverge(optimizer, rate):
    """What it divides by is held as it is after many gradients of 0.3: the edge is one of the curvature over it."""
    settings = Settings(optimizer=optimizer, learning_rate=rate)
    edge = float(edge_of_stability(settings, np.array([rate]))[0])
    for share, settles in ((0.98, True), (1.02, False)):
        chosen, x = OPTIMIZERS[optimizer](learning_rate=rate), np.full(1, 1e-9)
        state = chosen.start(x)
        held = {name: np.full(1, 0.09) for name in ("square", "square_sum") if name in state}
        state |= {"steps": np.array(1e6)} if "steps" in state else {}
        state |= {name: value.copy() for name, value in held.items()}
        divisor = chosen.preconditioner(state, np.zeros(1))
        for _ in range(1000):
            state |= {name: value.copy() for name, value in held.items()}
            chosen.step(x, share * edge * x * (1 if divisor is None else divisor), state, rate)
        assert bool(abs(x[0]) < 1e-9) is settles


def test_the_spectrum_is_that_of_the_hessian():
    run = run_of(30, **SMALL)
    instrument, expected = surveyed(HessianSpectrum(run)), eigenvalues(run)
    shown = column(instrument, "dots", "eigenvalue")
    leading = expected[np.argsort(-np.abs(expected))][:5]
    np.testing.assert_allclose(np.sort(shown[:5]), np.sort(leading), rtol=1e-3)  # drawn to four digits
    assert f"sum {expected.sum():.3g}" in instrument.caption
    assert f"{np.count_nonzero(expected < -1e-7)} negative" in instrument.caption
    assert column(instrument, "edge", "y") == pytest.approx(20)


def test_too_large_a_network_has_no_exact_spectrum():
    assert not HessianSpectrum.suits(Run(Settings(hidden=[60, 60])).frame())
    assert HessianSpectrum.suits(run_of().frame())


def test_the_cut_shows_the_loss_along_the_sharpest_direction():
    run = run_of(300)
    cut, network = surveyed(SharpestDirection(run)).cut, run.network
    i, width = len(cut.places) // 2, cut.places[1] - cut.places[0]
    assert cut.losses[i] == pytest.approx(network.loss(run.setup.train, run.setup.loss), rel=1e-12)
    bend = (cut.parabola[i + 1] - 2 * cut.parabola[i] + cut.parabola[i - 1]) / width**2
    assert bend == pytest.approx(cut.sharpness, rel=1e-6)
    slope = (cut.losses[i + 1] - cut.losses[i - 1]) / (2 * width)
    assert slope == pytest.approx((cut.parabola[i + 1] - cut.parabola[i - 1]) / (2 * width), rel=0.05, abs=1e-3)
    np.testing.assert_array_equal(cut.bounces[:, 1], [run.history.at(int(epoch)).loss for epoch in cut.bounces[:, 2]])
    assert len(cut.bounces) == STEPS


def test_at_the_edge_every_step_leaps_to_the_other_wall():
    turns = {}
    for label, epochs in (("on the way", 40), ("at the edge", 2000)):
        moves = np.diff(surveyed(SharpestDirection(run_of(epochs))).cut.bounces[:, 0])
        turns[label] = np.count_nonzero(moves[1:] * moves[:-1] < 0)
    assert turns["at the edge"] == STEPS - 2
    assert turns["on the way"] < STEPS - 2


def test_the_spectrum_of_adam_is_that_of_the_preconditioned_hessian_and_so_is_its_edge():
    run = run_of(30, **SMALL, optimizer="adam")
    instrument, scale = surveyed(HessianSpectrum(run)), np.sqrt(divisors(run))
    expected = np.linalg.eigvalsh(
        spectrum(run.network, run.setup.train, run.setup.loss).hessian / np.outer(scale, scale)
    )
    shown = column(instrument, "dots", "eigenvalue")
    leading = expected[np.argsort(-np.abs(expected))][:5]
    np.testing.assert_allclose(np.sort(shown[:5]), np.sort(leading), rtol=1e-3)  # drawn to four digits
    assert instrument.caption.startswith(f"P⁻¹H: largest {expected[-1]:.3g}")
    assert column(instrument, "edge", "y") == pytest.approx(38 / run.settings.learning_rate)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad"])
def test_the_cut_of_a_preconditioned_run_is_along_the_sharpest_direction_of_what_it_descends(optimizer):
    """One number for the curve, the spectrum and the cut, and the loss itself bends by it along the cut."""
    run = run_of(60, **SMALL, optimizer=optimizer)
    cut = surveyed(direction := SharpestDirection(run)).cut
    assert cut.sharpness == pytest.approx(column(surveyed(SharpnessCurve(run)), "now", "sharpness")[0], rel=1e-6)
    assert cut.sharpness == pytest.approx(surveyed(HessianSpectrum(run)).measured.sharpness, rel=1e-6)
    i, width = len(cut.places) // 2, cut.places[1] - cut.places[0]
    for curve, off in ((cut.parabola, 1e-6), (cut.losses, 0.1)):  # the loss has a third and a fourth derivative, too
        assert (curve[i + 1] - 2 * curve[i] + curve[i - 1]) / width**2 == pytest.approx(cut.sharpness, rel=off)
    assert f"epoch {cut.epoch}, along P⁻¹H: " in direction.caption


@pytest.mark.parametrize("rates", [None, "by layer", "a layer stands still"])
def test_a_step_along_the_sharpest_direction_is_as_long_as_it_is_drawn(rates):
    scaled = {"by layer": np.linspace(0.01, 9.0, 12), "a layer stands still": np.repeat([0.0, 2.0], 6)}.get(rates)
    geometry, vector = Geometry(scaled), np.random.default_rng(0).standard_normal(12)
    vector[:6] *= rates != "a layer stands still"
    vector /= np.linalg.norm(vector)
    steps = np.array([0.5, -2.0])[:, None] * geometry.direction(vector)
    np.testing.assert_allclose(geometry.along(vector, steps), [0.5, -2.0])


def test_layers_with_rates_of_their_own_have_a_cut_as_sharp_as_the_curve_says():
    run = run_of(60, **SMALL, layer_rates=[0.2, 0.5])
    cut = surveyed(SharpestDirection(run)).cut
    assert cut.sharpness == pytest.approx(column(surveyed(SharpnessCurve(run)), "now", "sharpness")[0], rel=1e-6)
    assert cut.sharpness < 0.6 * eigenvalues(run)[-1]


def test_at_its_own_edge_adam_leaps_to_the_other_wall_as_gradient_descent_does():
    """Nearly every step: what Adam remembers of the slopes before lets some go on the same way."""
    turns = [
        surveyed(SharpestDirection(run_of(epochs, **preset("Adam's own edge")))).cut.turns for epochs in (100, 1500)
    ]
    assert turns[0] < 0.6 * (STEPS - 2)
    assert turns[1] > 0.75 * (STEPS - 2)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_bars_are_the_largest_eigenvalues_of_each_layers_block_and_of_the_whole(optimizer):
    run = run_of(30, hidden=[5, 4], optimizer=optimizer)
    instrument = surveyed(LayerCurvature(run))
    hessian = spectrum(run.network, run.setup.train, run.setup.loss).hessian
    scale = np.sqrt(divisors(run)) if optimizer == "adam" else np.ones(len(hessian))
    hessian = hessian / np.outer(scale, scale)
    ends = np.cumsum([0, 2 * 5, 6 * 4, 5])
    blocks = [np.linalg.eigvalsh(hessian[i:j, i:j])[-1] for i, j in pairwise(ends)]
    whole = np.linalg.eigvalsh(hessian)[-1]
    np.testing.assert_allclose(column(instrument, "bars", "top"), [*blocks, whole], rtol=1e-6)
    assert column(instrument, "bars", "layer").tolist() == ["1", "2", "output", "whole"]
    assert column(instrument, "edge", "y") == pytest.approx(run.frame().edge)
    assert f"whole network {whole:.3g}" in instrument.caption and f"{max(blocks):.3g}" in instrument.caption
    assert instrument.caption.startswith("P⁻¹H") == (optimizer == "adam")


def test_bars_go_on_from_the_epoch_before_and_back_to_one_that_is_looked_at():
    run = run_of(30, **SMALL)
    instrument = surveyed(LayerCurvature(run))
    run.advance(30)
    later = column(surveyed(instrument), "bars", "sharpness")
    np.testing.assert_allclose(later, column(surveyed(LayerCurvature(run)), "bars", "sharpness"), rtol=1e-7)
    run.look_at(30)
    earlier = column(surveyed(instrument), "bars", "sharpness")
    at_30 = column(surveyed(LayerCurvature(run_of(30, **SMALL))), "bars", "sharpness")
    np.testing.assert_allclose(earlier, at_30, rtol=1e-7)
    assert column(instrument, "moment", "text").tolist() == ["epoch 30"]


def test_a_layer_that_only_bends_down_has_a_bar_below_zero():
    """Being wrong and sure of it costs nearly 1, at most: from there the loss falls off in every direction."""
    run = run_of(3, dataset="linear", hidden=[], loss="mse", initializer="zeros", bias=5.0, n=40)
    instrument = surveyed(LayerCurvature(run))
    sharpness, bottoms = column(instrument, "bars", "sharpness"), column(instrument, "bars", "bottom")
    largest = spectrum(run.network, run.setup.train, run.setup.loss).sharpness
    np.testing.assert_allclose(sharpness, largest, rtol=1e-6)
    assert largest < 0
    np.testing.assert_array_equal(bottoms, sharpness)
    assert instrument.figure.y_range.start < largest and instrument.figure.y_range.end > 0


def test_for_every_learning_rate_the_sharpness_settles_at_its_edge():
    run = run_of()
    study(run, seeds=1, epochs=4000)
    instrument = surveyed(SharpnessStudy(run))
    settled = {}
    for label, result in instrument.results.items():
        assert result.index[-1] == 4000
        shares = instrument.of_result(result)
        settled[label] = shares[0, -len(result.index) // 4 :].mean()
        if label != "rate 0.2":
            assert shares[0, 0] < 1
    assert list(settled) == list(EdgeOfStability.plan.variants)
    assert all(0.95 < share < 1.1 for share in settled.values()), settled


def test_the_study_measures_its_own_runs_at_its_own_epochs():
    run = run_of(**SMALL)
    result = study(run, seeds=2, epochs=200).results["rate 0.2"]
    instrument = surveyed(SharpnessStudy(run))
    one = Run(Settings(**{**result.settings, "seed": 1}))
    one.advance(200)
    np.testing.assert_array_equal(one.history[-1].parameters, result.parameters[1])
    assert instrument.of_result(result)[1, -1] == pytest.approx(eigenvalues(one)[-1] * 0.1, rel=1e-6)
    assert instrument.of_result(result).shape == (2, len(result.index))


def test_what_was_measured_once_is_not_measured_again_for_anybody(monkeypatch):
    run, other = run_of(**SMALL), run_of(**SMALL)
    result, same = (study(one, seeds=1, epochs=100).results["rate 0.1"] for one in (run, other))
    first = surveyed(SharpnessStudy(run)).of_result(result)
    monkeypatch.setattr("dashboard.state.run.Training", None)
    np.testing.assert_array_equal(surveyed(SharpnessStudy(other)).of_result(same), first)


def test_another_study_takes_the_place_of_the_one_before():
    run = run_of(**SMALL)
    study(run, seeds=1, epochs=50)
    instrument = surveyed(SharpnessStudy(run))
    run.settings.activation = "sigmoid"
    study(run, seeds=1, epochs=50)
    assert instrument.results == {}
    surveyed(instrument)
    assert all(result.settings["activation"] == "sigmoid" for result in instrument.results.values())


def test_a_catapult_throws_the_run_to_where_the_valley_is_wider():
    """Lewkowycz 2020: the loss rises far above where it began, and comes down with a sharpness below 2 / rate."""
    run = run_of(**preset("Catapult"))
    instrument = surveyed(SharpnessCurve(run))
    edge = 2 / run.settings.learning_rate
    assert column(instrument, "dots", "sharpness")[0] > edge
    run.advance(300)
    losses = run.history.kept().loss
    assert losses.max() > 5 * losses[0]
    assert losses[-100:].min() < losses[0] / 2
    sharpness = column(surveyed(instrument), "dots", "sharpness")
    assert sharpness[np.argmax(losses) // (300 // (len(sharpness) - 1)) :].min() < edge


def test_tiny_weights_start_at_a_saddle_and_leave_it():
    run = run_of(**preset("A saddle"))
    instrument = surveyed(HessianSpectrum(run))
    down = [np.count_nonzero(instrument.measured.signs < 0)]
    start = run.history[-1].loss
    run.advance(1000)
    down.append(np.count_nonzero(surveyed(instrument).measured.signs < 0))
    assert down[1] < down[0]
    assert start == pytest.approx(np.log(2), abs=1e-3)
    assert run.history.at(200).loss > 0.69
    assert run.history[-1].loss < 0.1


def test_a_comparison_that_knows_one_number_only_has_ticks_that_can_be_told_apart():
    run, _ = PAGES["curvature"].opened()
    study = SharpnessStudy(run)
    study.draw(run.frame())
    assert study.figure.y_range.end - study.figure.y_range.start > 0.1
