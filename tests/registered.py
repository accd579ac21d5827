"""A registry that forgets what a test added to it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from resources import registry
from resources.resource import Resource


@contextmanager
def unchanged_registry() -> Iterator[None]:
    """Restore the registry, the module path and the imported modules when the block is left."""
    kept: list[tuple[dict[str, object] | list[object], object]] = [
        (registry._resources, dict(registry._resources)),  # type: ignore[list-item]
        (registry._origins, dict(registry._origins)),  # type: ignore[list-item]
        (registry._problems, list(registry._problems)),  # type: ignore[list-item]
        (registry._folders, list(registry._folders)),  # type: ignore[list-item]
    ]
    path, modules = list(sys.path), set(sys.modules)
    try:
        yield
    finally:
        for state, before in kept:
            state.clear()
            state.extend(before) if isinstance(state, list) else state.update(before)  # type: ignore[arg-type,call-overload]
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            del sys.modules[name]


@contextmanager
def registered(resource: Resource) -> Iterator[None]:
    """Add one resource to the catalogue for the length of the block."""
    with unchanged_registry():
        registry._register(registry._checked(resource), registry.Origin("test", "1"))
        yield
