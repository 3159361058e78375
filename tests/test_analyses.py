"""Analyses: what pictures show is computed without a screen, in pieces, and is what the engine computes."""

import ast
from pathlib import Path

import numpy as np
import pytest

from dashboard.pages import PAGES
from dashboard.state.analyses.activation_trial import EPOCHS_AHEAD, ActivationTrial, firing
from dashboard.state.analyses.buggy_descent import EPOCHS, EPOCHS_PER_LOSS, BuggyDescent
from dashboard.state.analyses.gradient_audit import EPSILONS, CheckView, GradientAudit
from dashboard.state.analyses.hessian_eigenvalues import HessianEigenvalues
from dashboard.state.analyses.landscape_survey import LandscapeSurvey
from dashboard.state.analyses.line_losses import ALONG, START, LineLosses
from dashboard.state.analyses.sharpest_cut import SharpestCut
from dashboard.state.analyses.sharpness import DrawnSharpness
from dashboard.state.analyses.twin_run import TwinRun
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from engine.curvature import spectrum
from engine.gradient_check import gradient_check
from engine.landscape import weight_plane

XOR = PAGES["backpropagation"].defaults

ROOT = Path(__file__).parents[1] / "dashboard"


def run_of(epochs: int = 0, view: object = None, **changes: object) -> Run:
    run = Run(Settings(**{**XOR, **changes}), view)
    run.advance(epochs)
    return run


# The seam


@pytest.mark.parametrize("path", [*sorted((ROOT / "instruments").glob("*.py"))], ids=lambda path: path.stem)
def test_no_picture_trains(path):
    """A picture neither makes a training or a run nor has one advance: that is an analysis's."""
    for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        assert name not in ("Training", "Run", "train"), f"{path.name}:{call.lineno}"
        assert name.split(".")[-1] not in ("advance", "training"), f"{path.name}:{call.lineno}"


def test_pictures_of_one_store_share_an_analysis_and_those_of_another_have_their_own():
    run, other = run_of(), run_of()
    assert run.analysis(GradientAudit) is run.analysis(GradientAudit)
    assert run.analysis(GradientAudit) is not other.analysis(GradientAudit)


# Gradient audit


def test_a_gradient_audit_knows_every_epsilon_after_its_work():
    run = run_of(20, CheckView())
    audit, frame = run.analysis(GradientAudit), run.frame()
    assert audit.findings(frame) is None
    for _ in audit.work(frame):
        pass
    found = audit.findings(frame)
    assert found.complete and sorted(found.checks) == sorted(EPSILONS)
    for epsilon, made in found.checks.items():
        alone = gradient_check(run.network, run.setup.train, loss=run.setup.loss, epsilon=epsilon)
        np.testing.assert_array_equal(made.check.numeric, alone.numeric)
    assert audit.work(frame) is None


# Buggy descent


