"""Scripts and style sheets, which lie beside the components that they belong to."""

import re
from pathlib import Path

IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[^"]+)"\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=const|function|class)", re.MULTILINE)


def beside(module: str, name: str) -> str:
    """The text of a file in the folder of a module, which gives its `__file__`.

    A script that imports names from another file of ours gets that file's text in the place of the line: a component is
    sent to a page as one script.
    """
    path = Path(module).with_name(name)
    return IMPORT.sub(lambda found: EXPORT.sub("", _read(path.parent / found[1])), _read(path))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
