"""A stack of its own for the measurement, started as anybody would start it: `tallystick up --bench`."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tallystick.stack.stack_file import Stack, find_stack

_STOP_SECONDS = 40


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
