"""A running web server with fake workers; its queue is a real one, or an address where nothing listens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import httpx
import trio
from quart_trio import QuartTrio

from render_trio.delivery.directory import DirectoryStore
from render_trio.observation.metrics import Metrics
from render_trio.observation.recent_activity import RecentActivity
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.rendering.offload.thread import ThreadOffload
from render_trio.rendering.on_demand import OnDemandRenderer, open_on_demand
from render_trio.supervision.health import Health, judge
from render_trio.supervision.supervisor import Slot, Supervisor
from render_trio.web import same_origin
from render_trio.web.access.attempts import Attempts
from render_trio.web.access.tokens import Tokens
from render_trio.web.app import create_app
from render_trio.web.operations import status_page
from render_trio.web.operations.probes import Probes
from render_trio.web.operations.status import StatusSource
from render_trio.web.server.admission import admitting
from render_trio.web.server.listening import address_of, listening_socket
from render_trio.web.server.request_limits import Asgi, limit_requests
from render_trio.web.server.server import serve
from render_trio.web.server_sent_events import Listeners
from render_trio.web.tasks import routes
from render_trio.web.tasks.ledger import Ledger
from render_trio.web.tasks.submissions import WebTasks
from tests.render_trio.web.site import LIMITS

LIMIT = 1000
UNREACHABLE = "http://127.0.0.1:9"  # the discard port: nothing listens there
KEEP_SECONDS = 3600
MAX_LISTENERS, PER_CLIENT = 12, 3
WEB_TASKS, WEB_TASK_BYTES = 1000, 256 * 1024 * 1024


class Site:
    """A running web server with two workers that only report progress."""

    def __init__(self, queue_url: str = UNREACHABLE, store: DirectoryStore | None = None, token: str = "") -> None:
        self.budget = 1e9
        self.now = 0.0  # of the ledger, s
        self.progress = "polled"
        self.supervisor = Supervisor({"worker-1": self.work, "worker-2": self.work}, restart_limit=9, restart_window=60)
        self.abandoned = 0
        self.store_problem = ""
        self.leasing = True
        self.address = ""
        self.activity = RecentActivity()
        self.queue = TaskQueue(queue_url, "render", "render", timeout=5)
        self.status_source = StatusSource(self.health, self.activity, self.queue.stats)
        self.ledger = Ledger(WEB_TASKS, WEB_TASK_BYTES, KEEP_SECONDS, clock=lambda: self.now)
        self.web_tasks = WebTasks(self.queue, KEEP_SECONDS, store, self.ledger)
        self.listeners = Listeners(MAX_LISTENERS, self.supervisor.stopping)
        self.token = token

    async def work(self, heartbeat: Slot) -> None:
        heartbeat.progress(self.progress)
        heartbeat.enter("poll", self.budget)
        await trio.sleep_forever()

    def health(self) -> Health:
        return judge(
            list(self.supervisor.slots),
            trio.current_time(),
            draining=self.supervisor.stopping.is_set(),
            abandoned=self.abandoned,
            abandoned_limit=4,
            queue_silence=30,
            document_store=self.store_problem,
            leasing=self.leasing,
        )

    def application(self, on_demand: OnDemandRenderer) -> QuartTrio:
        probes = Probes(self.health, self.supervisor.restart_stalled, Metrics().exposition, show_metrics=True)
        tokens = Tokens("ADMIN_TOKEN", self.token)
        operator = status_page.Operator(self.status_source, self.supervisor.restart, tokens, Attempts())
        parts = status_page.routes(operator, self.listeners), routes.routes(self.web_tasks, self.listeners)
        return create_app(probes, on_demand, *parts)


@asynccontextmanager
async def running(
    site: Site, keep_alive: float = 60.0, wrap: Callable[[Asgi], Asgi] = lambda app: app
) -> AsyncIterator[Site]:
    """Run the web server, with the application wrapped, and its workers; yield the site with its address."""
    listener = listening_socket("127.0.0.1", 0)
    site.address = address_of(listener, "127.0.0.1")
    offload = ThreadOffload(Metrics(), 1, 1)
    async with open_on_demand(offload, LIMITS, Metrics()) as on_demand, trio.open_nursery() as nursery:
        nursery.start_soon(site.supervisor.run)
        app = limit_requests(wrap(cast(Asgi, site.application(on_demand))), LIMIT, admitting(same_origin.check))
        await nursery.start(serve, app, listener, keep_alive)
        yield site
        nursery.cancel_scope.cancel()
    listener.close()
    await site.queue.aclose()


async def get(site: Site, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=site.address, trust_env=False) as client:
        return await client.get(path, headers=headers)
