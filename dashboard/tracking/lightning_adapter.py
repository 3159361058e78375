"""Lightning: a callback that logs each epoch of a trainer, and reads layers off its module.

    trainer = Trainer(callbacks=[lightning_callback("my run")])

Lightning is not imported here: a program that has a trainer has done so.
"""

from collections.abc import Mapping, Set
from typing import Any

from dashboard.tracking.endings import ending
from dashboard.tracking.logger import ALIASES, harmless
from dashboard.tracking.training_hooks import TrainingHooks

LOSSES = {"loss", *(name for name, meaning in ALIASES.items() if meaning == "loss")}
RATES = {"lr", "learning_rate"}
SPLIT = "step", "epoch"
"""What Lightning appends, after an underscore, to a name that is logged both by step and by epoch; it logs that too."""


class LightningHooks(TrainingHooks):
    """Logs every epoch: its batches' mean loss, what the module logs, the learning rate, and the module's layers."""

    modules = "lightning.pytorch", "pytorch_lightning"
    _total, _batches = 0.0, 0

    @harmless
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._total, self._batches, self._seen = 0.0, 0, dict(trainer.callback_metrics)
        if trainer.is_global_zero:
            self.begin(module=pl_module)

    @harmless
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if loss is not None:
            self._total = self._total + loss.detach().float()  # on its device: to ask for it would wait for the device
            self._batches += 1

    @harmless
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        numbers = self._fresh(trainer)
        if self._batches:  # what the module logs as its loss may be that of the last batch
            numbers["loss"] = self._total / self._batches
        self._total, self._batches = 0.0, 0
        if trainer.optimizers and not RATES & numbers.keys():
            numbers["lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        self.note(trainer.current_epoch, numbers)

    @harmless
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if self._lab is not None and (numbers := self._fresh(trainer, LOSSES)):
            self.note(trainer.current_epoch, numbers)

    @harmless
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self.end(*ending(type(exception), exception))

    @harmless
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.end()

    def _fresh(self, trainer: Any, but: Set[str] = frozenset()) -> dict[str, Any]:
        """The metrics that have been computed since they were last taken: Lightning keeps those of earlier epochs."""
        metrics = {name: value for name, value in trainer.callback_metrics.items() if name not in but}
        new = {name: value for name, value in metrics.items() if self._seen.get(name) is not value}
        self._seen |= metrics
        return {name: value for name, value in new.items() if not _is_double(name, metrics)}


def lightning_callback(name: str = "run", **options: Any) -> Any:
    """A callback for the trainers of Lightning, each of whose trainings becomes a run.

    Args:
        name: The runs' name on the page.
        **options: As in `watch`.
    """
    return LightningHooks.made(name, options)


def _is_double(name: str, metrics: Mapping[str, Any]) -> bool:
    before, _, last = name.rpartition("_")
    return last in SPLIT and before in metrics
