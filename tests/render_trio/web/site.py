"""A running web server with an on-demand renderer but no workers, for tests of pages and documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import httpx
import trio

from render_trio.observation.metrics import Metrics
from render_trio.rendering.offload.offload import Offload
from render_trio.rendering.offload.thread import ThreadOffload
from render_trio.rendering.on_demand import OnDemandLimits, open_on_demand
from render_trio.supervision.health import judge
from render_trio.web.access.quotas import Quota
from render_trio.web.access.render_quota import admission, render_quota
from render_trio.web.app import create_app
from render_trio.web.operations.probes import Probes
from render_trio.web.server.listening import address_of, listening_socket
from render_trio.web.server.request_limits import Asgi, limit_requests
from render_trio.web.server.server import serve

LIMITS = OnDemandLimits(at_once=2, waiting=100, seconds=30, cache_bytes=2**24)
PAGE = "text/html,application/xhtml+xml,*/*;q=0.8"  # what a browser accepts


@dataclass(frozen=True)
class Site:
    """A running web server, and a client that doesn't follow redirects."""

    client: httpx.AsyncClient
    metrics: Metrics
    address: str
    quota: Quota

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Send a GET request as a program does, or with `Accept=PAGE` as a browser does."""
        return await self.client.get(path, headers=headers)

    def renderings(self, kind: str, outcome: str) -> float:
        """Return how many on-demand requests had this outcome."""
        labels = {"kind": kind, "outcome": outcome}
        return self.metrics.registry.get_sample_value("render_web_orders_total", labels) or 0


@asynccontextmanager
async def running(offload: Offload | None = None, limits: OnDemandLimits = LIMITS) -> AsyncIterator[Site]:
    """Yield a running site."""
    metrics = Metrics()
    probes = Probes(
        lambda: judge([], trio.current_time(), draining=False, abandoned=0, abandoned_limit=4, queue_silence=30),
        list,
        metrics.exposition,
        show_metrics=True,
    )
    listener = listening_socket("127.0.0.1", 0)
    address = address_of(listener, "127.0.0.1")
    quota = render_quota(limits.at_once + limits.waiting)
    renderer = open_on_demand(offload or ThreadOffload(metrics, 2, 4), limits, metrics, admission(quota))
    async with renderer as on_demand, trio.open_nursery() as nursery:
        await nursery.start(serve, limit_requests(cast(Asgi, create_app(probes, on_demand)), 2**16), listener, 60.0)
        unlimited = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60, limits=unlimited) as client:
            yield Site(client, metrics, address, quota)
        nursery.cancel_scope.cancel()
    listener.close()
