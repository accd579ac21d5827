"""The faults of a Redis, caused for real: each is a context in which the fault exists, and a message that reports it.

The store uses the `address` of a running server, which is a proxy. Its options are in OPTIONS.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.proxy import RESET, STALL, Proxy, proxy
from tests.redis_server import RedisServer

PATIENCE = 20.0
# Loading becomes slow enough to be observed with `key-load-delay` (µs for each key).
OPTIONS = (
    "--enable-protected-configs",
    "yes",
    "--loading-process-events-interval-bytes",
    "1024",
    "--busy-reply-threshold",
    "10",
)
SLOW_LOADING = ("--key-load-delay", "20000")
ENDLESS_SCRIPT = "while true do end"


@dataclass(frozen=True)
class Stage:
    """A server, a proxy in front of it, and a folder for another server."""

    server: RedisServer
    between: Proxy
    folder: Path

    @property
    def address(self) -> str:
        return f"redis://127.0.0.1:{self.between.port}/0"


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Run a durable server and a proxy."""
    data, other = folder / "data", folder / "other"
    data.mkdir()
    other.mkdir()
    with RedisServer(data, durable=True, options=OPTIONS).running() as server, proxy(server.url) as between:
        yield Stage(server, between, other)


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def _setting(stage: Stage, name: str, value: str | int) -> Iterator[None]:
    with stage.server.client() as client:
        before = client.config_get(name)[name]
        client.config_set(name, value)
        yield
        client.config_set(name, before)


@contextmanager
def full(stage: Stage) -> Iterator[None]:
    """Its memory is full, and it evicts nothing."""
    with _setting(stage, "maxmemory", 1):
        yield


@contextmanager
def hanging(stage: Stage) -> Iterator[None]:
    """It accepts connections and does not reply."""
    with stage.server.frozen():
        yield


@contextmanager
def silent_network(stage: Stage) -> Iterator[None]:
    """Connections stay open, and nothing gets through."""
    stage.between.behave(STALL)
    yield
    stage.between.behave(RESET, times=1)


@contextmanager
def stopped(stage: Stage) -> Iterator[None]:
    """It is killed, and started again with its data."""
    stage.server.stop(kill=True)
    yield
    stage.server.start()


@contextmanager
def loading(stage: Stage) -> Iterator[None]:
    """It is started again, and its data takes long to load."""
    with stage.server.client() as client:
        client.mset({f"other-{number}": os.urandom(1000).hex() for number in range(1000)})
        client.bgrewriteaof()
        until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0)
    stage.server.stop()
    stage.server.start(*SLOW_LOADING, wait=False)
    yield
    stage.server.stop(kill=True)
    stage.server.start()


@contextmanager
def read_only(stage: Stage) -> Iterator[None]:
    """It has become a replica."""
    with RedisServer(stage.folder, options=OPTIONS).running() as other, stage.server.client() as client:
        with other.client() as master:
            _copy(stage.server, other)
            master.ping()
        client.replicaof("127.0.0.1", str(other.port))
        until(lambda: client.info("replication")["master_link_status"] == "up")
        yield
        client.replicaof("NO", "ONE")


@contextmanager
def orphaned(stage: Stage) -> Iterator[None]:
    """It is a replica that has lost its master, and doesn't serve stale data."""
    with stage.server.client() as client:
        client.config_set("replica-serve-stale-data", "no")
        client.replicaof("127.0.0.1", "1")
        yield
        client.replicaof("NO", "ONE")


@contextmanager
def unable_to_save(stage: Stage) -> Iterator[None]:
    """Its folder is gone, so the last snapshot failed, and it refuses changes."""
    with stage.server.client() as client:
        client.config_set("appendonly", "no")
        client.config_set("save", "3600 1")
        folder = Path(client.config_get("dir")["dir"])
        shutil.rmtree(folder)
        client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        yield
        folder.mkdir()
        client.config_set("dir", str(folder))
        client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok")


