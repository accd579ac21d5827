"""A distribution's name → the installed distributions that it needs at run time, read from their metadata."""

from __future__ import annotations

import importlib.metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(name: str) -> dict[str, importlib.metadata.Distribution]:
    """Return the installed distributions that `name` needs at run time, itself included, by normalised name.

    Raises importlib.metadata.PackageNotFoundError if one of them isn't installed.
    """
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting: list[tuple[str, frozenset[str]]] = [(canonicalize_name(name), frozenset())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        key = waiting.pop()
        if key in seen:
            continue
        seen.add(key)
        needed, extras = key
        distribution = found[needed] = importlib.metadata.distribution(needed)
        for text in distribution.requires or ():
            requirement = Requirement(text)
            environments = [{"extra": extra} for extra in extras] or [{"extra": ""}]
            if requirement.marker is None or any(requirement.marker.evaluate(each) for each in environments):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found
