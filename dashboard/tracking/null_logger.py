"""The null logger takes every call and does nothing, for where nothing can be logged. It imports nothing of ours."""

import sys


class NullLogger:
    """What `watch` returns where the laboratory cannot be imported: the training goes on and is not shown."""

    name, address, id = "run", "", ""

    def log(self, *_: object, **__: object) -> None:
        """Do nothing."""

    def log_epoch(self, *_: object, **__: object) -> None:
        """Do nothing."""

    def note(self, *_: object, **__: object) -> None:
        """Do nothing."""

    def close(self, *_: object, **__: object) -> None:
        """Do nothing."""

    def __enter__(self) -> "NullLogger":
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


def watch(*_: object, **__: object) -> NullLogger:
    """Return a logger that does nothing."""
    return NullLogger()


def observe(training: object, *_: object, **__: object) -> object:
    """Yield the epochs unchanged."""
    yield from training


def observe_estimator(epochs: object, *_: object, **__: object) -> object:
    """Yield the epochs unchanged."""
    yield from epochs


def lightning_callback(*_: object, **__: object) -> object:
    """Return a callback of Lightning's that does nothing."""
    return _idle("lightning.pytorch", "pytorch_lightning")


def keras_callback(*_: object, **__: object) -> object:
    """Return a callback of Keras' that does nothing."""
    return _idle("keras.callbacks")


def _idle(*modules: str) -> object:
    """A callback of the libraries that are loaded."""
    return type("Idle", tuple(sys.modules[module].Callback for module in modules if module in sys.modules), {})()
