"""The races: everybody does the same work, and the table says who was how fast. Nothing here asserts a time."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import races, rivals
from engine import DATASETS

MOONS = rivals.Problem(DATASETS["moons"](n=30), (2, 4, 3, 1), "relu", learning_rate=0.5, epochs=6)
PROBLEMS = {
    "full batch": MOONS,
    "minibatches": replace(MOONS, activation="tanh", batch_size=7),
    "deep": replace(MOONS, sizes=(2, 5, 5, 5, 1), activation="sigmoid"),
    "softmax": rivals.Problem(
        races.clouds(n=40, features=5, classes=3), (5, 6, 3), "relu", 0.01, "softmax", "adam", batch_size=9, epochs=6
    ),
}
RESULT = races.Result("tiny", 1234.0, {"textbook": (1.9, 2.0, 2.1), "JAX": (0.7, 0.8, 0.9)})


def work_between(*names: str, problem: rivals.Problem = MOONS) -> races.Work:
    contestants = {name: lambda name=name: races.TRAINERS[name](problem) for name in names}
    return races.Work("tiny", contestants, [races.faster_than("textbook", 1.5), races.faster_than("JAX", 1)])


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_textbooks_losses_are_ours(problem):
    ours, textbook = (races.TRAINERS[name](PROBLEMS[problem]) for name in ("ours", "textbook"))
    for _ in range(3):
        np.testing.assert_allclose(ours(), textbook(), rtol=1e-9)


@pytest.mark.torch
@pytest.mark.parametrize("problem", ["full batch", "softmax"])
def test_pytorchs_losses_are_ours(problem):
    pytest.importorskip("torch")
    ours, torch = (races.TRAINERS[name](PROBLEMS[problem]) for name in ("ours", "PyTorch"))
    for _ in range(3):
        np.testing.assert_allclose(ours(), torch(), rtol=1e-9)


@pytest.mark.torch
@pytest.mark.parametrize("problem", PROBLEMS)
def test_scikit_learns_losses_are_ours_where_it_reports_them(problem):
    # Its Adam corrects the mean square after adding epsilon, not before.
    pytest.importorskip("sklearn")
    ours, theirs = (races.TRAINERS[name](PROBLEMS[problem])() for name in ("ours", "scikit-learn"))
    told = ~np.isnan(theirs)
    assert told[-1]
    np.testing.assert_allclose(ours[told], theirs[told], rtol=1e-3 if PROBLEMS[problem].optimizer == "adam" else 1e-9)


def test_unrecorded_training_is_the_same_training():
    np.testing.assert_allclose(races.unrecorded_training(MOONS)()[-1], races.training(MOONS)()[-1], rtol=1e-12)


def test_the_textbooks_plane_and_ensemble_are_ours():
    few = replace(MOONS, sizes=(2, 3, 1), epochs=2)
    network = few.network()
    points = network.parameters + np.random.default_rng(0).standard_normal((2, 3, network.n_parameters))
    surface = rivals.textbook_plane(few, points)()
    for place in np.ndindex(2, 3):
        network.parameters = points[place]
        assert surface[0][place] == pytest.approx(network.loss(few.data), rel=1e-9)
    np.testing.assert_allclose(races.ensemble(few, 3)(), rivals.textbook_ensemble(few, 3)(), rtol=1e-9)


def test_a_race_gives_every_rival_a_ratio():
    result = races.race(work_between("ours", "textbook"), rounds=2, seconds=0)
    assert result.ours > 0
    assert result.ratios.keys() == {"textbook"}


def test_contestants_that_do_other_work_are_found_out():
    work = work_between("ours", "textbook")
    work.contestants["textbook"] = lambda: rivals.textbook_training(replace(MOONS, learning_rate=0.4))
    with pytest.raises(ValueError, match=r"tiny: textbook is .* away from ours"):
        races.race(work, rounds=1, seconds=0)


def test_the_table_shows_what_was_measured_and_what_was_reached():
    text = races.report({"one": {"tiny": RESULT}, "other": {"tiny": replace(RESULT, ours=5.678)}}, [work_between()])
    assert "| tiny | 1,230 | 5.68 | 0.8 / 0.8 | – / – | – / – | 2 / 2 | ≥ 1.5x textbook; ≥ 1x JAX | yes; no |" in text
    assert "| tiny | textbook | 2.00 (1.90 to 2.10) | 2.00 (1.90 to 2.10) |" in text


def test_a_target_that_half_of_the_rounds_miss_is_unclear():
    noisy = replace(RESULT, ratios={"JAX": (0.9, 1.2, 1.4)})
    assert races.faster_than("JAX", 1).verdict([noisy, RESULT]) == "unclear / no"
    assert races.faster_than("PyTorch", 1).verdict([noisy]) == "not measured"


def test_every_target_is_one_that_a_result_can_reach_or_miss():
    for work in races.works():
        for target in work.targets:
            results = [races.Result(work.name, 1.0, dict.fromkeys(work.contestants, (x, x, x))) for x in (1e-9, 1e9)]
            assert "yes" in target.verdict(results)
