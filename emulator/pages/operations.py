"""The routes outside the APIs: health, Prometheus metrics, and two verbs for tests, reset and clock."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from emulator.permissions.access import Need
from emulator.queues.queue_service import QueueService
from emulator.stores.interface import MAX_ADVANCE, SECOND, QueueKey, QueueStats, StoreHealth
from emulator.wire import parameters
from emulator.wire.calls import Call, Reply, Route
from emulator.wire.errors import ApiError, invalid, required
from emulator.wire.timestamps import time_text

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
GAUGES = {
    "emulator_tasks": "Tasks in the queue, including leased ones.",
    "emulator_oldest_wait_seconds": "Seconds since the oldest due task became due.",
    "emulator_leases_last_minute": "Leases in the last minute.",
    "emulator_leases_last_hour": "Leases in the last hour.",
    "emulator_dead_letters": "Tasks that were leased as often as the queue allows.",
    "emulator_paused": "1 if the queue is paused.",
}


UNLISTED = "emulator_unlisted_queues"
UNLISTED_TEXT = "Queues without values of their own, because there are too many."


class QueueMetrics(Collector):
    """A snapshot of the statistics of all queues. It comes from the store, so every process reports the same."""

    def __init__(self, figures: list[tuple[QueueKey, QueueStats]], others: int, now_us: int) -> None:
        self._figures = figures
        self._others = others
        self._now_us = now_us

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        families = [GaugeMetricFamily(name, text, labels=("project", "queue")) for name, text in GAUGES.items()]
        for queue, stats in self._figures:
            values = (
                stats.total,
                waited_seconds(stats, self._now_us),
                stats.leased_last_minute,
                stats.leased_last_hour,
                stats.dead,
                int(stats.paused),
            )
            for family, value in zip(families, values, strict=True):
                family.add_metric((queue.project, queue.name), value)
        yield from families
        yield GaugeMetricFamily(UNLISTED, UNLISTED_TEXT, self._others)


def waited_seconds(stats: QueueStats, now_us: int) -> float:
    """Return the seconds since the oldest due task became due, 0 if none is due."""
    return 0 if stats.oldest_us is None else max(0, now_us - stats.oldest_us) / SECOND


def _health_reply(found: StoreHealth) -> Reply:
    """Return the reply to a probe. Raises ApiError with status 503 if there is a problem."""
    if found.problem is not None:
        raise ApiError(503, found.problem)
    return Reply(value={"status": "ok"} | ({"warnings": found.warnings} if found.warnings else {}))


def routes(service: QueueService) -> list[Route]:
    """Return the routes."""

    async def live(_: Call) -> Reply:
        return Reply(value={"status": "ok"})

    async def health(_: Call) -> Reply:
        return _health_reply(await service.health())

    async def ready(_: Call) -> Reply:
        found = await service.health()
        if found.full and found.problem is not None:
            # A load balancer that obeys a 503 would also keep away the workers, which make room.
            found = StoreHealth(warnings=(found.problem, *found.warnings))
        return _health_reply(found)

    async def metrics(call: Call) -> Reply:
        service.access.check(call, Need.METRICS)
        registry = CollectorRegistry()
        figures, others = await service.all_stats()
        registry.register(QueueMetrics(figures, others, await service.call_store(service.store.now_us)))
        headers = (("Content-Type", METRICS_TYPE), ("Cache-Control", "no-store"))
        return Reply(200, None, headers, generate_latest(registry))

    async def reset(call: Call) -> Reply:
        service.access.check(call, Need.TEST)
        await service.reset()
        return Reply(value={})

    async def clock(call: Call) -> Reply:
        service.access.check(call, Need.TEST)
        allowed = f"seconds from 0 to {MAX_ADVANCE}"
        seconds = parameters.body_object(call).get("advance")
        if seconds is None:
            raise required("advance", allowed, location_type="field")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_ADVANCE:
            raise invalid("advance", seconds, allowed, location_type="field")
        now_us = await service.call_store(service.store.advance, float(seconds))
        return Reply(value={"now": time_text(now_us), "nowTimestamp": str(now_us)})

    return [
        Route("", "GET", "/livez", live, is_open=True, is_probe=True),
        Route("", "GET", "/readyz", ready, is_open=True, is_probe=True),
        Route("", "GET", "/health", health, is_open=True, is_probe=True),
        Route("", "GET", "/metrics", metrics),
        Route("", "POST", "/admin/reset", reset),
        Route("", "POST", "/admin/clock", clock),
    ]
