"""The page of solvable worlds: every world's runs lie on its exact line but for chance, and its sentences are true."""

import math
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest

from dashboard.instruments.world_curves import WorldCurves, WorldDeviations
from dashboard.pages.worlds import SolvableWorldsPage
from dashboard.shell.app import App
from dashboard.state import solvable_worlds
from dashboard.state.run import Run
from dashboard.state.solvable_worlds import WORLDS, SolvableWorlds, run_of, samples_of
from dashboard.state.workers import Workers
from dashboard.state.worlds import cascade, deep_linear
from dashboard.state.worlds.catapult import EPOCHS
from dashboard.state.worlds.world import ENDLESS, SIZES, Sample
from engine.theory.cascade import SECOND

PATIENCE_S = 60
STEPS = {preset.study["world"]: step for step, preset in enumerate(SolvableWorldsPage.presets, 1)}
each_world = pytest.mark.parametrize("name", WORLDS)


@cache
def one_thread() -> Executor:
    """A worker of this process: others would have to start first."""
    return ThreadPoolExecutor(1)


@pytest.fixture(autouse=True)
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solvable_worlds, "workers", lambda: Workers(one_thread()))


def opened(name: str, **query: object) -> Run:
    run, problems = SolvableWorldsPage.opened(
        {"page": "worlds", "step": str(STEPS[name]), **{k: str(v) for k, v in query.items()}}
    )
    assert not problems
    return run


@cache
def sampled(name: str, size: int, runs: int) -> list[Sample]:
    values = opened(name).settings.values()
    return samples_of([run_of(name, size, values, seed) for seed in range(runs)])


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def drawn(app: App) -> list:
    while app.is_behind():
        app.draw()
    return app.shown.shown


def quoted(name: str, words: str) -> None:
    assert words in SolvableWorldsPage.presets[STEPS[name] - 1].doc


# Every world against its line


@pytest.mark.parametrize(("name", "size", "runs"), [("signals", 128, 60), ("gradients", 128, 60)])
def test_wide_random_networks_lie_on_the_line_but_for_chance(name, size, runs):
    """Of 16 layers that hang together, none is off by 4 standard errors; q is within 3 % on average over layers."""
    (sample,) = sampled(name, size, runs)
    off = sample.deviations(in_errors=True)
    assert np.nanmax(np.abs(off)) < 4
    if name == "signals":
        assert abs((sample.mean / sample.expected[0]).mean() - 1) < 0.03


def test_narrow_networks_are_off_the_line_of_infinite_width_by_more_than_chance():
    assert "at width 4 hundreds of runs leave the band of chance, at width 128 sixty do not" in SolvableWorldsPage.trap
    (sample,) = sampled("signals", 4, 300)
    assert np.abs(sample.deviations(in_errors=True)).max() > 4


@pytest.mark.parametrize(("name", "sizes"), [("signals", (4, 16, 64)), ("deep linear", (4, 16, 64))])
def test_runs_contract_onto_the_line_of_infinite_width(name, sizes):
    """Four times the width, half the spread, within a factor of 1.5 to both sides."""
    spreads = []
    for size in sizes:
        sample = sampled(name, size, 40)[0]
        spreads.append(np.quantile(sample.y.std(axis=0) / np.abs(sample.y).max(), 0.75))
    for wide, narrow in zip(spreads[1:], spreads, strict=False):
        assert 2 / 1.5 < narrow / wide < 2 * 1.5


@pytest.mark.parametrize("size", [4, 128])
def test_the_catapult_s_two_numbers_are_the_run_at_every_epoch(size):
    """The same products in another order: rounding, which the leap magnifies, is below a millionth of the largest."""
    (sample,) = sampled("catapult", size, 10)
    assert (np.abs(sample.y - sample.expected) < 1e-6 * sample.expected.max(axis=1, keepdims=True)).all()


def test_the_wider_the_later_and_the_higher_a_catapult_throws():
    quoted("catapult", "The wider, the later and the higher")
    tops = [sampled("catapult", size, 10)[0].y for size in (8, 32, 128)]
    assert (np.diff([np.median(y.max(axis=1)) for y in tops]) > 0).all()
    assert (np.diff([np.median(y.argmax(axis=1)) for y in tops]) > 0).all()
    assert np.median(tops[-1][:, EPOCHS] / tops[-1][:, 0]) < 1e-3


def test_beyond_the_edge_runs_do_what_the_map_says():
    """Cycles to a thousandth, beside the rates at which they change; chaos by its mean of 400 epochs to a twentieth."""
    (sample,) = sampled("cascade", 64, 4)
    off, rates = np.abs(sample.mean - sample.expected[0]), sample.x
    calm = (rates < 1.28) & (np.abs(rates - 1) > 0.02) & (np.abs(rates - SECOND) > 0.02)
    assert off[calm].max() < 1e-3
    assert off[np.isfinite(off)].max() < 0.05


def test_the_diagram_begins_with_a_fixed_point_and_goes_on_with_cycles():
    quoted("cascade", "goes to and fro between 2 values, then 4, then 8")
    line = cascade.orbits()
    found = [len(np.unique(np.round(line.y[np.isclose(line.x, rate)], 4))) for rate in line.x[:400]]
    by_rate = dict(zip(np.round(line.x[:400], 4).tolist(), found, strict=True))
    at = [by_rate[min(by_rate, key=lambda rate: abs(rate - wanted))] for wanted in (0.9, 1.1, 1.265, 1.293)]
    assert at == [1, 2, 4, 8]
    quoted("cascade", f"theory for {len(cascade.FINE)} rates")


