"""Scripts and style sheets, which lie beside the components that they belong to."""

from pathlib import Path


def beside(module: str, name: str) -> str:
    """The text of a file in the folder of a module, which gives its `__file__`."""
    return Path(module).with_name(name).read_text(encoding="utf-8")
