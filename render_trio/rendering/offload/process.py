"""Documents made in processes, which are killed when their time limit is over."""

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
from render_trio.rendering.offload import socket_folder
from render_trio.rendering.offload.child import EXIT_MEMORY, DrawingFailure, Retirement, attempt, ready, set_up
from render_trio.rendering.pipeline import Produce, produce
from resources import registry
from resources.request import Request

START_SECONDS = 60.0  # time limit for starting the first drawing process, for a busy machine
GRACE_SECONDS = 2.0  # time for idle drawing processes to exit by themselves at shutdown
START_RETRY_SECONDS = 1.0  # pause between two attempts to start a process
PRELOADED = ["render_trio.rendering.offload.fork_server", "render_trio.rendering.offload.child"]
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class StartFailure:
    """The reason why no process can be started at the moment, if so."""

    error: OSError | None = None


class ProcessOffload:
    """Makes documents in processes, one for each worker at a time."""

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
        # A process that even SIGKILL doesn't end (it waits for a device) keeps its token, and its worker wedged. The
        # worker's replacement must not wait for that token.
        self._limiter = trio.CapacityLimiter(2 * workers)

    @property
    def abandoned(self) -> int:
        """Always 0: a process that hangs is killed."""
        return 0

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        """Return the document. Raises RenderTimedOutError, RenderCrashedError, RenderFailedError, FatalError."""
        made: FinishedDocument | DrawingFailure | None = None
        start_failure = StartFailure()
        try:
            with trio.move_on_after(seconds):
                made = await self._run(request, seconds, start_failure)
        except trio_parallel.BrokenWorkerError as error:
            self._observer.killed()
            raise RenderCrashedError(f"the drawing process died: {_cause(error)}") from error
        except trio.Cancelled:
            self._observer.killed()
            raise
        if made is None and start_failure.error is not None:
            raise FatalError(f"no drawing process could be started for {seconds:.0f} s: {start_failure.error}")
        if made is None:
            self._observer.killed()
            raise RenderTimedOutError(f"not drawn within {seconds:.0f} s")
        if isinstance(made, DrawingFailure):
            raise RenderFailedError(made.text, loggable=made.loggable)
        return made

    def with_capacity(self, workers: int) -> ProcessOffload:
        """Return an offload with its own processes, set up in the same way."""
        return ProcessOffload(self._context, self._observer, workers, produce=self._produce)

    async def _run(
        self, request: Request, seconds: float, start_failure: StartFailure
    ) -> FinishedDocument | DrawingFailure:
        """Run the job. If no process can be started at the moment, retry until cancelled at the time limit."""
        while True:
            try:
                # The fork server must be a child of this thread, which outlives all jobs: see fork_server.py.
                forkserver.ensure_running()
                made: FinishedDocument | DrawingFailure = await self._context.run_sync(
                    attempt, self._produce, request, seconds, kill_on_cancel=True, limiter=self._limiter
                )
                return made
            except OSError as error:
                log.error("render process failed to start", error=str(error))
                start_failure.error = error
                await trio.sleep(START_RETRY_SECONDS)
                start_failure.error = None


def _cause(error: trio_parallel.BrokenWorkerError) -> str:
    """Return why a process died, in words; trio-parallel passes the process as the last argument of the error."""
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
    """Yield an offload whose processes may use `memory_limit` bytes each (0: no limit).

    A process is replaced after `jobs_per_process` documents, or when more than `recycle_memory` bytes are resident
    (0: never). All processes have exited when the block is left. Raises FatalError if no process can be started.
    """
    _prevent_reimport_of_main()
    get_context("forkserver").set_forkserver_preload(PRELOADED)
    manager = trio_parallel.open_worker_context(
        init=functools.partial(set_up, memory_limit, static, templates, registry.folders()),
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
            # Idle processes died or had to be killed. This is harmless: none is left.
            log.warning("render processes killed at shutdown", error=str(error.args[0]))


def _prevent_reimport_of_main() -> None:
    """Prevent drawing processes from running the script of the installed command, which would import everything.

    multiprocessing imports the main module in each process, because functions may be defined there. It skips the main
    module of a package, which it recognises by the spec that `python -m` sets.
    """
    main = sys.modules["__main__"]
    if main.__spec__ is None and not getattr(main, "__file__", ".py").endswith(".py"):
        main.__spec__ = importlib.util.find_spec("render_trio.__main__")


async def _start_one(context: trio_parallel.WorkerContext) -> None:
    """Start a first process, so that a machine that can't start any fails at startup. Raises FatalError."""
    try:
        socket_folder.prepare()
        forkserver.ensure_running()
        with trio.fail_after(START_SECONDS):
            await context.run_sync(ready, kill_on_cancel=True)
    except (OSError, trio.TooSlowError, trio_parallel.BrokenWorkerError) as error:
        raise FatalError(f"no drawing process can be started: {type(error).__name__}: {error}") from error
