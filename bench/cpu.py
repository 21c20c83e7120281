"""CPU by process: user and system seconds of everything the stack runs, before and after."""

from collections.abc import Mapping, Sequence

import psutil


def cpu_seconds(pids: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Return name → user + system seconds of the processes of that name and their children, also those that ended.

    PostgreSQL's workers come and go: without those that ended, the sum would fall when one does.
    """
    return {name: sum(_seconds(pid) for pid in group) for name, group in pids.items()}


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return name → seconds between two readings."""
    return {name: after[name] - before.get(name, 0.0) for name in after}


def _seconds(pid: int) -> float:
    try:
        process = psutil.Process(pid)
        living = sum(own_seconds(child) for child in process.children(recursive=True))
        ended = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return living + own_seconds(process) + float(ended.children_user + ended.children_system)


def own_seconds(process: psutil.Process) -> float:
    """Return user + system seconds of one process; none of one that has ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
