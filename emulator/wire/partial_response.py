"""Partial replies: the query parameter `fields` → the parts of a reply to return.

`a,b/c` selects all of a, and c within b; `items(id,tag)` is short for `items/id,items/tag`; `*` matches any name. A
selection applies to each item of a list. Names are checked against the schema of the method before its verb is
executed, so an invalid selection has no side effects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from emulator.wire.errors import ApiError, shown

SELECTION_CHARACTERS = 8000
MAX_NESTING = 8
_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[*/,()]", re.ASCII)

Selection = dict[str, "Selection"]
"""The selected names, each with its own selection; an empty selection keeps everything."""


def parse(text: str) -> Selection:
    """Return the selection. Raises ApiError."""
    if len(text) > SELECTION_CHARACTERS:
        raise ApiError(400, f"fields is longer than {SELECTION_CHARACTERS} characters", "invalidParameter", "fields")
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text or not tokens:
        raise _invalid(text, "names, '*', '/', ',' and parentheses, as in items(id,tag)")
    selection: Selection = {}
    rest = _list(tokens, selection, text, 0)
    if rest:
        raise _invalid(text, "as many '(' as ')'")
    return selection


def _list(tokens: list[str], into: Selection, text: str, depth: int) -> list[str]:
    """Read `path,path,…` into a selection; return the tokens after it."""
    if depth > MAX_NESTING:
        raise _invalid(text, f"up to {MAX_NESTING} levels")
    while True:
        tokens = _path(tokens, into, text, depth)
        if not tokens or tokens[0] != ",":
            return tokens
        tokens = tokens[1:]


def _path(tokens: list[str], into: Selection, text: str, depth: int) -> list[str]:
    """Read `name`, `name/path` or `name(list)` into a selection; return the tokens after it."""
    if not tokens or tokens[0] in "/,()":
        raise _invalid(text, "a name or '*' between ',', '/' and parentheses")
    name, tokens = tokens[0], tokens[1:]
    whole = into.get(name) == {}
    inner: Selection = {} if whole else into.get(name, {})
    if tokens and tokens[0] == "/":
        if depth >= MAX_NESTING:
            raise _invalid(text, f"up to {MAX_NESTING} levels")
        tokens = _path(tokens[1:], inner, text, depth + 1)
    elif tokens and tokens[0] == "(":
        tokens = _list(tokens[1:], inner, text, depth + 1)
        if not tokens or tokens[0] != ")":
            raise _invalid(text, "as many ')' as '('")
        tokens = tokens[1:]
    else:
        inner = {}
    into[name] = {} if whole else inner
    return tokens


def check(selection: Selection, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
    """Raise ApiError if a name is not in the schema (a JSON schema in the discovery document)."""
    while "$ref" in schema or "items" in schema:
        schema = schemas[schema["$ref"]] if "$ref" in schema else schema["items"]
    properties = schema.get("properties", {})
    for name, inner in selection.items():
        if name != "*" and name not in properties:
            raise _invalid(name, ", ".join([*properties, "*"]) if properties else "none; the reply has no fields")
        if inner:
            for below in properties.values() if name == "*" else [properties[name]]:
                if name != "*" or "$ref" in below or "items" in below or "properties" in below:
                    check(inner, below, schemas)


def select(value: Any, selection: Selection) -> Any:
    """Return the selected parts of a value."""
    if not selection:
        return value
    if isinstance(value, list):
        return [select(item, selection) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, inner in value.items():
        if name in selection or "*" in selection:
            below = selection.get(name, selection.get("*", {}))
            if not below or isinstance(inner, dict | list):
                kept[name] = select(inner, below)
    return kept


def _invalid(value: str, allowed: str) -> ApiError:
    return ApiError(400, f"fields has {shown(value)}; allowed: {allowed}", "invalidParameter", "fields")
