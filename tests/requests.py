"""Requests and documents for tests, in one line."""

from __future__ import annotations

from render_trio.testing.requests import combinations, request_for, requests_of
from resources.drawing.document import Document
from resources.drawing.fonts import FontSet
from resources.registry import CATALOGUE
from resources.request import Request

__all__ = ["all_requests", "combinations", "document_for", "request_for"]


def all_requests() -> list[Request]:
    """Return every combination of every resource's options, on both papers."""
    return [request for view in CATALOGUE for request in requests_of(view)]


def document_for(request: Request, font_set: FontSet) -> Document:
    """Return an empty document for the request."""
    resource = CATALOGUE[request.view]
    return Document(request, resource.title(request), resource.paper(request), resource.flip, font_set, lambda: None)
