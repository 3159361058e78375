"""A digest that says of a map's tiles what they belong to."""

import hashlib
import pickle
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, partial
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

LENGTH = 24
"""How many hexadecimal digits a digest has."""


@cache
def engine_version() -> str:
    """A digest of the engine's source files, of NumPy's version and of the kind of processor.

    Whatever may change the last bit of a run changes it, so tiles of two engines never lie side by side in one map.
    """
    content = hashlib.sha256(f"{np.__version__} {platform.machine()}".encode())
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        content.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return content.hexdigest()[:LENGTH]


def digest(*things: Any) -> str:
    """Of values, mappings, arrays, dataclasses and functions: the same things have the same digest in any process."""
    content = hashlib.sha256()
    for thing in things:
        content.update(_bytes(thing) + b";")
    return content.hexdigest()[:LENGTH]


def _bytes(thing: Any) -> bytes:
    """What tells a thing apart from others."""
    if thing is None or isinstance(thing, bool | int | float | str | bytes | np.number):
        plain = thing.item() if isinstance(thing, np.number) else thing
        return f"{type(plain).__name__} {plain!r}".encode()
    if isinstance(thing, np.ndarray) and not thing.dtype.hasobject:
        return f"array {thing.dtype.str} {thing.shape}".encode() + hashlib.sha256(thing.tobytes()).digest()
    if isinstance(thing, Mapping):
        pairs = sorted((_bytes(key), _bytes(value)) for key, value in thing.items())
        return b"{" + b",".join(key + b":" + value for key, value in pairs) + b"}"
    if isinstance(thing, list | tuple):
        return b"[" + b",".join(map(_bytes, thing)) + b"]"
    if isinstance(thing, partial):
        return b"partial" + _bytes((thing.func, thing.args, thing.keywords))
    if is_dataclass(thing) and not isinstance(thing, type):
        numbers = {field.name: getattr(thing, field.name) for field in fields(thing)}
        return _named(type(thing)) + _bytes(numbers)
    if isinstance(thing, type | Callable) and hasattr(thing, "__qualname__"):
        return _named(thing)
    return _named(type(thing)) + hashlib.sha256(pickle.dumps(thing, protocol=4)).digest()


def _named(thing: Any) -> bytes:
    """What a class or a function is: its name, and the source of its module unless that is the engine's own.

    Functions without a name, and those of a script or a notebook, are told apart by their code.
    """
    name, module = thing.__qualname__, thing.__module__
    parts = [f"{module}.{name}".encode()]
    if module.partition(".")[0] != "engine":
        parts.append(_source(module))
    if module == "__main__" or "<" in name:
        parts.append(_code(getattr(thing, "__code__", None)))
        parts += [_bytes(cell.cell_contents) for cell in getattr(thing, "__closure__", None) or ()]
    return b" ".join(parts)


@cache
def _source(module: str) -> bytes:
    """A digest of the file of a module, empty where there is none."""
    path = getattr(sys.modules.get(module), "__file__", None)
    try:
        return hashlib.sha256(Path(path).read_bytes().replace(b"\r\n", b"\n")).digest() if path else b""
    except OSError:
        return b""


def _code(code: CodeType | None) -> bytes:
    """What a function does, without where it was written down."""
    if code is None:
        return b""
    inner = [_code(one) if isinstance(one, CodeType) else repr(one).encode() for one in code.co_consts]
    return hashlib.sha256(b" ".join([code.co_code, repr(code.co_names).encode(), *inner])).digest()
