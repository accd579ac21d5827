"""A document store → the same without the documents that nobody needs any more, again and again."""

from __future__ import annotations

from functools import partial

import structlog
import trio

from render_trio.delivery.directory import DirectoryStore

SWEEP_INTERVAL = 3600.0  # s
log = structlog.get_logger(__name__)


async def sweep_for_ever(store: DirectoryStore, keep_seconds: float, interval: float = SWEEP_INTERVAL) -> None:
    """Sweep at once and then every `interval` s. A store that fails is swept the next time."""
    while True:
        try:
            deleted = await trio.to_thread.run_sync(partial(store.sweep, keep_seconds), abandon_on_cancel=True)
        except OSError as error:
            log.warning("document store not swept", error=str(error))
        else:
            if deleted:
                log.info("old documents deleted", documents=deleted)
        await trio.sleep(interval)
