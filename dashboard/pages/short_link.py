"""A link holds what differs from its page's defaults, and the version of the defaults that it counts on.

`short_link.json` holds the defaults of every version, as the text of a link. They are data and not today's defaults of
the code, so that a link leads to the same run when those have changed. A link without a version holds all of its
settings: it is one of an older release, or written by hand.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

VERSION = "v"
"""The name under which a link has its version."""

FILE = Path(__file__).with_suffix(".json")
MAX_QUOTE_LENGTH = 20


@cache
def versions() -> dict[str, dict[str, dict[str, str]]]:
    """The defaults of every page by version: those that many pages share under the empty name, and each page's own."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def defaults(page: str, version: str) -> dict[str, str]:
    """What a link of a version to a page does not say; empty for a page that is younger than the version."""
    pages = versions()[version]
    return {**pages[""], **pages[page]} if page in pages else {}


def shortened(page: str, query: Mapping[str, str]) -> dict[str, str]:
    """The query of a link to a page without what the newest version's defaults say too."""
    newest = max(versions(), key=int)
    usual = defaults(page, newest)
    return {"page": page, **{name: text for name, text in query.items() if usual.get(name) != text}, VERSION: newest}


def completed(page: str, query: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The query of a link to a page with all that it means, and a sentence if its version is not known here."""
    version = query.get(VERSION)
    if version is None:
        return dict(query), []
    if version in versions():
        return {**defaults(page, version), **query}, []
    known = ", ".join(versions())
    problem = f"{VERSION}={version[:MAX_QUOTE_LENGTH]} is not a version of links that is known here ({known})"
    return dict(query), [f"{problem}; what the link leaves out is as the page has it"]
