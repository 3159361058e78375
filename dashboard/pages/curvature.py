"""The page on the edge of stability: how the sharpness grows until the learning rate stops it."""

import panel as pn
import param

from dashboard.instruments.decision_map import DecisionMap
from dashboard.instruments.fitted_curve import FittedCurve
from dashboard.instruments.flow_distance import FlowDistance
from dashboard.instruments.foreseen import Foreseen, with_line
from dashboard.instruments.hessian_spectrum import HessianSpectrum
from dashboard.instruments.instrument import Columns
from dashboard.instruments.layer_curvature import LayerCurvature
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.sharpest_direction import SharpestDirection
from dashboard.instruments.sharpness_curve import SharpnessCurve
from dashboard.instruments.sharpness_study import SharpnessStudy
from dashboard.pages.page import Page, Preset
from dashboard.state.run import Frame
from dashboard.state.study import Plan
from dashboard.state.view import ForesightView
from dashboard.widgets.foresight_bar import ForesightBar
from dashboard.widgets.plain_text import phrase


class LossInLeaps(Foreseen, LossCurve):
    """The loss on a logarithmic axis, on which leaps are visible at any height, and what is foreseen of it."""

    reading = (
        "At the edge of stability the loss leaps up for moments and comes down over longer times. Beyond epoch 1,024 "
        "only every second, then every fourth epoch is drawn: leaps to and fro from one epoch to the next no longer "
        "show here, but they go on (Across the valley)."
    )
    points = 1024
    foreseen = "loss"

    log = param.Boolean(default=True)

    def columns(self, frame: Frame, after: int) -> dict[str, Columns]:
        return {**super().columns(frame, after), **self.flows(frame, after)}

    def ranges(self, frame: Frame) -> dict[str, tuple[float, float]]:
        ranges = super().ranges(frame)
        (left, right), (low, high) = ranges["x"], ranges["y"]
        lows = [one / 1.3 for one in self.lows(frame)] if self.log else []
        return {"x": (left, max(right, self.last_foreseen(frame))), "y": (min([low, *lows]), high)}

    def describe(self, frame: Frame) -> str:
        apart = self.in_words(frame, "loss")
        line = phrase("foreseen mean loss off by", apart, between=" ") if apart else ""
        return with_line(super().describe(frame), line)


class EdgeOfStability(Page):
    """Sharpness, spectrum, layers and the walls of the valley of one run, and several learning rates beside it."""

    slug = "curvature"
    title = "Edge of stability"
    place = 80
    question = "What stops the curvature from growing?"
    look_for = (
        "The sharpness climbs until it meets 2 / learning rate and stays there, while the loss goes on falling in "
        "leaps. Move the learning rate while it plays: the line moves, and the sharpness follows, slowly, while there "
        "is something left to learn. Press Foresee, and see the run follow the line that was drawn before it."
    )
    formulas = (
        r"\lambda_{\max}\left(\nabla^2 L\right) \to \frac{2}{\eta}",
        r"\text{quadratic: } x_{t+1} = (1 - \eta\lambda)\,x_t",
        r"\text{central flow: } \dot w = -\eta\left(\nabla L + "
        r"\tfrac{1}{2}\nabla\langle\Sigma, \nabla^2 L\rangle\right)",
        r"\text{momentum } \beta: \frac{2 + 2\beta}{\eta}, \quad "
        r"\text{Adam: } \lambda_{\max}\left(P^{-1}\nabla^2 L\right) \to \frac{2 + 2\beta_1}{(1 - \beta_1)\,\eta}",
    )
    trap = (
        "“Gradient descent needs a learning rate below 2 / sharpness.” That holds for a quadratic. Here most of the "
        "training happens <i>at</i> 2 / sharpness: the steps leap across the valley, the loss rises for moments and "
        "falls over longer times, and the landscape flattens instead."
    )
    defaults = {
        "dataset": "chebyshev",
        "n": 20,
        "noise": 0.0,
        "validation": 0.0,
        "hidden": [32, 32],
        "activation": "tanh",
        "initializer": "xavier",
        "loss": "mse",
        "learning_rate": 0.1,
        "stop_epoch": 2000,
        "speed": 500,
    }
    presets = (
        Preset(
            "To the edge",
            "The sharpness starts near 9, reaches 2 / 0.1 = 20 within 1,000 epochs, and stays there.",
            about=SharpnessCurve,
        ),
        Preset(
            "Half the rate",
            "Twice the room: the sharpness climbs to 2 / 0.05 = 40 before it stops.",
            {"learning_rate": 0.05},
            about=SharpnessCurve,
        ),
        Preset(
            "Catapult",
            "With this seed the rate is above 2 / sharpness from the start: the loss leaps to about ten times its "
            "height, and it lands in a wider valley.",
            {"learning_rate": 0.2, "seed": 7, "speed": 20},
            about=LossInLeaps,
        ),
        Preset(
            "A saddle",
            "Tiny weights: no slope to speak of, and many directions that bend down a little. It takes long to leave.",
            {
                "dataset": "xor",
                "n": 100,
                "noise": 0.1,
                "hidden": [8],
                "loss": "binary cross-entropy",
                "initializer": "small",
                "learning_rate": 1.0,
                "speed": 100,
            },
            about=HessianSpectrum,
        ),
        Preset(
            "Adam's own edge",
            "Adam divides each weight's step by a number of its own, P. What settles is the sharpness of P⁻¹H, at 38 / "
            "learning rate, within 1,000 epochs.",
            {"optimizer": "adam", "learning_rate": 0.001},
            about=SharpnessCurve,
        ),
        Preset(
            "The line ahead",
            "Drawn before the run: gradient flow, which comes down to a third of the run's loss, and the central flow, "
            "the mean path at the edge. Then press Play: the run weaves around the central flow.",
            {"stop_epoch": 1000},
            {"foreseen_from": 0},
            plays=False,
            about=LossInLeaps,
        ),
    )
    controls = ("optimizer", "activation", "hidden", "seed", "foreseen_steps", "seeds", "epochs")
    instruments = (
        (SharpnessCurve,),
        (LossInLeaps,),
        (HessianSpectrum,),
        (SharpestDirection,),
        (LayerCurvature,),
        (FlowDistance,),
        (SharpnessStudy,),
        (FittedCurve, DecisionMap),
    )
    plan = Plan({f"rate {rate}": {"learning_rate": rate} for rate in (0.05, 0.1, 0.2)}, seeds=3, epochs=8000)
    view = ForesightView

    def _heading(self) -> pn.viewable.Viewable:
        """The bar of the foresight stands above that of the comparison."""
        self._foresight_bar = ForesightBar(self.run)
        heading = super()._heading()
        heading.insert(len(heading) - 1, self._foresight_bar)
        return heading

    def draw(self, frame: Frame, version: int) -> None:
        super().draw(frame, version)
        self._foresight_bar.draw()
