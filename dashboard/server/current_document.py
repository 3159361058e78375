"""Current document: the one of the visitor who is served, also after something has failed for another.

Bokeh keeps the documents of running callbacks on a stack of the whole server, and leaves that of a callback that fails
there: whatever is drawn later for anybody would be taken for that visitor's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, wraps

from bokeh.document import Document
from bokeh.io import doc as bokeh_doc


@cache
def keep_apart() -> None:
    """Have Bokeh take a callback's document off its stack however the callback ends."""
    patch = bokeh_doc.patch_curdoc

    @contextmanager
    @wraps(patch)
    def patch_and_put_back(document: Document) -> Iterator[None]:
        patched = patch(document)
        patched.__enter__()
        try:
            yield
        finally:
            patched.__exit__(None, None, None)

    bokeh_doc.patch_curdoc = patch_and_put_back
