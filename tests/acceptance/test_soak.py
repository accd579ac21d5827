"""Many tasks in one process, whose memory, descriptors and threads must not grow. Longer: scripts/bench soak."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.soak import growth, soak

COUNT, EVERY = 250, 25
GROWTH_ALLOWED = 0.05  # from the first fifth to the end; a leak of about 20 kB per task would exceed it
WORKERS_AND_TRACKER = 3  # children in process mode: two render processes, and Python's resource tracker


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_memory_descriptors_and_threads_do_not_grow(isolation: str, tmp_path: Path) -> None:
    samples = soak(isolation, COUNT, EVERY, tmp_path)
    assert growth(samples, COUNT) < GROWTH_ALLOWED, samples
    settled = [sample for sample in samples if sample.done >= COUNT // 2]
    # Connections to the queue and worker threads vary by one; a leak adds up.
    assert max(sample.descriptors for sample in settled) <= samples[0].descriptors + 2, samples
    assert max(sample.threads for sample in settled) <= samples[0].threads + 2, samples
    assert all(sample.children <= (WORKERS_AND_TRACKER if isolation == "process" else 0) for sample in samples)
