"""Requests for tests: one with defaults, and every combination of a resource's options."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from resources.options import Choice, Flag, Value
from resources.parsing import PAPER_SIZE, parse_request
from resources.registry import CATALOGUE, problems
from resources.request import Request
from resources.resource import Resource

SEED = "test"


def resource_of(view: str) -> Resource:
    """Return the resource of this view. Raises AssertionError, which says what is wrong with the plug-in."""
    if view not in CATALOGUE:
        found = "\n".join(f"{problem}\n{problem.details}" for problem in problems()) or "no plug-in offers it"
        raise AssertionError(f"there is no resource {view!r}: {found}")
    return CATALOGUE[view]


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
    resource = resource_of(view)
    return [
        request_for(view, header_text=header_text, paper_size=paper, **chosen)
        for chosen in combinations(resource)
        for paper in PAPER_SIZE.values
    ]
