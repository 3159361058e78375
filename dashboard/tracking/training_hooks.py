"""What the callbacks for other libraries' trainers share: the class that a library expects, and a logger for each run.

Nothing is imported: a program that has a trainer has loaded its library.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from dashboard.tracking.logger import Logger
from dashboard.tracking.sampler import reason

log = logging.getLogger(__name__)

TAKEN = frozenset(["self", "epoch", "gradients", "activations", "parameters"])
"""Arguments of `Logger.log` that are no numbers: a metric of such a name gets an underscore."""


class TrainingHooks:
    """A callback that logs each training it is given to as a run of its own. Its hooks never raise.

    Args:
        name: The runs' name.
        options: Further arguments of `watch`.
    """

    modules: ClassVar[tuple[str, ...]]
    """Where the library's own class `Callback` may be."""

    kind: ClassVar[type["TrainingHooks"]]
    """The class that has the hooks alone."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        super().__init__()
        self._name, self._options = name, dict(options)
        self._lab: Logger | None = None

    def __reduce__(self) -> tuple:
        """Copy and pickle without the run that is being logged."""
        return self.kind.made, (self._name, self._options)

    @classmethod
    def made(cls, name: str, options: Mapping[str, Any]) -> Self:
        """A callback with these hooks that derives from the library's own, as far as it is loaded."""
        bases = [sys.modules[module].Callback for module in cls.modules if module in sys.modules]
        about = {"__module__": cls.__module__, "__doc__": cls.__doc__, "kind": cls}
        return type(cls.__name__, (cls, *bases), about)(name, options)

    def begin(self, **known: Any) -> None:
        """Begin a run, about which this is known unless the options say otherwise."""
        self.end()
        self._lab = Logger(self._name, **{**known, **self._options})

    def note(self, epoch: int, numbers: Mapping[str, Any], **arrays: Any) -> None:
        """Log numbers by name, and arrays, at an epoch; nothing where no run has begun."""
        if self._lab is not None:
            named = {f"{name}_" if name in TAKEN else str(name): one for name, one in numbers.items()}
            self._lab.log(epoch, **named, **arrays)

    def end(self, *ending: str) -> None:
        """End the run; by default properly."""
        lab, self._lab = self._lab, None
        if lab is not None:
            lab.close(*ending)

    def excuse(self, error: BaseException) -> None:
        """Report what went wrong in a hook."""
        if self._lab is not None:
            self._lab.excuse(error)
        else:
            log.warning("the run %r is not shown, and goes on: %s", self._name, reason(error))
