"""The service: the web server's nursery outside, that of the workers inside. The nesting is the shutdown order.

Shutdown: no new leases → work in progress may finish, within a time limit → the rest is cancelled, and its leases
are released → the web server, which has been reporting "draining" to the orchestrator, stops last.

In a process of its own (`process`), `hard_exit` starts a timer that ends the process even if something hangs. A
service embedded in another program has none: the default does nothing.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from contextlib import ExitStack

import structlog
import trio

from render_trio.credentials.redaction import shown_url
from render_trio.delivery import web_documents
from render_trio.delivery.delivery import Delivery
from render_trio.delivery.sweeping import sweep_for_ever
from render_trio.delivery.web_documents import WebDocuments
from render_trio.observation import versions
from render_trio.observation.metrics import Metrics
from render_trio.observation.observer import Observers
from render_trio.observation.recent_activity import RecentActivity
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.rendering.offload.offload import Offload
from render_trio.rendering.on_demand import OnDemandRenderer
from render_trio.service import composition, startup, web_side
from render_trio.service.shutdown import EXIT_CLEAN, EXIT_FATAL
from render_trio.settings.settings import Settings
from render_trio.supervision.health import Health, judge
from render_trio.supervision.recovery import watch_recovery
from render_trio.supervision.supervisor import Heartbeat, Supervisor
from render_trio.web.access.attempts import Attempts
from render_trio.web.access.enforcing import Access
from render_trio.web.access.table import Port
from render_trio.web.addresses import Application
from render_trio.web.app import create_app
from render_trio.web.operations import status_page
from render_trio.web.operations.probes import Probes
from render_trio.web.operations.status import StatusSource
from render_trio.web.server.listening import address_of, listening_socket
from render_trio.web.server.request_limits import Asgi
from render_trio.web.server.self_check import web_supervisor
from render_trio.web.server_sent_events import Listeners
from render_trio.web.tasks import routes
from render_trio.web.tasks.submissions import WebTasks
from render_trio.worker.backlog import Backlog
from render_trio.worker.leasing.outage import OutageLog
from render_trio.worker.stray_tasks import watch_stray_tasks
from render_trio.worker.worker import Worker
from resources import registry
from resources.content import assets

DRAIN_SHARE = 0.6  # of SHUTDOWN_SECONDS, for work in progress; the rest is for releasing leases and the web server
FILES_INTERVAL = 2.0  # s between two looks for the files that documents need; one takes 1 ms
WEB_SECONDS = 4.0  # for the web server to stop, after the workers have
log = structlog.get_logger(__name__)

HardExit = Callable[[float, int], None]
"""Makes sure that the process exits after some seconds, with a code, even if something hangs."""


def no_hard_exit(seconds: float, code: int) -> None:
    """Do nothing: the process belongs to another program."""


class Service:
    """The parts of one running service, and the operations that its web pages call."""

    def __init__(
        self,
        settings: Settings,
        offload: Offload,
        on_demand: OnDemandRenderer,
        metrics: Metrics,
        backlog_queue: TaskQueue,
        hard_exit: HardExit = no_hard_exit,
    ) -> None:
        """`backlog_queue` is the queue client of the documents that wait for the document store."""
        self.settings = settings
        self._hard_exit = hard_exit
        self._offload = offload
        self._on_demand = on_demand
        self._metrics = metrics
        self._missing_files = ""
        self._attempts = Attempts()
        self._recent_activity = RecentActivity()
        self._outages = OutageLog()
        self._observer = Observers(metrics, self._recent_activity)
        self.store = composition.document_store(settings)
        self.web_documents = None if self.store is None else WebDocuments(self.store)
        self.supervisor = Supervisor(
            {f"worker-{number}": self._work for number in range(1, settings.render_workers + 1)},
            restart_limit=settings.restart_limit,
            restart_window=settings.restart_window,
            on_restart=metrics.restarted,
            on_give_up=self.give_up,
        )
        self._backlog = Backlog(
            backlog_queue,
            Delivery(
                settings.max_queue_task_size,
                self.store,
                None if self.web_documents is None else self.web_documents.folder,
            ),
            composition.worker_limits(settings),
            self._observer,
            self.supervisor.stopping,
        )

    def give_up(self, reason: str) -> None:
        """Log the reason, and start the exit timer: a wedged worker can delay the FatalError that follows."""
        log.error("unrecoverable failure", reason=reason)
        self._hard_exit(self.settings.shutdown_seconds, EXIT_FATAL)

    async def _work(self, heartbeat: Heartbeat) -> None:
        """Run one incarnation of a worker, with a queue client of its own."""
        limits, stopping = composition.worker_limits(self.settings), self.supervisor.stopping
        async with composition.open_queue(self.settings) as queue:
            worker = Worker(
                queue, self._offload.make, self._backlog, limits, self._observer, stopping, outages=self._outages
            )
            await worker.run(heartbeat)

    def health(self) -> Health:
        """Return the state of the service and its workers."""
        return judge(
            list(self.supervisor.slots),
            trio.current_time(),
            draining=self.supervisor.stopping.is_set(),
            abandoned=self._offload.abandoned + self._on_demand.abandoned,
            abandoned_limit=self.settings.abandoned_limit,
            queue_silence=self.settings.queue_silence,
            missing_files=self._missing_files,
            document_store=self._backlog.problem,
            waiting_documents=self._backlog.documents,
            leasing=not (self._backlog.problem and self._backlog.full),
        )

    async def watch_files(self) -> None:
        """Look for the files that documents need, again and again: their folder may be a mount that comes and goes."""
        while True:
            await trio.sleep(FILES_INTERVAL)
            missing = await trio.to_thread.run_sync(startup.missing_files, self.settings, abandon_on_cancel=True)
            if missing and not self._missing_files:
                log.error("files missing", reason=missing)
            elif self._missing_files and not missing:
                log.info("files found again")
            self._missing_files = missing

    def probes(self) -> Probes:
        """Return the operations behind the health and metrics routes."""
        return Probes(
            self.health, self.supervisor.restart_stalled, self._metrics.exposition, show_metrics=self.settings.metrics
        )

    def app(self, queue: TaskQueue) -> tuple[Application, WebTasks]:
        """Return the web application, and its tasks, whose `sweep_for_ever` must run concurrently."""
        keep, ledger = math.ceil(self.settings.web_result_seconds), composition.web_ledger(self.settings)
        web_tasks = WebTasks(queue, keep, self.web_documents, ledger)
        operator = status_page.Operator(
            StatusSource(self.health, self._recent_activity, queue.stats),
            self.supervisor.restart,
            startup.admin_tokens(self.settings),
            self._attempts,
        )
        # Counted apart, so that visitors can't lock operators out.
        operators, visitors = (
            Listeners(self.settings.web_listeners, self.supervisor.stopping) for _ in ("status page", "tasks")
        )
        app = create_app(
            self.probes(), self._on_demand, status_page.routes(operator, operators), routes.routes(web_tasks, visitors)
        )
        return app, web_tasks

    def served(self, app: Application, port: Port) -> Asgi:
        """Return the application as a port serves it: "both" if there is no port for operators."""
        access = Access(startup.web_tokens(self.settings), self._attempts, port)
        return web_side.behind_checks(app, self.settings, access.check)

    async def serve(self, name: str, app: Asgi, listener: socket.socket, *, task_status: trio.TaskStatus[None]) -> None:
        """Serve an application under supervision; started once it accepts requests."""
        serving = trio.Event()
        seconds = self.settings.keep_alive_seconds
        web = web_supervisor(app, listener, seconds, serving, self._metrics.restarted, self.give_up, name)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(web.run)
            await serving.wait()
            task_status.started()

    def drain(self) -> None:
        """Stop leasing tasks. `run` then returns, within the time limit."""
        log.info("draining")
        self.supervisor.stop()

    async def run_workers(self) -> None:
        """Run the workers until they have drained. Raises FatalError if the service can't recover."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._bound_drain)
            nursery.start_soon(watch_recovery, self.health, self.supervisor.stopping, self.give_up)
            async with trio.open_nursery() as waiting:
                await waiting.start(self._backlog.run)
                await self.supervisor.run()
            nursery.cancel_scope.cancel()

    async def drain_when(self, shutdown_requested: trio.Event) -> None:
        """Wait for the event, then drain."""
        await shutdown_requested.wait()
        self.drain()

    async def _bound_drain(self) -> None:
        await self.supervisor.stopping.wait()
        await trio.sleep(self.settings.shutdown_seconds * DRAIN_SHARE)
        self.supervisor.cancel_all("drain time limit exceeded")


