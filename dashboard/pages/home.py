"""The home page: what this is, in ten seconds, and a first run."""

from typing import ClassVar

import panel as pn

from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.fitted_curve import FittedCurve
from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.network_picture import NetworkPicture
from dashboard.pages.page import Page, Preset, pages, stacked
from dashboard.widgets.gallery import Gallery


class Home(Page):
    """The front door: one run to press Play on, and links to all pages."""

    slug = "home"
    title = "Start"
    place = 0
    question = "Why does a neural network train, or not?"
    look_for = (
        "A small network learns to tell two moons apart, epoch by epoch. Turn a knob while it does, and every "
        "picture answers. Then open an experiment: each asks one question and shows the answer live."
    )
    controls = ("dataset", "features", "hidden", "activation", "learning_rate")
    defaults: ClassVar = {"stop_epoch": 1000}
    plays = True
    presets = (
        Preset(
            "It trains",
            "Two moons, ReLU, He's start: the boundary bends until both moons are apart.",
            about=DecisionMap,
        ),
        Preset(
            "It does not",
            "Six sigmoid layers from small weights: the error dies on its way back, and nothing moves.",
            {"hidden": [8] * 6, "activation": "sigmoid", "initializer": "small"},
            about=GradientBars,
        ),
        Preset(
            "It explodes",
            "A sine wave, and steps far too long: within a hundred epochs the loss overflows.",
            {"dataset": "sine", "activation": "tanh", "learning_rate": 3.0, "speed": 20},
            about=LossCurve,
        ),
    )
    instruments = ((NetworkPicture,), (DecisionMap, FittedCurve), (LossCurve,), (GradientBars,))
    shares = ("whole", "third", "third", "third")

    def __panel__(self) -> pn.viewable.Viewable:
        others = {slug: page for slug, page in pages().items() if slug != self.slug}
        gallery = Gallery(others, lambda slug: self.open(slug), sizing_mode="stretch_width", margin=(16, 0))
        return stacked(self._layout, gallery)
