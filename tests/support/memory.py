"""A folder in memory for a server whose files nobody keeps; where there is no room for one, on the disk.

To copy a database takes a sixth of the CPU there, and waits for nobody else who writes to the disk.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tallystick.stack.folder_lock import folder_lock, is_locked

_MEMORY = Path("/dev/shm")  # noqa: S108 -- a private folder is made in it
_PREFIX = "tallystick-tests-"
_ROOM_BYTES_MIN = 3 * 2**30
"""What two servers may take: a gigabyte of log each, and their databases. A container often has 64 MB."""
_YOUNG_SECONDS = 60.0


@contextmanager
def folder_in_memory(
    otherwise: Path, *, memory: Path = _MEMORY, room_bytes_min: int = _ROOM_BYTES_MIN
) -> Iterator[Path]:
    """Give a folder that is gone at the end, in memory if there is so much room, else `otherwise`.

    What tests left there that were killed is removed first: nothing else would give the memory back.
    """
    if not memory.is_dir():
        yield otherwise
        return
    _remove_left(memory)
    if shutil.disk_usage(memory).free < room_bytes_min:
        yield otherwise
        return
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=memory))
    try:
        with folder_lock(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left(memory: Path) -> None:
    for folder in memory.glob(f"{_PREFIX}*"):
        # One that was made this minute may be about to be locked.
        with suppress(FileNotFoundError):
            if folder.stat().st_mtime < time.time() - _YOUNG_SECONDS and not is_locked(folder):
                shutil.rmtree(folder, ignore_errors=True)
