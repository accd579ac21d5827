"""Errors of Redis that no test server makes on demand: the message states the cause, and what a replica refuses."""

from __future__ import annotations

import pytest
from redis import exceptions

from emulator.stores.interface import StoreFullError
from emulator.stores.redis.failures import CAUSES, CODES, refused_by_replica, shortened, unavailable


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (exceptions.AuthenticationError("invalid"), "refused the user name or the password"),
        (exceptions.NoPermissionError("no EVALSHA"), "lacks a permission: no EVALSHA; grant it"),
        (exceptions.ResponseError("NOPERM no HSET"), "lacks a permission: NOPERM no HSET; grant it"),
        (exceptions.ResponseError("The user can't run this command."), "lacks a permission: The user can't run"),
        (exceptions.ConnectionError("max number of clients reached"), "too many clients"),
        (exceptions.ConnectionError("Connection refused."), "unreachable: Connection refused; check that it runs"),
        (exceptions.TimeoutError("Timeout reading from socket"), "did not reply in time"),
        (exceptions.ResponseError("ERR unknown\r\n command."), "failed: ERR unknown command; see its log"),
        (exceptions.ResponseError("ERR Error running script: @user_script: OOM command"), "no memory left"),
        (exceptions.ResponseError("MISCONF Redis is configured"), "can't save its data"),
    ],
)
def test_a_failure_states_its_cause(error: exceptions.RedisError, message: str) -> None:
    assert message in str(unavailable(error))


@pytest.mark.parametrize("error", CODES)
def test_an_error_whose_code_was_removed_states_its_cause(error: type[exceptions.ResponseError]) -> None:
    # Some of these classes parse their text: "slot host:port".
    assert str(unavailable(error("1 127.0.0.1:7000"))) == CAUSES[CODES[error]]


def test_only_a_full_memory_counts_as_full() -> None:
    full = [code for code in CAUSES if isinstance(unavailable(exceptions.ResponseError(f"{code} x")), StoreFullError)]
    assert full == ["OOM"]
    assert not isinstance(unavailable(exceptions.ResponseError("ERR x")), StoreFullError)


def test_a_command_that_a_replica_refuses_was_not_executed() -> None:
    refused = [code for code in CAUSES if refused_by_replica(exceptions.ResponseError(f"{code} x"))]
    assert refused == ["READONLY", "MASTERDOWN"]
    assert not refused_by_replica(exceptions.ConnectionError("lost"))
    lost = exceptions.ConnectionError("The previous master is now a slave")
    lost.__context__ = exceptions.ReadOnlyError("read only")  # as redis-py's connections of a Sentinel client do
    assert refused_by_replica(lost)


def test_a_long_message_is_shortened() -> None:
    assert shortened(exceptions.ResponseError("x" * 200)) == "x" * 200
    assert shortened(exceptions.ResponseError("x" * 201)) == "x" * 200
