"""Playground: any data, any network, every instrument."""

from dashboard.instruments.activation_map import ActivationMap
from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.fitted_curve import FittedCurve
from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.loss_landscape import LossLandscape
from dashboard.pages.page import Page


class Playground(Page):
    """Everything at once, under one clock."""

    slug = "playground"
    title = "Playground"
    place = 90
    question = "What does this network do with this data, and why?"
    look_for = "Change one thing at a time and watch which picture moves first."
    instruments = ((DecisionMap, FittedCurve), (LossCurve,), (LossLandscape,), (GradientBars,), (ActivationMap,))
