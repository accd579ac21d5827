"""Errors as responses: application/problem+json (RFC 9457) for programs, a page for browsers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from quart import Response, render_template, request
from quart_trio import QuartTrio

from render_trio.errors import BusyError, FatalError, RenderTrioError
from render_trio.web.access.quotas import QuotaError
from render_trio.web.responses import NOT_KEPT, page_response, wants_page
from resources.parsing import RequestError

PROBLEM_TYPE = "application/problem+json"
REFUSED = "render_trio.refusal"
"""The key, in the ASGI scope, of the `Refusal` of a request that a browser sent: it gets a page. See `admission`."""
FATAL_PAUSE = 30  # s until a service that has to be restarted may be available again


def problem(
    status: int, code: str, detail: str, *, field: str | None = None, retry_after: int | None = None
) -> Response:
    """Return a problem response: `code` for programs, `detail` for people, and the `field` at fault.

    `retry_after`: s after which the client may try again.
    """
    headers = {"Content-Type": PROBLEM_TYPE, "Cache-Control": NOT_KEPT}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return Response(problem_body(status, code, detail, field), status, headers)


def problem_body(status: int, code: str, detail: str, field: str | None = None) -> bytes:
    """Return the body of a problem response; see `problem`."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if field is not None:
        body["field"] = field
    return msgspec.json.format(msgspec.json.encode(body), indent=2)


def refusal(error: RequestError) -> Response:
    """Return the response to an invalid request: 400, with the field at fault."""
    return problem(400, error.code, str(error), field=error.field)


def show_problems_to_browsers(app: QuartTrio) -> None:
    """Answer a browser that opens an address or sends a form with a page instead of a problem response."""

    @app.before_request
    async def refused() -> Response | None:
        """Answer a request that was refused before its body was read."""
        found: Any = request.scope.get(REFUSED)
        if found is None:
            return None
        response = problem(found.status, found.code, found.detail)
        response.headers.extend({name.decode(): value.decode() for name, value in found.headers})
        return response

    @app.after_request
    async def as_page(response: Response) -> Response:
        if response.content_type != PROBLEM_TYPE or not wants_page():
            return response
        retry_after = response.headers.get("Retry-After", "")
        html = await render_template("problem.html", status=response.status_code, retry_after=retry_after)
        page = page_response(html, response.status_code)
        for name in ("Retry-After", "Allow"):
            if name in response.headers:
                page.headers[name] = response.headers[name]
        return page


async def not_drawn(error: RenderTrioError) -> Response:
    """Return the response to a failed rendering: 429 or 503 with Retry-After if a retry can succeed, otherwise 500."""
    retry_after = None
    status = 500
    if isinstance(error, QuotaError):
        status, retry_after = 429 if error.own else 503, error.retry_after
    elif isinstance(error, BusyError):
        status, retry_after = 503, error.retry_after
    elif isinstance(error, FatalError):
        status, retry_after = 503, FATAL_PAUSE
    if wants_page():
        response = page_response(await render_template("not_drawn.html", retry_after=retry_after), status)
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response
    return problem(status, error.code, error.loggable, retry_after=retry_after)
