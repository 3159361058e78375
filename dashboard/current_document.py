"""Current document: the one of the visitor who is served, also after something has failed for another.

Bokeh keeps the documents of running callbacks on a stack of the whole server, and leaves that of a callback that fails
there: whatever is drawn later for anybody would be taken for that visitor's.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from bokeh.document import Document
from bokeh.io import doc as bokeh_doc


@cache
def keep_apart() -> None:
    """Have Bokeh take a callback's document off its stack however the callback ends."""
    bokeh_doc.patch_curdoc = _current


@contextmanager
def _current(document: Document) -> Iterator[None]:
    documents = bokeh_doc._PATCHED_CURDOCS
    documents.append(weakref.ref(document))
    del document
    try:
        yield
    finally:
        documents.pop()
