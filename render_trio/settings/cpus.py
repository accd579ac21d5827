"""How many CPUs this process may use: its affinity mask, and the quota of its control group."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def allowed_cpus(cgroup: Path = CGROUP) -> int:
    """The number of CPUs to plan for, at least 1.

    A container with a quota of 1.5 CPUs on a host of 64 gets 2: rounded up, since a worker also waits for
    the network now and then.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota(cgroup)
    return max(1, available if quota is None else min(available, math.ceil(quota)))


def cgroup_quota(cgroup: Path = CGROUP) -> float | None:
    """CPUs that the control group grants (v2: `cpu.max`, v1: `cpu.cfs_*`); None without a quota."""
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
    except (ValueError, ZeroDivisionError):  # "max": no quota
        return None
    return quota if quota > 0 else None
