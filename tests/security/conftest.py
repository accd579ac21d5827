"""Fixtures of the attacks on the queue."""

from __future__ import annotations

from tests.emulator.conftest import client, opened, store

__all__ = ["client", "opened", "store"]
