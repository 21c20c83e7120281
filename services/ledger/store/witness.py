"""The newest checkpoint of each shard in a folder outside the database, where no restored backup can reach it."""

import os
from pathlib import Path


class WitnessUnreadable(RuntimeError):
    """Nobody can say what was seen: the folder is missing, or the file cannot be read. The text says which."""


def witness_file(folder: Path, shard: int) -> Path:
    """Return where a shard's newest checkpoint stands."""
    return folder / f"shard-{shard}.checkpoint"


def read_witness(folder: Path, shard: int) -> str | None:
    """Return the signed note, or None while there is none. Raises: WitnessUnreadable."""
    try:
        # A volume that is not mounted must not pass for a witness that has seen nothing.
        folder.stat()
        return witness_file(folder, shard).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as failure:
        if failure.filename == str(folder):
            raise WitnessUnreadable(f"{folder} is missing; mount it, or make the folder") from failure
        return None
    except OSError as failure:
        raise WitnessUnreadable(f"{folder} cannot be read ({failure.strerror})") from failure


def write_witness(folder: Path, shard: int, note: str) -> None:
    """Replace the note in one step that survives a power cut; readers see the old or the new one. Raises: OSError."""
    path = witness_file(folder, shard)
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(note)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    # The new name is a change of the folder, which has its own way to the disk.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
