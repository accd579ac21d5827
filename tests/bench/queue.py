"""The queue under load: inserts/s, lease+delete pairs/s, the latency of a waiting lease, and the effect of depth.

usage: scripts/bench queue [--store sqlite redis] [--processes 1 2] [--batch 1 20] [--clients 4] [--tasks 2000]
       scripts/bench queue --depth 1000 1000000     the cost of a lease with this many tasks in the queue

Clients run as separate processes on the same machine, so the figures include their cost. Every run checks that each
inserted task was leased exactly once.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emulator.stores.interface import LeaseOrder, QueueKey, Store
from emulator.stores.opening import open_store
from emulator.stores.redis.layout import CHANNEL, queue_keys
from emulator.stores.redis.store import RedisStore
from emulator.stores.sqlite import store as sqlite_store
from emulator.stores.sqlite.store import SqliteStore
from tests.bench.queue_client import PAYLOAD, Client, Times, percentiles
from tests.processes import Running, queue
from tests.redis_server import RedisServer

WAITS = 50
LEASES = 300
START_SECONDS = 60
context = multiprocessing.get_context("fork")


@contextmanager
def store_url(kind: str) -> Iterator[str]:
    """Yield the URL of an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "sqlite":
            yield f"sqlite:///{folder}/queue.sqlite3"
            return
        server = RedisServer(Path(folder))
        server.start()
        yield server.url
        server.stop()


def together(address: str, name: str, jobs: list[Callable[[Client], None]]) -> tuple[float, list[Times]]:
    """Run each job in its own process with its own connection; return the total seconds and the times of each."""
    ready, results = context.Barrier(len(jobs) + 1), context.SimpleQueue()

    def run(job: Callable[[Client], None]) -> None:
        client = Client(address, name)
        ready.wait(START_SECONDS)
        try:
            job(client)
        finally:
            results.put(client.times)

    processes = [context.Process(target=run, args=(job,)) for job in jobs]
    for process in processes:
        process.start()
    ready.wait(START_SECONDS)
    started = time.perf_counter()
    times = [results.get() for _ in jobs]
    seconds = time.perf_counter() - started
    for process in processes:
        process.join()
        if process.exitcode:
            raise RuntimeError("a client process failed")
    return seconds, times


def cpu_seconds(pid: int) -> float:
    """Return the CPU time (s) that a process and its children have used (Linux)."""
    process = Path(f"/proc/{pid}")
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    children = {child for listed in process.glob("task/*/children") for child in listed.read_text().split()}
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(int(child)) for child in children)


def measure(running: Running, clients: int, tasks: int, batch: int) -> str:
    """Insert, then lease and delete; return a line of figures. CPU time depends little on the load of the machine."""
    address = running.address
    name = f"batch-{batch}"
    share = tasks // clients

    def inserting(number: int) -> Callable[[Client], None]:
        return lambda client: [client.insert(f"t-{number}-{i}") for i in range(share)] and None

    insert_seconds, inserted = together(address, name, [inserting(number) for number in range(clients)])
    cpu_before = cpu_seconds(running.process.pid)
    pair_seconds, worked = together(address, name, [lambda client: client.work(batch)] * clients)
    cpu = (cpu_seconds(running.process.pid) - cpu_before) / (share * clients)
    leased = [task_id for times in worked for task_id in times.ids]
    if not len(leased) == len(set(leased)) == share * clients:
        raise RuntimeError(f"inserted {share * clients}, leased {len(leased)}, unique {len(set(leased))}")
    insert, lease, delete = (
        percentiles([second for times in group for second in times.seconds[kind]])
        for kind, group in (("insert", inserted), ("lease", worked), ("delete", worked))
    )
    return (
        f"  batch {batch:>2}: {len(leased) / insert_seconds:>5.0f} inserts/s ({insert}); "
        f"{len(leased) / pair_seconds:>5.0f} pairs/s (lease {lease}; delete {delete}), "
        f"{cpu * 1000:.2f} ms of server CPU time each; leased = unique = inserted"
    )


