"""CPU by process: user and system seconds of everything the stack runs, before and after."""

from collections.abc import Mapping, Sequence

import psutil


def cpu_seconds(pids: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Return name → user + system seconds of the processes of that name, children included where they are named."""
    return {name: sum(_seconds(pid) for pid in group) for name, group in pids.items()}


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return name → seconds between two readings."""
    return {name: after[name] - before.get(name, 0.0) for name in after}


def postgres_pids(postmaster: int) -> list[int]:
    """Return the postmaster and all its children, the sessions of the services among them."""
    try:
        process = psutil.Process(postmaster)
        return [postmaster, *(child.pid for child in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def _seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
