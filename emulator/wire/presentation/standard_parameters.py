"""The query parameters that every method has → how to present the reply.

Each name may also begin with `$`, as newer clients write it. A call without any of them, which is the usual case, costs
one set operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emulator.wire.errors import ApiError, ErrorStyle, by_reason, by_status, invalid
from emulator.wire.parameters import flag

FORMATS = {"json": False, "json;enum-encoding=name": False, "json;enum-encoding=int": True}
ERROR_FORMATS: Mapping[str, ErrorStyle] = {"1": by_reason, "2": by_status}
_JSONP = "JSONP lets pages of other sites read replies; omit it, and send the request without a browser"
# Ignoring these would execute another request than the client intended, or expose replies. Those with `$` are
# instructions for Google's gateways; without `$`, their names mean nothing.
REFUSED = {
    "callback": _JSONP,
    "$callback": _JSONP,
    "$httpMethod": "send the method itself, or a POST with the header X-HTTP-Method-Override",
    "$httpHeaders": "send the headers themselves",
    "$req": "send the body as the body",
    "$ct": "send the body as the body, with the header Content-Type",
}
_READ = ("alt", "fields", "prettyPrint", "pp", "xgafv", ".xgafv")
_NAMES = frozenset([*REFUSED, *_READ, *(f"${name}" for name in _READ)])


@dataclass(frozen=True, slots=True)
class Presentation:
    """How to present a reply.

    `fields` selects parts of it, "" selects everything. `error_style` is None for the format of the API.
    """

    fields: str = ""
    indented: bool = True
    enum_numbers: bool = False
    error_style: ErrorStyle | None = None


DEFAULT = Presentation()


def presentation(query: Mapping[str, str]) -> Presentation:
    """Return the presentation that the query requests. Raises ApiError."""
    if _NAMES.isdisjoint(query):
        return DEFAULT
    for name in query:
        if name in REFUSED:
            raise ApiError(400, f"{name} is not supported: {REFUSED[name]}", "invalidParameter", name)
    wanted = _value(query, "alt", "json").lower().replace(" ", "")
    if wanted not in FORMATS:
        raise invalid("alt", _value(query, "alt", "json"), ", ".join(FORMATS))
    error_format = _value(query, ".xgafv", _value(query, "xgafv", ""))
    if error_format and error_format not in ERROR_FORMATS:
        raise invalid("$.xgafv", error_format, ", ".join(ERROR_FORMATS))
    return Presentation(_value(query, "fields", ""), _indented(query), FORMATS[wanted], ERROR_FORMATS.get(error_format))


def _value(query: Mapping[str, str], name: str, default: str) -> str:
    """Return the value of a parameter; the name with `$` takes precedence."""
    return query.get(f"${name}", query.get(name, default))


def _indented(query: Mapping[str, str]) -> bool:
    """Return whether to indent the reply: prettyPrint or, in older clients, pp. Raises ApiError."""
    for name in ("$prettyPrint", "prettyPrint", "$pp", "pp"):
        if name in query:
            return flag(query, name)
    return True
