"""The service: one nursery, web outside, workers inside. The nesting is the order of the shutdown.

SIGTERM or SIGINT: no new leases → what is begun may end, within a bound → what remains is cancelled and
gives its leases back → the web, which told the orchestrator that we drain, goes last. When this hangs, or the
service can't recover, the timers of `endings` end the process.
"""

from __future__ import annotations

import math
from typing import cast

import structlog
import trio

from render_trio.delivery.delivery import Delivery
from render_trio.observation import versions
from render_trio.observation.metrics import Metrics
from render_trio.observation.observer import Observers
from render_trio.observation.recent_activity import RecentActivity
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.rendering.offload.offload import Offload
from render_trio.rendering.on_demand import OnDemandRenderer
from render_trio.service import composition
from render_trio.service.shutdown import EXIT_CLEAN, EXIT_FATAL, Signals, begin_hard_exit, watch_loop
from render_trio.settings.settings import Settings
from render_trio.supervision.health import Health, judge
from render_trio.supervision.recovery import watch_recovery
from render_trio.supervision.supervisor import Heartbeat, Supervisor
from render_trio.web.app import create_app
from render_trio.web.operations import status_page
from render_trio.web.operations.probes import Probes
from render_trio.web.operations.status import StatusSource
from render_trio.web.server.pacing import taking_turns
from render_trio.web.server.request_limits import Asgi, guarded
from render_trio.web.server.self_check import web_supervisor
from render_trio.web.server.server import address_of, listening_socket
from render_trio.web.server_sent_events import Listeners
from render_trio.web.tasks import routes
from render_trio.web.tasks.submissions import WebTasks
from render_trio.worker.worker import Worker
from resources.content import assets

DRAIN_SHARE = 0.6  # of SHUTDOWN_SECONDS for work that has begun; the rest is for giving back and the web
WEB_SECONDS = 4.0  # for the web to end, once there is nothing left to lose
log = structlog.get_logger(__name__)


class Service:
    """The parts of one running service, and what its pages ask of them."""

    def __init__(
        self,
        settings: Settings,
        offload: Offload,
        on_demand: OnDemandRenderer,
        metrics: Metrics,
        *,
        own_process: bool = False,
    ) -> None:
        self.settings = settings
        self._own_process = own_process
        self._offload = offload
        self._desk = on_demand
        self._metrics = metrics
        self._journal = RecentActivity()
        self._observer = Observers(metrics, self._journal)
        self._store = composition.document_store(settings)
        self._delivery = Delivery(settings.max_queue_task_size, self._store)
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
        limits, stopping = composition.worker_limits(self.settings), self.supervisor.stopping
        async with composition.open_queue(self.settings) as queue:
            worker = Worker(queue, self._offload.make, self._delivery.deliver, limits, self._observer, stopping)
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
        """Return the web side, on a queue client of its own, and its tasks, whose old results want to be swept."""
        web_tasks = WebTasks(queue, math.ceil(self.settings.web_result_seconds), self._store)
        operator = status_page.Operator(
            StatusSource(self.health, self._journal, queue.stats), self.supervisor.restart, self.settings.admin_token
        )
        listeners = Listeners(self.settings.web_listeners, self.supervisor.stopping)
        app = create_app(
            self.probes(), self._desk, status_page.routes(operator, listeners), routes.routes(web_tasks, listeners)
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
            async with (
                composition.open_offload(settings, metrics) as offload,
                composition.open_on_demand_renderer(settings, offload, metrics) as on_demand,
                composition.open_queue(settings) as queue,
            ):
                service = Service(settings, offload, on_demand, metrics, own_process=signals is not None)
                if signals is not None:
                    outermost.start_soon(service.drain_when, signals.told)
                async with trio.open_nursery() as web:
                    app, web_tasks = service.app(queue)
                    serving = trio.Event()
                    web_side = web_supervisor(app, listener, serving, metrics.restarted, service.give_up)
                    web.start_soon(web_side.run)
                    await serving.wait()
                    web.start_soon(web_tasks.sweep_for_ever)
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
    for notice in (*settings.notices, *versions.warnings()):
        log.warning(notice)
    log.info(
        "started",
        address=address,
        workers=settings.render_workers,
        isolation=settings.render_isolation,
        queue=settings.api_discovery_url or settings.queue_url,
        versions=versions.versions(),
    )
