"""Pages: one question per file. `PAGES` maps each page's slug to its class, in the order of their places."""

from importlib import import_module
from pkgutil import iter_modules

from dashboard.pages.page import Page, pages
from dashboard.state import race
from engine.recording import Recording

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

PAGES: dict[str, type[Page]] = pages()


def page_of(recording: Recording) -> type[Page]:
    """The page on which a recording was made; one that can show it where that page is unknown here."""
    page = PAGES.get(str(recording.notes.get("page")))
    return page or PAGES["geometry" if recording.notes.get("kind") == race.KIND else "playground"]
