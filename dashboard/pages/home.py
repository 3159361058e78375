"""Home: what this is, in ten seconds, and a first run."""

from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.fitted_curve import FittedCurve
from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.loss_curve import LossCurve
from dashboard.pages.page import Page


class Home(Page):
    """The front door: one run to press Play on, and the way to all pages."""

    slug = "home"
    title = "Start"
    place = 0
    question = "Why does a neural network train, or not?"
    look_for = (
        "Press Play: a small network learns to tell two moons apart, epoch by epoch, on this machine. "
        "Then open an experiment: each asks one question and shows the answer live."
    )
    controls = ("dataset", "hidden", "activation", "learning_rate")
    instruments = ((DecisionMap, FittedCurve), (LossCurve,), (GradientBars,))
