"""Which documents are the laboratory's: a server may serve other apps beside it, which are none of its business."""

from weakref import WeakSet

from bokeh.document import Document

_OURS: WeakSet[Document] = WeakSet()


def claim(document: Document) -> None:
    """Say that the laboratory is what a document shows."""
    _OURS.add(document)


def is_ours(document: Document) -> bool:
    """Whether the laboratory is what a document shows."""
    return document in _OURS
