"""Name clashes: a user's own files that have the names of modules needed here.

A script's folder comes first on Python's module path. An `engine.py` beside the script is the script's own, and remains
so: the laboratory's engine is found past it, and put aside again. None of the user's files is run here.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
OURS = "engine"

_ours: dict[str, ModuleType] = {}
"""Our modules, while their names belong to the user's."""


def file_in_the_way() -> str:
    """The file or folder that is found under our engine's name; empty where it is our engine."""
    loaded = sys.modules.get(OURS)
    try:
        spec = getattr(loaded, "__spec__", None) if loaded else find_spec(OURS)
    except (ImportError, ValueError, AttributeError):
        spec = None
    places = [getattr(loaded, "__file__", None) or getattr(spec, "origin", None)]
    places += list(getattr(spec, "submodule_search_locations", None) or [])
    found = [place for place in places if place and place not in ("built-in", "frozen", "namespace")]
    if not found or Path(found[0]).resolve().is_relative_to(ROOT / OURS):
        return ""
    return str(found[0])


@contextmanager
def ours() -> Iterator[None]:
    """Within this context `engine` is ours; afterwards the user's again, whether or not it has been imported."""
    if not file_in_the_way():
        yield
        return
    theirs = _taken_out()
    sys.modules.update(_ours)
    sys.path.insert(0, str(ROOT))
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(str(ROOT))
        _ours.update(_taken_out())
        sys.modules.update(theirs)


def _taken_out() -> dict[str, ModuleType]:
    """Remove and return the imported modules with our name."""
    names = [name for name in sys.modules if name.partition(".")[0] == OURS]
    return {name: sys.modules.pop(name) for name in names}


def strangers() -> list[str]:
    """Files in the script's folder that were imported in the place of a module of the standard library."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    folders = {Path(sys.path[0] if sys.path else "").resolve(), Path(script or "x").resolve().parent}
    library = Path(os.__file__).resolve().parent
    found = []
    for name in sorted(sys.stdlib_module_names):
        file = getattr(sys.modules.get(name), "__file__", None)
        place = Path(file).resolve() if file else library
        if not place.is_relative_to(library) and {place.parent, place.parent.parent} & folders:
            found.append(str(file))
    return found


def sentence(error: BaseException) -> str:
    """What keeps the laboratory from working, and what to do about it."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    found = strangers() or [place for place in [file_in_the_way()] if place]
    if not found:
        return said
    many = "has the name of a module that is" if len(found) == 1 else "have names of modules that are"
    return f"{', '.join(found)} {many} needed here; rename what is in the way ({said})"
