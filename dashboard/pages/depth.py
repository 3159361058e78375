"""The page on depth: how far back does the error reach?"""

from collections.abc import Mapping
from typing import ClassVar

from dashboard.instruments.depth_bars import DepthBars
from dashboard.instruments.first_gradients import FirstGradients
from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.gradient_ratios import GradientRatios
from dashboard.instruments.layer_curves import LayerCurves
from dashboard.instruments.network_picture import NetworkPicture
from dashboard.instruments.study_curves import StudyCurves
from dashboard.instruments.update_ratios import UpdateRatios
from dashboard.pages.page import Page, Preset
from dashboard.state.study import Plan
from dashboard.state.view import StudyView

WIDTH = 16
DEPTHS = (2, 3, 5, 8)
BLUES = ("#7fb2ef", "#4f8fdf", "#2c6cc4", "#5a5fd0")
ORANGES = ("#f0b46a", "#e8953a", "#d9731f", "#c25a3c")
NETWORKS = {
    f"{name} {depth}": {"hidden": [WIDTH] * depth, "activation": activation, "initializer": initializer}
    for name, activation, initializer in (("sigmoid", "sigmoid", "xavier"), ("ReLU", "relu", "he"))
    for depth in DEPTHS
}


class Losses(StudyCurves):
    """The loss; its chips are those of the bars."""

    title = "Loss"
    controls = ("runs",)
    legend = False


class DepthView(StudyView):
    """Blue for sigmoid, orange for ReLU, darker the deeper."""

    colors: ClassVar[Mapping[str, str]] = dict(zip(NETWORKS, (*BLUES, *ORANGES), strict=True))


class Depth(Page):
    """Sigmoid against ReLU at four depths, under one time cursor; and one network of any depth, layer by layer."""

    slug = "depth"
    title = "Depth and gradient flow"
    place = 60
    question = "Why do deep sigmoid networks not learn, and what lets the error through?"
    look_for = (
        "Before the first epoch each sigmoid layer lets only about a quarter of the gradient through, near the "
        "predicted lines; a ReLU layer lets most of it through. Then press Play and watch the bars, not their ratio."
    )
    formulas = (
        r"\frac{\partial L}{\partial a_{l}} = W_{l+1}^{\top} "
        r"\left( \sigma'(z_{l+1}) \odot \frac{\partial L}{\partial a_{l+1}} \right)",
        r"\sigma' \le \tfrac{1}{4} \;\Rightarrow\; \text{first} / \text{last} \approx \left( \tfrac{1}{4} \right)^{L}",
    )
    trap = (
        "A ratio near 1 is not a healthy gradient. Within a hundred epochs a deep sigmoid network's ratio climbs back "
        "to about 1, because the <em>last</em> layer has sunk to the level of the first: it stands on the plateau. "
        "Compare the bars with the dashed lines of epoch 0. And large weights do not always explode: at std 1 or 2 a "
        "sigmoid network still vanishes, at 5 it is flat; it takes width 32 and std 10."
    )
    defaults: ClassVar = {
        "hidden": [WIDTH] * 8,
        "activation": "sigmoid",
        "initializer": "xavier",
        "validation": 0.0,
        "data_seed": 0,
        "learning_rate": 0.1,
        "stop_epoch": 1000,
        "speed": 100,
    }
    presets = (
        Preset(
            "Vanishing: sigmoid, 8 layers",
            "The ratio at epoch 0 is near (1/4)⁸ = 1.5e-5; the loss stays at ln 2.",
            about=GradientBars,
        ),
        Preset(
            "ReLU, 8 layers",
            "The same depth with ReLU and He weights: every layer is pulled, and the loss falls.",
            {"activation": "relu", "initializer": "he"},
            about=GradientBars,
        ),
        Preset(
            "Exploding: sigmoid",
            "Width 32, std 10: the bars grow to the left, from 1 at the end to tens at the first layer.",
            {"hidden": [32] * 8, "initializer": "large", "std": 10.0},
            plays=False,
            about=GradientBars,
        ),
        Preset(
            "Exploding: ReLU",
            "Std 1, eight layers: norms of hundreds and more at epoch 0. One step of usual size, and the loss is "
            "thousands of times higher.",
            {"activation": "relu", "initializer": "large", "std": 1.0, "speed": 5},
            plays=False,
            about=GradientBars,
        ),
        Preset(
            "20 layers, plain",
            "Nothing arrives: about twelve powers of ten from the last to the first.",
            {"hidden": [WIDTH] * 20},
            plays=False,
            about=GradientBars,
        ),
        Preset(
            "20 layers, skip connections",
            "The same network, with every hidden layer's input added to its output: the error has a way around.",
            {"hidden": [WIDTH] * 20, "skip": True},
            about=Losses,
        ),
    )
    controls = ("features", "hidden", "activation", "initializer", "skip", "learning_rate", "seeds", "epochs")
    instruments = (
        (DepthBars,),
        (GradientRatios,),
        (FirstGradients,),
        (Losses,),
        (GradientBars,),
        (LayerCurves,),
        (UpdateRatios,),
        (NetworkPicture,),
    )
    plan = Plan(variants=NETWORKS, seeds=10, epochs=1000)
    view = DepthView
    shares = ("whole", "third", "third", "third", "third", "third", "third", "whole")
