"""The playground: any data, any network, every instrument."""

import param

from dashboard.instruments.activation_curve import ActivationCurve
from dashboard.instruments.activation_map import ActivationMap
from dashboard.instruments.confusion_matrix import ConfusionMatrix
from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.fate_counts import FateCounts
from dashboard.instruments.fitted_curve import FittedCurve
from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.hessian_spectrum import HessianSpectrum
from dashboard.instruments.instrument import Instrument
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.loss_landscape import LossLandscape
from dashboard.instruments.network_picture import NetworkPicture
from dashboard.instruments.roc_curve import RocCurve
from dashboard.instruments.sharpness_curve import SharpnessCurve
from dashboard.instruments.unit_plane import UnitPlane
from dashboard.instruments.update_ratios import UpdateRatios
from dashboard.pages.card import Card
from dashboard.pages.page import Page, Preset, shares_of
from dashboard.state.run import Frame, Run
from dashboard.state.view import View

CARDS: dict[str, tuple[type[Instrument], ...]] = {
    card[0].title: card
    for card in (
        (NetworkPicture,),
        (DecisionMap, FittedCurve),
        (LossCurve,),
        (LossLandscape,),
        (GradientBars,),
        (ActivationMap,),
        (UpdateRatios,),
        (ActivationCurve,),
        (SharpnessCurve,),
        (HessianSpectrum,),
        (FateCounts,),
        (UnitPlane,),
        (RocCurve,),
        (ConfusionMatrix,),
    )
}
"""The cards to choose from, by the title of the first instrument that may be shown."""


class PlaygroundView(View):
    """Which pictures are on the page."""

    pictures = param.ListSelector(
        default=list(CARDS)[:6], objects=list(CARDS), doc="What is drawn. Every picture takes its time from the others."
    )


class Playground(Page):
    """Everything at once, under one clock."""

    slug = "playground"
    title = "Playground"
    place = 90
    question = "What does this network do with this data, and why?"
    look_for = (
        "Change one thing at a time and watch which picture moves first. More pictures can be chosen on the left."
    )
    presets = (
        Preset(
            "Moons", "Two half circles that reach into one another: a gentle curve tells them apart.", about=DecisionMap
        ),
        Preset(
            "XOR",
            "A line's loss stays near ln 2, that of a guess; four tanh units tell the clouds apart.",
            {"dataset": "xor", "hidden": [4], "activation": "tanh", "learning_rate": 0.5},
            about=DecisionMap,
        ),
        Preset(
            "Circles",
            "The boundary has to close: three units can, two cannot.",
            {"dataset": "circles", "hidden": [3], "activation": "tanh", "learning_rate": 0.5},
            about=DecisionMap,
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
            about=DecisionMap,
        ),
        Preset(
            "Five classes",
            "A softmax over five clouds: straight lines between neighbors.",
            {"dataset": "blobs", "classes": 5, "n": 300, "optimizer": "momentum"},
            about=DecisionMap,
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
            about=FittedCurve,
        ),
    )
    controls = ("pictures",)
    kept = ("pictures",)
    view = PlaygroundView
    instruments = tuple(CARDS[title] for title in PlaygroundView.param.pictures.default)

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._known = dict(zip(PlaygroundView.param.pictures.default, self._cards, strict=True))
        self._arrange()

    def draw(self, frame: Frame, version: int) -> None:
        """Draw the chosen pictures at a frame."""
        if self._chosen != self._titles:
            self._arrange()
        super().draw(frame, version)

    @property
    def _chosen(self) -> list[str]:
        """The titles of the pictures to show; the usual ones for a run that was made without this page's view."""
        return list(PlaygroundView.of(self.run.view).pictures)

    def _arrange(self) -> None:
        """Show the chosen pictures, in the order of the menu; those that were shown before are reused."""
        self._titles = self._chosen
        for title in self._titles:
            if title not in self._known:
                self._known[title] = Card(self.run, CARDS[title])
        self._cards = [self._known[title] for title in CARDS if title in self._titles]
        led = NetworkPicture.title in self._titles
        self.shares = ["whole", *shares_of(len(self._cards) - 1)] if led else shares_of(len(self._cards))
        self._share_out()
        self._layout.objects = [card.view for card in self._cards]
