"""Resources and their options → the JSON Schemas of tasks. There is no second list of options: these are made from the
catalogue, those of replies from the values that are sent.
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from render_trio.queue import messages
from render_trio.supervision.health import Health
from render_trio.web.operations.status import Status
from render_trio.web.tasks.submissions import TaskView
from resources.options import Choice, Digits, Flag, Number, Option
from resources.parsing import (
    COMMON_OPTIONS,
    HEADER_CHARACTERS,
    NAME_CHARACTERS,
    SEED_CHARACTERS,
    URL_CHARACTERS,
)
from resources.registry import CATALOGUE
from resources.resource import Resource

Schema = dict[str, Any]
REFERENCE = "#/components/schemas/{name}"

TEXTS: dict[str, Schema] = {
    "header_text": {
        "type": ["string", "null"],
        "maxLength": HEADER_CHARACTERS,
        "description": "Set on top of each page.",
    },
    "seed": {
        "type": ["string", "integer", "null"],
        "maxLength": SEED_CHARACTERS,
        "description": "The same seed gives the same numbers; without one a task's id serves.",
    },
    "language": {"type": ["string", "null"], "description": "BCP 47; `en` for now."},
    "url": {
        "type": ["string", "null"],
        "maxLength": URL_CHARACTERS,
        "description": "Stands in the footer of each page.",
    },
    "resource_name": {
        "type": ["string", "null"],
        "maxLength": NAME_CHARACTERS,
        "description": "Instead of its own name.",
    },
}


def reference(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": REFERENCE.format(name=name)}


def option_schema(option: Option) -> Schema:
    """Return the schema of an option's values, as they may come over the wire."""
    about: Schema = {"title": option.label, "description": f"Allowed: {option.allowed()}.", "default": option.default}
    if isinstance(option, Flag):
        return about | {"enum": [True, False, "yes", "no"]}
    if isinstance(option, Choice):
        spelt = [str(value) for value in option.values if not isinstance(value, str)]
        labels = "; ".join(f"{value}: {label}" for value, label in option.values.items())
        return about | {"enum": [*option.values, *spelt], "description": f"{labels}."}
    if isinstance(option, Number):
        bounds = {"minimum": option.lowest, "maximum": option.highest}
        return about | {"type": ["integer", "string"], **bounds, "pattern": "^[0-9]{1,9}$"}
    if isinstance(option, Digits):
        lengths = "|".join(f"[0-9]{{{length}}}" for length in option.lengths)
        return about | {"type": ["string", "null"], "pattern": f"^({lengths})?$"}
    assert_never(option)


def component_name(resource: Resource, kind: str) -> str:
    """Return the name of a resource's schema: `BinaryCardsTask`."""
    return "".join(word.capitalize() for word in resource.view.split("_")) + kind


def _options(resource: Resource) -> Schema:
    return {
        "title": resource.name,
        "description": resource.summary,
        "type": "object",
        "properties": {option.name: option_schema(option) for option in resource.options},
        "allOf": [reference("CommonOptions")],
    }


def _task(resource: Resource) -> Schema:
    """Return the schema of a task: what a task must name is required, and nothing else may stand there."""
    named = [option.name for option in (*resource.options, *COMMON_OPTIONS) if option.required]
    return {
        "title": f"Task for {resource.name}",
        "type": "object",
        "allOf": [reference(component_name(resource, "Options"))],
        "properties": {
            "kind": {"const": messages.TASK_KIND},
            "resource_view": {"enum": sorted({resource.view, resource.slug})},
            "resource_slug": {"description": "Kept for older producers; not read."},
            "reply_tag": {
                "type": ["string", "null"],
                "maxLength": messages.TAG_CHARACTERS,
                "description": "Tag of the result on the queue.",
            },
        },
        "required": ["kind", "resource_view", *named],
        "unevaluatedProperties": False,
    }


def components() -> dict[str, Schema]:
    """Return all schemas by name."""
    _, sent = msgspec.json.schema_components([Health, Status, TaskView], ref_template=REFERENCE)
    common = {option.name: option_schema(option) for option in COMMON_OPTIONS} | TEXTS
    schemas: dict[str, Schema] = {
        **sent,
        "CommonOptions": {"type": "object", "properties": common},
        "RenderTask": {"oneOf": [reference(component_name(resource, "Task")) for resource in CATALOGUE.values()]},
        "RenderOrder": {
            "description": "A task of which only the resource must be named.",
            "type": "object",
            "properties": {"resource_view": {"enum": sorted(CATALOGUE)}},
            "required": ["resource_view"],
            "allOf": [reference("Options")],
        },
        "Options": {"anyOf": [reference(component_name(resource, "Options")) for resource in CATALOGUE.values()]},
        "Problem": {
            "description": "What is wrong (RFC 9457): `code` for programs, `detail` for people, and the `field`.",
            "type": "object",
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "code": {"type": "string"},
                "detail": {"type": "string"},
                "field": {"type": "string"},
            },
            "required": ["type", "title", "status", "code", "detail"],
        },
    }
    for resource in CATALOGUE.values():
        schemas[component_name(resource, "Options")] = _options(resource)
        schemas[component_name(resource, "Task")] = _task(resource)
    return schemas
