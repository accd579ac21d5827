"""The web application's OpenAPI document → requests for each of its operations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.sending import Sent
from tests.fuzz.values import Draw, Named, bodies, odd_texts, odd_values, of_schema, percent_encoded

FORM = "application/x-www-form-urlencoded"
# Documents that are drawn within milliseconds; the others occur too, but rarely.
QUICK = ("grid", "arrows", "parity-cards", "barcode-checksum-poster")
KNOWN: Named = Named(
    {
        "header_text": st.sampled_from(["Room Four", "Ōtāhuhu", ""]),
        "seed": st.sampled_from([1, "x"]),
        "language": st.sampled_from(["en", "en-NZ"]),
        "url": st.just("https://example.org/resources"),
        "resource_name": st.just("Cards"),
        "filename": st.just("cards.pdf"),
        "copies": st.sampled_from([1, "2"]),
        "resource_slug": st.just("x"),
    }
)
HEADERS = (
    ("Accept", ("text/html", "application/json", "image/png", "text/event-stream", "*/*;q=0", ",;", "x" * 300)),
    ("Accept-Language", ("de", "*", "en;q=x", "é".encode().decode("latin-1"))),
    ("Accept-Encoding", ("gzip", "br", "identity;q=0", "*")),
    ("If-None-Match", ("*", '"x"', 'W/"x", "y"', '"')),
    ("If-Modified-Since", ("yesterday", "Wed, 25 Nov 2026 00:00:00 GMT")),
    ("Range", ("bytes=0-10", "bytes=-1", "bytes=9-1", "x=1")),
    ("Last-Event-ID", ("1", "x", "-1", "9" * 40)),
    ("Cookie", ("a=b", "=;=", "\xff=\xfe", "a" * 3000)),
    ("Content-Type", ("text/plain", FORM, "application/json; charset=utf-16", "multipart/form-data; boundary=b", "/")),
    ("Content-Encoding", ("gzip", "br")),
    ("X-HTTP-Method-Override", ("DELETE",)),
    ("Origin", ("https://evil.example", "null")),
    ("Sec-Fetch-Site", ("cross-site", "same-origin")),
    ("Authorization", ("Basic eDp5", "Bearer x", "Basic \xff")),
    ("X-Forwarded-For", ("1.2.3.4", "x\ty")),
    ("Host", ("evil.example", "[::1]:x", "")),
)


@dataclass(frozen=True, repr=False)
class Operation:
    """An operation, and the document's schemas."""

    verb: str
    path: str
    parameters: tuple[Mapping[str, Any], ...]
    body_type: str
    responses: Mapping[str, Any]
    schemas: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"{self.verb} {self.path}"


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Return all operations of an OpenAPI document."""
    return [
        Operation(
            verb.upper(),
            path,
            tuple(described.get("parameters", ())),
            next(iter(described.get("requestBody", {}).get("content", {})), ""),
            described["responses"],
            Named(document["components"]["schemas"]),
        )
        for path, verbs in document["paths"].items()
        for verb, described in verbs.items()
    ]


@st.composite
def requests(draw: Draw, operation: Operation) -> Sent:
    """Draw a request for the operation, with something wrong now and then."""
    slugs = sorted(slug for schema in operation.schemas.values() for slug in _slugs(schema))
    slug = draw(st.sampled_from(QUICK if draw(st.integers(0, 9)) else slugs))
    good = {
        "slug": st.just(slug),
        "number": st.integers(0, 3),
        "name": st.sampled_from(["site.css", "../app.py", "x"]),
        "task_id": st.sampled_from(["web-" + "0" * 32, "one"]),
    }

    def path_value(match: re.Match[str]) -> str:
        return percent_encoded(draw(odd_texts) if draw(st.integers(0, 14)) == 0 else str(draw(good[match[1]])))

    path = re.sub(r"\{(\w+)\}", path_value, operation.path)
    options = _options_schema(operation.schemas, slug)
    pairs = []
    if operation.parameters and operation.parameters[-1]["in"] == "query":
        pairs = [(name, value) for name, value in draw(of_schema(options, operation.schemas, KNOWN)).items()]
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        name = draw(st.sampled_from(["v", "q", "download", "new_numbers", "page", "copies", "reply_tag"]) | odd_texts)
        pairs.append((name, draw(odd_texts)))
    query = _form(pairs)
    headers, body = [], None
    if operation.body_type == FORM:
        values = draw(of_schema(options, operation.schemas, KNOWN))
        headers, body = [("Content-Type", FORM)], _form(list(values.items())).encode()
        headers.append(("Sec-Fetch-Site", "same-origin"))
    elif operation.body_type:
        headers = [("Content-Type", operation.body_type)]
        body = draw(bodies(_task(options, operation.schemas, slug)))
        if draw(st.integers(0, 59)) == 0:
            body += b" " * 70_000  # more than the limit
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        name, choices = draw(st.sampled_from(HEADERS))
        headers.append((name, draw(st.sampled_from(choices))))
    others = ["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "TRACE"]
    verb = draw(st.sampled_from(others)) if draw(st.integers(0, 19)) == 0 else operation.verb
    return Sent(verb, f"{path}?{query}" if query else path, tuple(headers), body)


@st.composite
def _task(draw: Draw, options: Mapping[str, Any], schemas: Mapping[str, Any], slug: str) -> dict[str, Any]:
    values = draw(of_schema(options, schemas, KNOWN))
    values |= {"kind": "task#render", "resource_view": slug.replace("-", "_")}
    if draw(st.integers(0, 9)) == 0:
        values[draw(st.sampled_from(["kind", "resource_view", "reply_tag"]))] = draw(odd_values)
    return dict(values)


def _slugs(schema: Mapping[str, Any]) -> list[str]:
    views = schema.get("properties", {}).get("resource_view", {}).get("enum", [])
    return [view.replace("_", "-") for view in views if len(views) <= 2]


def _options_schema(schemas: Mapping[str, Any], slug: str) -> dict[str, Any]:
    """Return the schema of a resource's own options and the common ones."""
    own = schemas["".join(word.capitalize() for word in slug.split("-")) + "Options"]["properties"]
    return {"type": "object", "properties": Named({**own, **schemas["CommonOptions"]["properties"]})}


def _form(pairs: list[tuple[str, Any]]) -> str:
    texts = [
        (name, {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)) for name, value in pairs
    ]
    return "&".join(f"{percent_encoded(name)}={percent_encoded(text)}" for name, text in texts)
