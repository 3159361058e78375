"""The page of grokking: it groks with decay and never without, and its pictures show what the run has."""

from functools import cache

import numpy as np
import pytest

from dashboard.instruments.accuracy_curves import AccuracyCurves
from dashboard.instruments.embedding_frequencies import EmbeddingFrequencies
from dashboard.instruments.size_of_weights import SizeOfWeights
from dashboard.pages.grokking import Grokking
from dashboard.state.analyses.embedding_spectrum import embedding_spectrum, frequencies_for
from dashboard.state.run import Run
from dashboard.state.settings import Settings
from engine.chance import stream
from engine.training import Epochs

SEEDS = range(3)


def opened(step: int, seed: int = 0, **changes: object) -> Run:
    run, problems = Grokking.opened({"page": "grokking", "step": str(step)})
    assert not problems
    run.settings.param.update(seed=seed, **changes)
    return run


@cache
def trained(step: int, seed: int, epochs: int) -> Epochs:
    run = opened(step, seed, stop_epoch=epochs)
    run.advance(epochs)
    return run.frame().kept()


def first(epochs: Epochs, values: np.ndarray, mark: float) -> float:
    there = np.flatnonzero(values >= mark)
    return float(epochs.index[there[0]]) if len(there) else np.inf


def quoted(words: str) -> None:
    assert any(words in text for text in [Grokking.look_for, *(preset.doc for preset in Grokking.presets)])


def test_pairs_are_known_by_heart_at_once_and_understood_long_after():
    quoted("by epoch 100 all of them are right")
    quoted("follow between epochs 300 and 1,200")
    for seed in SEEDS:
        epochs = trained(1, seed, 1200)
        assert first(epochs, epochs.accuracy, 1.0) <= 100
        assert 300 <= first(epochs, epochs.validation_accuracy, 0.85) <= 1200
        assert epochs.validation_accuracy[epochs.index <= 100].max() < 0.3


def test_without_decay_it_never_understands():
    quoted("of the others fewer than one in ten")
    for seed in SEEDS:
        epochs = trained(2, seed, 1500)
        assert first(epochs, epochs.accuracy, 1.0) <= 100
        assert epochs.validation_accuracy[epochs.index >= 100].max() < 0.1


def test_less_decay_takes_longer():
    """One seed, as it takes long: 3.6 times as many epochs, of the others that were measured 4.5 and 5.0."""
    quoted("the rule takes more than twice as many epochs")
    usual, less = trained(1, 1, 1200), trained(3, 1, 2400)
    late, soon = (first(epochs, epochs.validation_accuracy, 0.85) for epochs in (less, usual))
    assert 2 * soon < late < np.inf


def test_the_validation_loss_rises_while_it_is_on_its_way():
    assert "Here it doubles within the first 100 epochs" in Grokking.trap
    for seed in SEEDS:
        epochs = trained(1, seed, 1200)
        assert epochs.validation_loss[epochs.index <= 100].max() > 2 * epochs.validation_loss[0]


def test_decay_makes_the_weights_shorter_while_nothing_seems_to_happen():
    quoted("except that decay makes the weights shorter")
    run = opened(1, stop_epoch=1200)
    picture = SizeOfWeights(run)
    run.advance(600)
    sizes = picture.of_run(run.frame().kept())
    assert sizes[-1] < 0.95 * sizes.max()
    run.close()


def test_a_network_that_understands_keeps_a_few_frequencies():
    """The others count for less and less: at this epoch 10 of 26 hold nine tenths, 5 after 5,000 epochs."""
    quoted("begins with all 26 frequencies and keeps a few")
    run = opened(4, stop_epoch=2000)
    picture = EmbeddingFrequencies(run)
    run.advance(2000)
    picture.draw(run.frame())
    ends = run.history.at(0), run.history[-1]
    shares = [embedding_spectrum(one.parameters[: 106 * 32].reshape(106, 32), 53) for one in ends]
    assert len(shares[0]) == 26
    assert frequencies_for(shares[0]) > 20
    assert frequencies_for(shares[1]) <= 13
    assert f"{frequencies_for(shares[1])} of 26" in str(picture.caption)
    run.close()


# What the page rests on


def test_an_embedding_is_a_first_layer_without_activation():
    run = Run(Settings(**Grokking.defaults))
    network = run.setup.network
    assert network.sizes == (46, 32, 64, 23)
    assert network.activations == ("linear", "relu")
    run.settings.embedding = 0
    assert run.setup.network.sizes == (46, 64, 23)
    run.close()


def test_a_kept_run_goes_on_with_its_biases_spared():
    """What is not decayed is no part of a checkpoint, and has to be told anew."""
    run = opened(1, stop_epoch=0)
    run.advance(40)
    again = Run.reopened(run.recording())
    for one in (run, again):
        one.advance(40)
    np.testing.assert_array_equal(run.history[-1].parameters, again.history[-1].parameters)
    run.close()
    again.close()


def test_a_cosine_is_one_frequency_and_noise_is_all():
    p, numbers = 23, np.arange(23)
    waves = np.cos(2 * np.pi * 5 * numbers[:, None] / p + np.arange(4))
    shares = embedding_spectrum(np.vstack([waves, waves]) + 3.0, p)
    assert shares[4] == pytest.approx(1)
    assert frequencies_for(shares) == 1
    noise = embedding_spectrum(stream(0, "weights").standard_normal((2 * p, 400)), p)
    assert noise.sum() == pytest.approx(1)
    assert noise == pytest.approx(np.full(11, 1 / 11), rel=0.2)
    assert frequencies_for(noise) == 10


def test_pictures_show_the_epoch_that_is_looked_at():
    run = opened(1, stop_epoch=300)
    pictures = [kind(run) for kind in (AccuracyCurves, EmbeddingFrequencies)]
    run.advance(200)
    run.look_at(120)
    for picture in pictures:
        picture.draw(run.frame())
    curves, bars = pictures
    epoch = run.history.at(120)
    assert curves.sources["cursor"].data["x0"] == [120]
    assert list(curves.sources["training"].data["accuracy"])[-1] == run.history[-1].accuracy
    expected = embedding_spectrum(epoch.parameters[: 46 * 32].reshape(46, 32), 23)
    assert np.asarray(bars.sources["now"].data["top"]) == pytest.approx(expected)
    assert "learned (95%) at epoch" in str(curves.caption)
    run.close()


def test_other_data_have_no_circle_and_a_regression_no_right_answers():
    run = Run(Settings(dataset="sine", loss="mse"))
    assert not EmbeddingFrequencies.suits(run.frame())
    assert not AccuracyCurves.suits(run.frame())
    run.close()
