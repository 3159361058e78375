"""Pages: one question per file. `PAGES` maps each page's slug to its class, in the order of their places."""

from importlib import import_module
from pkgutil import iter_modules

from dashboard.pages.page import Page, pages

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

PAGES: dict[str, type[Page]] = pages()
