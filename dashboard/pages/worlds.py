"""The page on solvable worlds: trainings whose outcome is known exactly before they begin."""

from collections.abc import Mapping
from typing import Any, ClassVar

from dashboard.instruments.fitted_curve import FittedCurve
from dashboard.instruments.loss_curve import LossCurve
from dashboard.instruments.network_picture import NetworkPicture
from dashboard.instruments.world_curves import WorldCurves, WorldDeviations
from dashboard.pages.page import Page, Preset
from dashboard.state.solvable_worlds import WORLDS, SolvableWorlds
from dashboard.state.store import Companion
from dashboard.widgets.world_bar import WorldBar


def _step(name: str, doc: str, size: int, **more: Any) -> Preset:
    """The step of a world."""
    world = WORLDS[name]
    plays = more.pop("plays", False)
    changes = {**world.fixed, **world.usual, **more}
    study = {"world": name, "size": size}
    return Preset(world.label, doc, changes, study=study, plays=plays, about=WorldCurves, compares=True)


class SolvableWorldsPage(Page):
    """One world a step: its exact line first, then runs of the engine over it, and how far they are off."""

    slug = "worlds"
    title = "Solvable worlds"
    place = 87
    question = "Where is the outcome of a training known exactly, before it begins?"
    look_for = (
        "Each step is a training that somebody has solved. The dashed line is the solution and is there at once; then "
        "the engine trains runs from many seeds, and the mean of them is held against it. Turn “Size” from 4 to 128: "
        "the runs contract onto the line of infinite width."
    )
    formulas = tuple(world.formula for world in WORLDS.values())
    trap = (
        "“Theory of infinite width describes real networks.” It describes their mean, up to a correction of the order "
        "of 1 / width: at width 4 hundreds of runs leave the band of chance, at width 128 sixty do not."
    )
    defaults: ClassVar = {**WORLDS["signals"].fixed, **WORLDS["signals"].usual, "n": 4}
    presets = (
        _step(
            "signals",
            "How large the pre-activations are, layer by layer, in a tanh network with random weights: they settle at "
            "a fixed point that depends on the spread of weights and biases alone.",
            64,
        ),
        _step(
            "gradients",
            "The same network's gradients on their way back: below the critical spread of the weights they shrink by "
            "the same factor in every layer, above it they grow.",
            64,
        ),
        _step(
            "catapult",
            "A learning rate of more than 2 / curvature: the loss grows as if for ever, until the weights notice, and "
            "lands in a flatter place. Two numbers of the start tell every epoch. The wider, the later and the higher.",
            128,
            plays=True,
        ),
        _step(
            "cascade",
            "Two weights, and a rate beyond the edge of stability: their product goes to and fro between 2 values, "
            "then 4, then 8, then ever more. The gray diagram is theory for 400 rates; the red dots are this run.",
            64,
            plays=True,
        ),
        _step(
            "deep linear",
            "From small weights two linear layers wait, and then learn within a few epochs: the strongest mode first, "
            "the one of strength 1 three times as late as that of 3.",
            64,
            plays=True,
        ),
        _step(
            "double descent",
            "Least squares from 32 examples with more and more features: the risk is highest where there are as many "
            "features as examples, and falls again beyond. The red dot is this run, which descends the slope.",
            32,
            plays=True,
        ),
        _step(
            "wide",
            "What the kernel of the start says of the whole training, and what the network does: at width 128 a few "
            "percent apart, at width 8 another curve altogether.",
            128,
            plays=True,
        ),
    )
    controls = ("size", "seeds", "sigma_w", "bias_std", "learning_rate", "activation", "seed")
    main_controls = ("size", "learning_rate")
    instruments = ((WorldCurves,), (WorldDeviations,), (LossCurve,), (FittedCurve,), (NetworkPicture,))
    shares = ("half", "half", "third", "third", "third")
    bar = WorldBar

    @classmethod
    def companion(
        cls, query: Mapping[str, str], defaults: Mapping[str, Any] | None = None
    ) -> tuple[Companion | None, list[str]]:
        return SolvableWorlds.from_query(query, defaults)
