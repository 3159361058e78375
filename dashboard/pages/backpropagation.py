"""The page on backpropagation: the gradient stage by stage, and how to know that it is right."""

from dashboard.instruments.backprop_stages import BackpropStages
from dashboard.instruments.bug_descent import BugDescent
from dashboard.instruments.check_map import CheckMap
from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.epsilon_errors import EpsilonErrors
from dashboard.instruments.parameter_walk import ParameterWalk
from dashboard.instruments.study_curves import StudyCurves
from dashboard.instruments.study_outcomes import StudyOutcomes
from dashboard.pages.page import Page, Preset
from dashboard.state.analyses.gradient_audit import WORKED, CheckView
from dashboard.state.study import Plan

RELU = {"activation": "relu", "initializer": "he", "learning_rate": 0.1}


class SolvedXor(StudyOutcomes):
    """The outcome of every run, width by width. A mean loss of 0.05 leaves none of the four points wrong."""

    title = "Success by width"
    question = "How many hidden units does XOR need?"
    goal = 0.05


class Backpropagation(Page):
    """Two passes through a small network, number by number, and a check that can see a mistake in them."""

    slug = "backpropagation"
    title = "Backpropagation"
    place = 40
    question = "Where does the gradient come from, and how do you know it is right?"
    look_for = (
        "Walk through the stages of the two passes on XOR and click any number to see what it is made of. Then plant a "
        "bug and watch which parameters the gradient check catches it in."
    )
    formulas = (
        r"\delta_l = \left( \delta_{l+1} W_{l+1}^{\top} \right) \odot f'(z_l), \qquad "
        r"\frac{\partial L}{\partial W_l} = a_{l-1}^{\top} \, \delta_l",
        r"\frac{\partial L}{\partial w} \approx \frac{L(w + \varepsilon) - L(w - \varepsilon)}{2 \varepsilon}",
        r"\text{off by} \; \frac{2^{-53} L}{\varepsilon} + \frac{\varepsilon^2}{6} \, L^{(3)}",
    )
    trap = (
        "A check that fails need not have found a bug, and a loss that falls does not prove that there is none. Where "
        "ε takes a ReLU across its kink the loss has two slopes: with biases that start at zero, every hidden unit is "
        "at its kink for the input (0, 0). And with the slope taken at a instead of z a network may well learn XOR, "
        "only later; with 1/n forgotten it learns faster."
    )
    defaults = {
        "dataset": "xor4",
        "hidden": [4],
        "activation": "sigmoid",
        "initializer": "xavier",
        "learning_rate": 1.0,
        "validation": 0.0,
        "stop_epoch": 2000,
    }
    presets = (
        Preset(
            "Sigmoid",
            "XOR in four hidden units: from most starts all four points are right within 700 epochs.",
            about=DecisionMap,
        ),
        Preset(
            "Tanh",
            "Its slope at 0 is four times the sigmoid's: less than half the epochs at half the learning rate.",
            {"activation": "tanh", "learning_rate": 0.5},
            about=DecisionMap,
        ),
        Preset(
            "ReLU at its kinks",
            "No bug: the biases marked × have two slopes, to the left and to the right; the check takes their mean.",
            RELU,
            {"parameter": 8, "example": 0, "stage": "f'(z1)"},
            plays=False,
            about=CheckMap,
        ),
        Preset(
            "Worked example",
            "w = 0.5, x = y = 1, L = (wx − y)²: the slope is −1, and the difference of losses says −1.000000000001.",
            view={"subject": WORKED, "stage": "dW1"},
            plays=False,
            about=BackpropStages,
        ),
        Preset(
            "Bug: f′ forgotten",
            "Only the first layer is wrong, and with that XOR is not learned. The check sees it at every ε.",
            view={"bug": "drop the slope", "stage": "dz1"},
            about=EpsilonErrors,
        ),
        Preset(
            "Bug that learns",
            "The slope taken at a instead of z: the loss falls as well, only later. The check sees it at once.",
            view={"bug": "slope of the activation", "stage": "dz1"},
            about=BugDescent,
        ),
        Preset(
            "Bug that ReLU forgives",
            "The same bug, but ReLU has the same slope at a as at z: only another activation shows it.",
            RELU,
            {"bug": "slope of the activation", "stage": "dz1"},
            plays=False,
            about=CheckMap,
        ),
        Preset(
            "ε too small",
            "Nothing is wrong but ε: at 1e-11 the two losses differ in their last digits only.",
            view={"exponent": -11},
            plays=False,
            about=EpsilonErrors,
        ),
    )
    main_controls = ("bug", "exponent")
    controls = (
        "bug",
        "exponent",
        "subject",
        "activation",
        "features",
        "hidden",
        "initializer",
        "learning_rate",
        "seed",
        "seeds",
        "epochs",
    )
    instruments = (
        (BackpropStages,),
        (ParameterWalk,),
        (EpsilonErrors,),
        (CheckMap,),
        (BugDescent,),
        (DecisionMap,),
        (StudyCurves,),
        (SolvedXor,),
    )
    shares = ("whole", "third", "third", "third", "half", "half", "half", "half")
    plan = Plan({f"{width} hidden": {"hidden": [width]} for width in (2, 4, 8, 16)}, seeds=20, epochs=5000)
    view = CheckView
