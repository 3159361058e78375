"""The engine: small networks trained and measured exactly, on NumPy alone."""

from engine.activations import ACTIVATIONS
from engine.backpropagation import BUGS, Backpropagation
from engine.datasets import DATASETS, Dataset, Standardization
from engine.gradient_check import gradient_check
from engine.initializers import INITIALIZERS
from engine.losses import LOSSES, OUTPUTS
from engine.network import Gradient, Network, Trace
from engine.optimizers import OPTIMIZERS
from engine.options import Option, Range, options
from engine.parametrizations import PARAMETRIZATIONS
from engine.schedules import SCHEDULES
from engine.surfaces import SURFACES
from engine.training import Checkpoint, Epoch, Epochs, Training, train

__all__ = [
    "ACTIVATIONS",
    "BUGS",
    "DATASETS",
    "INITIALIZERS",
    "LOSSES",
    "OPTIMIZERS",
    "OUTPUTS",
    "PARAMETRIZATIONS",
    "SCHEDULES",
    "SURFACES",
    "Backpropagation",
    "Checkpoint",
    "Dataset",
    "Epoch",
    "Epochs",
    "Gradient",
    "Network",
    "Option",
    "Range",
    "Standardization",
    "Trace",
    "Training",
    "gradient_check",
    "options",
    "train",
]
