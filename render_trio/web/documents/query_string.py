"""A resource's address and query string → a checked `Request`, and back.

Only values that differ from the defaults are written, so links stay short.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlencode

from quart import abort
from werkzeug.datastructures import MultiDict

from resources.language import SOURCE_LANGUAGE
from resources.options import Value
from resources.parsing import COMMON_OPTIONS, RequestError, parse_request
from resources.registry import CATALOGUE
from resources.request import Request
from resources.resource import Resource

# Without a seed everyone gets the same numbers, so a link to a document always yields that very document.
DEFAULT_SEED = "1"
SEED_BYTES = 4
IN_PATH = ("resource_view", "resource_slug")  # the path names the resource
TEXTS = {"header_text": "", "seed": DEFAULT_SEED, "language": SOURCE_LANGUAGE, "url": ""}
NEW_NUMBERS = "new_numbers"  # the form's key that requests another seed
SERVICE_KEYS = (NEW_NUMBERS, "download")  # keys of the form that are no options


def resource_of(slug: str) -> Resource:
    """Return the resource with this slug, or abort the request with 404."""
    resource = CATALOGUE.get(slug.replace("-", "_"))
    if resource is None or resource.slug != slug:
        abort(404)
    return resource


def given_values(arguments: MultiDict[str, str], *, service_keys: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the query's values by name, without `service_keys`. Raises RequestError if a name occurs twice."""
    values: dict[str, str] = {}
    for name, given in arguments.lists():
        if name in service_keys:
            continue
        if name in IN_PATH:
            raise RequestError("unknown_option", f"{name} is not allowed: the path already names the resource", name)
        if len(given) > 1:
            raise RequestError("invalid_option", f"{name} is given {len(given)} times; allowed: once", name)
        values[name] = given[0]
    return values


def parse_values(resource: Resource, values: dict[str, str]) -> Request:
    """Return the resource's request with these values, and defaults for the rest. Raises RequestError."""
    return parse_request({**values, "resource_view": resource.view}, default_seed=DEFAULT_SEED, fill_defaults=True)


def canonical(request: Request) -> str:
    """Return the shortest query string for the request: "" if every value is its default."""
    pairs: list[tuple[str, str]] = []
    resource = CATALOGUE[request.view]
    for option in resource.options:
        if request.choices[option.name] != option.default:
            pairs.append((option.name, value_text(request.choices[option.name])))
    for option in COMMON_OPTIONS:
        value = getattr(request, option.name)
        if value != option.default:
            pairs.append((option.name, value_text(value)))
    for name, default in {**TEXTS, "resource_name": resource.name}.items():
        value = getattr(request, "name" if name == "resource_name" else name)
        if value != default:
            pairs.append((name, value))
    return urlencode(pairs)


def value_text(value: Value) -> str:
    """Return the value as forms and query strings write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def new_seed() -> str:
    """Return a random seed."""
    return str(int.from_bytes(secrets.token_bytes(SEED_BYTES), "big"))
