"""The service: one nursery, web outside, workers inside. The nesting is the order of the shutdown.

SIGTERM or SIGINT: no new leases → what is begun may end, within a bound → what remains is cancelled and
gives its leases back → the web, which told the orchestrator that we drain, goes last. When this hangs, or the
service can't recover, the timers of `endings` end the process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import structlog
import trio

from render_trio import acceleration
from render_trio.delivery import Delivery, DirectoryStore
from render_trio.endings import EXIT_CLEAN, EXIT_FATAL, Signals, begin_hard_exit, watch_loop
from render_trio.health import Health, judge
from render_trio.metrics import Metrics
from render_trio.offload import Offload, ThreadOffload, process_offload
from render_trio.recovery import watch_recovery
from render_trio.settings import Settings
from render_trio.supervisor import Heartbeat, Supervisor
from render_trio.task_queue import TaskQueue
from render_trio.web.app import create_app
from render_trio.web.bodies import Asgi, guarded
from render_trio.web.probes import Probes
from render_trio.web.server import address_of, listening_socket
from render_trio.web.upkeep import web_supervisor
from render_trio.worker import Limits, Worker
from resources import assets

DRAIN_SHARE = 0.6  # of SHUTDOWN_SECONDS for work that has begun; the rest is for giving back and the web
WEB_SECONDS = 4.0  # for the web to end, once there is nothing left to lose
log = structlog.get_logger(__name__)


class Service:
    """The parts of one running service, and what its pages ask of them."""

    def __init__(self, settings: Settings, offload: Offload, metrics: Metrics, *, own_process: bool = False) -> None:
        self.settings = settings
        self._own_process = own_process
        self._offload = offload
        self._metrics = metrics
        self._delivery = Delivery(settings.max_queue_task_size, _document_store(settings))
        self.supervisor = Supervisor(
            {f"worker-{number}": self._work for number in range(1, settings.render_workers + 1)},
            restart_limit=settings.restart_limit,
            restart_window=settings.restart_window,
            on_restart=metrics.restarted,
            on_give_up=self.give_up,
        )

    def give_up(self, reason: str) -> None:
        """Say so; and end the process in time even if a wedged worker blocks the way out."""
        log.error("the service can't recover", reason=reason)
        if self._own_process:
            begin_hard_exit(self.settings.shutdown_seconds, EXIT_FATAL)

    async def _work(self, heartbeat: Heartbeat) -> None:
        """One incarnation of a worker, with a queue client of its own."""
        s = self.settings
        queue = TaskQueue(
            s.queue_url, s.project_name, s.queue_name, timeout=s.queue_timeout, discovery_url=s.api_discovery_url
        )
        limits = Limits(
            s.task_count, s.task_seconds, s.task_time_mult, s.task_retry_limit, s.render_sleep_time, s.queue_timeout
        )
        worker = Worker(
            queue, self._offload.make, self._delivery.result, limits, self._metrics, self.supervisor.stopping
        )
        try:
            await worker.run(heartbeat)
        finally:
            with trio.CancelScope(shield=True):
                await queue.aclose()

    def health(self) -> Health:
        """Return how the service is."""
        return judge(
            list(self.supervisor.slots),
            trio.current_time(),
            draining=self.supervisor.stopping.is_set(),
            abandoned=self._offload.abandoned,
            abandoned_limit=self.settings.abandoned_limit,
            queue_silence=self.settings.queue_silence,
        )

    def probes(self) -> Probes:
        """Return what the web is asked about us."""
        return Probes(
            self.health, self.supervisor.restart_stalled, self._metrics.exposition, show_metrics=self.settings.metrics
        )

    def drain(self) -> None:
        """Take no new tasks; `run` then ends by itself, and in time."""
        log.info("draining")
        self.supervisor.stop()

    async def run_workers(self) -> None:
        """Work until told to drain; then bounded. Raises FatalError."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._bound_drain)
            nursery.start_soon(watch_recovery, self.health, self.supervisor.stopping, self.give_up)
            await self.supervisor.run()
            nursery.cancel_scope.cancel()

    async def drain_when(self, told: trio.Event) -> None:
        """Drain once told to."""
        await told.wait()
        self.drain()

    async def _bound_drain(self) -> None:
        await self.supervisor.stopping.wait()
        await trio.sleep(self.settings.shutdown_seconds * DRAIN_SHARE)
        self.supervisor.cancel_all("the time to drain is over")


def _document_store(settings: Settings) -> DirectoryStore | None:
    if settings.document_store is None:
        return None
    inner = settings.bucket_save_directory
    prefix = settings.document_url_prefix
    if not prefix and settings.cloud_storage_bucket_name:
        prefix = f"https://storage.googleapis.com/{settings.cloud_storage_bucket_name}"
    if prefix and inner:
        prefix = f"{prefix}/{inner}"
    return DirectoryStore(settings.document_store / inner, prefix)


@asynccontextmanager
async def _offload(settings: Settings, metrics: Metrics) -> AsyncIterator[Offload]:
    if settings.render_isolation == "thread":
        yield ThreadOffload(metrics, settings.render_workers, settings.abandoned_limit)
        return
    async with process_offload(
        metrics,
        settings.render_workers,
        memory_limit=settings.render_memory_limit,
        jobs_per_process=settings.render_jobs_per_process,
        recycle_memory=settings.render_recycle_memory,
        static=settings.static_directory,
        templates=settings.template_directory,
    ) as offload:
        yield offload


async def run(
    settings: Settings,
    *,
    signals: Signals | None = None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the service until it is cancelled or, with `signals`, told to end; reports the web's address.

    With `signals` the process is the service's own, and is ended by a timer where it can't end by itself.
    Raises OSError when the port is taken, FatalError when the service can't recover.
    """
    assets.use(settings.static_directory, settings.template_directory)
    metrics = Metrics()
    listener = listening_socket(settings.host, settings.port)
    try:
        async with trio.open_nursery() as outermost:
            if signals is not None:
                await outermost.start(signals.obey, settings.shutdown_seconds)
                outermost.start_soon(watch_loop)
            async with _offload(settings, metrics) as offload:
                service = Service(settings, offload, metrics, own_process=signals is not None)
                if signals is not None:
                    outermost.start_soon(service.drain_when, signals.told)
                async with trio.open_nursery() as web:
                    app = guarded(cast(Asgi, create_app(service.probes())), settings.web_body_limit)
                    serving = trio.Event()
                    web_side = web_supervisor(app, listener, serving, metrics.restarted, service.give_up)
                    web.start_soon(web_side.run)
                    await serving.wait()
                    address = address_of(listener, settings.host)
                    _tell_start(settings, address)
                    task_status.started(address)
                    await service.run_workers()
                    if signals is not None:  # nothing can be lost any more: a client that doesn't read waits in vain
                        begin_hard_exit(WEB_SECONDS, EXIT_CLEAN)
                    web.cancel_scope.cancel()
            outermost.cancel_scope.cancel()
    finally:
        listener.close()
    log.info("ended")


def _tell_start(settings: Settings, address: str) -> None:
    for notice in (*settings.notices, *acceleration.warnings()):
        log.warning(notice)
    log.info(
        "started",
        address=address,
        workers=settings.render_workers,
        isolation=settings.render_isolation,
        queue=settings.api_discovery_url or settings.queue_url,
        versions=acceleration.versions(),
    )
