"""The promises of the queue and its workers, and the turns of producers and visitors, in thousands of simulated worlds.

A seed that fails is repeated by `SIMULATION_SEED=NUMBER ./scripts/test tests/simulation`.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import pytest
import structlog

from render_trio.queue import identity
from render_trio.queue.messages import LeasedTask
from render_trio.queue.task_queue import client
from render_trio.worker.leasing.turns import Turns
from tests.simulation.world import RUSH_EVERY, World, simulate

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "2000"))
CHUNK = 50  # seeds that a process runs at a time


def run(seed: int) -> World:
    """Simulate the world of a seed, and check it."""
    try:
        world = simulate(seed)
        world.check()
    except Exception as error:  # an AssertionError, or whatever the code under test raises
        error.add_note(f"seed {seed}: repeat it with SIMULATION_SEED={seed} ./scripts/test tests/simulation")
        raise
    return world


def run_all(seeds: range) -> None:
    """Run the worlds of the seeds, without log lines: that is twice as fast."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    try:
        for seed in seeds:
            run(seed)
    finally:
        structlog.reset_defaults()


def test_every_submission_gets_its_own_result_once(monkeypatch: pytest.MonkeyPatch) -> None:
    if "SIMULATION_SEED" in os.environ:
        run(int(os.environ["SIMULATION_SEED"]))
        return
    # Measuring coverage takes twice the time, and the other tests run the same lines.
    for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    chunks = [range(first, min(first + CHUNK, SEEDS)) for first in range(0, SEEDS, CHUNK)]
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        assert len(list(pool.map(run_all, chunks))) == len(chunks)


def test_a_seed_repeats_its_world() -> None:
    def history(seed: int) -> list[tuple[str, object]]:
        return [(result.task_id, result.enqueue_timestamp) for result in run(seed).received]

    assert history(5) == history(5)
    assert history(5) != history(6)


def test_the_simulation_finds_a_worker_that_is_unfair_to_producers(monkeypatch: pytest.MonkeyPatch) -> None:
    def next_turn(turns: Turns, *, producer: bool, web: bool) -> str | None:
        return "web" if web else "producer" if producer else None

    monkeypatch.setattr(Turns, "next", next_turn)
    with pytest.raises(AssertionError, match="begun before those of producers"):
        run_all(range(0, 20 * RUSH_EVERY, RUSH_EVERY))


def test_the_simulation_finds_the_fault_of_result_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in version 0.1.0: the ID of a result contains no time, and an ID that is taken counts as inserted."""

    def ids(task: LeasedTask) -> list[str]:
        return [identity.former_result_id(task.id)]

    monkeypatch.setattr(client, "result_ids", ids)
    monkeypatch.setattr(client, "is_result_of", lambda task, found: True)
    with pytest.raises(AssertionError, match="has 0 results"):
        run_all(range(20))
