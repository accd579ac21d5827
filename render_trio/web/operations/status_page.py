"""The operator's page: the live status of the service, and a form that restarts a worker, protected by a token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
import trio
from quart import Blueprint, Response, current_app, render_template, request

from render_trio.web.access.attempts import Attempts
from render_trio.web.access.clients import name_of
from render_trio.web.access.tokens import Tokens
from render_trio.web.addresses import address
from render_trio.web.openapi.operation import EVENTS, FORM, HTML, JSON, describe
from render_trio.web.operations.bar_chart import HEIGHT, WIDTH, bar_chart
from render_trio.web.operations.status import QUEUE_TIMEOUT, Status, StatusSource
from render_trio.web.problems import problem
from render_trio.web.responses import NOT_KEPT, json_response, page_response, see_other, wants_page
from render_trio.web.server_sent_events import PING_SECONDS, Listeners, Source, event

REFRESH_SECONDS = 1.0
# Refreshes without a change before a ping. A refresh can take as long as the queue's timeout.
SILENT_REFRESHES = int(PING_SECONDS / (REFRESH_SECONDS + QUEUE_TIMEOUT))
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Operator:
    """What the page shows and does.

    `restart` takes a worker's name and a reason, and returns whether the worker exists. Without `tokens` no worker can
    be restarted.
    """

    status_source: StatusSource
    restart: Callable[[str, str], bool]
    tokens: Tokens
    attempts: Attempts


def routes(operator: Operator, listeners: Listeners) -> Blueprint:
    """Return the routes of the status page."""
    part = Blueprint("status", __name__)
    live = _Live(operator)

    async def page(notice: str = "", refusal: str = "", status: int = 200) -> Response:
        html = await live.html(current_app.jinja_env)
        workers = (await operator.status_source.current()).health.workers if operator.tokens.configured else ()
        text = await render_template("status.html", live=html, workers=workers, notice=notice, refusal=refusal)
        return page_response(text, status, NOT_KEPT)

    @part.get("/status")
    @describe("The status of the service", {200: {JSON: "Status", HTML: ""}})
    async def status() -> Response:
        shown = await operator.status_source.current()
        if not wants_page():
            return json_response(msgspec.to_builtins(shown))
        restarted = request.args.get("restarted", "")
        known = any(worker.name == restarted for worker in shown.health.workers)
        return await page(f"Restarting {restarted}." if known else "")

    @part.get("/status/events")
    @describe("The status page as it changes: events `page`", {200: {EVENTS: ""}}, problems=(429, 503))
    async def status_events() -> Response:
        source = _source(live, current_app.jinja_env, listeners)
        return listeners.respond(source, name_of(request.scope), head=request.method == "HEAD")

    @part.post("/status/restart")
    @describe(
        "Restart a worker; needs the operator's token", {303: {}}, problems=(403, 404, 429), body={FORM: "Restart"}
    )
    async def restart() -> Response:
        form = await request.form
        if not operator.tokens.configured:
            return problem(
                403, "no_token", "restarting workers is disabled: set ADMIN_TOKEN or ADMIN_TOKEN_FILE to enable it"
            )
        verdict = operator.attempts.check(operator.tokens, form.get("token", ""), name_of(request.scope))
        if verdict.retry_after:
            detail = "too many wrong tokens were sent from this address"
            return problem(429, "too_many_attempts", detail, retry_after=verdict.retry_after)
        if not verdict.accepted:
            await trio.sleep(verdict.delay)
            if wants_page():
                return await page(refusal="Wrong token. No worker was restarted.", status=403)
            return problem(
                403, "wrong_token", "the token is not that of ADMIN_TOKEN or ADMIN_TOKEN_FILE", field="token"
            )
        worker = form.get("worker", "")
        if not operator.restart(worker, "restarted by the operator"):
            return problem(404, "unknown_worker", "no worker has this name", field="worker")
        log.warning("operator restarts worker", worker=worker)
        return see_other(address("/status", restarted=worker))

    return part


class _Live:
    """The part of the page that changes, rendered once per status and shared by all clients."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._status: Status | None = None
        self._html = ""

    async def html(self, templates: Any) -> str:
        """Return it as HTML."""
        status = await self._operator.status_source.current()
        if status is not self._status:
            template = templates.get_template("status_live.html")
            html = await template.render_async(
                status=status,
                bars=bar_chart(status.minutes),
                chart=(WIDTH, HEIGHT),
                span=span,
                duration=duration,
                moment=moment,
            )
            self._status, self._html = status, html
        return self._html


def _source(live: _Live, templates: Any, listeners: Listeners) -> Source:
    """Return a source of events: the page whenever it has changed, and a last time when the service begins to drain."""
    sent: str | None = None
    silent, last = 0, False

    async def next_event() -> bytes | None:
        nonlocal sent, silent, last
        while not last:
            if sent is not None:
                await listeners.pause(REFRESH_SECONDS)
            last = listeners.draining.is_set()
            html = await live.html(templates)
            if html != sent:
                sent, silent = html, 0
                return event("page", html)
            silent += 1
            if silent % SILENT_REFRESHES == 0:
                return b""
        return None

    return next_event


def span(seconds: float) -> str:
    """Return a length of time for display, rounded down more coarsely the longer it is."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds < 10 else f"{seconds // 10 * 10:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def duration(seconds: float) -> str:
    """Return a measured time for display, in ms below one second."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def moment(seconds: float) -> tuple[str, str]:
    """Return a time, given in s since the epoch, in ISO 8601 and in words."""
    at = datetime.fromtimestamp(seconds, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ"), at.strftime("%d %b, %H:%M:%S UTC")
