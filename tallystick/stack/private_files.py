"""Files and folders which only their owner may read."""

import os
from pathlib import Path

from tallystick.stack.errors import StackError


def write_private(path: Path, text: str) -> None:
    """Replace the file's content in one step, mode 0600; readers see the old or the new text, never a part."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def make_private_folder(path: Path) -> None:
    """Make the folder with mode 0700 unless it exists.

    Raises: StackError when what exists belongs to somebody else, who could then put a socket of his there.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.geteuid():
        raise StackError(f"{path} is not a folder of this user; remove it or choose another --data")
