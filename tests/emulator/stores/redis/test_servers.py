"""The Redis store on servers other than a single plain one: a cluster node, sentinels, TLS."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from emulator.stores.interface import NewTask, QueueKey, Store, StoreUnavailableError
from emulator.stores.opening import open_store
from tests.contracts import store_contract, store_contract_queues
from tests.redis_server import RedisServer, free_port

QUEUE = QueueKey("project", "elsewhere")
PATIENCE = 20.0
CONTRACT = store_contract.CONTRACT + store_contract_queues.CONTRACT


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A cluster node with all slots. It refuses scripts with keys in different slots, or with undeclared keys."""
    # The default port of the cluster bus, 10,000 above the port of the server, may exceed 65,535.
    options = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    server = RedisServer(tmp_path_factory.mktemp("cluster"), options=options)
    server.start()
    with redis.Redis(port=server.port, decode_responses=True) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        until(lambda: "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")))
    yield server
    server.stop()


@pytest.mark.parametrize("rule", CONTRACT, ids=lambda rule: rule.__name__)
def test_a_cluster_node_fulfils_the_contract(rule: Callable[[Store, QueueKey], None], cluster: RedisServer) -> None:
    store = open_store(cluster.url)
    store.reset()
    rule(store, QueueKey("project", rule.__name__.replace("_", "-")))
    store.close()


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[tuple[int, list[RedisServer]]]:
    """The port of a sentinel, and the master and the replica that it monitors."""
    servers = [RedisServer(tmp_path / name, options=["--repl-diskless-sync-delay", "0"]) for name in ("one", "two")]
    for server, name in zip(servers, ("one", "two"), strict=True):
        (tmp_path / name).mkdir()
        server.start()
    port = free_port()
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
        f"sentinel monitor queue 127.0.0.1 {servers[0].port} 1\n"
        "sentinel down-after-milliseconds queue 500\nsentinel failover-timeout queue 2000\n"
    )
    with redis.Redis(port=servers[1].port, decode_responses=True) as replica:
        replica.replicaof("127.0.0.1", str(servers[0].port))
        until(lambda: replica.info("replication")["master_link_status"] == "up")
    process = subprocess.Popen(["redis-server", str(configuration), "--sentinel"], stdout=subprocess.DEVNULL)
    with redis.Redis(port=port, decode_responses=True) as client:
        until(lambda: _replicas_known(client))
    yield port, servers
    process.terminate()
    process.wait(10)
    for server in servers:
        server.stop()


def _replicas_known(client: redis.Redis) -> bool:
    try:
        return any(replica["flags"] == "slave" for replica in client.sentinel_slaves("queue"))
    except redis.RedisError:
        return False


def test_the_store_follows_the_master_after_a_failover(sentinel: tuple[int, list[RedisServer]]) -> None:
    port, servers = sentinel
    store = open_store(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{port}/queue/1")
    store.insert(QUEUE, NewTask("one", "eA=="))
    with redis.Redis(port=servers[1].port, db=1) as replica:
        until(lambda: replica.exists("render-trio:{project/elsewhere}:eta"))
    with redis.Redis(port=port) as client:
        client.sentinel_failover("queue")
    names = iter(f"t{number}" for number in range(10_000))

    def store_uses_new_master() -> bool:
        try:
            store.insert(QUEUE, NewTask(next(names), "eA=="))
        except StoreUnavailableError:
            return False
        with redis.Redis(port=servers[1].port) as client:
            return client.role()[0] == b"master"

    until(store_uses_new_master)
    assert store.get(QUEUE, "one").payload == "eA=="
    store.close()


def test_tls_is_supported_and_certificates_are_verified(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
    command += f"-addext {names} -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    port = free_port()
    options = ["--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    options += ["--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"]
    server = RedisServer(tmp_path, options=options)
    server.start()
    try:
        store = open_store(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}")
        assert store.insert(QUEUE, NewTask("one", "eA==")) == store.get(QUEUE, "one")
        store.close()
        untrusting = open_store(f"rediss://localhost:{port}/0")
        with pytest.raises(StoreUnavailableError, match="certificate verify failed"):
            untrusting.now_us()
        untrusting.close()
    finally:
        server.stop()


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://h:1",
        "redis+sentinel:///queue",
        "redis+sentinel://h:1,/queue",
        "redis+sentinel://h:1/queue/x",
        "redis+sentinel://h:port/queue",
        "redis://h:1/0?nonsense=1",
        "redis://h:port/0",
    ],
)
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"store is|[Pp]ort"):
        open_store(url)
