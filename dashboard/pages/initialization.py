"""The page on initialization: does the start decide how a training ends?"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import param

from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.network_picture import NetworkPicture
from dashboard.instruments.signal_propagation import SignalPropagation
from dashboard.instruments.study_curves import Prediction, StudyCurves
from dashboard.instruments.study_outcomes import StudyOutcomes
from dashboard.instruments.study_scatter import StudyScatter
from dashboard.pages.page import Page, Preset
from dashboard.state.store import Frame
from dashboard.state.study import Plan
from dashboard.state.view import StudyView

STARTS = {
    "Xavier": {"initializer": "xavier"},
    "He": {"initializer": "he"},
    "LeCun": {"initializer": "lecun"},
    "orthogonal": {"initializer": "orthogonal"},
    "zeros": {"initializer": "zeros"},
    "std 0.001": {"initializer": "normal", "std": 0.001},
    "std 0.01": {"initializer": "normal", "std": 0.01},
    "std 1": {"initializer": "normal", "std": 1.0},
    "std 5": {"initializer": "normal", "std": 5.0},
    "std 10": {"initializer": "normal", "std": 10.0},
}


class StartsView(StudyView):
    """Cool colors for starts that depend on a layer's size, warm ones for those that do not, redder the larger."""

    colors: ClassVar[Mapping[str, str]] = {
        "Xavier": "#3b7dd8",
        "He": "#19a5b5",
        "LeCun": "#35a06a",
        "orthogonal": "#8d62c9",
        "zeros": "#8a8f98",
        "std 0.001": "#a9a92c",
        "std 0.01": "#cfa227",
        "std 1": "#e8813a",
        "std 5": "#d05a3c",
        "std 10": "#9c4a3f",
    }


class Losses(StudyCurves):
    """The loss, on logarithmic axes, so that the first epochs and the plateaus both show."""

    title = "Loss"
    main_controls = ("initializer", "learning_rate")
    controls = ("runs", "log_x")
    log_x = param.Boolean(default=True, label="Log epochs", doc="Draw the epochs on a logarithmic axis.")

    def predictions(self, frame: Frame) -> Sequence[Prediction]:
        last = self.run.study.epochs if self.run.study else frame.epoch.index
        return (
            [Prediction("ln 2", np.array([0, last]), np.full(2, math.log(2)))] if frame.setup.task == "binary" else []
        )


class Initialization(Page):
    """Ten starts on one figure, each from many seeds."""

    slug = "initialization"
    title = "Initialization"
    place = 50
    question = "Where should the weights start, and what becomes of a bad start?"
    look_for = (
        "Three fates: the scaled starts go down at once; the small ones lie on the plateau at ln 2, some for good; "
        "the large ones come from far above, and most arrive."
    )
    formulas = (
        r"\text{Xavier: } \sigma^2 = \frac{2}{n_{in} + n_{out}} \quad \text{He: } \sigma^2 = \frac{2}{n_{in}}",
        r"w = 0 \;\Rightarrow\; p = \tfrac{1}{2},\; L = \ln 2 \approx 0.6931",
    )
    trap = (
        "“Large weights fail” is true only for a standard deviation of 5 and more together with a large learning rate. "
        "At 0.1, standard deviations of 1 and 5 start far higher than He and <em>end lower</em>, while small weights "
        "are what gets stuck; at 0.5, the start with 5 fails in most runs."
    )
    defaults: ClassVar = {
        "initializer": "xavier",
        "validation": 0.0,
        "data_seed": 0,
        "learning_rate": 0.1,
        "stop_epoch": 2000,
        "speed": 500,
    }
    presets = (
        Preset(
            "On the plateau",
            "Loss ln 2, a gradient near zero: nothing says where to go.",
            {"initializer": "normal", "std": 0.01, "stop_epoch": 1000},
            about=Losses,
        ),
        Preset(
            "Never leaves",
            "With all weights 0 every unit of a layer is the same unit, and no gradient tells them apart.",
            {"initializer": "zeros"},
            about=GradientBars,
        ),
        Preset(
            "Large, small steps",
            "Starts several times above the scaled starts and ends below them.",
            {"initializer": "normal", "std": 1.0},
            about=Losses,
        ),
        Preset(
            "Large, large steps",
            "Learning rate 0.5: from a standard deviation of 10 most seeds end on the plateau, their units dead.",
            {"initializer": "normal", "std": 10.0, "learning_rate": 0.5},
            compares=True,
            about=StudyOutcomes,
        ),
        Preset(
            "Four points",
            "XOR with a small network: whether it is solved depends on the seed as much as on the start.",
            {"dataset": "xor4", "hidden": [4], "learning_rate": 0.5},
            compares=True,
            about=StudyOutcomes,
        ),
    )
    controls = ("seeds", "epochs", "initializer", "learning_rate", "dataset", "features", "hidden", "activation")
    instruments = (
        (Losses,),
        (StudyOutcomes,),
        (SignalPropagation,),
        (StudyScatter,),
        (GradientBars,),
        (DecisionMap,),
        (NetworkPicture,),
    )
    plan = Plan(variants=STARTS, seeds=16, epochs=2000)
    view = StartsView
    shares = (*("half",) * 6, "whole")
