"""A discovery document → what the page Try it shows: its methods, with their parameters and an example of their body.

Nothing about single methods is written here, so a method that is added to a document appears by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
BASE64 = "bytes (Base64)"
WAITING_VERB = "lease"  # the methods with this name accept `Prefer: wait=N`
DELETING_NAMES = ("delete", "purge")
# The parts of a resource name in a `flatPath` are not described in a document.
PART_DESCRIPTIONS = {
    "projectsId": "ID of the project.",
    "locationsId": "ID of the location; any is accepted.",
    "queuesId": "ID of the queue.",
    "tasksId": "ID of the task.",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input: `place` is path or query, `choices` its allowed values with their descriptions, if they are listed."""

    name: str
    place: str
    kind: str
    description: str
    required: bool
    default: str
    choices: tuple[tuple[str, str], ...]
    minimum: str
    maximum: str


@dataclass(frozen=True, slots=True)
class BodyField:
    """A field of the body, named by its path (`task.pullMessage.tag`); `kind` is its type and format."""

    name: str
    kind: str
    description: str


@dataclass(frozen=True, slots=True)
class Method:
    """One method. `example` is the JSON to begin with, "" without a body; `bytes_fields` are those with Base64."""

    id: str
    verb: str
    path: str
    description: str
    parameters: tuple[Parameter, ...]
    standard: tuple[Parameter, ...]
    example: str
    fields: tuple[BodyField, ...]

    @property
    def bytes_fields(self) -> tuple[str, ...]:
        """The names of the fields that contain Base64."""
        return tuple(field.name for field in self.fields if field.kind == BASE64)

    @property
    def deletes(self) -> bool:
        """Whether the method deletes something, so that it must be confirmed."""
        return self.verb == "DELETE" or self.id.rpartition(".")[2] in DELETING_NAMES

    @property
    def waits(self) -> bool:
        """Whether the method can wait until there is something to return."""
        return self.id.rpartition(".")[2] == WAITING_VERB


@dataclass(frozen=True, slots=True)
class Group:
    """The methods of one resource of an API."""

    title: str
    methods: tuple[Method, ...]


@dataclass(frozen=True, slots=True)
class ApiMethods:
    """The methods of one API, in groups."""

    title: str
    version: str
    groups: tuple[Group, ...]


def api_methods(documents: Sequence[Document]) -> list[ApiMethods]:
    """Return the methods of each document, in its order."""
    return [
        ApiMethods(document.get("title", document["name"]), document["version"], tuple(_groups(document, document, "")))
        for document in documents
    ]


def _groups(document: Document, resource: Mapping[str, Any], title: str) -> Iterator[Group]:
    if resource.get("methods"):
        yield Group(title, tuple(_method(document, described) for described in resource["methods"].values()))
    for name, inner in resource.get("resources", {}).items():
        yield from _groups(document, inner, name)


def _method(document: Document, described: Mapping[str, Any]) -> Method:
    path = f"/{document.get('servicePath', '')}{described.get('flatPath', described['path'])}"
    given = described.get("parameters", {})
    parts = re.findall(r"\{\+?(\w+)\}", path)
    parameters = [
        _parameter(name, given.get(name, {"description": PART_DESCRIPTIONS.get(name, "")}), "path") for name in parts
    ]
    parameters += [
        _parameter(name, about, "query") for name, about in given.items() if about.get("location") == "query"
    ]
    example = ""
    fields: tuple[BodyField, ...] = ()
    if "request" in described:
        schemas = document.get("schemas", {})
        example = json.dumps(_example(described["request"], schemas), indent=2)
        fields = tuple(_fields(described["request"], schemas, ""))
    return Method(
        id=described["id"],
        verb=described["httpMethod"],
        path=path,
        description=described.get("description", ""),
        parameters=tuple(parameters),
        standard=tuple(_parameter(name, about, "query") for name, about in document.get("parameters", {}).items()),
        example=example,
        fields=fields,
    )


def _parameter(name: str, about: Mapping[str, Any], place: str) -> Parameter:
    texts = about.get("enumDescriptions", [""] * len(about.get("enum", ())))
    choices = tuple(zip(about.get("enum", ()), texts, strict=True))
    if about.get("type") == "boolean":
        choices = (("true", ""), ("false", ""))
    return Parameter(
        name=name,
        place=place,
        kind=_kind(about),
        description=about.get("description", ""),
        required=place == "path" or bool(about.get("required")),
        default=str(about.get("default", "")),
        choices=choices,
        minimum=str(about.get("minimum", "")),
        maximum=str(about.get("maximum", "")),
    )


def _kind(schema: Mapping[str, Any]) -> str:
    kind, form = schema.get("type", "string"), schema.get("format", "")
    if form == "byte":
        return BASE64
    return f"{kind} ({form})" if form else str(kind)


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = schemas[schema["$ref"]]
    return schema


def _writable(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {name: inner for name, inner in schema.get("properties", {}).items() if not inner.get("readOnly")}


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """Return a value with every writable field, each empty or null, which counts as missing."""
    schema = _resolved(schema, schemas)
    kind = schema.get("type")
    if kind == "object":
        return {name: _example(inner, schemas) for name, inner in _writable(schema).items()}
    if kind == "array":
        return []
    if "enum" in schema:
        return schema["enum"][0]
    return "" if kind == "string" and not str(schema.get("format", "")).startswith(("google-", "int")) else None


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any], prefix: str) -> Iterator[BodyField]:
    for name, given in _writable(_resolved(schema, schemas)).items():
        inner = _resolved(given, schemas)
        if inner.get("type") == "object":
            yield from _fields(inner, schemas, f"{prefix}{name}.")
            continue
        allowed = f" One of {', '.join(inner['enum'])}." if "enum" in inner else ""
        kind = BASE64 if name.endswith("Base64") else _kind(inner)
        yield BodyField(f"{prefix}{name}", kind, f"{given.get('description', '')}{allowed}")
