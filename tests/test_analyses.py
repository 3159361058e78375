"""Analyses: what pictures show is computed without a screen, in pieces, and is what the engine computes."""

import numpy as np

from dashboard.state.analyses.buggy_descent import EPOCHS, EPOCHS_PER_LOSS, BuggyDescent
from dashboard.state.analyses.gradient_audit import EPSILONS, CheckView, GradientAudit
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from engine.gradient_check import gradient_check

XOR = {
    "dataset": "xor4",
    "hidden": [4],
    "activation": "sigmoid",
    "initializer": "xavier",
    "learning_rate": 1.0,
    "validation": 0.0,
}


def run_of(epochs: int = 0, view: object = None, **changes: object) -> Run:
    run = Run(Settings(**{**XOR, **changes}), view)
    run.advance(epochs)
    return run


# The seam


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
