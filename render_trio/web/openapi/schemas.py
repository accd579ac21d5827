"""The catalogue's resources and options → JSON Schemas of tasks; the types of responses → their schemas.

Nothing is listed twice: the schemas are derived from the declarations that the service itself uses.
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
from resources.request import FILENAME_BYTES
from resources.resource import Resource

Schema = dict[str, Any]
REFERENCE = "#/components/schemas/{name}"

TEXTS: dict[str, Schema] = {
    "header_text": {
        "type": ["string", "null"],
        "maxLength": HEADER_CHARACTERS,
        "description": "Printed at the top of each page.",
    },
    "seed": {
        "type": ["string", "integer", "null"],
        "maxLength": SEED_CHARACTERS,
        "description": "The same seed gives the same random numbers. Default: the task's id.",
    },
    "language": {"type": ["string", "null"], "description": "BCP 47. Available: `en`."},
    "url": {
        "type": ["string", "null"],
        "maxLength": URL_CHARACTERS,
        "description": "Printed in the footer of each page.",
    },
    "resource_name": {
        "type": ["string", "null"],
        "maxLength": NAME_CHARACTERS,
        "description": "A title to print instead of the resource's own name.",
    },
    "filename": {
        "type": ["string", "null"],
        "maxLength": FILENAME_BYTES,
        "description": "The document's file name. Default: its title.",
    },
}


def reference(name: str) -> Schema:
    """Return a reference to the named schema of the OpenAPI document."""
    return {"$ref": REFERENCE.format(name=name)}


def option_schema(option: Option) -> Schema:
    """Return the schema of the values that the option accepts in a task."""
    about: Schema = {"title": option.label, "description": f"Allowed: {option.allowed()}.", "default": option.default}
    match option:
        case Flag():
            return about | {"enum": [True, False, "yes", "no"]}
        case Choice():
            as_text = [str(value) for value in option.values if not isinstance(value, str)]
            labels = "; ".join(f"{value}: {label}" for value, label in option.values.items())
            return about | {"enum": [*option.values, *as_text], "description": f"{labels}."}
        case Number():
            bounds = {"minimum": option.lowest, "maximum": option.highest}
            return about | {"type": ["integer", "string"], **bounds, "pattern": "^[0-9]{1,9}$"}
        case Digits():
            lengths = "|".join(f"[0-9]{{{length}}}" for length in option.lengths)
            return about | {"type": ["string", "null"], "pattern": f"^({lengths})?$"}
        case _:
            assert_never(option)


def component_name(resource: Resource, kind: str) -> str:
    """Return the name of a resource's schema, such as `BinaryCardsTask`."""
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
    """Return the schema of a task. Options that have no default in a task are required; other keys are not allowed."""
    required = [option.name for option in (*resource.options, *COMMON_OPTIONS) if option.required]
    return {
        "title": f"Task for {resource.name}",
        "type": "object",
        "allOf": [reference(component_name(resource, "Options"))],
        "properties": {
            "kind": {"const": messages.TASK_KIND},
            "resource_view": {"enum": sorted({resource.view, resource.slug})},
            "resource_slug": {"description": "Accepted for older producers and ignored."},
            "traceparent": {
                "description": "W3C Trace Context. It is in the result, too. An invalid one is ignored.",
            },
        },
        "required": ["kind", "resource_view", *required],
        "unevaluatedProperties": False,
    }


def components() -> dict[str, Schema]:
    """Return all schemas by name."""
    _, responses = msgspec.json.schema_components([Health, Status, TaskView], ref_template=REFERENCE)
    common = {option.name: option_schema(option) for option in COMMON_OPTIONS} | TEXTS
    schemas: dict[str, Schema] = {
        **responses,
        "CommonOptions": {"type": "object", "properties": common},
        "RenderTask": {"oneOf": [reference(component_name(resource, "Task")) for resource in CATALOGUE.values()]},
        "RenderOrder": {
            "description": "A task in which every option but the resource is optional.",
            "type": "object",
            "properties": {"resource_view": {"enum": sorted(CATALOGUE)}},
            "required": ["resource_view"],
            "allOf": [reference("Options")],
        },
        "Options": {"anyOf": [reference(component_name(resource, "Options")) for resource in CATALOGUE.values()]},
        "Problem": {
            "description": "An error (RFC 9457): `code` for programs, `detail` for people, and the `field` at fault.",
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
