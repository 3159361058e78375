"""The page on maps: for which settings does a network train?"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from dashboard.instruments.border_roughness import BorderRoughness
from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.fitted_curve import FittedCurve
from dashboard.instruments.gradient_bars import GradientBars
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.map_picture import MapPicture
from dashboard.instruments.network_picture import NetworkPicture
from dashboard.pages.page import Page, Preset
from dashboard.state.run_map import RunMap
from dashboard.state.store import Companion, Frame
from dashboard.state.view import MapView
from dashboard.widgets.map_bar import MapBar

FEATURES = 8
"""Of the network with the fractal border: as many inputs as units, and as many examples as parameters."""


class Maps(Page):
    """A map of trained runs, any of which opens in the pictures beside it."""

    slug = "maps"
    title = "Maps"
    place = 85
    question = "For which settings does it train, and where is the border?"
    look_for = (
        "Choose two numbers for the sides and a measure for the color, and press “Compute”. Click a pixel to open its "
        "run and see what became of it. Drag a box to look closer where the color changes."
    )
    trap = (
        "“A good learning rate is a property of the problem.” It is one of the problem, the start and the network "
        "together: along the border a run that trains lies beside one that does not, however closely you look."
    )
    defaults: ClassVar = {
        "initializer": "normal",
        "hidden": [8, 8],
        "n": 100,
        "validation": 0.0,
        "learning_rate": 0.1,
        "speed": 100,
        "stop_epoch": 300,
    }
    presets = (
        Preset(
            "Rate against start",
            "A valley of good pairs: the larger the first weights, the smaller the rate that still trains. Below, "
            "runs are slow; above, they end on the plateau at ln 2.",
            study={"x": "learning_rate", "y": "std"},
            plays=False,
            compares=True,
            about=MapPicture,
        ),
        Preset(
            "Closer to the border",
            "A part of the same map. Single pixels on the wrong side of the border show that it is no line.",
            study={"windows": [[0.001, 10.0, 0.01, 10.0], [0.3, 3.0, 0.3, 3.0]]},
            plays=False,
            compares=True,
            about=MapPicture,
        ),
        Preset(
            "Rate against width",
            "One unit a layer learns nothing at any rate. From 8 units on more width changes little: all have their "
            "best near a rate of 1.5.",
            {"initializer": "he"},
            study={"x": "learning_rate", "y": "width", "side": 32},
            plays=False,
            compares=True,
            about=MapPicture,
        ),
        Preset(
            "Depth of sigmoids",
            "The first layer's gradient as a share of the last one's, at epoch 10: at small rates two thirds with one "
            "hidden layer, less than a thousandth with eight.",
            {"activation": "sigmoid", "initializer": "xavier"},
            {"map_epoch": 10},
            {"x": "depth", "y": "learning_rate", "measure": "gradient ratio", "side": 32, "epochs": 100},
            plays=False,
            compares=True,
            about=MapPicture,
        ),
        Preset(
            "Batches against rate",
            "Small batches are more updates in 30 epochs: their best rate is smaller, and they come further with it.",
            {"initializer": "he"},
            study={"x": "learning_rate", "y": "batch_size", "side": 32, "epochs": 30},
            plays=False,
            compares=True,
            about=MapPicture,
        ),
        Preset(
            "How deep signals reach",
            "Tanh networks by the spread of their weights. Dashed: six correlation depths of mean-field theory, down "
            "to which they train; deepest where signals neither fade nor become chaos.",
            {
                "dataset": "circles",
                "n": 60,
                "noise": 0.1,
                "hidden": [28, 28],
                "activation": "tanh",
                "initializer": "gaussian",
                "sigma_w": 1.1,
                "bias_std": round(math.sqrt(0.05), 4),
                "standardize": True,
            },
            study={
                "x": "sigma_w",
                "y": "depth",
                "windows": [[0.7, 1.9, 1, 24]],
                "side": 32,
                "epochs": 150,
            },
            plays=False,
            compares=True,
            about=MapPicture,
        ),
        Preset(
            "A fractal border",
            "One learning rate for each of two layers. Within the border between runs that come down and runs that "
            "blow up there are more borders: drag a box on it, and again.",
            {
                "dataset": "gaussian",
                "dimension": FEATURES,
                "n": FEATURES * (FEATURES + 1),
                "noise": 0.0,
                "hidden": [FEATURES],
                "activation": "tanh",
                "initializer": "gaussian",
                "sigma_w": math.sqrt(2),
                "biases": False,
                "parametrization": "ntk",
                "output_scale": 1 / math.sqrt(2 * FEATURES),
                "loss": "mse",
                "learning_rate": 2.0,
            },
            study={"x": "first_rate", "y": "last_rate", "measure": "trained", "epochs": 100, "side": 128},
            plays=False,
            compares=True,
            about=MapPicture,
        ),
    )
    controls = ("x", "y", "measure", "map_epoch", "side", "epochs", "dataset", "hidden", "activation", "seed")
    main_controls = ("x", "y")
    instruments = (
        (MapPicture,),
        (LossCurve,),
        (DecisionMap, FittedCurve),
        (GradientBars,),
        (BorderRoughness,),
        (NetworkPicture,),
    )
    shares = ("half", "half", "third", "third", "third", "whole")
    view = MapView
    bar = MapBar

    @classmethod
    def companion(
        cls, query: Mapping[str, str], defaults: Mapping[str, Any] | None = None
    ) -> tuple[Companion | None, list[str]]:
        return RunMap.from_query(query, defaults)

    def draw(self, frame: Frame, version: int) -> None:
        super().draw(frame, version)
        for picture in self.shown:
            if isinstance(picture, MapPicture):
                picture.play = self.play
