"""Faults at random moments, drawn from a seed: processes killed, and processes that stand still."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psutil

from tallystick.stack.stack_file import Stack

VICTIMS: Final = ("gateway", "fraud", "ledger", "kyc", "accounts", "kafka", "postgres")
_KILLS: Final = 0.6
"""The share of kills among the faults; the others stand still."""
_STILL_SECONDS: Final = (1.0, 15.0)


def strike(rng: random.Random, find: Callable[[], Stack]) -> str:
    """Let one fault happen, and return what it was once it is over; a killed process is started again by its stack."""
    victim = rng.choice(VICTIMS)
    stack = find()
    named = stack.services[victim].pids if victim in stack.services else stack.infrastructure[victim]["pids"]
    pids = [*named, *(child for pid in named for child in _children_of(pid))]
    if rng.random() < _KILLS:
        _signal(pids, signal.SIGKILL)
        return f"{victim} was killed"
    seconds = rng.uniform(*_STILL_SECONDS)
    _signal(pids, signal.SIGSTOP)
    time.sleep(seconds)
    _signal(pids, signal.SIGCONT)
    return f"{victim} stood still for {seconds:.0f} s"


def _children_of(pid: int) -> list[int]:
    with suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
