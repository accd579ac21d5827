"""Settings of a Redis that can lose tasks: each causes a warning that states what to set."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from emulator.stores.interface import NewTask, QueueKey
from emulator.stores.opening import open_store
from emulator.stores.redis import calls, condition
from emulator.stores.redis.condition import unsafe_settings
from tests.redis_server import RedisServer

QUEUE = QueueKey("project", "condition")
SAFE = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory": "0", "maxmemory-policy": "noeviction", "save": ""}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path).running() as server:
        yield server


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        for name, value in SAFE.items():
            client.config_set(name, value)
        yield client


def warnings(server: RedisServer) -> tuple[str, ...]:
    """Return the warnings of a store that is opened now."""
    store = open_store(server.url)
    health = store.check()
    store.close()
    assert health.problem is None
    return health.warnings


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, ""),
        ({"maxmemory": "1gb", "maxmemory-policy": "allkeys-lru"}, "deletes tasks; set maxmemory-policy noeviction"),
        ({"maxmemory": "1gb", "maxmemory-policy": "volatile-ttl"}, "deletes keys that expire, such as backups"),
        ({"maxmemory": "1gb"}, ""),
        ({"maxmemory-policy": "allkeys-lru"}, ""),
        ({"appendonly": "no"}, "all tasks are lost when Redis restarts; set appendonly yes"),
        (
            {"appendonly": "no", "save": "3600 1"},
            "since the last snapshot are lost when Redis crashes; set appendonly yes",
        ),
        ({"appendfsync": "no"}, "set appendfsync always"),
        ({"appendfsync": "always"}, ""),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else None,
)
def test_an_unsafe_setting_causes_a_warning(
    changed: dict[str, str], message: str, server: RedisServer, client: redis.Redis
) -> None:
    for name, value in changed.items():
        client.config_set(name, value)
    found = warnings(server)
    assert len(found) == bool(message)
    assert all(message in warning for warning in found)


def test_unsafe_settings_are_logged_once_in_one_line(
    server: RedisServer, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client.config_set("appendonly", "no")
    client.config_set("maxmemory", "1gb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    with caplog.at_level(logging.WARNING):
        store = open_store(server.url)
        store.check()
        store.check()
        store.close()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "\n" not in line
    assert "set maxmemory-policy noeviction; " in line
    assert "set appendonly yes" in line


def test_changed_settings_are_noticed_later(
    server: RedisServer, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(server.url)
    assert store.check().warnings == ()
    client.config_set("appendfsync", "no")
    assert store.check().warnings == ()
    monkeypatch.setattr(condition, "RECHECK_SECONDS", 0)
    assert len(store.check().warnings) == 1
    client.config_set("appendfsync", "always")
    assert store.check().warnings == ()
    store.close()


def test_settings_are_read_again_after_a_fault(server: RedisServer, client: redis.Redis) -> None:
    store = open_store(server.url)
    client.config_set("maxmemory", 1)
    assert "no memory left" in (store.check().problem or "")
    client.config_set("maxmemory", 0)
    client.config_set("appendfsync", "no")
    (warning,) = store.check().warnings
    assert "appendfsync is no" in warning
    store.close()


def test_settings_that_may_not_be_read_are_examined_as_far_as_possible(
    server: RedisServer, client: redis.Redis
) -> None:
    client.config_set("appendonly", "no")
    client.config_set("maxmemory", "1gb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.execute_command("ACL", "SETUSER", "default", "-config")
    assert [warning.partition(":")[0] for warning in warnings(server)] == [
        "maxmemory-policy is allkeys-lru",
        "appendonly is no",
    ]
    client.execute_command("ACL", "SETUSER", "default", "-info")
    assert warnings(server) == ()


def test_missing_permissions_are_reported(server: RedisServer, client: redis.Redis) -> None:
    client.execute_command("ACL", "SETUSER", "default", "resetchannels")
    (warning,) = warnings(server)
    assert "lacks a permission: PUBLISH, SUBSCRIBE; grant it" in warning
    store = open_store(server.url)
    client.execute_command("ACL", "SETUSER", "default", "-zrangebylex", "-unlink")
    assert "lacks a permission: PUBLISH, SUBSCRIBE, UNLINK, ZRANGEBYLEX" in (store.check().problem or "")
    client.execute_command("ACL", "SETUSER", "default", "+@all", "allchannels")
    assert (store.check().problem, store.check().warnings) == (None, ())
    store.close()


def test_each_missing_permission_for_a_script_is_named(server: RedisServer, client: redis.Redis) -> None:
    scripts = "".join(path.read_text(encoding="utf-8") for path in calls.LUA.glob("*.lua"))
    commands = set(re.findall(r"redis\.p?call\('([A-Z]+)'", scripts)) | {"SUBSCRIBE", "SMEMBERS", "INCRBY", "SCAN"}
    assert len(commands) > 30
    store = open_store(server.url)
    for command in sorted(commands):
        client.execute_command("ACL", "SETUSER", "default", f"-{command}")
        health = store.check()
        assert re.search(rf"\b{command}\b", f"{health.problem} {health.warnings}", re.IGNORECASE), command
        client.execute_command("ACL", "SETUSER", "default", f"+{command}")
        assert (store.check().problem, store.check().warnings) == (None, ())
    store.close()


def test_the_needed_permissions_are_those_in_the_documents(server: RedisServer, client: redis.Redis) -> None:
    """A user with exactly these permissions can do everything."""
    text = (Path(__file__).parents[4] / "docs/how-to/use-another-store.md").read_text(encoding="utf-8")
    rule = text.partition("ACL SETUSER render-trio ")[2].partition("\n```")[0].replace("\\\n", " ")
    words = [word.strip("'") for word in rule.replace("'>SECRET'", ">secret").split()]
    client.execute_command("ACL", "SETUSER", "render-trio", *words)
    store = open_store(server.url.replace("://", "://render-trio:secret@"))
    health = store.check()
    assert (health.problem, [text for text in health.warnings if "may not" in text]) == (None, [])
    store.insert(QUEUE, NewTask("one", "eA=="))
    store.delete(QUEUE, "one")
    assert client.acl_log() == []
    store.close()


def test_a_missing_permission_to_publish_fails_no_insert(server: RedisServer, client: redis.Redis) -> None:
    store = open_store(server.url)
    store.declare(QUEUE)
    client.hset("render-trio:{project/condition}:state", "awaited", "1")
    client.execute_command("ACL", "SETUSER", "default", "resetchannels")
    assert store.insert(QUEUE, NewTask("one", "eA==")).id == "one"
    store.close()


def test_evicted_keys_are_part_of_the_warning() -> None:
    info = {"maxmemory": 1, "maxmemory_policy": "allkeys-lru", "evicted_keys": 7}
    assert "(it has evicted 7 keys since its start)" in unsafe_settings(info, {})[0]


@pytest.mark.parametrize(
    ("info", "settings", "found"),
    [
        ({}, {}, []),
        ({"aof_enabled": 1, "maxmemory": 0, "maxmemory_policy": "allkeys-lru"}, {"appendfsync": None}, []),
        ({"maxmemory": 1, "maxmemory_policy": "noeviction"}, {}, []),
        ({"maxmemory": 1}, {}, []),
        ({"maxmemory_policy": "allkeys-lru"}, {}, []),
        ({"maxmemory": 1, "maxmemory_policy": "volatile-lru"}, {}, ["keys that expire, such as backups; set"]),
        ({"aof_enabled": 0}, {"save": None}, ["since the last snapshot"]),
        ({"aof_enabled": 0}, {"save": ""}, ["all tasks are lost when Redis restarts"]),
        ({"role": "master"}, {}, []),
        ({"role": "slave"}, {}, ["this Redis is a replica"]),
    ],
)
def test_what_redis_reports_is_examined(
    info: dict[str, str | int], settings: dict[str, str | None], found: list[str]
) -> None:
    warnings = unsafe_settings(info, settings)
    assert len(warnings) == len(found)
    assert all(text in warning for text, warning in zip(found, warnings, strict=True))
