"""The page on activations: how a gradient shrinks on its way through them."""

from dashboard.instruments.activation_curve import ActivationCurve, LayerView
from dashboard.instruments.error_signal import ErrorSignal
from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.gradient_factors import GradientFactors
from dashboard.instruments.pre_activation_map import PreActivationMap
from dashboard.instruments.study_curves import StudyCurves
from dashboard.pages.page import Page, Preset
from dashboard.state.study import Plan
from dashboard.state.view import StudyView


class ActivationsView(LayerView, StudyView):
    """A layer, and what of the comparison is shown."""


class Activations(Page):
    """Slopes below one, multiplied layer by layer, and what the weights make of it."""

    slug = "activations"
    title = "Activations"
    place = 30
    question = "Why does a gradient vanish on its way through sigmoids?"
    look_for = (
        "Where on its curve each layer works, and how much of the gradient the slopes let through. "
        "Then take ReLU: where it is active its factor is 1."
    )
    formulas = (
        r"\sigma' = \sigma\,(1 - \sigma) \le \tfrac{1}{4}, \quad \left(\tfrac{1}{4}\right)^{10} = 9.54 \cdot 10^{-7}",
        r"\frac{\partial L}{\partial z_l} = f'(z_l) \odot W_{l+1}^{\top} \frac{\partial L}{\partial z_{l+1}}",
        r"\frac{\partial L}{\partial p} \, \sigma'(z) = \frac{p - y}{p\,(1 - p)} \, p\,(1 - p) = p - y",
    )
    trap = (
        "(1/4)<sup>L</sup> bounds the product of the slopes, not the gradient: every weight matrix multiplies as well. "
        "With 32 units a layer and weights of standard deviation 10, most sigmoids are flat and still the gradient "
        "grows toward the input, while Xavier's weights leave it close to the slopes' product."
    )
    defaults = {
        "hidden": [8] * 10,
        "activation": "sigmoid",
        "initializer": "xavier",
        "learning_rate": 0.1,
        "validation": 0.0,
        "stop_epoch": 1000,
    }
    presets = (
        Preset(
            "Ten sigmoid layers",
            "Less than a millionth of the gradient arrives, and nothing is learned.",
            about=GradientFactors,
        ),
        Preset(
            "Ten ReLU layers",
            "Where it is active its factor is 1: the gradient arrives, and the loss falls.",
            {"activation": "relu", "initializer": "he", "learning_rate": 0.02},
            about=GradientFactors,
        ),
        Preset(
            "Saturated",
            "Weights of standard deviation 10 push layer 2 to where its slope is below 0.01.",
            {"hidden": [16, 16], "initializer": "large", "std": 10.0},
            {"layer": 2},
            plays=False,
            about=PreActivationMap,
        ),
        Preset(
            "Against the bound",
            "32 units a layer, weights of 10: slopes below a quarter, and yet the gradient grows on its way back.",
            {"hidden": [32] * 8, "initializer": "large", "std": 10.0, "learning_rate": 0.01, "speed": 20},
            plays=False,
            about=GradientBars,
        ),
        Preset(
            "Confident mistakes, cross-entropy",
            "Large weights make sure answers, many of them wrong; each pulls with full strength and is corrected.",
            {"hidden": [8], "activation": "tanh", "initializer": "large"},
            about=ErrorSignal,
        ),
        Preset(
            "Confident mistakes, squared error",
            "The same start: now the surest mistakes have the weakest signal, and stay.",
            {"hidden": [8], "activation": "tanh", "initializer": "large", "loss": "mse"},
            about=ErrorSignal,
        ),
    )
    controls = ("activation", "hidden", "initializer", "learning_rate", "loss", "layer", "seeds", "epochs")
    instruments = (
        (ActivationCurve,),
        (PreActivationMap,),
        (GradientFactors,),
        (ErrorSignal,),
        (GradientBars,),
        (StudyCurves,),
    )
    plan = Plan(
        {
            "sigmoid": {"activation": "sigmoid", "initializer": "xavier"},
            "tanh": {"activation": "tanh", "initializer": "xavier"},
            "relu": {"activation": "relu", "initializer": "he"},
            "leaky relu": {"activation": "leaky relu", "initializer": "he"},
            "gelu": {"activation": "gelu", "initializer": "he"},
        },
        seeds=10,
        epochs=1000,
    )
    view = ActivationsView
