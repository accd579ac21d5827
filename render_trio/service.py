"""The service: one nursery, web outside, workers inside. The nesting is the order of the shutdown.

SIGTERM or SIGINT: no new leases → what is begun may end, within a bound → what remains is cancelled and
gives its leases back → the web, which told the orchestrator that we drain, goes last. A timer outside of
Trio ends the process when all this hangs. A second signal ends it now.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import structlog
import trio

from render_trio import acceleration, logs
from render_trio.delivery import Delivery, DirectoryStore
from render_trio.desk import Desk, DeskLimits, open_desk
from render_trio.errors import FatalError
from render_trio.health import Health, judge
from render_trio.journal import Journal
from render_trio.metrics import Metrics
from render_trio.observation import Observers
from render_trio.offload import Offload, ThreadOffload, process_offload
from render_trio.settings import Settings
from render_trio.supervisor import Slot, Supervisor
from render_trio.task_queue import TaskQueue
from render_trio.web import status, tasks
from render_trio.web.app import create_app
from render_trio.web.board import Board
from render_trio.web.bodies import Asgi, guarded
from render_trio.web.live import Listeners
from render_trio.web.probes import Probes
from render_trio.web.server import address_of, listening_socket, serve
from render_trio.web.turnstile import taking_turns
from render_trio.web_tasks import WebTasks
from render_trio.worker import Limits, Worker
from resources import assets

DRAIN_SHARE = 0.6  # of SHUTDOWN_SECONDS for work that has begun; the rest is for giving back and the web
EXIT_CLEAN, EXIT_FATAL, EXIT_HUNG, EXIT_SECOND_SIGNAL = 0, 1, 70, 130
WEB_RESTART_SECONDS = 0.5
log = structlog.get_logger(__name__)


class Service:
    """The parts of one running service, and what its pages ask of them."""

    def __init__(self, settings: Settings, offload: Offload, desk: Desk, metrics: Metrics) -> None:
        self.settings = settings
        self._offload = offload
        self._desk = desk
        self._metrics = metrics
        self._journal = Journal()
        self._observer = Observers(metrics, self._journal)
        self._store = _document_store(settings)
        self._delivery = Delivery(settings.max_queue_task_size, self._store)
        self.supervisor = Supervisor(
            {f"worker-{number}": self._work for number in range(1, settings.render_workers + 1)},
            restart_limit=settings.restart_limit,
            restart_window=settings.restart_window,
            on_restart=metrics.restarted,
        )

    async def _work(self, heartbeat: Slot) -> None:
        """One incarnation of a worker, with a queue client of its own."""
        s = self.settings
        limits = Limits(s.task_count, s.task_seconds, s.task_time_mult, s.task_retry_limit, s.render_sleep_time)
        async with _task_queue(s) as queue:
            worker = Worker(
                queue, self._offload.make, self._delivery.result, limits, self._observer, self.supervisor.stopping
            )
            await worker.run(heartbeat)

    def health(self) -> Health:
        """Return how the service is."""
        return judge(
            list(self.supervisor.slots),
            trio.current_time(),
            draining=self.supervisor.stopping.is_set(),
            abandoned=self._offload.abandoned + self._desk.abandoned,
            abandoned_limit=self.settings.abandoned_limit,
            queue_silence=self.settings.queue_silence,
        )

    def probes(self) -> Probes:
        """Return what the web is asked about us."""
        return Probes(
            self.health, self.supervisor.restart_stalled, self._metrics.exposition, show_metrics=self.settings.metrics
        )

    def app(self, queue: TaskQueue) -> tuple[Asgi, WebTasks]:
        """Return the web side, on a queue client of its own, and the web_tasks whose old results want to be swept."""
        web_tasks = WebTasks(queue, math.ceil(self.settings.web_result_seconds), self._store)
        operator = status.Operator(
            Board(self.health, self._journal, queue.stats), self.supervisor.restart, self.settings.admin_token
        )
        listeners = Listeners(self.settings.web_listeners, self.supervisor.stopping)
        app = create_app(
            self.probes(), self._desk, status.routes(operator, listeners), tasks.routes(web_tasks, listeners)
        )
        return guarded(taking_turns(cast(Asgi, app)), self.settings.web_body_limit), web_tasks

    def drain(self) -> None:
        """Take no new tasks; `run` then ends by itself, and in time."""
        log.info("draining")
        self.supervisor.stop()

    async def run_workers(self) -> None:
        """Work until told to drain; then bounded. Raises FatalError."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._bound_drain)
            await self.supervisor.run()
            nursery.cancel_scope.cancel()

    async def _bound_drain(self) -> None:
        await self.supervisor.stopping.wait()
        await trio.sleep(self.settings.shutdown_seconds * DRAIN_SHARE)
        self.supervisor.cancel_all("the time to drain is over")


