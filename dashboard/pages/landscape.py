"""The page on the loss landscape: what two directions show of a path through hundreds, and what they hide."""

import param

from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.fitted_curve import FittedCurve
from dashboard.instruments.hessian_landscape import HessianLandscape
from dashboard.instruments.linear_interpolation import LinearInterpolation
from dashboard.instruments.loss_landscape import REACHES, LossLandscape
from dashboard.instruments.pca_landscape import PcaLandscape
from dashboard.instruments.surface_errors import SurfaceErrors
from dashboard.instruments.weight_slice import ANOTHER, LandscapeView, WeightSlice
from dashboard.pages.page import Page, Preset
from dashboard.state.study import Plan


class RandomPlane(LossLandscape):
    """The random plane, wide enough to hold most of the path."""

    title = "Random plane"
    question = "What does the loss look like in two random directions?"
    reach = param.Selector(default=1.0, objects=REACHES)


class Landscape(Page):
    """One run on four planes at once, with the truth beside them, and the lines to other runs."""

    slug = "landscape"
    title = "Loss landscape"
    place = 75
    question = "Can the picture of a loss landscape be trusted?"
    look_for = (
        "One run, four planes through the same weights. At the disc each surface is exact; back along the path the "
        "dots (true loss) leave the color of the surface beneath them. Drag the time slider: every plane follows."
    )
    formulas = (
        r"L(a, b) = L(\theta + a\,\delta + b\,\eta)",
        r"\delta_{j} \leftarrow \frac{\delta_{j}}{\|\delta_{j}\|}\,\|\theta_{j}\| \quad \text{for each filter } j",
    )
    trap = (
        "“The run walks down the surface.” The surface belongs to one moment: it is cut where the other weights are "
        "<i>now</i>. On its own slice the path is exact at the end, and still off by about 0.3 at the start, where "
        "the loss is about 0.7; on another run's slice it is off at the end, too. A plane may explain 98 % of the "
        "variance and err by more."
    )
    defaults = {
        "validation": 0.0,
        "hidden": [2],
        "activation": "tanh",
        "initializer": "xavier",
        "learning_rate": 0.5,
        "stop_epoch": 2000,
    }
    presets = (
        Preset(
            "Own slice",
            "Exact at the disc, off where the run began: the other seven parameters have moved too.",
            about=WeightSlice,
        ),
        Preset(
            "Another run's slice",
            "The same path over a slice through another seed's end: wrong at the disc as well. Click a line to "
            "choose another run.",
            view={"slice_of": ANOTHER},
            compares=True,
            about=WeightSlice,
        ),
        Preset(
            "98 % explained",
            "337 parameters, two components explain nearly all of the path, and the start is still misplaced.",
            {"hidden": [16, 16], "activation": "relu", "initializer": "he", "learning_rate": 0.1, "speed": 500},
            about=PcaLandscape,
        ),
        Preset(
            "Walls between runs",
            "Runs from other seeds, all good, and a wall between any two. Then switch on “Match”: the walls were in "
            "the order of the hidden units.",
            {"hidden": [16], "activation": "tanh", "noise": 0.1, "speed": 500},
            compares=True,
            about=LinearInterpolation,
        ),
    )
    controls = ("slice_of", "hidden", "activation", "initializer", "learning_rate", "seed", "seeds", "epochs")
    instruments = (
        (WeightSlice,),
        (RandomPlane,),
        (PcaLandscape,),
        (HessianLandscape,),
        (SurfaceErrors,),
        (LinearInterpolation,),
        (DecisionMap, FittedCurve),
    )
    plan = Plan({"other starts": {}}, seeds=8, epochs=1000)
    view = LandscapeView
