"""What a route handler declares for the OpenAPI document.

Handlers import this module, so it imports none of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

PDF, PNG, HTML, JSON, EVENTS, PROBLEM, FORM, TEXT = (
    "application/pdf",
    "image/png",
    "text/html",
    "application/json",
    "text/event-stream",
    "application/problem+json",
    "application/x-www-form-urlencoded",
    "text/plain",
)
ATTRIBUTE = "openapi_operation"  # of a handler: its Operation

Content = Mapping[str, str]
"""Content types, each with the name of its schema, or "" if it has none."""
Handler = TypeVar("Handler", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `responses`: the content of each status; `problems`: statuses answered with a problem.

    `body`: the content of the request body. `query`: the schema of the query string, "" if there is none.
    """

    summary: str
    responses: Mapping[int, Content]
    problems: tuple[int, ...] = ()
    body: Content | None = None
    query: str = ""


def describe(
    summary: str,
    responses: Mapping[int, Content],
    *,
    problems: tuple[int, ...] = (),
    body: Content | None = None,
    query: str = "",
) -> Callable[[Handler], Handler]:
    """Return a decorator that declares the handler's Operation. It goes below the decorator of the route."""
    operation = Operation(summary, responses, problems, body, query)

    def declare(handler: Handler) -> Handler:
        setattr(handler, ATTRIBUTE, operation)
        return handler

    return declare


def operation_of(handler: Callable[..., object]) -> Operation | None:
    """Return the handler's Operation, or None if it declares none."""
    operation = getattr(handler, ATTRIBUTE, None)
    return operation if isinstance(operation, Operation) else None


def openapi_path(rule: str) -> str:
    """Return the path of a route as OpenAPI writes it: `/tasks/<task_id>` becomes `/tasks/{task_id}`."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)
