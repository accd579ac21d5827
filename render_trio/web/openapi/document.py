"""The application's routes, each with its handler's `Operation` → the OpenAPI document.

A test checks that no route is missing from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from quart import Blueprint, Quart, Response, current_app

from render_trio.observation.versions import __version__
from render_trio.web.access.table import TABLE
from render_trio.web.addresses import address, root_path
from render_trio.web.openapi.operation import JSON, PROBLEM, Content, Operation, describe, openapi_path, operation_of
from render_trio.web.openapi.schemas import components, reference
from render_trio.web.responses import REVALIDATED, EncodedBody, encode_body, encoded_response
from resources.registry import CATALOGUE

PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "task_id": {"type": "string", "pattern": "^web-[0-9a-f]{32}$"},
    "name": {"type": "string"},
    "number": {"type": "integer", "minimum": 1},
}
EXTRA_SCHEMAS: dict[str, dict[str, Any]] = {
    "Restart": {
        "type": "object",
        "properties": {"worker": {"type": "string"}, "token": {"type": "string"}},
        "required": ["worker", "token"],
    },
    "TaskState": {
        "allOf": [reference("TaskView")],
        "type": "object",
        "properties": {
            "kind": {"const": "task#state"},
            "url": {"type": "string", "format": "uri-reference"},
            "document": {"type": ["string", "null"], "format": "uri-reference"},
        },
    },
}


SECURITY_SCHEMES: dict[str, dict[str, Any]] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of a program. It is required if the service has one in WEB_TOKEN or WEB_TOKEN_FILE.",
    }
}


class Route(NamedTuple):
    """A method of a path, the path written as in OpenAPI; `operation` is None if the handler declares none."""

    method: str
    path: str
    operation: Operation | None


def routes() -> Blueprint:
    """Return the route that serves the document."""
    part = Blueprint("openapi", __name__)
    encoded: dict[str, EncodedBody] = {}  # the document, once it has been requested, by its root path

    @part.get("/openapi.json")
    @describe("This document", {200: {JSON: ""}})
    async def openapi() -> Response:
        if root_path() not in encoded:
            content = msgspec.json.encode(document(list(routes_of(current_app))))
            encoded.clear()  # a single one, so that invented root paths take no memory
            encoded[root_path()] = encode_body(msgspec.json.format(content, indent=1), JSON)
        return encoded_response(encoded[root_path()], REVALIDATED)

    return part


FOR_PROGRAMS = {(route.method.lower(), openapi_path(route.path)) for route in TABLE if route.role == "program"}


def routes_of(app: Quart) -> Iterator[Route]:
    """Yield the application's routes, without HEAD and OPTIONS, which Quart adds by itself."""
    for rule in app.url_map.iter_rules():
        operation = operation_of(app.view_functions[rule.endpoint])
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Route(method.lower(), openapi_path(rule.rule), operation)


def document(routes: list[Route]) -> dict[str, Any]:
    """Return the OpenAPI document of the routes whose handlers declare an operation."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.operation is not None:
            paths.setdefault(route.path, {})[route.method] = _operation(route.method, route.path, route.operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "render-trio",
            "version": __version__,
            "summary": "Printable classroom resources, rendered with the options you choose.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": address("") or "/"}],
        "paths": paths,
        "components": {"schemas": components() | EXTRA_SCHEMAS, "securitySchemes": SECURITY_SCHEMES},
    }


def _path_schema(name: str) -> dict[str, Any]:
    if name == "slug":
        return {"enum": sorted(resource.slug for resource in CATALOGUE.values())}
    return PATH_PARAMETERS[name]


def _operation(method: str, path: str, operation: Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(name)}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    if operation.query:
        spread = {"style": "form", "explode": True, "schema": reference(operation.query)}
        parameters.append({"name": "options", "in": "query", **spread})
    errors = (status for status, content in operation.responses.items() if status >= 400 and not content)
    contents = {**operation.responses, **{status: {PROBLEM: "Problem"} for status in (*operation.problems, *errors)}}
    described: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method}{path}").strip("_"),
        "summary": operation.summary,
        "responses": {str(status): _response(status, contents[status]) for status in sorted(contents)},
    }
    if parameters:
        described["parameters"] = parameters
    if (method, path) in FOR_PROGRAMS:
        described["security"] = [{"token": []}, {}]  # either of them: the second one is no authentication
    if operation.body:
        described["requestBody"] = {"required": True, "content": _content(operation.body)}
    return described


def _content(content: Content) -> dict[str, Any]:
    return {content_type: {"schema": reference(name)} if name else {} for content_type, name in content.items()}


def _response(status: int, content: Content) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if content:
        response["content"] = _content(content)
    if status in (302, 303):
        response["headers"] = {"Location": {"schema": {"type": "string"}}}
    if status in (429, 503):
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return response
