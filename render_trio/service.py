"""The service: one nursery, web outside, workers inside. The nesting is the order of the shutdown.

SIGTERM or SIGINT: no new leases → what is begun may end, within a bound → what remains is cancelled and
gives its leases back → the web, which told the orchestrator that we drain, goes last. When this hangs, or the
service can't recover, the timers of `endings` end the process.
"""

from __future__ import annotations

import faulthandler
import functools
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import cast

import structlog
import trio

from render_trio import acceleration, logs, pid_file
from render_trio.delivery import Delivery, DirectoryStore
from render_trio.endings import EXIT_CLEAN, EXIT_FATAL, Signals, begin_hard_exit, watch_loop
from render_trio.errors import FatalError
from render_trio.health import Health, judge
from render_trio.metrics import Metrics
from render_trio.offload import Offload, ThreadOffload, process_offload
from render_trio.settings import Settings
from render_trio.supervisor import Child, Heartbeat, Supervisor
from render_trio.task_queue import TaskQueue
from render_trio.web.app import create_app
from render_trio.web.bodies import Asgi, guarded
from render_trio.web.probes import Probes
from render_trio.web.server import address_of, listening_socket
from render_trio.web.upkeep import web_child
from render_trio.worker import Limits, Worker
from resources import assets

DRAIN_SHARE = 0.6  # of SHUTDOWN_SECONDS for work that has begun; the rest is for giving back and the web
WEB_SECONDS = 4.0  # for the web to end, once there is nothing left to lose
WEB_RESTARTS, WEB_WINDOW = 5, 600.0  # s; a server that answers nobody is replaced after 40 s, and five times in vain
RECOVERY_SECONDS = 60.0  # that the service may be unwell without a break, before only a new process can help
RECOVERY_LOOK = 1.0  # s between two looks
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
            on_give_up=self._give_up,
        )

    def _give_up(self, reason: str) -> None:
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
        limits = Limits(s.task_count, s.task_seconds, s.task_time_mult, s.task_retry_limit, s.render_sleep_time)
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
            nursery.start_soon(self._watch_recovery)
            await self.supervisor.run()
            nursery.cancel_scope.cancel()

    async def _watch_recovery(self) -> None:
        """Give up when what is wrong stays so: hung threads, above all, which nobody can end."""
        well_at = trio.current_time()
        while not self.supervisor.stopping.is_set():
            await trio.sleep(RECOVERY_LOOK)
            health = self.health()
            if health.well:
                well_at = trio.current_time()
            elif trio.current_time() - well_at > RECOVERY_SECONDS:
                reason = f"unwell for {RECOVERY_SECONDS:.0f} s: {'; '.join(health.reasons)}"
                self._give_up(reason)
                raise FatalError(reason)

    async def run_web(self, child: Child) -> None:
        """Serve until cancelled; what fails is served anew, since without the web nobody could ask for our health."""
        await Supervisor(
            {"web": child},
            restart_limit=WEB_RESTARTS,
            restart_window=WEB_WINDOW,
            on_restart=self._metrics.restarted,
            on_give_up=self._give_up,
        ).run()

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
                    web.start_soon(service.run_web, web_child(app, listener, serving))
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


def main(settings: Settings) -> int:
    """Run the service until a signal ends it; returns the exit code: 0 when clean. Raises OSError, FatalError."""
    logs.configure(settings.log_format, settings.log_level)
    faulthandler.enable()  # a fault in C tells where, before it ends us
    with ExitStack() as stack:
        signals = stack.enter_context(Signals())
        if settings.pid_file is not None:
            stack.enter_context(pid_file.held(settings.pid_file))
        try:
            trio.run(functools.partial(run, settings, signals=signals))
        except* FatalError as group:
            log.error("ending for a new start", reason=str(group.exceptions[0]))
            # Hung threads would keep the interpreter from ending; everything else has ended by now.
            os._exit(EXIT_FATAL)
    return EXIT_CLEAN
