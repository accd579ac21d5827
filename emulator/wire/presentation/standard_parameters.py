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
REFUSED = {
    "callback": "JSONP lets pages of other sites read replies; send the request without a browser, and omit callback",
    "httpMethod": "send the method itself, or a POST with the header X-HTTP-Method-Override",
    "httpHeaders": "send the headers themselves",
    "req": "send the body as the body",
    "ct": "send the body as the body, with the header Content-Type",
}
ALLOWED_NAMES = ("alt", "fields", "prettyPrint", "pp", "xgafv", ".xgafv")
# `httpMethod` and the others that a gateway interprets exist only with `$`; without it, they mean nothing.
_NAMES = frozenset(
    [*ALLOWED_NAMES, *(f"${name}" for name in ALLOWED_NAMES), "callback", *(f"${name}" for name in REFUSED)]
)


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
    for name, advice in REFUSED.items():
        for written in ("callback", "$callback") if name == "callback" else (f"${name}",):
            if written in query:
                raise ApiError(400, f"{written} is not supported: {advice}", "invalidParameter", written)
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
