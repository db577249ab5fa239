"""The cores that this process may use, which in a container are often fewer than the machine has."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cores"]

_CGROUP = Path("/sys/fs/cgroup")


def cores(cgroup: Path = _CGROUP) -> int:
    """At least 1: what the process is bound to, or the share of the machine that its container is given if that is
    less, rounded up. os.cpu_count() knows of neither."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on every system
    bound = len(allowed(0)) if allowed else os.cpu_count() or 1
    quota = _quota(cgroup)
    return bound if quota is None else max(1, min(bound, quota))


def _quota(cgroup: Path) -> int | None:
    """Cores of the container, None without a limit. The files hold microseconds of processor time in each period:
    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files, and those of version 1."""
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        return -(-int(quota) // int(period)) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # no cgroup, or "max"
        return None
