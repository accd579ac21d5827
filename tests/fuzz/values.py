"""Strategies for values: what a schema allows, what it doesn't, and rubbish; for discovery documents and OpenAPI."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from tests.fuzz.sending import HEADER, MARKUP

Draw = Callable[[st.SearchStrategy[Any]], Any]
ODD_TEXTS = (
    *("", " ", "0", "-1", "1.5", "1e3", "true", "TRUE", "null", "NaN", "*", ".", "..", "../../etc/passwd", "%", "%zz"),
    *("9" * 25, "x" * 600, "٣", "é", "漢字", "🎈", "a\u0304", "\u202e", "\u200d", "\ufeff", "\x00", "\x7f", "\ud800"),
    *(
        f"{MARKUP}('1')</script>",
        f'"{MARKUP}',
        f"a\r\n{HEADER}: 1",
        "' OR 1=1 --",
        "${jndi:x}",
        "{{7*7}}",
        "a;b",
        "a,b",
    ),
    *("2026-11-25T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00-23:59", "3.5s", "-1s", "1e9s"),
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**40, 0.5, 1e300, [], {}, [None], {"": {}}, [[[]]]),
    *({"a": ["b"]}, {"@type": "x"}, [{"id": "a"}] * 3),
)
# JSON that a value can't express.
ODD_JSON = (
    *(b"NaN", b"-Infinity", b"1e999", b"-0", b'"\\ud800"', b"1" * 5000, b'{"id":"a","id":"b"}', b"[" * 3000, b"\xff"),
    *(b"{" * 2000, b'{"a":' * 500 + b"1" + b"}" * 500, b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b"{} {}", b"{'a':1}"),
    *(b"", b" ", b"null", b"[]", b'"x"', b"0", b"{", b'{"a"', b"\x00"),
)
odd_texts = st.sampled_from(ODD_TEXTS) | st.text(max_size=40)
odd_values = st.sampled_from(ODD_VALUES) | odd_texts | st.integers() | st.floats()
names = st.sampled_from(["id", "", "__proto__", "$ref", "é", "\x00", MARKUP, "kind", "a" * 300]) | st.text(max_size=8)


class Named(dict[str, Any]):
    """A mapping with a short repr: Hypothesis builds the repr of a strategy from those of its arguments."""

    def __repr__(self) -> str:
        return f"<{len(self)} entries>"


def of_schema(schema: Mapping[str, Any], schemas: Mapping[str, Any], known: Mapping[str, Any], name: str = "") -> Any:
    """Return a strategy for values that the schema allows; `known` has good values for some names."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[-1]]
    if name in known:
        return known[name]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind in ("integer", "number"):
        return st.integers(int(schema.get("minimum", 0)), int(schema.get("maximum", 1000)))
    if kind == "boolean":
        return st.booleans()
    if kind == "array":
        return st.lists(of_schema(schema.get("items", {}), schemas, known), max_size=2)
    if kind == "object":
        return objects(schema, schemas, known)
    return st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20)


@st.composite
def objects(draw: Draw, schema: Mapping[str, Any], schemas: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    """Draw an object: mostly right, with a property that is missing, wrong or unknown now and then."""
    result = {}
    for name, inner in schema.get("properties", {}).items():
        chance = draw(st.integers(0, 19))
        if chance < 13:
            result[name] = draw(of_schema(inner, schemas, known, name))
        elif chance < 15:
            result[name] = draw(odd_values)
    if draw(st.integers(0, 9)) == 0:
        result[draw(names)] = draw(odd_values)
    return result


def as_json(value: Any) -> bytes:
    """Return the value as JSON; a lone surrogate is written as an escape."""
    return json.dumps(value).encode()


@st.composite
def bodies(draw: Draw, content: st.SearchStrategy[Any]) -> bytes:
    """Draw a JSON body: mostly a drawn object, now and then something that is none, or is cut off."""
    chance = draw(st.integers(0, 19))
    if chance == 0:
        return bytes(draw(st.sampled_from(ODD_JSON)))
    body = as_json(draw(content))
    if chance == 1:
        return body[: draw(st.integers(0, len(body)))]
    if chance == 2:
        return body.replace(b"}", b', "x": ' + draw(st.sampled_from(ODD_JSON)) + b"}", 1)
    return body


def percent_encoded(text: str) -> str:
    """Return a text for a URL, in ASCII."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")
