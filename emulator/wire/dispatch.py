"""A call → its reply: method override, routing, a form as the query, the verb, presentation, and errors.

`Dispatcher.answer` always returns a reply: exceptions that a verb raises become error replies.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from emulator.stores.interface import StoreUnavailableError
from emulator.wire import partial_response, replies
from emulator.wire.calls import Call, Reply, Route
from emulator.wire.errors import ApiError, ErrorStyle, by_reason, invalid
from emulator.wire.presentation.enum_numbers import numbered
from emulator.wire.presentation.standard_parameters import DEFAULT, Presentation, presentation
from emulator.wire.routing import Routes

MAX_QUERY_FIELDS = 100
OVERRIDES = ("GET", "PUT", "PATCH", "DELETE", "POST")
FORM = "application/x-www-form-urlencoded"
log = logging.getLogger(__name__)


class Dispatcher:
    """Executes calls. `schemas` contains, by route ID, the schema of the reply and the schemas it can refer to."""

    def __init__(
        self,
        routes: Routes,
        styles: Mapping[str, ErrorStyle],
        schemas: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
    ) -> None:
        self._routes = routes
        self._styles = styles
        self._schemas = schemas

    def style(self, path: str) -> ErrorStyle:
        """Return the error format for a path; its first segment identifies the API."""
        return self._styles.get(path.lstrip("/").partition("/")[0], by_reason)

    def route(self, call: Call) -> Route | None:
        """Return the route of a call, None if there is none."""
        try:
            return self._routes.find(call.method, call.path)[0]
        except ApiError:
            return None

    async def answer(self, call: Call) -> Reply:
        """Return the reply with its encoded value."""
        shown = DEFAULT
        try:
            call = overridden(call)
            if call.query:
                shown = presentation(call.query)
            route, parameters = self._routes.find(call.method, call.path)
            if route.query_as_form and call.body and _is_form(call):
                call = dataclasses.replace(call, query={**parse_query(call.body), **call.query}, body=b"")
                shown = presentation(call.query)
            selection = self._selection(shown.fields, route.id) if shown.fields else {}
            reply = await route.verb(dataclasses.replace(call, parameters=parameters))
            if reply.value is not None and (selection or shown.enum_numbers):
                reply = self._presented(reply, route.id, selection, shown)
        except ApiError as error:
            reply = replies.error_reply(error, shown.error_style or self.style(call.path))
        except StoreUnavailableError as error:
            log.warning("store unavailable: %s", error)
            unavailable = ApiError(503, str(error))
            reply = replies.error_reply(unavailable, shown.error_style or self.style(call.path))
        except Exception as error:
            log.exception("request failed: %s %s", call.method, call.path[:200], exc_info=error)
            failed = ApiError(500, "internal error; see the log of the service")
            reply = replies.error_reply(failed, shown.error_style or self.style(call.path))
        return replies.encoded(reply, indented=shown.indented)

    def _presented(
        self, reply: Reply, method_id: str, selection: partial_response.Selection, shown: Presentation
    ) -> Reply:
        value = msgspec.to_builtins(reply.value)
        if shown.enum_numbers and method_id in self._schemas:
            value = numbered(value, *self._schemas[method_id])
        return dataclasses.replace(reply, value=partial_response.select(value, selection))

    def _selection(self, fields: str, method_id: str) -> partial_response.Selection:
        """Return the selection of `fields`. Raises ApiError."""
        selection = partial_response.parse(fields)
        if method_id in self._schemas:
            partial_response.check(selection, *self._schemas[method_id])
        return selection


def parse_query(raw: bytes) -> dict[str, str]:
    """Return the parameters of a query; for a repeated name, the first value. Raises ApiError."""
    try:
        pairs = parse_qsl(raw.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
    except UnicodeDecodeError:
        raise ApiError(400, "the query is not valid UTF-8; percent-encode it as UTF-8", "invalid") from None
    except ValueError:
        raise ApiError(400, f"the query has more than {MAX_QUERY_FIELDS} parameters; send fewer", "invalid") from None
    return dict(reversed(pairs))


def overridden(call: Call) -> Call:
    """Return the call that a POST with X-HTTP-Method-Override represents. Raises ApiError.

    Clients use it for methods that some networks block (PATCH), and for a GET whose query is too long for a URL; that
    query is sent in the body, as a form.
    """
    method = call.headers.get("x-http-method-override", "").upper()
    if not method or call.method != "POST":
        return call
    if method not in OVERRIDES:
        raise invalid("X-HTTP-Method-Override", method, ", ".join(OVERRIDES), location_type="header")
    query, body = dict(call.query), call.body
    if method == "GET" and body:
        if not _is_form(call):
            raise invalid("Content-Type", call.headers.get("content-type", ""), FORM, location_type="header")
        query, body = parse_query(body) | query, b""
    return dataclasses.replace(call, method=method, query=query, body=body)


def _is_form(call: Call) -> bool:
    return call.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM
