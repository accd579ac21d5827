"""An HTTP method and a path → the matching route, found in a tree of path segments.

Paths are split before they are decoded, so an encoded slash stays within its segment. An empty segment is skipped where
only fixed names are possible (`//v2beta2/…`, `/health/`). Where a name belongs, it is an empty name, which matches
nothing: skipping it would turn the update of a task without an ID into an insert.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from emulator.wire.calls import Route
from emulator.wire.errors import ApiError

SHOWN_CHARACTERS = 100


@dataclass(slots=True)
class _Node:
    """A node of the tree: its children, and the routes that end here by `:verb` and method."""

    literal: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    ends: dict[str, dict[str, tuple[Route, tuple[str, ...]]]] = field(default_factory=dict)


class Routes:
    """All routes of the service."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, routes: Iterable[Route]) -> None:
        """Add routes. Raises ValueError for a duplicate."""
        for route in routes:
            path, verb = _without_verb(route.path)
            node, names = self._root, []
            for segment in path.strip("/").split("/"):
                if segment.startswith("{"):
                    names.append(segment.strip("{}"))
                    node.parameter = node.parameter or _Node()
                    node = node.parameter
                else:
                    node = node.literal.setdefault(segment, _Node())
            ends = node.ends.setdefault(verb, {})
            if route.method in ends:
                raise ValueError(f"{route.method} {route.path} has two routes")
            ends[route.method] = route, tuple(names)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route and the parameters of its path. Raises ApiError, 404 or 405."""
        segments = path[1:].split("/")
        allowed: set[str] = set()
        lookup = "GET" if method == "HEAD" else method
        for ends, values in _ends(self._root, segments, 0, ()):
            found = ends.get(lookup)
            if found is not None:
                route, names = found
                return route, dict(zip(names, map(_decoded, values), strict=True))
            allowed.update(ends)
        if "%" in path:  # a fixed name or the colon before a verb may be percent-encoded
            for ends, values in _ends(self._root, [_decoded(segment) for segment in segments], 0, ()):
                found = ends.get(lookup)
                if found is not None:
                    route, names = found
                    return route, dict(zip(names, values, strict=True))
        shown = _decoded(path)[:SHOWN_CHARACTERS]
        if not allowed:
            raise ApiError(404, f"path {shown} does not exist; the available paths are listed by /discovery/v1/apis")
        methods = ", ".join(sorted(allowed))
        raise ApiError(
            405, f"method {method[:20]} is not supported by {shown}; allowed: {methods}", headers=(("Allow", methods),)
        )


def _without_verb(path: str) -> tuple[str, str]:
    """Split a template into the path and its `:verb`, if any."""
    head, colon, verb = path.rpartition(":")
    return (head, verb) if colon and "/" not in verb and "}" not in verb else (path, "")


def _ends(
    node: _Node, segments: list[str], at: int, values: tuple[str, ...]
) -> Iterator[tuple[dict[str, tuple[Route, tuple[str, ...]]], tuple[str, ...]]]:
    """Yield the matches for the segments from `at` on: literals before parameters, with `:verb` before without."""
    while not segments[at] and node.parameter is None:
        at += 1
        if at == len(segments):
            if "" in node.ends:
                yield node.ends[""], values
            return
    segment = segments[at]
    if at + 1 < len(segments):
        if (following := node.literal.get(segment)) is not None:
            yield from _ends(following, segments, at + 1, values)
        if node.parameter is not None and segment:
            yield from _ends(node.parameter, segments, at + 1, (*values, segment))
        return
    if (following := node.literal.get(segment)) is not None and "" in following.ends:
        yield following.ends[""], values
    head, colon, verb = segment.rpartition(":")
    if colon and (following := node.literal.get(head)) is not None and verb in following.ends:
        yield following.ends[verb], values
    if node.parameter is not None:
        if head and verb in node.parameter.ends:
            yield node.parameter.ends[verb], (*values, head)
        if segment and "" in node.parameter.ends:
            yield node.parameter.ends[""], (*values, segment)


def _decoded(text: str) -> str:
    """Decode percent-encoded text. Bytes that are not UTF-8 become a character that no name may contain."""
    return unquote(text, errors="replace") if "%" in text else text
