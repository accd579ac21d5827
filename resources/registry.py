"""The registry: every resource of catalogue/, and those that installed packages offer.

One module is one resource, and defines it as `RESOURCE`. A package adds its own under the entry point group
`render_trio.resources`: `my_poster = "my_package.my_poster:RESOURCE"`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from types import MappingProxyType

from resources import catalogue
from resources.resource import Resource

ENTRY_POINTS = "render_trio.resources"


class CatalogueError(ValueError):
    """A resource that can't be part of the catalogue."""


def _found() -> Iterator[tuple[str, Resource]]:
    for module in iter_modules(catalogue.__path__):
        yield f"{catalogue.__name__}.{module.name}", import_module(f"{catalogue.__name__}.{module.name}").RESOURCE
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.value):
        yield entry.value, entry.load()


def load() -> Mapping[str, Resource]:
    """Return every resource by its view. Raises CatalogueError when two share one."""
    found: dict[str, Resource] = {}
    for origin, resource in _found():
        if resource.view in found:
            raise CatalogueError(f"{origin} defines the view {resource.view!r}, which is taken")
        found[resource.view] = resource
    return MappingProxyType(found)


CATALOGUE = load()
