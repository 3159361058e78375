"""The page on grokking: a network that knows by heart, and understands long after."""

from dashboard.instruments.accuracy_curves import AccuracyCurves
from dashboard.instruments.embedding_frequencies import EmbeddingFrequencies
from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.size_of_weights import SizeOfWeights
from dashboard.pages.page import Page, Preset

LARGE = {"modulus": 53, "validation": 0.6, "hidden": [64, 64]}


class Grokking(Page):
    """Modular addition under weight decay: when the training examples are right, and when the others are."""

    slug = "grokking"
    title = "Grokking"
    place = 88
    question = "Can a network understand long after it knows everything by heart?"
    look_for = (
        "All the examples that are trained on are right within a few dozen epochs, the others hardly better than by "
        "chance. Nothing seems to happen after that, except that decay makes the weights shorter; and then, within a "
        "tenth of the time, the others are right too. Turn “Weight decay” down to 0, and they never are."
    )
    formulas = (
        r"(a + b) \bmod p",
        r"w \leftarrow (1 - \eta\lambda)\, w - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)",
        r"\cos\frac{2\pi k (a + b)}{p} = \cos\frac{2\pi k a}{p}\cos\frac{2\pi k b}{p}"
        r" - \sin\frac{2\pi k a}{p}\sin\frac{2\pi k b}{p}",
    )
    trap = (
        "“Stop when the validation loss rises.” Here it doubles within the first 100 epochs, and the network is on its "
        "way to the rule all the same."
    )
    defaults = {
        "dataset": "modular addition",
        "modulus": 23,
        "n": 528,
        "noise": 0.0,
        "validation": 0.3,
        "embedding": 32,
        "hidden": [64],
        "activation": "relu",
        "initializer": "he",
        "loss": "cross-entropy",
        "optimizer": "adamw",
        "learning_rate": 0.01,
        "weight_decay": 1.0,
        "bias_decay": 0.0,
        "speed": 0,
        "stop_epoch": 3000,
    }
    presets = (
        Preset(
            "It groks",
            "Addition modulo 23, seven tenths of the pairs: by epoch 100 all of them are right. Most of the others "
            "follow between epochs 300 and 1,200.",
            about=AccuracyCurves,
        ),
        Preset(
            "Never without decay",
            "The same without weight decay: the pairs that are trained on are right as soon, and of the others fewer "
            "than one in ten, for as long as you wait.",
            {"weight_decay": 0.0},
            about=AccuracyCurves,
        ),
        Preset(
            "A third of the decay",
            "Less decay, the same end, later: the rule takes more than twice as many epochs to come through.",
            {"weight_decay": 0.3, "stop_epoch": 6000},
            about=SizeOfWeights,
        ),
        Preset(
            "Modulo 53",
            "A larger circle, and two fifths of its 2,809 pairs, with two hidden layers. The embedding begins with all "
            "26 frequencies and keeps a few.",
            {**LARGE, "stop_epoch": 8000},
            about=EmbeddingFrequencies,
        ),
        Preset(
            "At the published rate",
            "The same at a rate of 0.001: ten times as small, and it takes minutes. Keep it, and let it go on later.",
            {**LARGE, "learning_rate": 0.001, "stop_epoch": 30_000},
            about=AccuracyCurves,
        ),
    )
    controls = (
        *("weight_decay", "learning_rate", "validation", "modulus", "embedding", "hidden"),
        *("bias_decay", "stop_epoch", "seed"),
    )
    main_controls = ("weight_decay", "learning_rate")
    instruments = ((AccuracyCurves,), (LossCurve,), (SizeOfWeights,), (EmbeddingFrequencies,), (GradientBars,))
    shares = ("half", "half", "third", "third", "third")
