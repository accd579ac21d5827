"""The number of CPUs that this process may use, from its affinity mask and its control group's quota."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def allowed_cpus(cgroup: Path = CGROUP) -> int:
    """Return the number of CPUs to plan for, at least 1.

    A quota is rounded up, because a worker spends part of its time waiting for the network: a container with a
    quota of 1.5 CPUs on a host with 64 gets 2.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota(cgroup)
    return max(1, available if quota is None else min(available, math.ceil(quota)))


def cgroup_quota(cgroup: Path = CGROUP) -> float | None:
    """Return the control group's CPU quota (v2: `cpu.max`, v1: `cpu.cfs_*`), in CPUs; None if there is none."""
    try:
        allowance, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            allowance = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        quota = int(allowance) / int(period)
    except (ValueError, ZeroDivisionError):  # the quota is "max": unlimited
        return None
    return quota if quota > 0 else None
