"""Errors as programs read them: application/problem+json (RFC 9457), with a code, and the field that is wrong."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from quart import Response

from render_trio.web.responses import NOT_KEPT
from resources.parsing import RequestError

PROBLEM_TYPE = "application/problem+json"


def problem(
    status: int, code: str, detail: str, *, field: str | None = None, retry_after: int | None = None
) -> Response:
    """Return the reply that says what is wrong; `retry_after` in seconds for what may be asked again."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if field is not None:
        body["field"] = field
    headers = {"Content-Type": PROBLEM_TYPE, "Cache-Control": NOT_KEPT}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return Response(msgspec.json.format(msgspec.json.encode(body), indent=2), status, headers)


def refusal(error: RequestError) -> Response:
    """Return the reply to a request that can never be fulfilled: 400, with the field."""
    return problem(400, error.code, str(error), field=error.field)
