"""The database of a stack, also while the stack does not run: after a failed start that is when it is looked into."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tallystick.stack.errors import StackNotRunning
from tallystick.stack.folder_lock import folder_lock
from tallystick.stack.postgres import LocalPostgres
from tallystick.stack.stack_file import find_stack


@contextmanager
def open_database(folder: Path, postgres: str | None) -> Iterator[str]:
    """Give the administrator's DSN: the one named, the running stack's, or the folder's own server started meanwhile.

    Raises: StackNotRunning when there is none; StackAlreadyRunning while a stack starts; StartFailed.
    """
    if postgres is not None:
        yield postgres
        return
    try:
        running = find_stack(folder).postgres
    except StackNotRunning:
        if not (folder / "postgres" / "cluster").exists():
            raise
    else:
        yield running
        return
    with folder_lock(folder):
        server = LocalPostgres(folder / "postgres", log_file=folder / "logs" / "postgres.log")
        server.start()
        try:
            yield server.dsn
        finally:
            server.stop()
