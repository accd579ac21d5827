"""Requests for tests, in one line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from resources.drawing.document import Document
from resources.drawing.fonts import FontSet
from resources.options import Choice, Flag
from resources.parsing import parse_request
from resources.registry import CATALOGUE
from resources.request import Request
from resources.resource import Resource


def request_for(view: str, **values: Any) -> Request:
    """Return a request with defaults for what is not named, seeded."""
    given = {"resource_view": view, "url": f"https://example.org/resources/{view}", **values}
    return parse_request(given, default_seed="test", fill_defaults=True)


def combinations(resource: Resource) -> Iterator[dict[str, Any]]:
    """Give every combination of the resource's listed options."""
    listed = [option for option in resource.options if isinstance(option, Choice | Flag)]
    values = [list(option.values) if isinstance(option, Choice) else [True, False] for option in listed]
    for combination in itertools.product(*values):
        yield dict(zip((option.name for option in listed), combination, strict=True))


def all_requests() -> list[Request]:
    """Return every combination of every resource's options, on both papers."""
    return [
        request_for(view, header_text="Room Four", paper_size=paper, **chosen)
        for view, resource in CATALOGUE.items()
        for chosen in combinations(resource)
        for paper in ("a4", "letter")
    ]


def document_for(request: Request, font_set: FontSet) -> Document:
    """Return an empty document for the request."""
    resource = CATALOGUE[request.view]
    return Document(request, resource.title(request), resource.paper(request), resource.flip, font_set, lambda: None)
