"""The queue's discovery documents → requests for each of their methods."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.sending import Answer, Sent
from tests.fuzz.values import Draw, Named, bodies, odd_texts, of_schema, percent_encoded

LEASE, SCHEDULE = "@lease", "@schedule"  # stand for the last ones that a reply contained
KNOWN: Named = Named(
    {
        "project": st.sampled_from(["shop", "s~shop"]),
        "taskqueue": st.just("print"),
        "projectsId": st.just("shop"),
        "locationsId": st.sampled_from(["here", "there"]),
        "queuesId": st.just("print"),
        "tasksId": st.sampled_from(["a", "b", "c"]),
        "task": st.sampled_from(["a", "b", "c"]),
        "id": st.sampled_from(["a", "b", "c", ""]),
        "queueName": st.sampled_from(["print", "projects/shop/taskqueues/print"]),
        "payloadBase64": st.sampled_from(["eA==", "-_8", "asdf123", "A" * 4000]),
        "payload": st.sampled_from(["eA==", "-_8"]),
        "tag": st.sampled_from(["", "x", "y"]),
        "leaseTimestamp": st.sampled_from([LEASE, LEASE, "0", 0, 1.0]),
        "scheduleTime": st.sampled_from([SCHEDULE, SCHEDULE, "2026-11-25T00:00:00.123456789+01:00"]),
        "leaseDuration": st.sampled_from(["5s", "0s", "3.5s"]),
        "leaseSecs": st.sampled_from(["0", "5", "10.0"]),
        "newLeaseSeconds": st.sampled_from(["0", "5"]),
        "numTasks": st.integers(1, 5),
        "maxTasks": st.integers(1, 5),
        "pageSize": st.integers(0, 5),
        "responseView": st.sampled_from(["FULL", "BASIC", 1, 2, "VIEW_UNSPECIFIED"]),
        "filter": st.sampled_from(["tag=x", "tag_function=oldest_tag()", 'tag="x"']),
        "readMask": st.sampled_from(["name", "name,state", "*"]),
        "parent": st.sampled_from(["projects/shop/locations/here", "projects/shop/locations/here/queues/print"]),
        "name": st.sampled_from(
            ["projects/shop/locations/here/queues/print", "projects/shop/locations/here/queues/print/tasks/a"]
        ),
        "fields": st.sampled_from(["kind", "items(id,tag)", "*", "tasks/name"]),
        "alt": st.sampled_from(["json", "media", "proto"]),
    }
)
STANDARD = (
    "alt",
    "$alt",
    "fields",
    "$fields",
    "prettyPrint",
    "$prettyPrint",
    "key",
    "$.xgafv",
    "callback",
    "$callback",
)
HEADERS = (
    ("Content-Type", ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/mixed", "/")),
    ("Content-Encoding", ("gzip", "identity", "br", "deflate", "gzip, gzip")),
    ("Prefer", ("wait=0", "wait=-1", "wait=x", 'wait="0"', "respond-async")),
    ("If-Match", ("*", '"1"', "1", 'W/"1"', '"' + "9" * 30 + '"')),
    ("X-HTTP-Method-Override", ("GET", "PATCH", "DELETE", "PUT", "x")),
    ("Accept", ("text/html", "application/json;q=0", "*/*", ",")),
    ("Authorization", ("Bearer x", "Basic eDp5", "\xff")),
    ("Range", ("bytes=0-1", "bytes=9-1")),
    ("Origin", ("https://evil.example", "null")),
    ("Sec-Fetch-Site", ("cross-site", "same-origin")),
    ("X-Forwarded-Proto", ("https", "javascript")),
)


@dataclass(frozen=True, repr=False)
class Method:
    """A method of a discovery document, and the schemas that it refers to."""

    id: str
    verb: str
    path: str  # with {parameters}
    parameters: Mapping[str, Mapping[str, Any]]
    request: Mapping[str, Any] | None
    response: Mapping[str, Any] | None
    schemas: Mapping[str, Any]

    def __repr__(self) -> str:
        return self.id


def methods(document: Mapping[str, Any]) -> list[Method]:
    """Return all methods of a discovery document."""

    def walk(resource: Mapping[str, Any]) -> Any:
        for method in resource.get("methods", {}).values():
            yield Method(
                method["id"],
                method["httpMethod"],
                f"/{document['servicePath']}{method.get('flatPath', method['path'])}",
                method.get("parameters", {}),
                method.get("request"),
                method.get("response"),
                Named(document["schemas"]),
            )
        for inner in resource.get("resources", {}).values():
            yield from walk(inner)

    return list(walk(document))


@st.composite
def requests(draw: Draw, method: Method) -> Sent:
    """Draw a request for the method, with something wrong now and then."""

    def path_value(match: re.Match[str]) -> str:
        name = match[1].lstrip("+")
        if draw(st.integers(0, 14)) == 0:
            return percent_encoded(draw(odd_texts))
        return str(draw(KNOWN[name]))

    path = re.sub(r"\{([^}]+)\}", path_value, method.path)
    pairs = []
    for name, parameter in method.parameters.items():
        if parameter.get("location") == "query" and draw(st.integers(0, 9)) < 8:
            pairs.append((name, draw(of_schema(parameter, method.schemas, KNOWN, name))))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        name = draw(st.sampled_from([*STANDARD, *method.parameters]) | odd_texts)
        pairs.append((name, draw(KNOWN["fields"] if name.endswith("fields") else odd_texts)))
    query = "&".join(f"{percent_encoded(name)}={percent_encoded(_as_text(value))}" for name, value in pairs)
    headers, body = [], None
    if method.request is not None or draw(st.integers(0, 19)) == 0:
        headers.append(("Content-Type", "application/json"))
        body = draw(bodies(of_schema(method.request or {"type": "object"}, method.schemas, KNOWN)))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        name, values = draw(st.sampled_from(HEADERS))
        headers.append((name, draw(st.sampled_from(values))))
    if body is not None and method.verb == "POST" and draw(st.integers(0, 19)) == 0 and query:
        headers, body, query = [("Content-Type", "application/x-www-form-urlencoded")], query.encode(), ""
    verb = (
        draw(st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS"]))
        if draw(st.integers(0, 19)) == 0
        else method.verb
    )
    return Sent(verb, f"{path}?{query}" if query else path, tuple(headers), body)


def _as_text(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


class Memory:
    """The last lease that a reply contained, which later requests can renew or acknowledge."""

    def __init__(self) -> None:
        self.lease, self.schedule = "1", "2026-11-25T00:00:00Z"

    def filled_in(self, sent: Sent) -> Sent:
        """Return the request with the last lease in the place of LEASE and SCHEDULE."""
        if sent.body is None:
            return sent
        body = sent.body.replace(LEASE.encode(), self.lease.encode()).replace(SCHEDULE.encode(), self.schedule.encode())
        return Sent(sent.method, sent.target, sent.headers, body)

    def remember(self, answer: Answer) -> None:
        """Keep the leases of a reply."""
        for found in re.findall(rb'"leaseTimestamp": ?"?([0-9]+)', answer.body):
            self.lease = found.decode()
        for found in re.findall(rb'"scheduleTime": ?"([^"]+)"', answer.body):
            self.schedule = found.decode()


def differs(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any], place: str = "") -> str:
    """Return where a value of a reply differs from its schema in a discovery document, "" if it doesn't."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"]]
    kind = schema.get("type")
    if kind == "object":
        if not isinstance(value, dict):
            return f"{place}: no object"
        properties = schema.get("properties", {})
        for name, inner in value.items():
            if name not in properties:
                return f"{place}.{name} is not in the schema"
            if wrong := differs(inner, properties[name], schemas, f"{place}.{name}"):
                return wrong
        return ""
    if kind == "array":
        if not isinstance(value, list):
            return f"{place}: no list"
        return next(filter(None, (differs(item, schema["items"], schemas, f"{place}[]") for item in value)), "")
    if "enum" in schema and not isinstance(value, int):
        return "" if value in schema["enum"] else f"{place}: {value!r} is not in the enum"
    if kind == "string" and schema.get("format") == "int64":
        return "" if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value) else f"{place}: {value!r} is no int64"
    expected: dict[Any, Any] = {"string": (str, int if "enum" in schema else str), "integer": int, "boolean": bool}
    return "" if isinstance(value, expected.get(kind, object)) else f"{place}: {value!r} is not of type {kind}"
