"""The page on logistic regression: a single unit, what it learns and how sure it becomes."""

from typing import ClassVar

from dashboard.instruments.confusion_matrix import ConfusionMatrix
from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.error_signal import ErrorSignal
from dashboard.instruments.outlier_twin import OutlierTwin
from dashboard.instruments.penalized_losses import PenalizedLosses
from dashboard.instruments.right_answers import RightAnswers
from dashboard.instruments.roc_curve import RocCurve
from dashboard.instruments.weight_norms import WeightNorms
from dashboard.pages.page import Page, Preset
from dashboard.state.study import Plan
from dashboard.state.view import StudyView

CLOUDS = {"dataset": "blobs", "classes": 2, "radius": 2.83, "noise": 0.5}
OVERLAP = {**CLOUDS, "radius": 1.0, "noise": 0.8, "validation": 0.3, "stop_epoch": 1000, "speed": 100}
MISTAKEN = {**CLOUDS, "initializer": "large", "std": 1.5, "seed": 99, "data_seed": 0, "stop_epoch": 1000, "speed": 20}
OUTLIERS = {"dataset": "linear", "noise": 0.0, "outliers": 0.1, "seed": 1, "stop_epoch": 2000, "speed": 100}
XOR = {
    "dataset": "xor4",
    "noise": 0.0,
    "initializer": "normal",
    "std": 1.0,
    "learning_rate": 1.0,
    "stop_epoch": 2000,
    "speed": 100,
}


class Logistic(Page):
    """Two clouds and a line: thresholds, penalties, outliers, and data that no line separates."""

    slug = "logistic"
    title = "Logistic regression"
    place = 10
    question = "What does a single unit learn, and how sure does it become?"
    look_for = (
        "The line is found within a few epochs, and yet the weights go on growing, by about 1 for every tenfold "
        "increase in epochs, unless a penalty stops them. Move the threshold: map, curve and matrix follow together."
    )
    formulas = (
        r"p = \sigma(w \cdot x + b) = \frac{1}{1 + e^{-(w \cdot x + b)}}",
        r"L = -\frac{1}{n} \sum_i \left[ y_i \ln p_i + (1 - y_i) \ln (1 - p_i) \right] + \frac{\lambda}{2} |w|^2",
        r"\frac{\partial L}{\partial w} = \frac{1}{n} \sum_i (p_i - y_i)\, x_i + \lambda w, "
        r"\qquad w \leftarrow w - \eta \frac{\partial L}{\partial w}",
    )
    trap = (
        "“A line gets half of XOR right” is not what happens. The best a line can do there is p = 1/2 everywhere: the "
        "loss goes to ln 2 = 0.693147, |w| to 0, and the accuracy, 25, 50 or 75 % of four points, is rounding noise. "
        "And on classes that a line does separate, training has no end to arrive at."
    )
    defaults: ClassVar = {
        **CLOUDS,
        "hidden": [],
        "validation": 0.0,
        "initializer": "small",
        "learning_rate": 0.5,
        "stop_epoch": 10_000,
        "speed": 500,
    }
    presets = (
        Preset(
            "No penalty",
            "The line hardly moves any more, the weights go on: about 1 more for every tenfold increase in epochs.",
            about=WeightNorms,
        ),
        Preset(
            "λ = 0.01",
            "The same run stops with |w| near 1.8, on the line drawn before.",
            {"l2": 0.01},
            about=WeightNorms,
        ),
        Preset(
            "Overlapping classes",
            "No line gets every point right: each threshold trades one kind of mistake for the other.",
            OVERLAP,
            {"threshold": 0.3},
            about=RocCurve,
        ),
        Preset(
            "Confident mistakes, cross-entropy",
            "Wrong and sure of it: every mistake pulls with all it has, and is corrected within ten epochs.",
            MISTAKEN,
            about=ErrorSignal,
        ),
        Preset(
            "Confident mistakes, squared error",
            "The same start and data: the slope of the sigmoid is a factor now, almost 0. It takes more than a "
            "hundred epochs.",
            {**MISTAKEN, "loss": "mse"},
            about=ErrorSignal,
        ),
        Preset(
            "Outliers",
            "A tenth of the examples lie far in the other class, and they turn the line: here by 14°, with most seeds "
            "by less.",
            OUTLIERS,
            about=OutlierTwin,
        ),
        Preset(
            "Outliers, squared error",
            "The surest mistakes hardly pull at all: the line stays within 1° of where it is without them.",
            {**OUTLIERS, "loss": "mse"},
            about=OutlierTwin,
        ),
        Preset(
            "XOR",
            "Down to ln 2 and no further; the weights go to 0, the accuracy jumps for no reason.",
            XOR,
            about=DecisionMap,
        ),
    )
    main_controls = ("threshold", "learning_rate")
    controls = (
        "threshold",
        "dataset",
        "noise",
        "l2",
        "l1",
        "loss",
        "optimizer",
        "initializer",
        "standardize",
        "seeds",
        "epochs",
    )
    instruments = (
        (DecisionMap,),
        (RocCurve,),
        (ConfusionMatrix,),
        (WeightNorms,),
        (PenalizedLosses,),
        (ErrorSignal,),
        (RightAnswers,),
        (OutlierTwin,),
    )
    shares = ("third", "third", "third", "half", "half", "third", "third", "third")
    plan = Plan(
        {
            "λ = 0": {"l2": 0.0, "loss": "binary cross-entropy"},
            "λ = 0.01": {"l2": 0.01, "loss": "binary cross-entropy"},
            "λ = 0.1": {"l2": 0.1, "loss": "binary cross-entropy"},
            "λ = 1": {"l2": 1.0, "loss": "binary cross-entropy"},
            "squared error": {"l2": 0.0, "loss": "mse"},
        },
        seeds=8,
        epochs=2000,
    )
    view = StudyView
