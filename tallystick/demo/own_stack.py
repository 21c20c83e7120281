"""A stack of the demo's own: `tallystick up` as a child, gone with its data when the demo is over."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from tallystick.stack.errors import StackError
from tallystick.stack.local_process import die_with_parent
from tallystick.stack.stack_file import Stack, find_stack

_READY_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 60.0
_ERROR_CHARACTERS_MAX: Final = 4_000


@contextmanager
def own_stack(folder: Path | None) -> Iterator[Stack]:
    """Run a stack within the block, without rate limits, on the folder or on a temporary one.

    Raises: StackError with what `up` said, when it does not become ready.
    """
    with tempfile.TemporaryDirectory(prefix="tallystick-demo-") as temporary, tempfile.TemporaryFile() as said:
        where = folder or Path(temporary) / "data"
        command = [sys.executable, "-m", "tallystick.cli", "up", "--data", str(where), "--port", "0"]
        process = subprocess.Popen(
            [*command, "--no-rate-limits", "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,  # Ctrl-C reaches the demo alone, which stops its stack when it has cleaned up
            preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 -- only prctl runs in the child
        )
        try:
            _wait_until_ready(process, said)
            yield find_stack(where, environment={})
        finally:
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    output = process.stdout
    if output is None:
        raise StackError("the stack was started without an output to wait for")
    readable, _, _ = select.select([output], [], [], _READY_SECONDS)
    line = output.readline() if readable else b""
    if not line or not json.loads(line).get("ready"):
        said.seek(0, os.SEEK_SET)
        text = said.read().decode("utf-8", "replace")[-_ERROR_CHARACTERS_MAX:]
        raise StackError(f"the stack did not become ready within {_READY_SECONDS:.0f} s:\n{text}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask `up` to stop everything in order; kill it when it does not, whereupon its children die with it."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.stdout is not None:
            process.stdout.close()
