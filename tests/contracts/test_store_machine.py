"""Both stores and a simple model execute the same random steps, and must have the same state after each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from emulator.stores.interface import SECOND, LeaseOrder, NewTask, QueueKey, Store, Task
from emulator.stores.opening import open_store
from tests.contracts.store_model import REFUSALS, ModelTask, Moment, StoreModel

# After changing a store operation, run the long version: LONG_TESTS=1.
EXAMPLES = 400 if os.environ.get("LONG_TESTS") == "1" else 20
STEPS = 40
QUEUE = QueueKey("project", "machine")
ELAPSED = 9 * SECOND  # limit for one example, because times in the model are multiples of ten seconds

IDS = st.sampled_from(["a", "b", "c", "d", "e"])
TAGS = st.sampled_from([None, "x", "y"])
SECONDS = st.sampled_from([0, 10, 30, 60])


class Machine(RuleBasedStateMachine):
    """The steps. Each lease is recorded with the timestamps that the stores returned for it."""

    def __init__(self, stores: list[Store]) -> None:
        super().__init__()
        self.stores = stores
        self.model = StoreModel()
        self.leases: list[tuple[str, Moment, list[int]]] = []
        for store in stores:
            store.reset()
            store.declare(QUEUE)
        self.started = [store.now_us() for store in stores]

    def same(self, model: Callable[[], Any], real: Callable[[int, Store], Any]) -> tuple[Any, list[Any]]:
        """Execute a step on the model and the stores; return the results after checking that all refused, or none."""
        self.model.step()
        expected = _outcome(model)
        found = [
            _outcome(lambda index=index, store=store: real(index, store)) for index, store in enumerate(self.stores)
        ]
        if isinstance(expected, type):
            assert found == [expected] * len(self.stores)
        else:
            assert not any(isinstance(outcome, type) for outcome in found), (expected, found)
        return expected, found

    def check(self, expected: list[ModelTask], found: list[list[Task]]) -> None:
        """Compare the tasks of the stores with those of the model, in order."""
        for index, tasks in enumerate(found):
            assert [(task.id, task.tag, task.retry_count) for task in tasks] == [
                (task.id, task.tag, task.leases) for task in expected
            ]
            for task, model in zip(tasks, expected, strict=True):
                assert 0 <= task.eta_us - self.started[index] - model.eta[0] * SECOND < ELAPSED
                assert task.payload == f"payload-{task.id}"

    @rule(task_id=IDS, tag=TAGS, delay=SECONDS)
    def insert(self, task_id: str, tag: str | None, delay: int) -> None:
        def real(_: int, store: Store) -> Task:
            eta = store.now_us() + delay * SECOND if delay else None
            return store.insert(QUEUE, NewTask(task_id, f"payload-{task_id}", tag, eta))

        self.same(lambda: self.model.insert(task_id, tag, delay), real)

    @rule(count=st.integers(1, 4), seconds=SECONDS, group=st.booleans(), tag=TAGS, limit=st.sampled_from([None, 1, 2]))
    def lease(self, count: int, seconds: int, group: bool, tag: str | None, limit: int | None) -> None:
        order = LeaseOrder(count, seconds, group, tag if group else None, retry_limit=limit, awaited=count == 1)
        expected, found = self.same(lambda: self.model.lease(order), lambda _, store: store.lease(QUEUE, order))
        ends = [self.model.tasks[task.id] for task in expected]
        for tasks in found:
            assert [(task.id, task.retry_count) for task in tasks] == [(task.id, task.leases) for task in expected]
        for position, task in enumerate(ends):
            self.leases.append((task.id, task.eta, [tasks[position].eta_us for tasks in found]))

    @rule(data=st.data(), task_id=IDS, seconds=SECONDS)
    def renew(self, data: st.DataObject, task_id: str, seconds: int) -> None:
        name, moment, stamps = self.some_lease(data, task_id)
        expected, found = self.same(
            lambda: self.model.renew(name, moment, seconds),
            lambda index, store: store.renew(QUEUE, name, stamps[index] if stamps else None, seconds),
        )
        if isinstance(expected, ModelTask):
            self.leases.append((name, expected.eta, [task.eta_us for task in found]))

    @rule(data=st.data(), task_id=IDS)
    def delete(self, data: st.DataObject, task_id: str) -> None:
        name, moment, stamps = self.some_lease(data, task_id)
        self.same(
            lambda: self.model.delete(name, moment, fenced=bool(stamps)),
            lambda index, store: store.delete(QUEUE, name, stamps[index] if stamps else None),
        )

    def some_lease(self, data: st.DataObject, task_id: str) -> tuple[str, Moment | None, list[int]]:
        """Return a recorded lease, current or former, or no lease for `task_id`."""
        lease = data.draw(st.sampled_from([None, *self.leases[-5:]]), label="lease")
        return lease if lease is not None else (task_id, None, [])

    @rule(task_id=IDS)
    def release(self, task_id: str) -> None:
        self.same(lambda: self.model.release(task_id), lambda _, store: store.release(QUEUE, task_id))

    @rule(task_id=IDS)
    def revive(self, task_id: str) -> None:
        self.same(lambda: self.model.revive(task_id), lambda _, store: store.revive(QUEUE, task_id))

    # Steps that delete many tasks are rare, so that the other steps find tasks.
    @rule(what=st.sampled_from(["nothing", "live", "nothing", "dead", "pause", "resume", "resume"]))
    def operate(self, what: str) -> None:
        if what in ("live", "dead"):
            dead = what == "dead"
            expected, found = self.same(lambda: self.model.purge(dead), lambda _, store: store.purge(QUEUE, dead))
            assert found == [expected] * len(found)
        elif what != "nothing":
            self.model.paused = what == "pause"
            for store in self.stores:
                (store.pause if self.model.paused else store.resume)(QUEUE)

    @rule(seconds=st.sampled_from([10, 20, 50, 60, 600, 3600]))
    def advance(self, seconds: int) -> None:
        self.model.advance(seconds)
        for store in self.stores:
            store.advance(seconds)

    @invariant()
    def tasks_are_the_same(self) -> None:
        self.check(self.model.in_order(self.model.tasks), [store.peek(QUEUE, 10) for store in self.stores])
        self.check(self.model.in_order(self.model.dead), [store.dead_letters(QUEUE, 10) for store in self.stores])

    @invariant()
    def figures_are_the_same(self) -> None:
        model = self.model
        for store in self.stores:
            stats = store.stats(QUEUE)
            assert (stats.total, stats.dead, stats.paused) == (len(model.tasks), len(model.dead), model.paused)
            assert (stats.oldest_us is None) == (not model.tasks)
            assert stats.leased_last_minute == model.leased_within(60)
            assert stats.leased_last_hour == model.leased_within(3600)
            assert store.queues() == [QUEUE]


def _outcome(act: Callable[[], Any]) -> Any:
    """Return the result of a call, or the class of its refusal."""
    try:
        return act()
    except REFUSALS as error:
        return type(error)


@pytest.mark.usefixtures("redis_server")
def test_both_stores_behave_like_the_model(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path / 'q.sqlite3'}", request.getfixturevalue("redis_server").url]
    stores = [open_store(url) for url in urls]
    quiet = [HealthCheck.too_slow]
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Machine(stores),
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None, suppress_health_check=quiet
        ),
    )
    for store in stores:
        store.close()