def measure_wait(address: str) -> str:
    """Return a line with the time from an insert to the reply to a lease that waits for it."""
    answered: Any = context.SimpleQueue()

    def wait() -> None:
        client = Client(address, "wait")
        for _ in range(WAITS):
            (task_id,) = client.lease(1, wait=60)
            answered.put(time.monotonic())
            client.delete(task_id)

    process = context.Process(target=wait)
    process.start()
    client = Client(address, "wait")
    seconds = []
    for number in range(WAITS):
        time.sleep(random.uniform(0.02, 0.06))  # until the lease waits
        started = time.monotonic()
        client.insert(f"t{number}")
        seconds.append(answered.get() - started)
    process.join()
    client.close()
    return f"  insert to waiting lease: {percentiles(seconds)}"


def fill(store: Store, key: QueueKey, depth: int) -> None:
    """Insert many tasks in bulk through the internals of the stores; one by one it would take minutes."""
    names = ((f"t-{number:07}-{random.getrandbits(40):x}", f"tag{number % 7}") for number in range(depth))
    store.declare(key)
    if isinstance(store, SqliteStore):
        with store._file.write as database:
            queue_row, now = store._file.find_or_create(key)
            rows = ((queue_row.live, name, PAYLOAD, tag, now, now, 0) for name, tag in names)
            database.executemany(sqlite_store._INSERT, rows)
            database.execute("UPDATE queues SET live_count = ? WHERE number = ?", (depth, queue_row.number))
    elif isinstance(store, RedisStore):
        while some := list(itertools.islice(names, 1000)):
            with store._calls.client.pipeline(transaction=False) as pipeline:
                for name, tag in some:
                    arguments = [name, PAYLOAD, tag, "", CHANNEL, f"{key.project}/{key.name}"]
                    store._calls._scripts["insert"](keys=queue_keys(key), args=arguments, client=pipeline)
                pipeline.execute()


def measure_depth(url: str, address: str, depth: int) -> str:
    """Fill a queue; return a line with the cost of leases and statistics."""
    store, key = open_store(url), QueueKey("bench", f"depth-{depth}")
    fill(store, key, depth)
    client = Client(address, key.name)
    for _ in range(LEASES):
        client.lease(1)
    line = f"  {depth:>8} tasks: lease over HTTP {percentiles(client.times.seconds['lease'])}"
    verbs: dict[str, Callable[[], object]] = {
        "lease": lambda: store.lease(key, LeaseOrder(1, 600)),
        "by tag": lambda: store.lease(key, LeaseOrder(1, 600, group_by_tag=True)),
        "stats": lambda: store.stats(key),
        "page": lambda: store.peek(key, 100),
        "purge": lambda: store.purge(key),
    }
    for verb, act in verbs.items():
        taken = []
        for _ in range(1 if verb == "purge" else LEASES):
            started = time.perf_counter()
            act()
            taken.append(time.perf_counter() - started)
        line += f"; {verb} {sorted(taken)[len(taken) // 2] * 1e6:.0f} µs"
    client.close()
    store.close()
    return line


def main() -> None:
    """Print a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", nargs="+", choices=("sqlite", "redis"), default=["sqlite", "redis"])
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 20])
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--depth", nargs="+", type=int, default=[])
    arguments = parser.parse_args()
    for kind in arguments.store:
        for processes in arguments.processes if not arguments.depth else [1]:
            with store_url(kind) as url, queue(url, processes) as running:
                print(f"{kind}, {processes} process{'es' * (processes > 1)}:", flush=True)
                for depth in arguments.depth:
                    print(measure_depth(url, running.address, depth), flush=True)
                if not arguments.depth:
                    for batch in arguments.batch:
                        print(measure(running, arguments.clients, arguments.tasks, batch), flush=True)
                    print(measure_wait(running.address), flush=True)


if __name__ == "__main__":
    main()
