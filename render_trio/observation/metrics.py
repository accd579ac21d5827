"""Prometheus metrics of one service, in a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from render_trio.observation.observer import Observer

STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)  # s
WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)  # s


class Metrics(Observer):
    """Counts the events of workers, supervisor, offload and web."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._leases = Counter("render_leases", "Tasks leased.", registry=registry)
        self._retries = Counter("render_retries", "Attempts at tasks that had been leased before.", registry=registry)
        self._renders = Counter(
            "render_tasks", "Attempts that ended, by resource and outcome.", ["resource", "outcome"], registry=registry
        )
        self._stages = Histogram(
            "render_stage_seconds",
            "Duration of each stage: render, deliver, settle.",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self._wait = Histogram(
            "render_queue_wait_seconds",
            "Time from a task's insertion to its first lease.",
            buckets=WAIT_BUCKETS,
            registry=registry,
        )
        self._lost = Counter("render_lost_leases", "Leases lost while the task was in progress.", registry=registry)
        self._abandoned = Counter("render_abandoned_threads", "Render threads abandoned.", registry=registry)
        self._killed = Counter("render_killed_processes", "Render processes killed or dead.", registry=registry)
        self._restarts = Counter(
            "render_worker_restarts", "Restarts of workers, the web server included.", ["worker"], registry=registry
        )
        self._bytes = Counter("render_result_bytes", "Bytes of delivered documents.", registry=registry)
        self._store_failures = Counter(
            "render_store_failures", "Failures to store a document in the document store.", registry=registry
        )
        self._waiting = Gauge(
            "render_waiting_documents", "Documents that wait for the document store.", registry=registry
        )
        self._orders = Counter(
            "render_web_orders",
            "Documents and images requested over the web, by kind and outcome.",
            ["kind", "outcome"],
            registry=registry,
        )
        self._in_flight = Gauge("render_in_flight", "Tasks in progress.", registry=registry)
        self._untagged = Gauge(
            "render_untagged_tasks", "Tasks without a tag in the queue, which are never leased.", registry=registry
        )

    def leased(self, tasks: int) -> None:
        self._leases.inc(tasks)

    def queue_wait(self, seconds: float) -> None:
        self._wait.observe(max(0.0, seconds))  # the queue's clock may be ahead of this host's

    def retried(self) -> None:
        self._retries.inc()

    def rendered(self, resource: str, outcome: str) -> None:
        self._renders.labels(resource, outcome).inc()

    def stage(self, name: str, seconds: float) -> None:
        self._stages.labels(name).observe(seconds)

    def lost_lease(self) -> None:
        self._lost.inc()

    def abandoned(self) -> None:
        self._abandoned.inc()

    def killed(self) -> None:
        self._killed.inc()

    def restarted(self, worker: str) -> None:
        """A worker, or the web server, was restarted."""
        self._restarts.labels(worker).inc()

    def result_bytes(self, count: int) -> None:
        self._bytes.inc(count)

    def ordered(self, kind: str, outcome: str) -> None:
        """A request for a document or an image ended: `kept` (from the cache), `drawn`, `failed` or `refused`."""
        self._orders.labels(kind, outcome).inc()

    def untagged(self, tasks: int) -> None:
        """`tasks` of the first tasks in the queue have no tag."""
        self._untagged.set(tasks)

    def store_failed(self) -> None:
        self._store_failures.inc()

    def waiting_documents(self, count: int) -> None:
        self._waiting.set(count)

    def in_flight(self, change: int) -> None:
        self._in_flight.inc(change)

    def exposition(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self.registry)
