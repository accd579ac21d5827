"""Settings → the parts of a service: queue client, document store, offload, on-demand renderer, limits."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from render_trio.delivery.directory import DirectoryStore
from render_trio.observation.metrics import Metrics
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.rendering.offload.offload import Offload
from render_trio.rendering.offload.thread import ThreadOffload
from render_trio.rendering.on_demand import OnDemandLimits, OnDemandRenderer, open_on_demand
from render_trio.settings.settings import Settings
from render_trio.web.access.render_quota import admission, render_quota
from render_trio.web.tasks.ledger import Ledger
from render_trio.worker.limits import Limits


@asynccontextmanager
async def open_queue(settings: Settings) -> AsyncIterator[TaskQueue]:
    """Open a queue client, and close it even when the block is cancelled."""
    queue = TaskQueue(
        settings.queue_url,
        settings.project_name,
        settings.queue_name,
        timeout=settings.queue_timeout,
        discovery_url=settings.api_discovery_url,
        token=settings.queue_token,
        token_file=settings.queue_token_file,
        ca_file=settings.queue_ca_file,
    )
    try:
        yield queue
    finally:
        with trio.CancelScope(shield=True):
            await queue.aclose()


@asynccontextmanager
async def open_offload(settings: Settings, metrics: Metrics) -> AsyncIterator[Offload]:
    """Open the offload that RENDER_ISOLATION selects. Raises FatalError if no render process can be started."""
    if settings.render_isolation == "thread":
        yield ThreadOffload(metrics, settings.render_workers, settings.abandoned_limit)
        return
    # Not on Windows: it needs fork, and limits of the kernel.
    from render_trio.rendering.offload.process import process_offload

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


def open_on_demand_renderer(
    settings: Settings, offload: Offload, metrics: Metrics
) -> AbstractAsyncContextManager[OnDemandRenderer]:
    """Open the renderer for web requests, with a quota per client. Its capacity is separate from the workers'."""
    s = settings
    limits = OnDemandLimits(s.web_renders, s.web_waiting, s.web_render_seconds, s.web_cache)
    quota = render_quota(s.web_renders + s.web_waiting)
    return open_on_demand(offload.with_capacity(s.web_renders), limits, metrics, admission(quota))


def document_store(settings: Settings) -> DirectoryStore | None:
    """Return the store for documents that are too large for the queue; None if DOCUMENT_STORE is not set."""
    if settings.document_store is None:
        return None
    inner = settings.bucket_save_directory
    prefix = settings.document_url_prefix
    if not prefix and settings.cloud_storage_bucket_name:
        prefix = f"https://storage.googleapis.com/{settings.cloud_storage_bucket_name}"
    if prefix and inner:
        prefix = f"{prefix}/{inner}"
    return DirectoryStore(settings.document_store / inner, prefix)


def web_ledger(settings: Settings) -> Ledger:
    """Return the ledger of the tasks that are submitted over the web."""
    return Ledger(settings.web_tasks, settings.web_task_bytes, math.ceil(settings.web_result_seconds))


def worker_limits(settings: Settings) -> Limits:
    """Return the limits of each worker."""
    s = settings
    return Limits(
        s.task_count,
        s.task_seconds,
        s.task_time_mult,
        s.task_retry_limit,
        s.render_sleep_time,
        s.queue_timeout,
        s.web_result_seconds,
    )
