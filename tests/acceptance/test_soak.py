"""Many tasks in one process: nothing grows. The long run is scripts/bench soak."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.soak import growth, soak

COUNT, EVERY = 250, 25
GROWTH_ALLOWED = 0.05  # from the first fifth to the end: about 20 kB a task would be seen
WORKERS_AND_TRACKER = 3  # children in process mode: two drawing processes, and Python's tracker of resources


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_memory_descriptors_and_threads_stay_as_they_are(isolation: str, tmp_path: Path) -> None:
    samples = soak(isolation, COUNT, EVERY, tmp_path)
    assert growth(samples, COUNT) < GROWTH_ALLOWED, samples
    settled = [sample for sample in samples if sample.done >= COUNT // 2]
    # The queue's connections and the workers' threads come and go by one; what is lost adds up.
    assert max(sample.descriptors for sample in settled) <= samples[0].descriptors + 2, samples
    assert max(sample.threads for sample in settled) <= samples[0].threads + 2, samples
    assert all(sample.children <= (WORKERS_AND_TRACKER if isolation == "process" else 0) for sample in samples)
