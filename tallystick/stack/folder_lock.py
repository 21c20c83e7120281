"""One `up` at a time on a data folder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tallystick.stack.errors import StackAlreadyRunning

LOCK_FILE = "up.lock"

# Whoever asks `is_locked` holds a shared lock for a moment; a starting `up` outwaits it.
_PATIENCE_SECONDS = 0.5


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the folder, with our process id in the lock file. The kernel lets go when the process ends, however it ends.

    Raises:
        StackAlreadyRunning: another process holds it; the text names its id.
    """
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _take(descriptor):
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise StackAlreadyRunning(
                f"a stack already runs on {folder} (process {holder}); stop it, or choose another folder with --data"
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether an `up` holds the folder."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _take(descriptor: int) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True