@contextmanager
def without_replicas(stage: Stage) -> Iterator[None]:
    """It demands more replicas than it has."""
    with _setting(stage, "min-replicas-to-write", 1):
        yield


@contextmanager
def without_permission(stage: Stage) -> Iterator[None]:
    """Its user may not write to hashes."""
    with stage.server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-hset", "-hsetnx")
        yield
        client.execute_command("ACL", "SETUSER", "default", "+@all")


@contextmanager
def wrong_password(stage: Stage) -> Iterator[None]:
    """It requires a password that the store doesn't have, also from connections that are open."""
    with stage.server.client() as client:
        client.config_set("requirepass", "secret-password")
        _kill_others(stage, client)
        yield
        client.config_set("requirepass", "")


@contextmanager
def too_many_clients(stage: Stage) -> Iterator[None]:
    """Other clients use all its connections."""
    with stage.server.client() as client:
        client.config_set("maxclients", 1)
        _kill_others(stage, client)
        yield
        client.config_set("maxclients", 10_000)


@contextmanager
def busy(stage: Stage) -> Iterator[None]:
    """Another client runs a script that doesn't end."""

    def run() -> None:
        with stage.server.client() as client:
            try:
                client.eval(ENDLESS_SCRIPT, 0)
            except redis.RedisError:
                return  # killed

    thread = threading.Thread(target=run)
    thread.start()
    with stage.server.client() as client:
        until(lambda: _is_busy(client))
        yield
        client.script_kill()
    thread.join()


def _kill_others(stage: Stage, client: redis.Redis) -> None:
    """End the connections of all other clients, and wait until the proxy has closed its side."""
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    until(lambda: not stage.between.has_connections())


def _is_busy(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.ResponseError:
        return True
    return False


def _copy(source: RedisServer, target: RedisServer) -> None:
    """Make the data of a server the same as that of another."""
    with target.client() as client:
        client.replicaof("127.0.0.1", str(source.port))
        until(lambda: client.info("replication")["master_link_status"] == "up")
        client.replicaof("NO", "ONE")


Fault = Callable[[Stage], AbstractContextManager[None]]
FAULTS: dict[str, tuple[Fault, str]] = {
    "full": (full, "no memory left"),
    "hanging": (hanging, "did not reply in time"),
    "silent network": (silent_network, "did not reply in time"),
    "stopped": (stopped, "is unreachable"),
    "loading": (loading, "is loading its data"),
    "read-only": (read_only, "read-only replica"),
    "orphaned": (orphaned, "lost its master"),
    "unable to save": (unable_to_save, "can't save its data"),
    "without replicas": (without_replicas, "fewer replicas"),
    "without permission": (without_permission, "lacks a permission"),
    "wrong password": (wrong_password, "requires a password|refused the user name or the password"),
    "too many clients": (too_many_clients, "too many clients"),
    "busy": (busy, "busy with a script"),
}


def matches(message: str, text: str) -> bool:
    """Return whether a text reports the fault with this message."""
    return re.search(message, text) is not None


@contextmanager
def failover(stage: Stage) -> Iterator[RedisServer]:
    """Prepare a replica; `fail_over` makes it the master behind the same address."""
    with ExitStack() as stack:
        replica = stack.enter_context(RedisServer(stage.folder, options=OPTIONS).running())
        with replica.client() as client:
            client.replicaof("127.0.0.1", str(stage.server.port))
            until(lambda: client.info("replication")["master_link_status"] == "up")
        yield replica


def fail_over(stage: Stage, replica: RedisServer) -> None:
    """Make the replica the master, and the old master its replica. Open connections stay with the old master."""
    with replica.client() as client, stage.server.client() as old:
        until(lambda: client.info("replication")["slave_repl_offset"] == old.info("replication")["master_repl_offset"])
        client.replicaof("NO", "ONE")
        old.replicaof("127.0.0.1", str(replica.port))
        until(lambda: old.info("replication")["master_link_status"] == "up")
    stage.between.retarget(("127.0.0.1", replica.port))
