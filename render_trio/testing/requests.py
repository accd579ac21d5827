"""Requests for tests: one with defaults, and every combination of a resource's options."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from resources.options import Choice, Flag, Value
from resources.parsing import PAPER_SIZE, find_resource, parse_request
from resources.request import Request
from resources.resource import Resource

SEED = "test"


def request_for(view: str, **options: object) -> Request:
    """Return a request for the resource, with defaults for the options that are not given. Raises RequestError."""
    values = {"resource_view": view, "url": f"https://example.org/resources/{view}", **options}
    return parse_request(values, default_seed=SEED, fill_defaults=True)


def combinations(resource: Resource) -> Iterator[dict[str, Value]]:
    """Yield every combination of the options that list their values; numbers and digits keep their defaults."""
    listed = [option for option in resource.options if isinstance(option, Choice | Flag)]
    values = [list(option.values) if isinstance(option, Choice) else [True, False] for option in listed]
    for combination in itertools.product(*values):
        yield dict(zip((option.name for option in listed), combination, strict=True))


def requests_of(view: str, header_text: str = "Room Four") -> list[Request]:
    """Return a request for every combination of the resource's listed options, on A4 and on US Letter."""
    resource = find_resource(view)
    return [
        request_for(view, header_text=header_text, paper_size=paper, **chosen)
        for chosen in combinations(resource)
        for paper in PAPER_SIZE.values
    ]
