"""The page on geometry: which learning rates are possible, and how optimizers descend the same surface."""

from dashboard.instruments.race_losses import RaceLosses
from dashboard.instruments.race_map import RaceMap
from dashboard.instruments.race_table import RaceTable
from dashboard.instruments.rate_limits import RateLimits
from dashboard.instruments.step_directions import StepDirections
from dashboard.pages.page import Page, Preset
from dashboard.state.race import Race
from dashboard.state.race_settings import RaceSettings, RaceView
from engine.optimizers import OPTIMIZERS

RACE = {"multiples": [1.0], "counted_in": "best"}


class Geometry(Page):
    """Two weights, so that nothing is left out of the picture: the contours are the whole loss."""

    slug = "geometry"
    title = "Optimization geometry"
    place = 20
    question = "How large may a learning rate be, and who gets down fastest?"
    look_for = (
        "The predictions are drawn first: the limit 2 / λmax and the dashed lines. Then press Play, and see whether "
        "the runs keep to them. Drag the start, and everything begins again from there."
    )
    formulas = (
        r"w \leftarrow w - \eta \, \nabla L(w)",
        r"v_i^\top (w - w^*) \leftarrow (1 - \eta \lambda_i) \, v_i^\top (w - w^*)",
        r"\eta < \frac{2}{\lambda_{\max}}, \quad \kappa = \frac{\lambda_{\max}}{\lambda_{\min}}",
    )
    trap = (
        "Above 2 / λ<sub>max</sub> gradient descent is said to diverge. On a quadratic it does: 0.199 decays, 0.2 "
        "stays, 0.201 grows without end. A logistic loss flattens away from its minimum, so at 2.1 / λ<sub>max</sub> "
        "it swings from side to side for ever, and never blows up."
    )
    presets = (
        Preset(
            "The limit",
            "Quadratic, curvatures 1 and 10: 0.199 decays, 0.2 stays, 0.201 grows.",
            {"multiples": [1.99, 2.0, 2.01], "speed": 20},
            {"racer": "2.01 / λ"},
            about=RaceLosses,
        ),
        Preset(
            "Logistic does not blow up",
            "Dashed, the parabola at the minimum: at 2.1 / λmax it explodes. The loss itself only swings.",
            {"surface": "logistic", "multiples": [0.1, 1.0, 1.99, 2.1], "speed": 20},
            {"racer": "2.1 / λ"},
            about=RaceLosses,
        ),
        Preset(
            "A feature × 10",
            "The second feature in smaller units: a condition number some fifty times larger, and a zigzag at 1.9 / "
            "λmax.",
            {"surface": "logistic", "stretch": 10.0, "multiples": [0.1, 1.0, 1.9], "speed": 100},
            {"racer": "1.9 / λ"},
            about=RaceMap,
        ),
        Preset(
            "Standardized",
            "The same features standardized: round contours, the same lowest loss, at 1 / λmax in a twentieth of the "
            "steps.",
            {"surface": "logistic", "stretch": 10.0, "standardize": True, "multiples": [0.1, 1.0, 1.9], "speed": 20},
            {"racer": "1.9 / λ"},
            about=RaceMap,
        ),
        Preset(
            "All optimizers",
            "A turned valley, each at its best rate: Newton needs one step; adaptive scales cannot see the turn.",
            {**RACE, "optimizers": list(OPTIMIZERS), "condition_number": 50.0, "angle": 30.0, "speed": 20},
            {"racer": "momentum"},
            about=RaceTable,
        ),
        Preset(
            "Curved valley",
            "Rosenbrock: momentum and Newton follow the valley, gradient descent creeps or bounces.",
            {**RACE, "surface": "rosenbrock", "optimizers": ["sgd", "momentum", "adam", "newton"], "speed": 20},
            {"racer": "momentum"},
            about=RaceMap,
        ),
        Preset(
            "Saddle",
            "All at one rate: Adam leaves first, then momentum; gradient descent lingers, and Newton stays at the "
            "saddle.",
            {
                "surface": "saddle",
                "optimizers": ["sgd", "momentum", "adam", "newton"],
                "multiples": [1.0],
                "counted_in": "given",
                "learning_rate": 0.05,
                "speed": 20,
            },
            {"racer": "newton"},
            about=RaceMap,
        ),
        Preset(
            "Four minima",
            "Himmelblau: dividing by the gradient's size leads to another minimum, and Newton climbs to the hilltop.",
            {**RACE, "surface": "himmelblau", "optimizers": list(OPTIMIZERS), "speed": 5, "start": [-0.3, -0.9]},
            {"racer": "newton"},
            about=RaceMap,
        ),
    )
    main_controls = ("surface", "condition_number")
    controls = (
        "surface",
        "condition_number",
        "angle",
        "stretch",
        "standardize",
        "optimizers",
        "multiples",
        "counted_in",
        "learning_rate",
        "momentum",
    )
    shares = ("half", "half", "third", "third", "third")
    instruments = ((RaceMap,), (RaceLosses,), (RateLimits,), (StepDirections,), (RaceTable,))
    settings = RaceSettings
    store = Race
    view = RaceView
