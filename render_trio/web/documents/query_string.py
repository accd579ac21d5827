"""A query string → the one checked `Request`, and back: what differs from the defaults, so that links stay short."""

from __future__ import annotations

from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from resources.language import SOURCE_LANGUAGE
from resources.options import Value
from resources.parsing import COMMON_OPTIONS, RequestError, parse_request
from resources.registry import CATALOGUE
from resources.request import Request
from resources.resource import Resource

# Without a seed everybody gets the same numbers, and a link to a document is a link to that very document.
DEFAULT_SEED = "1"
BY_ADDRESS = ("resource_view", "resource_slug")  # the path says which resource
TEXTS = {"header_text": "", "seed": DEFAULT_SEED, "language": SOURCE_LANGUAGE, "url": ""}


def given_values(arguments: MultiDict[str, str], *, service_keys: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the query's values by name, without the keys that are the service's own. Raises RequestError."""
    values: dict[str, str] = {}
    for name, given in arguments.lists():
        if name in service_keys:
            continue
        if name in BY_ADDRESS:
            raise RequestError("unknown_option", f"{name} is given; the address says which resource it is", name)
        if len(given) > 1:
            raise RequestError("invalid_option", f"{name} is given {len(given)} times; allowed: once", name)
        values[name] = given[0]
    return values


def checked(resource: Resource, values: dict[str, str]) -> Request:
    """Return the request that the values spell, defaults filled in. Raises RequestError."""
    return parse_request({**values, "resource_view": resource.view}, default_seed=DEFAULT_SEED, fill_defaults=True)


def canonical(request: Request) -> str:
    """Return the shortest query that spells the request: "" when all is as by default."""
    pairs: list[tuple[str, str]] = []
    resource = CATALOGUE[request.view]
    for option in resource.options:
        if request.choices[option.name] != option.default:
            pairs.append((option.name, spelt(request.choices[option.name])))
    for option in COMMON_OPTIONS:
        value = getattr(request, option.name)
        if value != option.default:
            pairs.append((option.name, spelt(value)))
    for name, default in {**TEXTS, "resource_name": resource.name}.items():
        value = getattr(request, "name" if name == "resource_name" else name)
        if value != default:
            pairs.append((name, value))
    return urlencode(pairs)


def spelt(value: Value) -> str:
    """Return the value as forms and queries spell it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def address(path: str, query: str, **more: str) -> str:
    """Return the address with the query, and more pairs after it."""
    full = "&".join(part for part in (query, urlencode(more)) if part)
    return f"{path}?{full}" if full else path
