"""Documents made in processes that are killed when their time is up."""

from __future__ import annotations

import functools
import importlib.util
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, get_context
from pathlib import Path

import structlog
import trio
import trio_parallel

from render_trio.errors import FatalError, RenderCrashedError, RenderFailedError, RenderTimedOutError
from render_trio.observation.observer import Observer
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.child import EXIT_MEMORY, Complaint, Retirement, attempt, begin, ready
from render_trio.rendering.pipeline import Produce, produce
from resources.request import Request

START_SECONDS = 60.0  # for the first drawing process, on a machine that is busy
GRACE_SECONDS = 2.0  # for idle drawing processes to end by themselves at shutdown
SCARCITY_SECONDS = 1.0  # between two tries where the machine gives no process
PRELOADED = ["render_trio.rendering.offload.fork_server", "render_trio.rendering.offload.child"]
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Scarcity:
    """Why there is no process at the moment, if there is none."""

    error: OSError | None = None


class ProcessOffload:
    """Documents made in processes, one for each of so many workers at a time."""

    def __init__(
        self,
        context: trio_parallel.WorkerContext,
        observer: Observer,
        workers: int,
        produce: Produce = produce,
    ) -> None:
        self._context = context
        self._observer = observer
        self._produce = produce
        # A process that not even SIGKILL ends (it waits for a device) keeps its worker wedged, and its place; the
        # worker's successor must not wait for that one.
        self._limiter = trio.CapacityLimiter(2 * workers)

    @property
    def abandoned(self) -> int:
        """Always 0: what hangs is killed."""
        return 0

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        """Return the document. Raises RenderTimedOutError, RenderCrashedError, RenderFailedError, FatalError."""
        made: FinishedDocument | Complaint | None = None
        scarcity = Scarcity()
        try:
            with trio.move_on_after(seconds):
                made = await self._run(request, seconds, scarcity)
        except trio_parallel.BrokenWorkerError as error:
            self._observer.killed()
            raise RenderCrashedError(f"the drawing process died: {_cause(error)}") from error
        except trio.Cancelled:
            self._observer.killed()
            raise
        if made is None and scarcity.error is not None:
            raise FatalError(f"no drawing process could be started for {seconds:.0f} s: {scarcity.error}")
        if made is None:
            self._observer.killed()
            raise RenderTimedOutError(f"not drawn within {seconds:.0f} s")
        if isinstance(made, Complaint):
            raise RenderFailedError(made.text)
        return made

    def beside(self, workers: int) -> ProcessOffload:
        """Return another that draws in further processes of the same kind."""
        return ProcessOffload(self._context, self._observer, workers, produce=self._produce)

    async def _run(self, request: Request, seconds: float, scarcity: Scarcity) -> FinishedDocument | Complaint:
        """Run the job; where the machine gives no process at the moment, ask again until the time is up."""
        while True:
            try:
                # The fork server has to be the child of this thread, which lasts: see fork_server.py.
                forkserver.ensure_running()
                made: FinishedDocument | Complaint = await self._context.run_sync(
                    attempt, self._produce, request, seconds, kill_on_cancel=True, limiter=self._limiter
                )
                return made
            except OSError as error:
                log.error("no drawing process can be started", error=str(error))
                scarcity.error = error
                await trio.sleep(SCARCITY_SECONDS)
                scarcity.error = None


def _cause(error: trio_parallel.BrokenWorkerError) -> str:
    """Return in words how a process died; trio-parallel hands it over as the error's last argument."""
    code = error.args[-1].exitcode if error.args else None
    if code == EXIT_MEMORY:
        return "its memory limit was reached (RENDER_MEMORY_LIMIT)"
    if isinstance(code, int) and -code in set(signal.Signals):
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


@asynccontextmanager
async def process_offload(
    observer: Observer,
    workers: int,
    *,
    memory_limit: int,
    jobs_per_process: int,
    recycle_memory: int,
    static: Path | None = None,
    templates: Path | None = None,
) -> AsyncIterator[ProcessOffload]:
    """Give an offload whose processes hold `memory_limit` bytes at most (0: no limit).

    A process is replaced after `jobs_per_process` documents, or when more than `recycle_memory` bytes are
    resident (0: never). All are gone when the block is left. Raises FatalError when none can be started.
    """
    _spare_processes_the_command()
    get_context("forkserver").set_forkserver_preload(PRELOADED)
    manager = trio_parallel.open_worker_context(
        init=functools.partial(begin, memory_limit, static, templates),
        retire=Retirement(jobs_per_process, recycle_memory),
        grace_period=GRACE_SECONDS,
        worker_type=trio_parallel.WorkerType.FORKSERVER,
    )
    context = await manager.__aenter__()
    try:
        await _start_one(context)
        yield ProcessOffload(context, observer, workers)
    finally:
        try:
            await manager.__aexit__(None, None, None)
        except trio_parallel.BrokenWorkerError as error:
            # Idle processes that somebody killed, or that had to be: none is left, and that is what counts.
            log.warning("drawing processes did not end by themselves", error=str(error.args[0]))


def _spare_processes_the_command() -> None:
    """Keep drawing processes from running the installed command's script, which would import everything.

    multiprocessing imports the main module in each process, in case that functions come from it, but not that of
    a package, for which `python -m` says so in its spec.
    """
    main = sys.modules["__main__"]
    if main.__spec__ is None and not getattr(main, "__file__", ".py").endswith(".py"):
        main.__spec__ = importlib.util.find_spec("render_trio.__main__")


async def _start_one(context: trio_parallel.WorkerContext) -> None:
    """Start a first process, so that a machine on which none can be is told at once."""
    try:
        forkserver.ensure_running()
        with trio.fail_after(START_SECONDS):
            await context.run_sync(ready, kill_on_cancel=True)
    except (OSError, trio.TooSlowError, trio_parallel.BrokenWorkerError) as error:
        raise FatalError(f"no drawing process can be started: {type(error).__name__}: {error}") from error
