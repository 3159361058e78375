"""Silent: takes every word about a training and tells nobody, where nothing can be told. It imports nothing."""


class NullLogger:
    """What `watch` gives where the laboratory cannot be imported: the training goes on, and is not shown."""

    name, address, id = "run", "", ""

    def log(self, *_: object, **__: object) -> None:
        """Take it."""

    def log_epoch(self, *_: object, **__: object) -> None:
        """Take it."""

    def close(self, *_: object, **__: object) -> None:
        """There is nothing to end."""

    def __enter__(self) -> "NullLogger":
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""


def watch(*_: object, **__: object) -> NullLogger:
    """A lab that takes every word."""
    return NullLogger()


def observe(training: object, *_: object, **__: object) -> object:
    """The epochs as they are."""
    yield from training
