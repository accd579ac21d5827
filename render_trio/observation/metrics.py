"""Prometheus metrics of one service, in a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from render_trio.observation.observer import Observer

STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)


class Metrics(Observer):
    """Counts what workers and supervisor tell."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._leases = Counter("render_leases", "Tasks leased.", registry=registry)
        self._retries = Counter("render_retries", "Tasks begun that had been leased before.", registry=registry)
        self._renders = Counter(
            "render_tasks", "Tasks ended, by resource and outcome.", ["resource", "outcome"], registry=registry
        )
        self._stages = Histogram(
            "render_stage_seconds",
            "Seconds by stage: render, deliver, settle.",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self._wait = Histogram(
            "render_queue_wait_seconds",
            "Seconds from a task's insertion to its first lease.",
            buckets=WAIT_BUCKETS,
            registry=registry,
        )
        self._lost = Counter("render_lost_leases", "Leases that ended during the work.", registry=registry)
        self._abandoned = Counter("render_abandoned_threads", "Drawing threads left behind.", registry=registry)
        self._killed = Counter("render_killed_processes", "Drawing processes killed or dead.", registry=registry)
        self._restarts = Counter(
            "render_worker_restarts", "Workers restarted; the web is one.", ["worker"], registry=registry
        )
        self._bytes = Counter("render_result_bytes", "Bytes of documents delivered.", registry=registry)
        self._orders = Counter(
            "render_web_orders",
            "Documents and pictures asked for on the web, by kind and outcome.",
            ["kind", "outcome"],
            registry=registry,
        )
        self._in_flight = Gauge("render_in_flight", "Tasks being worked on.", registry=registry)

    def leased(self, tasks: int) -> None:
        """Count leased tasks."""
        self._leases.inc(tasks)

    def queue_wait(self, seconds: float) -> None:
        """Count a task's time in the queue."""
        self._wait.observe(max(0.0, seconds))

    def retried(self) -> None:
        """Count a further attempt."""
        self._retries.inc()

    def rendered(self, resource: str, outcome: str) -> None:
        """Count a task's end."""
        self._renders.labels(resource, outcome).inc()

    def stage(self, name: str, seconds: float) -> None:
        """Count a stage's time."""
        self._stages.labels(name).observe(seconds)

    def lost_lease(self) -> None:
        """Count a lost lease."""
        self._lost.inc()

    def abandoned(self) -> None:
        """Count an abandoned thread."""
        self._abandoned.inc()

    def killed(self) -> None:
        """Count a dead drawing process."""
        self._killed.inc()

    def restarted(self, worker: str) -> None:
        """Count a worker's restart."""
        self._restarts.labels(worker).inc()

    def result_bytes(self, count: int) -> None:
        """Count delivered bytes."""
        self._bytes.inc(count)

    def ordered(self, kind: str, outcome: str) -> None:
        """Count what was asked for on the web."""
        self._orders.labels(kind, outcome).inc()

    def in_flight(self, change: int) -> None:
        """Follow the number of tasks being worked on."""
        self._in_flight.inc(change)

    def exposition(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self.registry)
