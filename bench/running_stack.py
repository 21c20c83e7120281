"""A stack of its own for the measurement, started as anybody would start it: `tallystick up --bench`."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from tallystick.stack.stack_file import Stack, find_stack

_STOP_SECONDS = 40
_READY_SECONDS = 60
_SETTLE_SECONDS = 8
_POLL_SECONDS = 0.5


@contextmanager
def bench_stack(folder: Path, *options: str) -> Iterator[Stack]:
    """Start, hand out, stop. Raises: RuntimeError when it does not become ready."""
    command = [sys.executable, "-m", "tallystick.cli", "up", "--data", str(folder), "--port", "0", "--bench", "--json"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 -- asked for two lines up
            line = process.stdout.readline()
            if not line or not json.loads(line).get("ready"):
                message = f"the stack did not become ready; its logs are in {folder}"
                raise RuntimeError(message)
            yield find_stack(folder, {})
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)


def with_empty_broker(folder: Path) -> Stack:
    """Kill the stack's local broker, wait until its successor serves everybody, and return the stack as it is then.

    For each fetch that broker looks through its whole log: what ran before would slow down what is measured next.
    Raises: TimeoutError.
    """
    before = find_stack(folder, {}).infrastructure["kafka"]["pids"]
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        stack = find_stack(folder, {})
        after = stack.infrastructure["kafka"]["pids"]
        if after and after != before and all(_is_ready(service.url) for service in stack.services.values()):
            # Ready is not settled: a group hears only at its next heartbeat that the broker has forgotten it, and what
            # was under way is sent again after five seconds. Nothing to ask tells when both are over.
            time.sleep(_SETTLE_SECONDS)
            return stack
    message = f"the services were not ready {_READY_SECONDS} s after the broker had ended; their logs are in {folder}"
    raise TimeoutError(message)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=2) as answer:  # noqa: S310 -- our own loopback
            return bool(answer.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False