def test_modes_are_learned_along_their_lines_the_strong_ones_first():
    """The flow of theory against steps: off by about the rate times s^2 / 2, 0.02 of 3."""
    samples = sampled("deep linear", 64, 10)
    for sample, strength in zip(samples, deep_linear.STRENGTHS, strict=True):
        assert sample.deviations(in_errors=False).max() < 0.005 * strength**2
    half = [int(np.argmax(sample.mean > strength / 2)) for sample, strength in zip(samples, (3, 2, 1), strict=True)]
    quoted("deep linear", "three times as late as that of 3")
    assert half[2] / half[0] == pytest.approx(3, rel=0.25)
    assert half[0] < half[1] < half[2]


def test_newton_s_answers_have_the_risk_of_theory():
    """Within 4 standard errors of 100 draws at every number of features."""
    (sample,) = sampled("double descent", 32, 100)
    assert np.abs(sample.deviations(in_errors=True)).max() < 4
    quoted("double descent", "the risk is highest where there are as many features as examples")
    risk = dict(zip(sample.x.tolist(), sample.mean.tolist(), strict=True))
    assert risk[0.25] < risk[0.75] > risk[3.0]


def test_wide_networks_keep_to_their_kernel_and_narrow_ones_do_not():
    quoted("wide", "at width 128 a few percent apart")
    apart = {}
    for size in (8, 128):
        (sample,) = sampled("wide", size, 8)
        apart[size] = float(np.median(np.abs(sample.y - sample.expected).max(axis=1) / sample.expected[:, 0]))
    assert apart[128] < 0.05
    assert apart[8] > 2 * apart[128]


# The page


@each_world
def test_the_page_s_run_is_on_the_line_that_is_drawn_before_it_is_trained(name):
    """What the red line shows at the end is what the world measures of the run with the page's seed."""
    run = opened(name)
    world = WORLDS[name]
    assert not world.misfit(run.settings)
    lines = run.study.lines(run.setup, run.settings)
    assert any(line.label for line in lines)
    assert all(np.isfinite(line.x).all() and np.isfinite(line.y).all() for line in lines)
    x, y = world.own(run.frame(), run.settings)
    assert len(x) == len(y) > 0
    if name in ("catapult", "wide"):
        run.advance(30)
        _, y = world.own(run.frame(), run.settings)
        assert y == pytest.approx(run_of(name, 128, run.settings.values(), 0)[0].y[:31], rel=1e-12)
    run.close()


@each_world
def test_every_world_is_drawn_and_its_runs_are_computed_beside_the_page(name):
    run = opened(name, seeds=3, size=8)
    app = App(run, "worlds")
    pictures = {type(one): one for one in drawn(app)}
    curves = pictures[WorldCurves]
    assert curves.lines
    assert "press “Run them”" in str(curves.caption)
    run.study.start(run.settings)
    wait_for(lambda: not run.study.busy)
    drawn(app)
    assert run.study.done == 3
    assert "3 runs" in str(curves.caption)
    dots = pictures[WorldDeviations].sources["dots"].data
    assert len(dots["x"]) == len(dots["y"]) == sum(len(sample.x) for sample in run.study.samples)
    app.close()


def test_the_dial_makes_the_page_s_run_as_large_and_a_number_typed_in_stays():
    run = opened("catapult")
    run.study.size = 16
    assert run.settings.hidden == [16]
    run.settings.hidden = [5]
    assert run.settings.hidden == [5]
    run.study.size = ENDLESS
    assert run.settings.hidden == [128]
    run.study.start(run.settings)
    assert "the line itself is the answer" in run.study.message
    assert not run.study.busy
    run.close()


def test_settings_of_no_world_say_which_step_leads_back():
    run = opened("catapult")
    app = App(run, "worlds")
    run.settings.activation = "relu"
    curves = next(one for one in drawn(app) if isinstance(one, WorldCurves))
    assert "is solved for activation linear" in str(curves.caption)
    assert not curves.lines
    run.study.start(run.settings)
    assert "Choose its step above again" in run.study.message
    app.close()


def test_runs_can_be_stopped_and_begun_again():
    run = opened("signals", seeds=200)
    run.study.start(run.settings)
    wait_for(lambda: run.study.done > 0)
    run.study.cancel()
    known = run.study.done
    assert 0 < known < 200
    time.sleep(0.2)
    assert run.study.done <= known + 1
    run.close()


def test_what_is_known_is_not_computed_again_and_another_rate_is(monkeypatch):
    run = opened("catapult", seeds=2)
    run.study.start(run.settings)
    wait_for(lambda: not run.study.busy)
    before = run.study.samples
    run.study.start(run.settings)
    assert run.study.samples is before
    run.settings.learning_rate = 1.1
    wait_for(lambda: not run.study.busy)
    assert run.study.samples is not before
    assert run.study.is_of(run.settings)
    run.close()


def test_sizes_go_from_4_to_128_to_infinity():
    assert SIZES == (4, 8, 16, 32, 64, 128, ENDLESS)
    assert "from 4 to 128" in SolvableWorldsPage.look_for
    assert list(SolvableWorlds.param.size.objects) == list(SIZES)


def test_deviations_are_in_standard_errors_of_the_mean():
    y = np.array([[1.0, 2.0], [3.0, math.nan], [5.0, 4.0]])
    sample = Sample(np.arange(2), y, np.zeros((3, 2)))
    assert sample.mean.tolist() == [3.0, 3.0]
    assert sample.deviations(in_errors=True) == pytest.approx(
        [3 / (2 / math.sqrt(3)), 3 / (math.sqrt(2) / math.sqrt(2))]
    )
