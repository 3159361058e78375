"""What is foreseen of a run on its page: where it begins, when it begins anew, what it says, and when it says no."""

import numpy as np
import pytest

from dashboard.export.static_page import static_page
from dashboard.instruments.flow_distance import FlowDistance
from dashboard.instruments.foreseen import signed_share
from dashboard.instruments.instrument import Instrument
from dashboard.instruments.sharpness_curve import SharpnessCurve
from dashboard.pages.curvature import EdgeOfStability, LossInLeaps
from dashboard.state.analyses.foresight import FLOWS, Foresight
from dashboard.state.followed import FollowedRun, SharedRun
from dashboard.state.run import Run

SMALL = {"hidden": [8, 8], "learning_rate": 0.2}


def run_of(epochs: int, foreseen_from: int | None = None, steps: int = 60, **changes: object) -> Run:
    run, _ = EdgeOfStability.opened()
    run.settings.param.update(**{**SMALL, **changes})
    run.advance(epochs) if epochs else None
    run.view.param.update(foreseen_from=foreseen_from, foreseen_steps=steps)
    return run


def foreseen(run: Run) -> Foresight:
    """The run's foresight when all is computed."""
    foresight = run.analysis(Foresight)
    for _ in foresight.work(run.frame()) or ():
        pass
    return foresight


def column(instrument: Instrument, layer: str, name: str) -> np.ndarray:
    return np.asarray(instrument.sources[layer].data[name])


def test_nothing_is_foreseen_before_it_is_asked_for():
    run = run_of(20)
    assert run.analysis(Foresight).work(run.frame()) is None
    assert not foreseen(run).shown(run.frame())


def test_both_flows_begin_at_the_weights_of_the_epoch_and_reach_as_far_as_is_asked():
    run = run_of(20, 20)
    foresight = foreseen(run)
    paths = foresight.shown(run.frame())
    assert list(paths) == list(FLOWS) and foresight.progress == 1
    for path in paths.values():
        assert path.epochs.tolist() == list(range(20, 81))
        assert path.loss[0] == pytest.approx(run.history.at(20).loss)
        np.testing.assert_array_equal(path.weights[0], run.history.at(20).parameters)
    assert foresight.work(run.frame()) is None


@pytest.mark.parametrize("kind", [SharpnessCurve, LossInLeaps])
def test_every_picture_draws_what_is_foreseen_ahead_of_the_run(kind):
    run = run_of(20)
    instrument = kind(run)
    assert all(len(column(instrument, name, "epoch")) == 0 for name in FLOWS)
    run.view.foreseen_from = 20
    paths = foreseen(run).paths
    instrument.draw(run.frame())
    for name, path in paths.items():
        values, drawn = path.column(kind.foreseen), column(instrument, name, kind.foreseen)
        np.testing.assert_array_equal(drawn, values[np.isfinite(values)])
        assert column(instrument, name, "epoch")[0] == 20
    assert instrument.ranges(run.frame())["x"][1] >= 80
    run.view.foreseen_from = None
    foreseen(run)
    instrument.draw(run.frame())
    assert all(len(column(instrument, name, "epoch")) == 0 for name in FLOWS)


def test_the_page_says_how_far_the_run_is_from_each_flow():
    run = run_of(20, 20)
    paths = foreseen(run).paths
    pictures = LossInLeaps(run), FlowDistance(run)
    assert "off by" not in pictures[0].caption
    run.advance(60)
    for picture in pictures:
        picture.draw(run.frame())
    rows = run.history.between(19, 80)
    for name, path in paths.items():
        off = np.mean(path.loss) / rows.loss.mean() - 1
        assert f"{name} {signed_share(off)}" in pictures[0].caption
        # Of the flows every eighth epoch is kept: their mean is that of all but for how they bend within eight epochs.
        away = np.linalg.norm(rows.parameters.mean(axis=0) - np.mean(path.weights, axis=0))
        assert foreseen(run).compared(run.frame())[name].distance == pytest.approx(away, rel=0.2, abs=0.01)
    assert "over 61 epochs" in pictures[1].caption


