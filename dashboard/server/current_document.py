"""Keeps the current document that of the client being served, also after something failed for another.

Bokeh 3.9 keeps the documents of running callbacks on a stack of the whole server, and leaves that of a callback that
fails there: whatever is drawn later for anybody would be taken for that user's. Bokeh 3.10 takes it off.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps

from bokeh.document import Document

Patch = Callable[[Document], AbstractContextManager[None]]


def put_back(patch: Patch) -> Patch:
    """`patch_curdoc`, which takes a document off the stack however its callback ends."""

    @contextmanager
    @wraps(patch)
    def patch_and_put_back(document: Document) -> Iterator[None]:
        patched = patch(document)
        patched.__enter__()
        try:
            yield
        finally:
            patched.__exit__(None, None, None)

    return patch_and_put_back
