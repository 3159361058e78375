"""Maps: two settings vary along the sides, and every pixel is a run that can be opened again, bit for bit.

from engine.sweep import Axis, Sweep

sweep = Sweep(
    [Axis("learning_rate", 0.01, 10, "log"), Axis("std", 0.1, 10, "log")],
    {"dataset": "xor", "hidden": [8, 8], "initializer": "normal"},
    measures=("loss", "trained"),
)
for progress in sweep.run():
    ...
sweep.values("loss")                  # (ny, nx)
sweep.training(3, 5)                  # the run of a pixel
"""

from engine.sweep.axis import Axis
from engine.sweep.measures import MEASURES, Measure
from engine.sweep.recipe import training_of
from engine.sweep.sweep import Estimate, Progress, Sweep, duration, marks_until

__all__ = ["MEASURES", "Axis", "Estimate", "Measure", "Progress", "Sweep", "duration", "marks_until", "training_of"]
