"""The routes as an OpenAPI document: what stands in `OPERATIONS`, as far as this service serves it.

A test holds the table against the routes, both ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec
from quart import Blueprint, Response, current_app

from render_trio.observation.versions import __version__
from render_trio.web.openapi.schemas import components, reference
from render_trio.web.responses import REVALIDATED, Packed, packed, packed_reply
from resources.registry import CATALOGUE

PDF, HTML, JSON, EVENTS, PROBLEM, FORM = (
    "application/pdf",
    "text/html",
    "application/json",
    "text/event-stream",
    "application/problem+json",
    "application/x-www-form-urlencoded",
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `gives`: content types by status, each with its schema's name, "" for none.

    `takes`: the same for the body. `problems`: statuses that come with a problem.
    """

    method: str
    path: str
    summary: str
    gives: dict[str, dict[str, str]]
    problems: tuple[str, ...] = ()
    takes: dict[str, str] | None = None
    query: str = ""


TASK_PROBLEMS = ("404", "502", "503")
OPERATIONS = (
    Operation("get", "/", "The catalogue", {"200": {HTML: ""}}),
    Operation("get", "/resources/{slug}", "A resource's form, filled in as the query says", {
        "200": {HTML: ""}, "303": {}, "400": {HTML: ""}, "404": {},
    }, query="Options"),
    Operation("get", "/resources/{slug}.pdf", "A document at once; `download` says that it is to be kept", {
        "200": {PDF: ""}, "304": {}, "404": {},
    }, ("400", "500", "503"), query="Options"),
    Operation("get", "/resources/{slug}/preview", "What a document's pages look like", {
        "200": {JSON: ""}, "404": {},
    }, ("400", "500", "503"), query="Options"),
    Operation("get", "/resources/{slug}/pages/{number}.png", "The picture of a page", {
        "200": {"image/png": ""}, "304": {}, "404": {},
    }, ("400", "500", "503"), query="Options"),
    Operation("get", "/thumbnails/{slug}.png", "The picture of a resource's first page", {
        "200": {"image/png": ""}, "304": {}, "404": {},
    }, ("500", "503")),
    Operation("post", "/render", "A document at once; what is not named takes its default", {
        "200": {PDF: ""},
    }, ("400", "413", "500", "503"), {JSON: "RenderOrder"}),
    Operation("get", "/health", "Is it well? What has stalled is restarted by the question", {
        "200": {JSON: "Health", HTML: ""}, "503": {JSON: "Health", HTML: ""},
    }),
    Operation("get", "/_ah/health", "The same, as App Engine asks", {
        "200": {JSON: "Health", HTML: ""}, "503": {JSON: "Health", HTML: ""},
    }),
    Operation("get", "/livez", "Does it run?", {"200": {JSON: ""}}),
    Operation("get", "/readyz", "Can it work?", {"200": {JSON: ""}, "503": {JSON: ""}}),
    Operation("get", "/version", "Versions of what documents depend on", {"200": {JSON: ""}}),
    Operation("get", "/metrics", "Metrics for Prometheus", {"200": {"text/plain": ""}}),
    Operation("get", "/openapi.json", "This document", {"200": {JSON: ""}}),
    Operation("get", "/static/{name}", "Style sheet, scripts and marks of the pages", {"200": {"*/*": ""}, "404": {}}),
    Operation("get", "/status", "The service at work", {"200": {JSON: "Status", HTML: ""}}),
    Operation("get", "/status/events", "The operator's page as it changes: events `page`", {
        "200": {EVENTS: ""},
    }, ("503",)),
    Operation("post", "/status/restart", "Restart a worker, with the operator's token", {"303": {}}, ("403", "404"), {
        FORM: "Restart",
    }),
    Operation("post", "/tasks", "Put a task on the queue", {"202": {JSON: "TaskState"}}, (
        "400", "413", "415", "502", "503",
    ), {JSON: "RenderTask"}),
    Operation("post", "/resources/{slug}/tasks", "The same from a resource's form: leads to the task's page", {
        "303": {}, "404": {},
    }, ("400", "403", "413", "502", "503"), {FORM: "Options"}),
    Operation("get", "/tasks/{task_id}", "How a task stands", {"200": {JSON: "TaskState", HTML: ""}}, TASK_PROBLEMS),
    Operation("get", "/tasks/{task_id}/events", "Each change of a task: events `state` and `page`, then `end`", {
        "200": {EVENTS: ""},
    }, TASK_PROBLEMS),
    Operation("get", "/tasks/{task_id}/document", "The document of a task", {"200": {PDF: ""}, "302": {}}, (
        *TASK_PROBLEMS, "409",
    )),
)  # fmt: skip

WORDS = {
    "200": "As asked",
    "202": "Taken",
    "302": "It lies elsewhere",
    "303": "See there",
    "304": "As you have it",
    "400": "Not allowed; says which field",
    "403": "Not for you",
    "404": "Unknown",
    "409": "Not yet",
    "413": "Too large",
    "415": "Not JSON",
    "500": "It could not be drawn",
    "502": "The queue refused",
    "503": "Not now; come again",
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "slug": {"enum": sorted(resource.slug for resource in CATALOGUE.values())},
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


def routes() -> Blueprint:
    """Return the route of the document."""
    part = Blueprint("openapi", __name__)
    made: list[Packed] = []

    @part.get("/openapi.json")
    async def openapi() -> Response:
        if not made:
            content = msgspec.json.encode(document(served(current_app.url_map.iter_rules())))
            made.append(packed(msgspec.json.format(content, indent=1), JSON))
        return packed_reply(made[0], REVALIDATED)

    return part


def served(rules: Any) -> set[tuple[str, str]]:
    """Return method and path of every route, as OpenAPI writes them; HEAD and OPTIONS come by themselves."""
    return {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in rules
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }


def document(routes: set[tuple[str, str]]) -> dict[str, Any]:
    """Return the OpenAPI document of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        if (operation.method, operation.path) in routes:
            paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "render-trio",
            "version": __version__,
            "summary": "Printable classroom resources, made to measure.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": components() | EXTRA_SCHEMAS},
    }


def _described(operation: Operation) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", operation.path)
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": PARAMETERS[name]} for name in names
    ]
    if operation.query:
        spread = {"style": "form", "explode": True, "schema": reference(operation.query)}
        parameters.append({"name": "options", "in": "query", **spread})
    answers = {status: _answer(status, content) for status, content in operation.gives.items()}
    answers |= {status: _answer(status, {PROBLEM: "Problem"}) for status in operation.problems}
    described: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{operation.method}{operation.path}").strip("_"),
        "summary": operation.summary,
        "responses": dict(sorted(answers.items())),
    }
    if parameters:
        described["parameters"] = parameters
    if operation.takes:
        described["requestBody"] = {"required": True, "content": _content(operation.takes)}
    return described


def _content(types: dict[str, str]) -> dict[str, Any]:
    return {kind: {"schema": reference(name)} if name else {} for kind, name in types.items()}


def _answer(status: str, types: dict[str, str]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": WORDS[status]}
    if types:
        answer["content"] = _content(types)
    if status in ("302", "303"):
        answer["headers"] = {"Location": {"schema": {"type": "string"}}}
    if status == "503":
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return answer