def test_distances_are_those_from_the_central_flow():
    run = run_of(20, 20)
    picture = FlowDistance(run)
    assert len(column(picture, "gradient flow", "epoch")) == 0
    paths = foreseen(run).paths
    picture.draw(run.frame())
    kept = np.array(paths["central flow"].weights)
    expected = np.linalg.norm(np.array(paths["gradient flow"].weights) - kept, axis=1)
    np.testing.assert_allclose(column(picture, "gradient flow", "distance"), expected)
    assert column(picture, "gradient flow", "epoch").tolist() == list(range(20, 80, 8))
    assert column(picture, "central flow", "distance").tolist() == [0, 0]
    for epochs in (30, 26):  # in two frames: the second only adds rows
        run.advance(epochs)
        picture.draw(run.frame())
    assert column(picture, "run", "epoch").tolist() == list(range(20, 77))
    for place, one in ((3, 44), (7, 76)):
        away = np.linalg.norm(run.history.at(one).parameters - kept[place])
        assert column(picture, "run", "distance")[one - 20] == pytest.approx(away)
    assert column(picture, "now", "distance") == pytest.approx(column(picture, "run", "distance")[-1])
    between = paths["central flow"].weights_at(np.array([22]))[0]
    np.testing.assert_allclose(between, 0.75 * kept[0] + 0.25 * kept[1])


def test_a_share_has_a_sign_unless_it_is_none():
    assert [signed_share(share) for share in (-0.712, 0.0004, -0.004, 0.05)] == ["−71 %", "0 %", "0 %", "+5 %"]


def test_the_line_ahead_is_what_the_page_says_it_is():
    """Gradient flow at a third of the run's mean loss, the central flow at all of it, over the last 200 epochs."""
    preset = next(preset for preset in EdgeOfStability.presets if preset.label == "The line ahead")
    assert "gradient flow, which comes down to a third of the run's loss" in preset.doc
    assert "the run weaves around the central flow" in preset.doc
    shares: dict[str, list[float]] = {name: [] for name in FLOWS}
    for seed in range(3):
        run, _ = EdgeOfStability.opened()
        EdgeOfStability(run).choose(preset)
        run.settings.seed = seed
        foresight = foreseen(run)
        run.advance(preset.changes["stop_epoch"])
        for name, one in foresight.compared(run.frame()).items():
            shares[name].append(one.loss)
        path, weaving = foresight.paths["central flow"], run.history.between(499, 1000).loss
        turns = np.diff(np.sign(weaving - path.column("loss")[500:]))
        assert np.count_nonzero(turns) >= 6
    assert np.median(shares["gradient flow"]) == pytest.approx(1 / 3, abs=0.1)
    assert np.median(shares["central flow"]) == pytest.approx(1, abs=0.15)


def test_a_changed_rate_foretells_anew_from_where_it_changed():
    run = run_of(20, 20)
    before = foreseen(run).paths
    run.advance(10)
    assert foreseen(run).paths is before
    run.settings.learning_rate = 0.1
    assert {path.start for path in foreseen(run).paths.values()} == {30}
    slower = foreseen(run).paths["gradient flow"]
    run.advance(10)
    assert foreseen(run).paths["gradient flow"] is slower
    assert slower.loss[10] == pytest.approx(run.history.at(40).loss, rel=0.01)


def test_a_schedule_is_foreseen():
    """Steps that become shorter lead less far."""
    run, steady = run_of(20, 20, schedule="exponential"), run_of(20, 20)
    rates = run.frame().hyperparameter_log.after(20).learning_rates(np.arange(20, 80))
    assert rates[-1] < rates[0]
    moved, other = (foreseen(one).paths["gradient flow"].distance[-1] for one in (run, steady))
    assert moved < other


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": "adam"}, "of adam they say nothing"),
        ({"optimizer": "momentum"}, "of momentum they say nothing"),
        ({"batch_size": 5}, "the noise of batches"),
        ({"activation": "relu"}, "relu has a kink at 0"),
        ({"l1": 0.01}, "L1 penalty"),
    ],
)
def test_where_the_theory_says_nothing_the_page_says_so_and_draws_nothing(changes, words):
    run = run_of(10, 10, **changes)
    foresight = foreseen(run)
    picture = FlowDistance(run)
    assert words in foresight.message and words in picture.caption
    assert not foresight.shown(run.frame()) and not foresight.is_busy(run.frame())
    assert len(column(picture, "central flow", "epoch")) == 0


