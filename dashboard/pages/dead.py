"""The page on dead neurons: units that never fire, units that convey next to nothing, and what revives them."""

from dashboard.instruments.activation_map import ActivationMap
from dashboard.instruments.activation_swap import ActivationSwap
from dashboard.instruments.fate_counts import FateCounts
from dashboard.instruments.fates_by_start import FatesByStart
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.study_curves import StudyCurves
from dashboard.instruments.unit_plane import UnitPlane
from dashboard.instruments.unit_sizes import UnitSizes
from dashboard.pages.page import Page, Preset
from dashboard.state.study import Plan
from dashboard.state.view import StudyView

HE = {"initializer": "he", "activation": "relu"}
TINY = {"initializer": "normal", "std": 1e-3, "activation": "relu"}


class Dead(Page):
    """The life and death of hidden units."""

    slug = "dead"
    title = "Dead neurons"
    place = 70
    question = "Which units are dead, which are only dim, and what wakes them?"
    look_for = (
        "Dead: exactly zero on every example, so without a gradient. Dim: not dead, but of a size below 0.001 on "
        "average. Pick a unit to see where in the plane it fires."
    )
    formulas = (
        r"\text{dead}: \; \max_i z_i \le 0, \quad "
        r"\frac{\partial L}{\partial w} = \textstyle\sum_i \delta_i f'(z_i)\, x_i = 0",
        r"\text{dim}: \; 0 < \tfrac{1}{n} \textstyle\sum_i |a_i| < 10^{-3}",
    )
    trap = (
        "“Small weights kill ReLU units”: they make them dim; with std 0.001 none of layer 1 is dead, and all have a "
        "gradient. “Dead is forever”: under plain gradient descent it is in layer 1; further up units come back, for "
        "their inputs still change. “Leaky ReLU brings them back”: with biases of −3 it stays as stuck as ReLU at "
        "the loss ln 2, while ELU, from the same weights, learns."
    )
    defaults = {
        "hidden": [16, 16],
        "activation": "relu",
        "initializer": "he",
        "learning_rate": 0.1,
        "validation": 0.0,
        "stop_epoch": 2000,
    }
    presets = (
        Preset("He", "Hardly a unit is dead or dim.", about=FateCounts),
        Preset(
            "He, bias −1",
            "Some of layer 1 are dead from the start, and more than half of layer 2.",
            {"bias": -1.0},
            about=FateCounts,
        ),
        Preset(
            "He, bias −5",
            "Nearly all are dead, and nothing moves but the output's bias.",
            {"bias": -5.0},
            about=FateCounts,
        ),
        Preset(
            "Tiny weights",
            "Dim is not dead: nearly every unit is dim, and the loss stays at ln 2.",
            TINY,
            about=FateCounts,
        ),
        Preset(
            "Tiny weights, bias −0.01",
            "Now all are dead: the bias is ten times the weights.",
            {**TINY, "bias": -0.01},
            about=FateCounts,
        ),
        Preset(
            "Killed by large steps",
            "A learning rate of 5: most units die in the first epochs; “Units” shows when.",
            {"learning_rate": 5.0, "seed": 5, "speed": 20},
            about=ActivationMap,
        ),
        Preset(
            "Leaky ReLU, bias −3",
            "A slope of 0.01 on the left: not enough, the loss stays at ln 2.",
            {"bias": -3.0, "activation": "leaky relu", "speed": 500},
            about=LossCurve,
        ),
        Preset(
            "ELU, bias −3",
            "The same weights: exp(−3) = 0.05 comes through, units wake, and it learns.",
            {"bias": -3.0, "activation": "elu", "speed": 500},
            about=LossCurve,
        ),
    )
    controls = ("activation", "initializer", "bias", "hidden", "learning_rate", "seed", "seeds", "epochs")
    instruments = (
        (ActivationMap,),
        (FateCounts,),
        (UnitSizes,),
        (UnitPlane,),
        (LossCurve,),
        (StudyCurves,),
        (FatesByStart,),
        (ActivationSwap,),
    )
    plan = Plan(
        {
            "He": {**HE, "bias": 0.0},
            "He, bias −1": {**HE, "bias": -1.0},
            "He, bias −5": {**HE, "bias": -5.0},
            "std 0.001": {**TINY, "bias": 0.0},
            "std 0.001, bias −0.01": {**TINY, "bias": -0.01},
            "He, bias −3": {**HE, "bias": -3.0},
            "bias −3, leaky ReLU": {**HE, "bias": -3.0, "activation": "leaky relu"},
            "bias −3, ELU": {**HE, "bias": -3.0, "activation": "elu"},
        },
        seeds=20,
        epochs=1000,
    )
    view = StudyView
