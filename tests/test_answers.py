"""One answer to one question: every place that counts right answers counts the same, at ties and rounding too."""

import re

import numpy as np
import pytest

from dashboard.instruments.confusion_matrix import ConfusionMatrix
from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.error_signal import ErrorSignal
from dashboard.instruments.roc_curve import RocCurve
from dashboard.pages import PAGES
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from dashboard.storage.tables import Table
from dashboard.widgets import style
from engine.datasets import DATASETS, Dataset
from engine.ensemble import Ensemble
from engine.losses import OUTPUTS
from engine.metrics import accuracy, confusion_matrix, threshold_sweep
from engine.network import Network
from engine.training import Training

RUNS = {
    "random weights": {},
    "all weights zero": {"initializer": "zeros"},
    "one unit of zeros": {"initializer": "zeros", "hidden": []},
    "tiny weights": {"initializer": "normal", "std": 1e-3},
    "large weights": {"initializer": "normal", "std": 10.0, "hidden": [8] * 4},
    "every unit dead": {"initializer": "he", "bias": -10.0},
    "two sure sides": {"dataset": "linear", "hidden": [], "initializer": "normal", "std": 10.0},
    "squared error": {"loss": "mse", "initializer": "zeros"},
    "hinge": {"loss": "hinge", "initializer": "zeros"},
}


def uneven(n: int = 60) -> Dataset:
    """Examples of which a quarter is of class 1, so that answering always the same is not right half of the time."""
    x = np.random.default_rng(4).standard_normal((n, 2))
    return Dataset(x, (np.arange(n) % 4 == 0).astype(float), "binary", 2)


def run_of(name: str, epochs: int) -> Run:
    settings = Settings(**{"validation": 0.0, **RUNS[name]})
    if "dataset" not in RUNS[name]:
        data = uneven()
        settings.take(Table.labeled(("x1", "x2"), data.x, data.y, ["0", "1"], "answer"))
    run = Run(settings)
    run.advance(epochs)
    return run


def counted_wrong(run: Run) -> dict[str, int]:
    """How many training examples are wrong, according to every place that says so."""
    frame, n = run.frame(), len(run.setup.train)
    matrix, signal, curve, plane = (kind(run) for kind in (ConfusionMatrix, ErrorSignal, RocCurve, DecisionMap))
    for picture in (matrix, signal, curve, plane):
        picture.draw(frame)
    labels, network = frame.setup.train.y.ravel(), frame.network()
    cost, found = (curve.sources["threshold"].data[name][0] for name in ("cost", "found"))
    ones = int(labels.sum())
    (words,) = re.findall(r"^(\d+|no) mistakes?", signal.caption)
    accuracies = {
        "the epoch": frame.epoch.accuracy,
        "the network": network.accuracy(frame.setup.train, frame.setup.loss),
        "the transport": _share(run.readings(frame)["accuracy"], n),
        "the map's caption": _share(plane.caption.split("%")[0] + "%", n),
        "the matrix's bar": _share(matrix.sources["metrics"].data["text"][0].split()[1], n),
        "the answers": accuracy(labels, OUTPUTS["sigmoid"].answers(network.logits(frame.setup.train.x).T)),
    }
    return {
        **{name: round(n * (1 - share)) for name, share in accuracies.items()},
        "the matrix": int(matrix.caption.split()[0]),
        "its cells": matrix._numbers()[1] + matrix._numbers()[2],
        "the disc on the ROC curve": round(np.nan_to_num(cost) * (n - ones) + (1 - np.nan_to_num(found)) * ones),
        "the error signal": 0 if words == "no" else int(words),
    }


def _share(text: str, n: int) -> float:
    return round(n * float(text.rstrip("%")) / 100) / n


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("epochs", [0, 3])
def test_every_place_counts_the_same_mistakes(name, epochs):
    counted = counted_wrong(run_of(name, epochs))
    assert len(set(counted.values())) == 1, counted


def test_every_place_counts_the_same_mistakes_where_the_answers_are_rounding_noise():
    page = PAGES["logistic"]
    (preset,) = [preset for preset in page.presets if preset.label == "XOR"]
    run = Run(page.settings(**{**page.defaults, **preset.changes, "stop_epoch": 0}))
    for epochs in (0, 30, 300, 700, 1000):
        run.advance(epochs)
        counted = counted_wrong(run)
        assert len(set(counted.values())) == 1, counted


def test_a_tie_is_class_1_for_a_probability_and_the_first_of_several_classes():
    data = uneven()
    none = Network([2, 4, 1], initializer="zeros")
    assert none.accuracy(data) == 0.25
    assert (OUTPUTS["sigmoid"].answers(none.logits(data.x).T) == 1).all()
    several = Network([2, 4, 3], initializer="zeros", output="softmax")
    assert (OUTPUTS["softmax"].answers(several.logits(data.x).T) == 0).all()


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_a_threshold_is_reached_by_what_equals_it_in_the_answers_the_sweep_and_the_curve(threshold):
    p = np.array([0.0, 0.25, 0.5, 0.5, 0.75, 1.0])
    with np.errstate(divide="ignore"):
        z = np.log(p) - np.log1p(-p)
    p = OUTPUTS["sigmoid"].function(z)
    labels = np.array([0, 1, 0, 1, 1, 1])
    answers = OUTPUTS["sigmoid"].answers(z[None], threshold)
    assert np.array_equal(answers, p >= threshold)
    assert threshold_sweep(labels, p, threshold).accuracy[0] == accuracy(labels, answers)
    assert threshold_sweep(labels, p, threshold).true_positives[0] == confusion_matrix(labels, answers, 2)[1, 1]


def test_the_engine_answers_alike_in_a_training_in_an_ensemble_and_afterwards():
    data = uneven()
    for initializer in ("zeros", "xavier"):
        network = Network([2, 4, 1], initializer=initializer, seed=0)
        training = Training(network.copy(), data, seed=0)
        epoch = training.advance(1)
        ensemble = Ensemble([2, 4, 1], data, {"seed": [0]}, initializer=initializer)
        ensemble.advance(1)
        counted = {network.accuracy(data), epoch.accuracy[0], float(np.ravel(ensemble.accuracy)[0])}
        assert len(counted) == 1, counted


def test_the_map_is_colored_by_the_class_that_is_answered():
    p = np.array([[0.2], [0.5], [0.8]])
    assert (style.region_shades(p) // style.LEVELS).tolist() == [0, 1, 1]
    several = DATASETS["blobs"](n=30, classes=3)
    network = Network([2, 4, 3], output="softmax", seed=1)
    shades = style.region_shades(network.predict(several.x))
    assert np.array_equal(shades // style.LEVELS, OUTPUTS["softmax"].answers(network.logits(several.x).T))