async def run(
    settings: Settings,
    *,
    shutdown_requested: trio.Event | None = None,
    hard_exit: HardExit = no_hard_exit,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the service until it is cancelled, or drain and return once `shutdown_requested` is set.

    Reports the web server's URL when it answers requests. Raises StartupError if a setting can't be used on this
    machine, PluginError if PLUGIN_DIRECTORY has no resource, FatalError if it can't recover.
    """
    assets.use(settings.static_directory, settings.template_directory)
    startup.check_files(settings)
    startup.check_document_folder(settings)
    startup.check_token_files(settings)
    startup.check_credentials(settings)
    for folder in settings.plugin_directory:
        registry.add_folder(folder)
    metrics = Metrics()
    with ExitStack() as listeners:
        listener = listeners.enter_context(listening_socket(settings.host, settings.port))
        operator_listener = _operator_listener(settings)
        if operator_listener is not None:
            listeners.enter_context(operator_listener)
        async with (
            composition.open_offload(settings, metrics) as offload,
            composition.open_on_demand_renderer(settings, offload, metrics) as on_demand,
            composition.open_queue(settings) as queue,
            composition.open_queue(settings) as backlog_queue,
        ):
            service = Service(settings, offload, on_demand, metrics, backlog_queue, hard_exit)
            async with trio.open_nursery() as web:
                if shutdown_requested is not None:
                    web.start_soon(service.drain_when, shutdown_requested)
                app, web_tasks = service.app(queue)
                public: Port = "both" if operator_listener is None else "public"
                await web.start(service.serve, "web", service.served(app, public), listener)
                if operator_listener is not None:
                    await web.start(service.serve, "operator", service.served(app, "operator"), operator_listener)
                web.start_soon(web_tasks.sweep_for_ever)
                web.start_soon(service.watch_files)
                if service.store is not None:
                    web.start_soon(sweep_for_ever, service.store, settings.document_keep)
                if service.web_documents is not None:
                    keep = settings.web_result_seconds + web_documents.MARGIN_SECONDS
                    web.start_soon(sweep_for_ever, service.web_documents.folder, keep, web_documents.SWEEP_SECONDS)
                web.start_soon(watch_stray_tasks, queue, metrics.untagged)
                address = address_of(listener, settings.host)
                _log_start(settings, address)
                if operator_listener is not None:
                    log.info("operator port", address=address_of(operator_listener, operator_host(settings)))
                task_status.started(address)
                await service.run_workers()
                # All work is settled or released: don't wait for clients that read slowly, or not at all.
                hard_exit(WEB_SECONDS, EXIT_CLEAN)
                web.cancel_scope.cancel()
    log.info("stopped")


def operator_host(settings: Settings) -> str:
    """Return the address that OPERATOR_PORT listens on."""
    return settings.operator_host or settings.host


def _operator_listener(settings: Settings) -> socket.socket | None:
    if settings.operator_port is None:
        return None
    return listening_socket(operator_host(settings), settings.operator_port, "OPERATOR_PORT")


def _log_start(settings: Settings, address: str) -> None:
    for notice in settings.notices:
        log.warning("check the settings", notice=notice)
    for notice in versions.warnings():
        log.warning("acceleration missing", notice=notice)
    for problem in registry.problems():
        log.warning("plug-in left out", plugin=problem.plugin, reason=problem.message)
    log.info(
        "started",
        address=address,
        workers=settings.render_workers,
        isolation=settings.render_isolation,
        queue=shown_url(settings.api_discovery_url or settings.queue_url),
        versions=versions.versions(),
    )