@asynccontextmanager
async def _task_queue(settings: Settings) -> AsyncIterator[TaskQueue]:
    """Give a queue client that is closed whatever cancels us."""
    queue = TaskQueue(
        settings.queue_url,
        settings.project_name,
        settings.queue_name,
        timeout=settings.queue_timeout,
        discovery_url=settings.api_discovery_url,
    )
    try:
        yield queue
    finally:
        with trio.CancelScope(shield=True):
            await queue.aclose()


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


def _desk(settings: Settings, offload: Offload, metrics: Metrics) -> AbstractAsyncContextManager[Desk]:
    s = settings
    limits = DeskLimits(s.web_renders, s.web_waiting, s.web_render_seconds, s.web_shelf)
    return open_desk(offload.beside(s.web_renders), limits, metrics)


async def run(
    settings: Settings,
    *,
    signals: bool = False,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the service until it is cancelled or, with `signals`, told to end; reports the web's address.

    Raises OSError when the port is taken, FatalError when the service can't recover.
    """
    assets.use(settings.static_directory, settings.template_directory)
    metrics = Metrics()
    listener = listening_socket(settings.host, settings.port)
    try:
        async with _offload(settings, metrics) as offload, _desk(settings, offload, metrics) as desk:
            service = Service(settings, offload, desk, metrics)
            async with _task_queue(settings) as queue, trio.open_nursery() as web:
                app, web_tasks = service.app(queue)
                await web.start(_serve_for_ever, app, listener)
                web.start_soon(web_tasks.sweep_for_ever)
                address = address_of(listener, settings.host)
                _tell_start(settings, address)
                task_status.started(address)
                async with trio.open_nursery() as nursery:
                    if signals:
                        await nursery.start(_obey_signals, service)
                    await service.run_workers()
                    nursery.cancel_scope.cancel()
                web.cancel_scope.cancel()
    finally:
        listener.close()
    log.info("ended")


async def _serve_for_ever(app: Asgi, listener: socket.socket, *, task_status: trio.TaskStatus[None]) -> None:
    """Serve; what fails is served anew, since without the web nobody could ask for our health."""
    started = task_status
    while True:
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(serve, app, listener)
                started.started()
                started = trio.TASK_STATUS_IGNORED
        except* Exception as group:
            log.error("the web failed; serving anew", exc_info=group)
        await trio.sleep(WEB_RESTART_SECONDS)


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


async def _obey_signals(service: Service, *, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        task_status.started()
        count = 0
        async for number in received:
            count += 1
            if count > 1:
                log.warning("a second signal: ending now", signal=number)
                os._exit(EXIT_SECOND_SIGNAL)
            _begin_hard_exit(service.settings.shutdown_seconds)
            service.drain()


def _begin_hard_exit(seconds: float) -> None:
    """End the process in `seconds` whatever hangs: a thread of its own needs neither Trio nor its locks."""
    timer = threading.Timer(seconds, os._exit, (EXIT_HUNG,))
    timer.daemon = True
    timer.start()


def main(settings: Settings) -> int:
    """Run the service until a signal ends it; returns the exit code: 0 when clean. Raises OSError."""
    logs.configure(settings.log_format, settings.log_level)
    pid_file = settings.pid_file
    if pid_file is not None:
        pid_file.write_text(f"{os.getpid()}\n")
    try:
        try:
            trio.run(_run_with_signals, settings)
        except* FatalError as group:
            log.error("the service can't recover", reason=str(group.exceptions[0]))
            # Hung threads would keep the interpreter from ending; everything else has ended by now.
            os._exit(EXIT_FATAL)
    finally:
        if pid_file is not None:
            pid_file.unlink(missing_ok=True)
    return EXIT_CLEAN


async def _run_with_signals(settings: Settings) -> None:
    await run(settings, signals=True)
