"""How a render leaves the event loop: in a thread, or in a process that can be killed.

A thread can't be killed: one that hangs is left behind and counted, and past a limit the process has to be
replaced. A process can, so a render that hangs, explodes or crashes costs only its own attempt.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import resource as os_limits
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import trio
import trio_parallel

from render_trio.errors import FatalError, RenderCrashedError, RenderFailedError, RenderTimedOutError
from render_trio.finisher import FinishedDocument, finish
from render_trio.observation import Observer
from render_trio.renderer import render
from resources import assets
from resources.request import Request

GRACE_SECONDS = 2.0  # for idle drawing processes to end by themselves at shutdown
PR_SET_PDEATHSIG = 1  # Linux, prctl(2)


class Offload(Protocol):
    """Where documents are made."""

    @property
    def abandoned(self) -> int:
        """Threads that were left behind and have not ended yet."""
        ...

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        """Return the document, made within `seconds`.

        Raises RenderTimedOutError, RenderCrashedError, RenderFailedError, FatalError.
        """
        ...

    def beside(self, workers: int) -> Offload:
        """Return another of the same kind, with a capacity of its own: neither takes the other's places."""
        ...


def produce(request: Request, checkpoint: Callable[[], None]) -> FinishedDocument:
    """Return the drawn, finished and checked document; `checkpoint` may raise between pages to stop."""
    return finish(render(request, checkpoint))


def _never_stop() -> None:
    """The checkpoint in a process of its own, which is killed instead."""


def _produce_alone(request: Request) -> FinishedDocument:
    return produce(request, _never_stop)


class ThreadOffload:
    """Documents made in threads of this process; at most `abandoned_limit` of them may hang."""

    def __init__(
        self,
        observer: Observer,
        workers: int,
        abandoned_limit: int,
        produce: Callable[[Request, Callable[[], None]], FinishedDocument] = produce,
    ) -> None:
        self._observer = observer
        self._produce = produce
        self._abandoned_limit = abandoned_limit
        # An abandoned thread keeps its token until it really ends; the workers must not wait for those.
        self._limiter = trio.CapacityLimiter(workers + abandoned_limit)
        self._running = 0

    @property
    def abandoned(self) -> int:
        """Threads that were left behind and have not ended yet."""
        return int(self._limiter.borrowed_tokens) - self._running

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        """Return the document. Raises RenderTimedOutError, RenderFailedError, FatalError."""
        if self.abandoned >= self._abandoned_limit:
            raise FatalError(f"{self.abandoned} drawing threads hang; RENDER_ISOLATION=process could kill them")
        self._running += 1
        try:
            with trio.move_on_after(seconds):
                return await trio.to_thread.run_sync(
                    self._produce,
                    request,
                    trio.from_thread.check_cancelled,
                    limiter=self._limiter,
                    abandon_on_cancel=True,
                )
        except Exception as error:
            raise RenderFailedError(f"{type(error).__name__}: {error}") from error
        finally:
            self._running -= 1
        self._observer.abandoned()
        raise RenderTimedOutError(f"not drawn within {seconds:.0f} s")

    def beside(self, workers: int) -> ThreadOffload:
        """Return another with a capacity of its own."""
        return ThreadOffload(self._observer, workers, self._abandoned_limit, self._produce)


class ProcessOffload:
    """Documents made in processes that are killed when their time is up."""

    def __init__(
        self,
        context: trio_parallel.WorkerContext,
        observer: Observer,
        workers: int,
        produce: Callable[[Request], FinishedDocument] = _produce_alone,
    ) -> None:
        self._context = context
        self._observer = observer
        self._produce = produce
        self._limiter = trio.CapacityLimiter(workers)

    @property
    def abandoned(self) -> int:
        """Always 0: what hangs is killed."""
        return 0

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        """Return the document. Raises RenderTimedOutError, RenderCrashedError, RenderFailedError."""
        try:
            with trio.move_on_after(seconds):
                made: FinishedDocument = await self._context.run_sync(
                    self._produce, request, kill_on_cancel=True, limiter=self._limiter
                )
                return made
        except (trio_parallel.BrokenWorkerError, MemoryError) as error:
            self._observer.killed()
            raise RenderCrashedError(f"the drawing process died: {type(error).__name__}: {error}") from error
        except Exception as error:
            raise RenderFailedError(f"{type(error).__name__}: {error}") from error
        self._observer.killed()
        raise RenderTimedOutError(f"not drawn within {seconds:.0f} s")

    def beside(self, workers: int) -> ProcessOffload:
        """Return another that draws in further processes of the same kind."""
        return ProcessOffload(self._context, self._observer, workers, self._produce)


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
    resident (0: never). All are gone when the block is left.
    """
    async with trio_parallel.open_worker_context(
        init=functools.partial(_begin_process, os.getpid(), memory_limit, static, templates),
        retire=_Retirement(jobs_per_process, recycle_memory),
        grace_period=GRACE_SECONDS,
    ) as context:
        yield ProcessOffload(context, observer, workers)


def _begin_process(parent: int, memory_limit: int, static: Path | None, templates: Path | None) -> bool:
    """Set up a drawing process: signals are its parent's business, memory is bounded, it dies with its parent."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked to be told
            os._exit(1)
    if memory_limit:
        os_limits.setrlimit(os_limits.RLIMIT_AS, (memory_limit, memory_limit))
    assets.use(static, templates)
    gc.freeze()
    return True


class _Retirement:
    """Says, in the drawing process and after each document, whether it is time for a new one."""

    def __init__(self, jobs: int, memory: int) -> None:
        self._jobs, self._memory = jobs, memory

    def __call__(self) -> bool:
        # trio-parallel sends this object along with each process once: the count is that process's own.
        self._jobs -= 1
        return self._jobs <= 0 or (self._memory > 0 and _resident_bytes() > self._memory)


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):  # no /proc: the peak is the next best
        return os_limits.getrusage(os_limits.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os_limits.getpagesize()
