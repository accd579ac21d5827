"""The access table has every route of the application, and is enforced before a body is read."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from quart_trio import QuartTrio

from render_trio.observation.metrics import Metrics
from render_trio.rendering.offload.thread import ThreadOffload
from render_trio.rendering.on_demand import open_on_demand
from render_trio.web.access.attempts import Attempts
from render_trio.web.access.enforcing import Access
from render_trio.web.access.table import TABLE, Port, Route, route_of
from render_trio.web.access.tokens import Tokens
from render_trio.web.server.admission import Refusal, admitting
from render_trio.web.server.request_limits import Message, Send
from tests.render_trio.web.operated import Site
from tests.render_trio.web.site import LIMITS


async def application() -> QuartTrio:
    async with open_on_demand(ThreadOffload(Metrics(), 1, 1), LIMITS, Metrics()) as on_demand:
        return Site().application(on_demand)


def scope_of(method: str, path: str, **more: Any) -> Message:
    client = {"client": ("192.0.2.1", 1234), "headers": []}
    return {"type": "http", "method": method, "path": path, **client, **more}


def access(port: Port = "both") -> Access:
    return Access(Tokens("WEB_TOKEN"), Attempts(), port)


def found(method: str, path: str, **more: Any) -> tuple[str, str] | None:
    route = route_of(scope_of(method, path, **more))
    return None if route is None else (route.method, route.path)


async def test_the_table_has_exactly_the_routes_of_the_application() -> None:
    rules = (await application()).url_map.iter_rules()
    served = {(method, rule.rule) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert {(route.method, route.path) for route in TABLE} == served
    assert len(TABLE) == len(served)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", "/"),
        ("HEAD", "/status", "/status"),
        ("get", "/status", "/status"),
        ("POST", "/render", "/render"),
        ("post", "/render", "/render"),
        ("GET", "/resources/grid.pdf", "/resources/<slug>.pdf"),
        ("GET", "/resources/grid", "/resources/<slug>"),
        ("GET", "/static/a/b.css", "/static/<path:name>"),
        ("GET", "/resources/grid/pages/2.png", "/resources/<slug>/pages/<int:number>.png"),
        ("GET", "/tasks/x\ny", "/tasks/<task_id>"),
        ("POST", "//render", "/render"),
        ("POST", "http://example.org/render;x", "/render"),
    ],
)
def test_a_request_is_matched_to_its_route(method: str, path: str, expected: str) -> None:
    route = found(method, path)
    assert route is not None
    assert route[1] == expected


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nothing"), ("POST", "/render/"), ("GET", "/render"), ("OPTIONS", "/render")]
)
def test_what_the_application_answers_with_an_error_has_no_route(method: str, path: str) -> None:
    assert found(method, path) is None


@pytest.mark.parametrize("route", TABLE, ids=lambda route: f"{route.method} {route.path}")
def test_each_port_serves_its_own_routes_and_a_single_port_serves_all(route: Route) -> None:
    path = route.path.replace("<int:number>", "1").replace("<path:name>", "x").replace("<slug>", "grid")
    ports: tuple[Port, ...] = ("public", "operator")
    for port in ports:
        refusal = access(port).check(scope_of(route.method, path.replace("<task_id>", "web-1")))
        served = route.port in (port, "both")
        assert (refusal is None) is served
        assert served or (refusal is not None and refusal.status == 404)
    assert access().check(scope_of(route.method, path)) is None


def test_operators_routes_are_on_the_operator_port_and_probes_on_both() -> None:
    operators = {route.path for route in TABLE if route.port == "operator"}
    assert operators == {
        "/health",
        "/_ah/health",
        "/version",
        "/metrics",
        "/status",
        "/status/events",
        "/status/restart",
    }
    assert {route.path for route in TABLE if route.port == "both"} == {"/livez", "/readyz", "/static/<path:name>"}
    assert {route.path for route in TABLE if route.role == "program"} == {"/render", "/tasks"}


async def answer(decision: Refusal | None, messages: list[Message]) -> tuple[list[Message], list[Message]]:
    """Return what the application received and what the client got, for a request with these messages."""
    reached: list[Message] = []
    sent: list[Message] = []

    async def app(scope: Message, receive: Any, send: Send) -> None:
        reached.append(await receive())

    async def receive() -> Message:
        return messages.pop(0) if messages else await trio.sleep_forever()

    async def send(message: Message) -> None:
        sent.append(message)

    await admitting(lambda scope: decision)(app)(scope_of("POST", "/render"), receive, send)
    return reached, sent


async def test_a_request_that_may_proceed_is_left_alone() -> None:
    body = {"type": "http.request", "body": b"x", "more_body": False}
    assert await answer(None, [body]) == ([body], [])


async def test_the_body_of_a_refused_request_is_dropped_within_limits(autojump_clock: object) -> None:
    part = {"type": "http.request", "body": b"x" * 2**16, "more_body": True}
    parts = [part] * 100
    reached, sent = await answer(Refusal(404, "not_found", "no"), parts)
    assert reached == []
    assert [message.get("status") for message in sent] == [404, None]
    assert len(parts) > 80, "about 1 MiB is read, and then the connection is closed"
    names = {name for name, _ in sent[0]["headers"]}
    assert {b"connection", b"cache-control"} <= names


async def test_a_refused_body_that_never_arrives_is_not_waited_for(autojump_clock: object) -> None:
    _, sent = await answer(Refusal(404, "not_found", "no"), [])
    assert len(sent) == 2
