"""Writes the present defaults of all pages as another version of links, if they are not those of the newest one.

Run `python -m tests.oracle_links` after a change of a default: links of earlier versions keep theirs. The default of a
choice that is new joins all versions, whose links cannot have meant anything else.
"""

import json

from dashboard.pages import PAGES
from dashboard.pages.short_link import FILE, defaults, versions
from dashboard.state.settings import Settings


def present() -> dict[str, dict[str, str]]:
    """The defaults of every page that has settings in its link, as text."""
    return {slug: page(page.opened()[0]).texts() for slug, page in PAGES.items() if "query" not in vars(page)}


def packed(pages: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """The same, where what most pages have in common stands once, under the empty name."""
    usual = Settings().query()
    own = {
        slug: {name: text for name, text in query.items() if usual.get(name) != text} for slug, query in pages.items()
    }
    return {"": usual, **own}


def is_present(version: str) -> bool:
    """Whether a version has the present defaults."""
    return all(defaults(slug, version).items() >= texts.items() for slug, texts in present().items())


def with_new_settings(known: dict[str, dict[str, dict[str, str]]]) -> dict[str, dict[str, dict[str, str]]]:
    """All versions, with the defaults of the settings, and of a page's own choices, that they do not have yet."""
    found = {}
    for version, pages in known.items():
        usual = {**Settings().query(), **pages[""]}
        found[version] = {**{slug: _with_new(slug, own, usual) for slug, own in pages.items()}, "": usual}
    return found


def _with_new(slug: str, own: dict[str, str], usual: dict[str, str]) -> dict[str, str]:
    """What a page has of its own, and what it has by now that neither it nor most pages had."""
    now = present().get(slug, {})
    return {**own, **{name: text for name, text in now.items() if name not in {*own, *usual}}}


def write(known: dict[str, dict[str, dict[str, str]]]) -> None:
    """Store these versions."""
    FILE.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    versions.cache_clear()


if __name__ == "__main__":
    write(with_new_settings(versions()))
    newest = max(map(int, versions()), default=0)
    if not newest or not is_present(str(newest)):
        write({**versions(), str(newest + 1): packed(present())})
