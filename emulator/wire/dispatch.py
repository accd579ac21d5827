"""A call → its reply: method override, route, what is common to all methods, the verb, and errors in one shape.

Whoever has a call (the web server, a batch) gets a reply; nothing that a verb raises comes out of here.
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
from emulator.wire.calls import Call, Reply
from emulator.wire.errors import ApiError, ErrorStyle, by_reason, invalid
from emulator.wire.parameters import flag
from emulator.wire.routing import Routes

MAX_QUERY_FIELDS = 100
OVERRIDES = ("GET", "PUT", "PATCH", "DELETE", "POST")
log = logging.getLogger(__name__)


class Dispatcher:
    """Answers calls. `schemas` gives, by a route's id, the schema of its reply and those it refers to."""

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
        """Return how errors at this path are told, by its first segment."""
        return self._styles.get(path[1:].partition("/")[0], by_reason)

    async def answer(self, call: Call) -> Reply:
        """Return the reply, its value encoded."""
        try:
            call = overridden(call)
            reply = await self._answer(call)
        except ApiError as error:
            reply = replies.error_reply(error, self.style(call.path))
        except StoreUnavailableError as error:
            log.warning("store unavailable: %s", error)
            told = ApiError(503, "the queue's store can't be reached now; try again after a moment")
            reply = replies.error_reply(told, self.style(call.path))
        except Exception as error:
            log.exception("a request failed: %s %s", call.method, call.path[:200], exc_info=error)
            told = ApiError(500, "the service failed on this request; its log says why")
            reply = replies.error_reply(told, self.style(call.path))
        return replies.encoded(reply, indented=call.query.get("prettyPrint") != "false")

    async def _answer(self, call: Call) -> Reply:
        route, parameters = self._routes.find(call.method, call.path)
        selection = self._selection(call.query, route.id) if call.query else {}
        reply = await route.verb(dataclasses.replace(call, parameters=parameters))
        if selection and reply.value is not None:
            value = partial_response.select(msgspec.to_builtins(reply.value), selection)
            reply = dataclasses.replace(reply, value=value)
        return reply

    def _selection(self, query: Mapping[str, str], method_id: str) -> partial_response.Selection:
        """Check what every method takes, and return what `fields` selects. Raises ApiError."""
        if query.get("alt", "json") != "json":
            raise invalid("alt", query["alt"], "json")
        if "prettyPrint" in query:
            flag(query, "prettyPrint")
        if not query.get("fields"):
            return {}
        selection = partial_response.parse(query["fields"])
        if method_id in self._schemas:
            partial_response.check(selection, *self._schemas[method_id])
        return selection


def parse_query(raw: bytes) -> dict[str, str]:
    """Return the parameters of a query, the first of each name. Raises ApiError."""
    try:
        pairs = parse_qsl(raw.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
    except UnicodeDecodeError:
        raise ApiError(400, "the query is not UTF-8, percent-encoded; encode it so", "invalid") from None
    except ValueError:
        raise ApiError(400, f"the query has over {MAX_QUERY_FIELDS} parameters; send fewer", "invalid") from None
    return dict(reversed(pairs))


def overridden(call: Call) -> Call:
    """Return the call that a POST with X-HTTP-Method-Override stands for. Raises ApiError.

    It carries what some networks don't let through (PATCH), and a GET whose query is too long for an
    address: that one comes in the body, as a form.
    """
    method = call.headers.get("x-http-method-override", "").upper()
    if not method or call.method != "POST":
        return call
    if method not in OVERRIDES:
        raise invalid("X-HTTP-Method-Override", method, ", ".join(OVERRIDES), location_type="header")
    query, body = dict(call.query), call.body
    if method == "GET" and body:
        kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise invalid("Content-Type", kind, "application/x-www-form-urlencoded", location_type="header")
        query, body = parse_query(body) | query, b""
    return dataclasses.replace(call, method=method, query=query, body=body)
