"""Notifications between processes: registrations are renewed, and a failure never affects the stored task."""

from __future__ import annotations

import queue as queues
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from emulator.stores.interface import SECOND, LeaseOrder, NewTask, QueueKey
from emulator.stores.sqlite import notifications
from emulator.stores.sqlite.store import SqliteStore
from tests.emulator.stores.sqlite.test_locked import locked

KEY = QueueKey("p", "q")


def _listeners(file: Path) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute("SELECT port, until_us FROM listeners").fetchall()


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_registration_is_renewed_while_nothing_is_received(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "RENEWAL_SECONDS", 0.1)
    with closing(SqliteStore(file)) as store:
        store.watch(lambda _: None)
        ((port, until),) = _listeners(file)
        _wait_until(lambda: _listeners(file)[0][1] > until + 200_000)
        assert _listeners(file)[0][0] == port
    assert _listeners(file) == []


def test_a_registration_is_renewed_while_datagrams_arrive(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "RENEWAL_SECONDS", 0.2)
    with closing(SqliteStore(file)) as store:
        store.watch(lambda _: None)
        ((port, until),) = _listeners(file)

        def renewed() -> bool:
            notifications.send([port], KEY)
            return _listeners(file)[0][1] > until + 200_000

        _wait_until(renewed)


def test_a_registration_that_failed_is_repeated(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "RETRY_SECONDS", 0.05)
    with closing(SqliteStore(file)) as store:
        with locked(file):
            store.watch(lambda _: None)
            assert _listeners(file) == []
        _wait_until(lambda: len(_listeners(file)) == 1)


def test_expired_registrations_are_removed(file: Path) -> None:
    with closing(SqliteStore(file)) as store:
        with closing(sqlite3.connect(file)) as database:
            database.execute("INSERT INTO listeners VALUES (9, 1)")
            database.commit()
        store.watch(lambda _: None)
        assert 9 not in dict(_listeners(file))


def test_only_processes_that_are_registered_now_are_notified(file: Path) -> None:
    with closing(SqliteStore(file)) as store, closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as receiver:
        receiver.bind((notifications.LOOPBACK, 0))
        receiver.settimeout(20)
        port = receiver.getsockname()[1]
        store.lease(KEY, LeaseOrder(1, 60, awaited=True))
        for name, lifetime in (("expired", -1), ("registered", 60)):
            with store._file.write as database:
                until = store._file.clock.steady_us() + lifetime * SECOND
                database.execute("INSERT OR REPLACE INTO listeners VALUES (?, ?)", (port, until))
            store.insert(KEY, NewTask(name, "eA=="))
            store.lease(KEY, LeaseOrder(9, 60))
            store.lease(KEY, LeaseOrder(1, 60, awaited=True))
        notifications.send([port], None)  # the last datagram
        assert receiver.recv(99) == b'["p","q"]'
        assert receiver.recv(99) == b""


@pytest.mark.parametrize("datagram", [b"", b"rubbish", b'["p"]', b"\xff", b'{"p": "q"}', b'["p","q","r"]'])
def test_a_datagram_that_names_no_queue_means_any_queue(file: Path, datagram: bytes) -> None:
    received: queues.Queue[QueueKey | None] = queues.Queue()
    with closing(SqliteStore(file)) as store, closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        store.watch(received.put)
        assert received.get(timeout=20) is None
        ((port, _),) = _listeners(file)
        sender.sendto(datagram, (notifications.LOOPBACK, port))
        assert received.get(timeout=20) is None
        notifications.send([port], KEY)  # the thread still listens
        assert received.get(timeout=20) == KEY


def test_the_longest_names_of_a_queue_are_received_whole(file: Path) -> None:
    received: queues.Queue[QueueKey | None] = queues.Queue()
    longest = QueueKey("p" * 100, "q" * 100)
    with closing(SqliteStore(file)) as store:
        store.watch(received.put)
        assert received.get(timeout=20) is None
        notifications.send([_listeners(file)[0][0]], longest)
        assert received.get(timeout=20) == longest


def test_other_processes_are_notified_of_a_task(file: Path) -> None:
    received: queues.Queue[QueueKey | None] = queues.Queue()
    with closing(SqliteStore(file)) as waiting, closing(SqliteStore(file)) as inserting:
        waiting.watch(received.put)
        assert received.get(timeout=20) is None
        assert waiting.lease(KEY, LeaseOrder(1, 60, awaited=True)) == []
        inserting.insert(KEY, NewTask("one", "eA=="))
        assert received.get(timeout=20) == KEY


def test_a_task_is_stored_although_nobody_can_be_notified(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example if the process has no more file descriptors."""

    def no_socket(*_: object) -> None:
        raise OSError(24, "Too many open files")

    with closing(SqliteStore(file)) as waiting, closing(SqliteStore(file)) as inserting:
        waiting.watch(lambda _: None)
        waiting.lease(KEY, LeaseOrder(1, 60, awaited=True))
        monkeypatch.setattr(socket, "socket", no_socket)
        assert inserting.insert(KEY, NewTask("one", "eA==")).id == "one"
        inserting.watch(lambda _: None)  # works without notifications from other processes
        monkeypatch.undo()
        assert waiting.get(KEY, "one").id == "one"
