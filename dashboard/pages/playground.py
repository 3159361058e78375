"""Playground: any data, any network, every instrument."""

from dashboard.instruments.activation_curve import ActivationCurve
from dashboard.instruments.activation_map import ActivationMap
from dashboard.instruments.confusion_matrix import ConfusionMatrix
from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.fate_counts import FateCounts
from dashboard.instruments.fitted_curve import FittedCurve
from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.loss_landscape import LossLandscape
from dashboard.instruments.roc_curve import RocCurve
from dashboard.instruments.sharpness_curve import SharpnessCurve
from dashboard.instruments.unit_plane import UnitPlane
from dashboard.instruments.update_ratios import UpdateRatios
from dashboard.pages.page import Page, Preset


class Playground(Page):
    """Everything at once, under one clock."""

    slug = "playground"
    title = "Playground"
    place = 90
    question = "What does this network do with this data, and why?"
    look_for = "Change one thing at a time and watch which picture moves first. Below the fold there are more pictures."
    presets = (
        Preset("Moons", "Two half circles that reach into one another: a gentle curve tells them apart."),
        Preset(
            "XOR",
            "No line beats chance; four tanh units do it in a moment.",
            {"dataset": "xor", "hidden": [4], "activation": "tanh", "learning_rate": 0.5},
        ),
        Preset(
            "Circles",
            "The boundary has to close: three units can, two cannot.",
            {"dataset": "circles", "hidden": [3], "activation": "tanh", "learning_rate": 0.5},
        ),
        Preset(
            "Spirals",
            "The hardest of them: Adam and three layers wind around the center.",
            {
                "dataset": "spirals",
                "n": 400,
                "hidden": [24, 24, 16],
                "activation": "tanh",
                "initializer": "xavier",
                "optimizer": "adam",
                "learning_rate": 0.01,
            },
        ),
        Preset(
            "Five classes",
            "A softmax over five clouds: straight lines between neighbors.",
            {"dataset": "blobs", "classes": 5, "n": 300, "optimizer": "momentum"},
        ),
        Preset(
            "A wave",
            "A regression: two waves of a sine, fitted by tanh units.",
            {
                "dataset": "sine",
                "cycles": 2.0,
                "hidden": [16, 16],
                "activation": "tanh",
                "initializer": "xavier",
                "optimizer": "adam",
                "learning_rate": 0.01,
            },
        ),
    )
    instruments = (
        (DecisionMap, FittedCurve),
        (LossCurve,),
        (LossLandscape,),
        (GradientBars,),
        (ActivationMap,),
        (UpdateRatios,),
        (ActivationCurve,),
        (SharpnessCurve,),
        (FateCounts,),
        (UnitPlane,),
        (RocCurve,),
        (ConfusionMatrix,),
    )