def test_a_run_far_above_the_edge_has_a_reason_instead_of_a_central_flow():
    run = run_of(20, 20, learning_rate=0.02)
    foreseen(run)
    run.settings.learning_rate = 1.0
    foresight, picture = foreseen(run), FlowDistance(run)
    assert "of the edge, so that a run leaps far away" in foresight.lost(run.frame())
    assert "the central flow ends at epoch 20" in picture.caption
    assert len(foresight.paths["central flow"]) == 0 and len(foresight.paths["gradient flow"]) == 61


def test_at_the_edge_it_begins_between_the_two_walls():
    run = run_of(600, hidden=[32, 32], learning_rate=0.1)
    weights = run.history.between(-1, 600).parameters
    steps = np.diff(weights, axis=0)
    turned = np.flatnonzero((steps[1:] * steps[:-1]).sum(axis=1) < 0)[-1] + 2
    run.view.foreseen_from = int(turned)
    start = foreseen(run).paths["central flow"].weights[0]
    np.testing.assert_array_equal(start, (weights[turned - 1] + weights[turned]) / 2)


@pytest.mark.parametrize("pieces", [1, 3, 7])
def test_work_that_is_dropped_can_be_begun_again(pieces):
    run, other = run_of(20, 20), run_of(20, 20)
    expected = foreseen(other).paths
    work = run.analysis(Foresight).work(run.frame())
    for _ in range(pieces):
        next(work)
    work.close()
    assert 0 < run.analysis(Foresight).progress < 1
    found = foreseen(run).paths
    assert {name: path.loss for name, path in found.items()} == {name: path.loss for name, path in expected.items()}


def test_work_ends_once_nothing_is_asked_for():
    run = run_of(20, 20, steps=1000)
    work = run.analysis(Foresight).work(run.frame())
    next(work)
    run.view.foreseen_from = None
    assert len(list(work)) == 0
    assert not foreseen(run).shown(run.frame())


def test_a_fresh_start_forgets_what_was_foreseen_until_the_run_comes_there_again():
    run = run_of(20, 20)
    before = foreseen(run).paths["central flow"].loss
    run.reset()
    assert not foreseen(run).shown(run.frame())
    assert "when the run comes there" in FlowDistance(run).caption
    run.advance(20)
    assert foreseen(run).paths["central flow"].loss == before


def test_a_link_and_a_kept_run_foresee_the_same():
    run = run_of(20, 20)
    page = EdgeOfStability(run)
    opened, problems = EdgeOfStability.opened(page.query())
    assert not problems and (opened.view.foreseen_from, opened.view.foreseen_steps) == (20, 60)
    opened.advance(20)
    kept = EdgeOfStability.reopened(page.recording())
    losses = [foreseen(one).paths["central flow"].loss for one in (run, opened, kept)]
    assert losses[0] == losses[1] == losses[2]


def test_a_follower_has_a_foresight_of_its_own():
    run = run_of(20)
    follower = FollowedRun(SharedRun(run, "curvature"))
    follower.view.param.update(foreseen_from=20, foreseen_steps=60)
    assert set(foreseen(follower).shown(follower.frame())) == set(FLOWS)
    assert not foreseen(run).shown(run.frame())


def test_the_bar_asks_stops_and_forgets():
    run = run_of(20, steps=60)
    page = EdgeOfStability(run)
    bar = page._foresight_bar
    bar.draw()
    assert bar._button.label == "Foresee"
    bar._press(None)
    assert run.view.foreseen_from == 20
    bar.draw()
    assert bar._button.label == "Stop foreseeing"
    foreseen(run)
    bar.draw()
    assert bar._button.label == "Forget" and "from epoch 20: done" in bar._words.object
    bar._press(None)
    assert run.view.foreseen_from is None


def test_an_exported_page_has_what_was_foreseen():
    run = run_of(20, 10)
    page = EdgeOfStability(run)
    without = static_page(EdgeOfStability, page.recording(), frames=2, seconds=20)
    run.view.foreseen_from = None
    assert len(without) > len(static_page(EdgeOfStability, EdgeOfStability(run).recording(), frames=2, seconds=20))
