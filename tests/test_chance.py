"""Every purpose draws from a stream of its own, and what was made before that opens as it was made."""

from itertools import combinations
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pytest

from dashboard.pages import PAGES
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from engine.chance import FORMAT, PURPOSES, SharedSeed, seeded, stream, streams
from engine.datasets import DATASETS
from engine.ensemble import Ensemble
from engine.initializers import INITIALIZERS
from engine.kernel import layer_matrices
from engine.landscape import random_plane
from engine.network import Network
from engine.recording import load
from engine.training import Training

REFERENCES = Path(__file__).parent / "references"
OLD = dict(np.load(REFERENCES / "format_1.npz"))
"""Data, first weights and the weights of epoch 3 of runs of format 1, by their links, written by the code that made
runs of format 1 only; and where `format_1_run.npz`, a run of 180 epochs, was 20 epochs later."""

FIRST = {
    "points": "0x1.e2c8b5ff9abeep-1",
    "noise": "0x1.5ab98be352f88p-1",
    "outliers": "0x1.ad31e03b50111p-1",
    "split": "0x1.752e09b791e12p-2",
    "weights": "0x1.4e526be45992cp-1",
    "minibatches": "0x1.0c96927c4fe9cp-2",
    "plane": "0x1.d8913735ec938p-4",
    "lanczos": "0x1.38b4f1e36b684p-2",
    "rows read": "0x1.a2378720cc845p-1",
    "rows taken": "0x1.ffe1a616bfce4p-2",
    "pen": "0x1.c4259d5026ce7p-1",
    "biases": "0x1.2f466f82e06f4p-3",
    "labels": "0x1.9e1f3fd333f31p-1",
    "pixels": "0x1.4edfee4244488p-3",
}
LINKS = OLD["links"].tobytes().decode().splitlines()
CLOSE = 1e-12
"""Other processors round sines, and sums of products, otherwise; the draws themselves are the same everywhere."""


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of two lists of draws, as far as the shorter one goes."""
    n = min(a.size, b.size)
    return abs(np.corrcoef(a.ravel()[:n], b.ravel()[:n])[0, 1])


def drawn(dataset: str, initializer: str, seed: int) -> dict[str, np.ndarray]:
    """What is drawn for one experiment, by purpose, as far as it varies."""
    noisy, clean = (DATASETS[dataset](n=400, noise=noise, seed=seed) for noise in (1.0, 0.0))
    network = Network([noisy.features, 64, 16, 1], initializer=initializer, seed=seed)
    plane = random_plane(network, seed=seed)
    planes = [unit(layer_matrices(one, network.sizes)[1][:-1]) for one in plane.directions]
    pieces = {
        "noise": noisy.y - clean.y if noisy.task == "regression" else noisy.x - clean.x,
        "points": DATASETS[dataset](n=400, noise=0.0, seed=seed).x - DATASETS[dataset](n=400, noise=0.0, seed=99).x,
        "first layer": network.weights[0],
        "second layer": network.weights[1],
        "all layers": np.concatenate([w.ravel() for w in network.weights]),
        "across": planes[0],
        "up": planes[1],
        "minibatches": stream(seed, "minibatches").standard_normal(400),
        "lanczos": stream(seed, "lanczos").standard_normal(400),
    }
    return {name: values.ravel() for name, values in pieces.items() if np.ptp(values) > 0}


def unit(directions: np.ndarray) -> np.ndarray:
    """The columns, each of length 1."""
    return directions / np.linalg.norm(directions, axis=0)


def test_no_two_purposes_share_a_stream():
    taken = list(PURPOSES.values())
    assert len(set(taken)) == len(taken)
    numbers = {(seed, one): stream(seed, one).standard_normal(2000) for seed in (0, 1, 7) for one in PURPOSES}
    for a, b in combinations(numbers, 2):
        assert not np.isin(numbers[a], numbers[b]).any(), (a, b)
        assert similarity(numbers[a], numbers[b]) < 0.12, (a, b)  # 5 standard errors are 0.11


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_what_is_drawn_for_one_purpose_says_nothing_about_another(dataset: str, initializer: str):
    for seed in range(3):
        pieces = drawn(dataset, initializer, seed)
        whole = pieces.pop("all layers", np.zeros(1))
        pairs = [
            *combinations(pieces.items(), 2),
            *((("weights", whole), one) for one in pieces.items() if one[0] in ("noise", "points")),
        ]
        for (a, first), (b, second) in pairs:
            n = min(first.size, second.size)
            assert n < 30 or similarity(first, second) < 5 / np.sqrt(n), (seed, a, b)


@pytest.mark.parametrize("initializer", INITIALIZERS)
@pytest.mark.parametrize("seed", range(4))
def test_a_random_plane_does_not_look_along_the_weights(initializer: str, seed: int):
    network = Network([2, 16, 16, 1], initializer=initializer, seed=seed)
    if not network.parameters.any():
        return
    for direction in random_plane(network, seed=seed).directions:
        cosine = direction @ network.parameters / np.linalg.norm(direction) / np.linalg.norm(network.parameters)
        assert abs(cosine) < 0.25  # 4 standard deviations among 337 parameters


@pytest.mark.parametrize("dataset", DATASETS)
def test_first_weights_are_not_the_noise_of_the_data(dataset: str):
    data, clean = (DATASETS[dataset](n=200, noise=noise, seed=0) for noise in (1.0, 0.0))
    network = Network([data.features, 16, 16, 1], initializer="normal", seed=0)
    noise = np.concatenate([(data.x - clean.x).ravel(), data.y - clean.y])
    assert not np.isin(network.weights[0].ravel().round(9), noise.round(9)).any()


def test_streams_of_a_seed_are_the_same_for_ever():
    """The first number of each stream of seed 0: a change of any would change every run that was ever linked."""
    first = {name: float(stream(0, name).random()).hex() for name in PURPOSES}
    assert first == FIRST


def test_purposes_of_a_shared_seed_draw_on_from_one_another():
    points, noise = streams(SharedSeed(3), "points", "noise")
    both = np.append(points.random(2), noise.random(2))
    assert (both == np.random.default_rng(3).random(4)).all()


def test_unknown_purposes_and_formats_are_refused():
    with pytest.raises(ValueError, match="'coffee' is unknown"):
        stream(0, "coffee")
    with pytest.raises(ValueError, match="format 3 is unknown"):
        seeded(0, 3)


def test_a_shared_seed_passes_through_an_ensemble():
    data = DATASETS["xor"](n=20, seed=SharedSeed(1))
    seeds = [SharedSeed(2), 2]
    runs = Ensemble([2, 4, 1], data, {"seed": seeds}, batch_size=5)
    runs.advance(3)
    for row, seed in enumerate(seeds):
        alone = Training(Network([2, 4, 1], seed=seed), data, batch_size=5, seed=seed)
        assert (alone.advance(3).parameters[-1] == runs.parameters[row]).all()
    assert (runs.parameters[0] != runs.parameters[1]).any()


@pytest.mark.parametrize("k", range(len(LINKS)))
def test_a_link_without_a_format_opens_as_it_was_made(k: int):
    query = dict(parse_qsl(LINKS[k], keep_blank_values=True))
    run, problems = PAGES[query["page"]].opened(query)
    assert not problems and run.settings.format == 1
    setup = run.setup
    # What is drawn is the same bit for bit; a QR decomposition rounds as the processor does.
    rounding = CLOSE if run.settings.initializer == "orthogonal" else 0
    np.testing.assert_allclose(setup.network.parameters, OLD[f"{k}.weights"], rtol=0, atol=rounding)
    np.testing.assert_allclose(setup.train.x, OLD[f"{k}.x"], rtol=0, atol=CLOSE)
    np.testing.assert_allclose(setup.train.y, OLD[f"{k}.y"], rtol=0, atol=CLOSE)
    if setup.validation:
        np.testing.assert_allclose(setup.validation.x, OLD[f"{k}.held_out"], rtol=0, atol=CLOSE)
    run.advance(3)
    np.testing.assert_allclose(run.history.at(3).parameters, OLD[f"{k}.trained"], rtol=0, atol=CLOSE)


def test_a_link_of_now_says_its_format_and_keeps_it():
    for version in (1, FORMAT):
        query = Settings(seed=3, format=version).query()
        again, problems = Settings.from_query(query)
        assert again.values() == Settings(seed=3, format=version).values() and not problems


def test_a_link_that_names_no_seed_is_of_now():
    assert Settings.from_query({"dataset": "xor"})[0].format == FORMAT


@pytest.fixture
def old() -> Run:
    """A run that was saved when there was one format only."""
    return PAGES["playground"].reopened(load(REFERENCES / "format_1_run.npz"))


def test_a_run_file_without_a_format_goes_on_as_it_would_have(old: Run):
    assert old.settings.format == 1
    old.advance(20)
    np.testing.assert_allclose(old.history.at(200).parameters, OLD["goes_on"], rtol=0, atol=1e-9)


def test_a_run_file_without_a_format_is_replayed_and_forks(old: Run):
    """Its minibatches are those it had: forked at an epoch, it comes to what was recorded after that."""
    recorded = old.history.at(120).parameters
    old.look_at(110)
    old.fork()
    assert old.settings.format == 1
    old.advance(10)
    np.testing.assert_allclose(old.history.at(120).parameters, recorded, rtol=0, atol=1e-9)


def test_a_run_of_format_1_stays_one_until_everything_is_drawn_anew(old: Run):
    old.settings.param.update(noise=0.3)
    old.settings.seed = 5
    assert old.settings.format == 1
    old.advance(10)
    old.settings.renew(6)
    assert (old.settings.seed, old.settings.format) == (6, FORMAT)
    old.undo()
    assert (old.settings.seed, old.settings.format) == (5, 1)


def test_settings_of_a_study_are_of_the_format_of_the_page(old: Run):
    study = PAGES["dead"].opened({**old.settings.query(), "format": "1"})[0].study
    label = next(iter(study.plan.variants))
    assert study.settings_of(old.settings, label, 3)["format"] == 1


def test_the_page_says_when_a_run_is_of_the_older_format(old: Run):
    assert old.readings(old.frame())["format"] == "1 (older)"
    assert "older format 1" in old.settings.param.seed.doc
    old.settings.renew(1)
    assert "format" not in old.readings(old.frame())
