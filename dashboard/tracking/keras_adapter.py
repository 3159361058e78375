"""Keras: a callback that logs each epoch of `fit`, with the model's weights.

    model.fit(x, y, callbacks=[keras_callback("my run")])

Keras is not imported here: a program that calls `fit` has done so.
"""

from collections.abc import Mapping
from typing import Any

from dashboard.tracking.logger import harmless
from dashboard.tracking.training_hooks import TrainingHooks


class KerasHooks(TrainingHooks):
    """Logs every epoch: what `fit` computes, the learning rate, and the weights that are trained."""

    modules = ("keras.callbacks",)

    @harmless
    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self.begin()

    @harmless
    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        numbers, model = dict(logs or {}), self.model
        if not {"lr", "learning_rate"} & numbers.keys() and getattr(model, "optimizer", None) is not None:
            numbers["lr"] = model.optimizer.learning_rate
        weights = {_name(one): one for one in model.trainable_weights}
        self.note(epoch, numbers, parameters=weights or None)

    @harmless
    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self.end()


def keras_callback(name: str = "run", **options: Any) -> Any:
    """A callback for `fit` of Keras, each of whose trainings becomes a run.

    Args:
        name: The runs' name on the page.
        **options: As in `watch`.
    """
    return KerasHooks.made(name, options)


def _name(weight: Any) -> str:
    """The path of a weight in the model: `dense.kernel`."""
    return str(getattr(weight, "path", weight.name)).replace("/", ".")
