"""Fixtures of the attacks on the queue."""

from __future__ import annotations

from tests.emulator.conftest import client, store

__all__ = ["client", "store"]
