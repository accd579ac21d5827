"""Chaos testing: the real service and a real queue on a real store, connected by proxies that inject faults.

A schedule of faults is generated from a seed: the same seed yields the same faults at the same points of the work.
`World` also plays the part of the platform, which restarts processes that were killed.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.processes import Running, children_of, start_queue, start_service
from tests.proxy import PASS, RESET, STALL, SWALLOW, Behaviour, Proxy, http_answer, proxy
from tests.redis_server import RedisServer, free_port

LAST_FAULT = 0.8  # of the results; after that, no fault is injected
DAY = 86_400
QUEUE_JUMP = 300  # s; leases expire by the queue's clock, and the IDs of deleted tasks are reserved for an hour of it

EVERYWHERE = (
    "service killed",
    "queue killed",
    "connections reset",
    "connections silent",
    "responses lost",
    "responses cut",
    "queue responses invalid",
    "queue is busy",
    "document store broken",
    "date jumps",
)
ONLY_WITH = {
    "redis": ("redis killed", "redis responses lost"),
    "sqlite": (),
    "process": ("drawing process killed",),
    "thread": (),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is injected after `at` results, for `seconds`. `chance` (0-1) selects among its variants."""

    at: int
    kind: str
    seconds: float
    chance: float


def schedule(seed: int, tasks: int, faults: int, store: str, isolation: str) -> list[Fault]:
    """Return faults in their order; every kind occurs before any is repeated."""
    source = random.Random(f"{seed}:{store}:{isolation}")
    kinds = [*EVERYWHERE, *ONLY_WITH[store], *ONLY_WITH[isolation]]
    drawn: list[str] = []
    while len(drawn) < faults:
        drawn += source.sample(kinds, len(kinds))
    moments = sorted(source.sample(range(1, int(tasks * LAST_FAULT)), faults))
    return [
        Fault(at, kind, round(source.uniform(0.3, 1.5), 2), source.random())
        for at, kind in zip(moments, drawn, strict=False)
    ]


class World:
    """All processes of a run; `stack` stops them. Each fault is repaired before the next one."""

    def __init__(self, stack: ExitStack, folder: Path, store: str, isolation: str) -> None:
        self._queue_clock, self._service_clock = folder / "queue clock", folder / "service clock"
        self._queue_clock.write_text("0")
        self._service_clock.write_text("0")
        self.log = folder / "log"
        self.documents = folder / "documents"
        self.documents.mkdir()
        self._store_link = folder / "store"
        self._store_link.symlink_to(self.documents)
        self._settings: dict[str, str | int] = {
            "RENDER_ISOLATION": isolation,
            "RENDER_WORKERS": 4,
            "TASK_SECONDS": 3,
            "QUEUE_TIMEOUT": 2,
            "MAX_QUEUE_TASK_SIZE": "14 KiB",  # about half of the documents are larger
            "DOCUMENT_STORE": str(self._store_link),
            "DOCUMENT_URL_PREFIX": "https://files.example.org",
        }
        self.struck: list[Fault] = []
        self._redis: RedisServer | None = None
        self._redis_network: Proxy | None = None
        if store == "redis":
            self._redis = RedisServer(folder, durable=True)
            self._redis.start()
            stack.callback(self._redis.stop)
            self._redis_network = stack.enter_context(proxy(self._redis.url))
            self._store = f"redis://127.0.0.1:{self._redis_network.port}/0"
        else:
            self._store = f"sqlite:///{folder / 'queue.sqlite3'}"
        self._queue_port = free_port()
        self.queue = self._start_queue()
        stack.callback(lambda: self.queue.end(signal.SIGKILL))
        self.network = stack.enter_context(proxy(self.queue.address))
        self.service = self._start_service()
        stack.callback(lambda: self.service.end(signal.SIGKILL))

    def _start_queue(self) -> Running:
        log = self.log.with_name("queue log")
        return start_queue(self._store, port=self._queue_port, log=log, clock=self._queue_clock)

    def _start_service(self) -> Running:
        address = f"http://127.0.0.1:{self.network.port}"
        return start_service(address, self.log, clock=self._service_clock, **self._settings)

    def break_things(self, faults: list[Fault], results: Callable[[], int], over: threading.Event) -> None:
        """Inject each fault when enough results have arrived; returns when the last one is repaired."""
        for fault in faults:
            while results() < fault.at:
                if over.wait(0.01):
                    return
            self.strike(fault)
            self.struck.append(fault)

    def strike(self, fault: Fault) -> None:
        """Inject one fault, wait, and repair it."""
        if fault.kind == "service killed":
            self.service.end(signal.SIGKILL)
            self.service = self._start_service()
        elif fault.kind == "queue killed":
            self.queue.end(signal.SIGKILL)
            time.sleep(fault.seconds)
            self.queue = self._start_queue()
        elif fault.kind == "redis killed":
            assert self._redis is not None
            self._redis.stop(kill=True)
            time.sleep(fault.seconds)
            self._redis.start()
        elif fault.kind == "redis responses lost":
            assert self._redis_network is not None
            self._misbehave(self._redis_network, SWALLOW, fault.seconds)
        elif fault.kind == "drawing process killed":
            drawing = [child for child in children_of(self.service.process.pid) if _draws(child)]
            for child in drawing[: 1 + round(fault.chance * len(drawing))]:
                _kill(child)
        elif fault.kind == "document store broken":
            self._break_store(fault.seconds)
        elif fault.kind == "date jumps":
            self._jump(fault.chance)
        else:
            self._misbehave(self.network, _behaviour(fault), fault.seconds)

    def _misbehave(self, network: Proxy, behaviour: Behaviour, seconds: float) -> None:
        network.behave(behaviour)
        time.sleep(seconds)
        network.behave(PASS)

    def _break_store(self, seconds: float) -> None:
        """Put a file in place of the folder: not even root can write there then."""
        self._point_store_at(self.log)
        time.sleep(seconds)
        self._point_store_at(self.documents)

    def _point_store_at(self, target: Path) -> None:
        """Replace the link atomically, so that the service always finds one."""
        new = self._store_link.with_name("store to be")
        new.symlink_to(target)
        new.replace(self._store_link)

    def _jump(self, chance: float) -> None:
        """Shift the service's clock by up to a day, or advance the queue's, so that its leases expire too early."""
        if chance < 0.5:
            self._queue_clock.write_text(str(int(self._queue_clock.read_text()) + QUEUE_JUMP))
            self.queue.process.send_signal(signal.SIGUSR1)
        else:
            self._service_clock.write_text(str(round((chance - 0.75) * 4 * DAY)))
            self.service.process.send_signal(signal.SIGUSR1)

    def end(self) -> int:
        """Stop the service with SIGTERM, and return its exit code."""
        return self.service.end()


def _behaviour(fault: Fault) -> Behaviour:
    busy = (429, 503)[round(fault.chance)]
    return {
        "connections reset": RESET,
        "connections silent": STALL,
        "responses lost": SWALLOW,
        "responses cut": Behaviour("cut", size=round(fault.chance * 2000)),
        "queue responses invalid": http_answer(200, b"<html>Sign in to our network</html>"),
        "queue is busy": http_answer(busy, b"later", Retry_After="1"),
    }[fault.kind]


def _draws(process: int) -> bool:
    """Return whether it is a render process, and not Python's resource tracker."""
    try:
        return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):  # it has exited meanwhile
        os.kill(process, signal.SIGKILL)
