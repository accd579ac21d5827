"""The operator's page: the service at work, live, and a way to restart a worker for who has the token."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from quart import Blueprint, Response, current_app, render_template, request

from render_trio.web.operations.bar_chart import HEIGHT, WIDTH, bars
from render_trio.web.operations.status import QUEUE_PATIENCE, Status, StatusSource
from render_trio.web.problems import problem
from render_trio.web.responses import NOT_KEPT, json_reply, page_reply, wants_page
from render_trio.web.same_origin import same_origin
from render_trio.web.server_sent_events import PING_SECONDS, Listeners, Source, event

LIVE_SECONDS = 1.0
# A look takes as long as the queue's patience at worst.
QUIET_TICKS = int(PING_SECONDS / (LIVE_SECONDS + QUEUE_PATIENCE))
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Operator:
    """What an operator sees, and may do. `restart` says whether there is such a worker; without a token nobody may."""

    board: StatusSource
    restart: Callable[[str, str], bool]
    token: str


def routes(operator: Operator, listeners: Listeners) -> Blueprint:
    """Return the routes of the operator's page."""
    part = Blueprint("status", __name__)
    live = _Live(operator)

    async def page(notice: str = "", refusal: str = "", status: int = 200) -> Response:
        text = await live.text(current_app.jinja_env)
        # Without a token there is nothing to choose from.
        workers = (await operator.board.status()).health.workers if operator.token else ()
        html = await render_template("status.html", live=text, workers=workers, notice=notice, refusal=refusal)
        return page_reply(html, status, NOT_KEPT)

    @part.get("/status")
    async def status() -> Response:
        shown = await operator.board.status()
        if not wants_page():
            return json_reply(msgspec.to_builtins(shown))
        restarted = request.args.get("restarted", "")
        known = any(worker.name == restarted for worker in shown.health.workers)
        return await page(f"{restarted} is being restarted." if known else "")

    @part.get("/status/events")
    async def status_events() -> Response:
        source = _source(live, current_app.jinja_env, listeners)
        return listeners.answer(source, head=request.method == "HEAD")

    @part.post("/status/restart")
    async def restart() -> Response:
        form = await request.form
        if not operator.token:
            return problem(403, "no_token", "no worker can be restarted from here: ADMIN_TOKEN is not set")
        if not same_origin():
            return problem(403, "other_origin", "this request comes from another site's page")
        if not hmac.compare_digest(form.get("token", "").encode(), operator.token.encode()):
            log.warning("a restart was asked for with a wrong token", client=request.remote_addr)
            if wants_page():
                return await page(refusal="This is not the token of ADMIN_TOKEN; nothing was restarted.", status=403)
            return problem(403, "wrong_token", "the token is not the one of ADMIN_TOKEN", field="token")
        worker = form.get("worker", "")
        if not operator.restart(worker, "restarted by the operator"):
            return problem(404, "unknown_worker", "there is no worker of this name", field="worker")
        log.warning("a worker is restarted by the operator", worker=worker)
        return Response(b"", 303, {"Location": f"/status?restarted={worker}"})

    return part


class _Live:
    """The part of the page that changes, made once for all who look at the same status."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._shown: Status | None = None
        self._text = ""

    async def text(self, templates: Any) -> str:
        """Return it as HTML."""
        status = await self._operator.board.status()
        if status is not self._shown:
            template = templates.get_template("status_live.html")
            text = await template.render_async(
                status=status,
                bars=bars(status.minutes),
                chart=(WIDTH, HEIGHT),
                span=span,
                took=took,
                moment=moment,
            )
            self._shown, self._text = status, text
        return self._text


def _source(live: _Live, templates: Any, listeners: Listeners) -> Source:
    """Return what gives the page anew whenever it has changed, a last time when the service begins to drain."""
    sent: str | None = None
    quiet, last = 0, False

    async def next_event() -> bytes | None:
        nonlocal sent, quiet, last
        while not last:
            if sent is not None:
                await listeners.pause(LIVE_SECONDS)
            last = listeners.ending.is_set()
            text = await live.text(templates)
            if text != sent:
                sent, quiet = text, 0
                return event("page", text)
            quiet += 1
            if quiet % QUIET_TICKS == 0:
                return b""
        return None

    return next_event


def span(seconds: float) -> str:
    """Return a length of time as people say it, the coarser the longer it is."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds < 10 else f"{seconds // 10 * 10:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def took(seconds: float) -> str:
    """Return a measured time in the unit that suits it."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def moment(seconds: float) -> tuple[str, str]:
    """Return a moment, s since the epoch, for programs and for people."""
    at = datetime.fromtimestamp(seconds, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ"), at.strftime("%d %b, %H:%M:%S UTC")
