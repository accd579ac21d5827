"""The names of enum values in a reply → their numbers, for clients that request `$alt=json;enum-encoding=int`.

The number of a value is its position in the `enum` list of the discovery document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def numbered(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """Return the value with its enums as numbers. `schemas` are those that `schema` can refer to."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"]]
    if isinstance(value, list):
        return [numbered(item, schema.get("items", {}), schemas) for item in value]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {name: numbered(inner, properties.get(name, {}), schemas) for name, inner in value.items()}
    names = schema.get("enum", ())
    return names.index(value) if value in names else value