def test_a_descent_with_a_bug_is_trained_once_and_for_each_bug_alone():
    run = run_of()
    descent = BuggyDescent.of(run.frame())
    finished = [bug for bug in descent.work(["wrong sign", "forget 1/n"]) if bug]
    assert finished == ["wrong sign", "forget 1/n"]
    assert {len(losses) for losses in descent.losses.values()} == {EPOCHS // EPOCHS_PER_LOSS + 1}
    assert descent.loss_at("wrong sign", 0) == run.frame().epoch.loss < descent.loss_at("wrong sign", 100)
    assert descent.loss_at("forget 1/n", 10 * EPOCHS) == descent.losses["forget 1/n"][-1]
    assert descent.work(["wrong sign", "forget 1/n"]) is None


def test_a_descent_belongs_to_the_learning_rate_and_the_start_it_was_made_for():
    run = run_of()
    descent = BuggyDescent.of(run.frame())
    run.advance(5)
    assert descent.is_of(run.frame())
    run.settings.learning_rate = 0.5
    assert not descent.is_of(run.frame())
    run.settings.learning_rate = 1.0
    run.advance(5)
    assert descent.is_of(run.frame())
    run.settings.seed = 3
    assert not descent.is_of(run.frame())


# Sharpness


def test_the_drawn_sharpness_is_that_of_the_hessian_at_every_row_and_measured_once():
    run = run_of(40)
    sharpness, frame = DrawnSharpness(run, run.setup), run.frame()
    rows = frame.kept().rows(slice(0, None, 8))
    assert sharpness.newest(frame) is None
    for _ in sharpness.work(frame, rows, 8):
        pass
    assert sorted(sharpness.found) == [0, 8, 16, 24, 32, 40]
    network = run.network
    for epoch, value in sharpness.found.items():
        network.parameters[:] = run.history.at(epoch).parameters
        # Lanczos' method ends at a relative change of 1e-8, and converges faster than that near the end
        assert np.isclose(value, spectrum(network, run.setup.train, run.setup.loss).sharpness, rtol=1e-6)
    assert sharpness.work(frame, rows, 8) is None
    assert sharpness.newest(frame) == 40 and len(sharpness.until(frame)) == 6


def test_a_cut_is_made_once_for_an_epoch_and_an_objective():
    run = run_of(40)
    found = SharpestCut(run)
    for _ in found.work(run.frame()):
        pass
    assert found.cut.epoch == 40 and found.work(run.frame()) is None
    run.settings.l2 = 0.1
    run.advance(1)
    assert found.work(run.frame()) is not None


# Twin run

LINEAR = {"dataset": "linear", "hidden": [], "outliers": 0.05, "n": 60, "learning_rate": 0.1}
ALONE = {"outliers": 0.0}


def test_a_twin_is_trained_as_the_run_was_with_what_it_changes_left_as_it_is():
    run = Run(Settings(**LINEAR))
    twin = TwinRun(run, run.frame(), ALONE)
    run.advance(100)
    run.settings.learning_rate = 0.02
    run.advance(100)
    assert twin.frame_at(run.frame()).epoch.index == 0
    for _ in twin.work(run.frame()):
        pass
    assert twin.work(run.frame()) is None
    alone = Run(Settings(**{**LINEAR, **ALONE}))
    alone.advance(100)
    alone.settings.learning_rate = 0.02
    alone.advance(100)
    np.testing.assert_array_equal(twin.frame_at(run.frame()).epoch.parameters, alone.history[-1].parameters)


def test_a_twin_of_a_run_that_has_started_afresh_is_trained_no_further():
    run = Run(Settings(**LINEAR))
    twin = TwinRun(run, run.frame(), ALONE)
    run.advance(1000)
    work = twin.work(run.frame())
    next(work)
    run.settings.seed = 5
    run.advance(1000)
    newest = twin.twin.history[-1].index
    assert list(work) == [] and twin.twin.history[-1].index == newest < 1000


# Landscape survey


class Slice:
    """A site without a screen: the plane of the first two parameters."""

    asked = "a"

    def plane(self, frame):
        return weight_plane(frame.network(), 0, 1)

    def window(self, frame, plane):
        return (-1.0, 1.0), (-2.0, 2.0)

    def subject(self, frame):
        return self.asked


def test_a_relief_is_the_loss_at_every_point_of_its_window():
    run = run_of(20)
    survey, frame = LandscapeSurvey(run, Slice()), run.frame()
    for _ in survey.work(frame, None):
        pass
    relief, network = survey.relief, run.network
    across, up = relief.axes
    assert (across[[0, -1]].tolist(), up[[0, -1]].tolist()) == ([-1.0, 1.0], [-2.0, 2.0])
    for i, j in ((0, 0), (13, 29), (40, 40)):
        network.parameters[:2] = across[j], up[i]
        assert np.isclose(relief.losses[i, j], network.loss(run.setup.train, run.setup.loss), rtol=1e-12)
    assert relief.here < 1e-12 and relief.epoch == 20
    assert survey.work(frame, relief) is None


def test_a_survey_of_what_is_no_longer_asked_for_is_thrown_away():
    run = run_of(5)
    survey = LandscapeSurvey(run, site := Slice())
    work = survey.work(run.frame(), None)
    next(work)
    site.asked = "b"
    for _ in work:
        pass
    assert survey.relief is None


def test_of_a_store_that_nobody_can_change_one_viewer_surveys_for_all(monkeypatch):
    run = run_of(5)
    monkeypatch.setattr(Run, "is_read_only", True)
    one, other = (LandscapeSurvey(run, Slice()) for _ in range(2))
    work = one.work(run.frame(), None)
    assert work is not None and other.work(run.frame(), None) is None
    for _ in work:
        pass
    assert other.relief is None
    assert other.work(run.frame(), None) is None
    assert other.relief is one.relief is not None


# Activation trial


def test_an_activation_trial_counts_the_units_that_fire_from_the_epoch_on():
    run = run_of(10, activation="relu", initializer="he", bias=-3.0)
    trial = ActivationTrial(run, ("relu", "elu"))
    assert len(trial.epochs) == 0
    for _ in trial.work(run.frame()):
        pass
    assert trial.epochs.tolist() == list(range(10, 10 + EPOCHS_AHEAD + 1, 5))
    assert set(trial.counts) == {"relu", "elu"}
    assert trial.counts["relu"][0] == trial.counts["elu"][0] == firing(run.network, run.setup.train.x)
    assert trial.work(run.frame()) is None


# Eigenvalues and lines


def test_eigenvalues_are_those_of_the_hessian_by_size():
    run = run_of(30)
    analysis, frame = HessianEigenvalues(run), run.frame()
    for _ in analysis.work(frame):
        pass
    found, whole = analysis.newest, spectrum(run.network, run.setup.train, run.setup.loss)
    np.testing.assert_array_equal(np.sort(found.sizes * found.signs), whole.eigenvalues)
    assert (np.diff(found.sizes) <= 0).all() and found.is_finite
    assert (found.sharpness, found.n_negative) == (whole.sharpness, whole.n_negative)
    assert analysis.work(frame) is None


def test_a_hessian_that_is_not_finite_has_no_eigenvalues_and_warns_of_nothing():
    run = run_of(1)
    frame = run.frame()
    frame.epoch.parameters = np.full_like(frame.epoch.parameters, np.nan)
    analysis = HessianEigenvalues(run)
    for _ in analysis.work(frame):
        pass
    assert not analysis.newest.is_finite


def test_lines_are_computed_once_for_a_subject_and_end_at_the_run():
    run = run_of(30)
    lines, frame = LineLosses(run), run.frame()
    other = run.history.at(10).parameters
    for _ in lines.work(frame, "both", {("a", 1): other}, False):
        pass
    assert list(lines.losses) == [START, ("a", 1)]
    for key, begin in ((START, run.history.at(0).parameters), (("a", 1), other)):
        network = run.network
        for t in (0.0, 0.5, 1.0):
            network.parameters[:] = (1 - t) * begin + t * run.network.parameters
            i = int(np.argmin(np.abs(ALONG - t)))
            assert np.isclose(lines.losses[key][i], network.loss(run.setup.train, run.setup.loss), rtol=1e-10)
    assert lines.work(frame, "both", {}, False) is None and lines.work(frame, "other", {}, False) is not None
