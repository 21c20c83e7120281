"""`tallystick up --json` with stand-ins for the services: real PostgreSQL, broker, supervisor and signals."""

import json
import os
import sys
from functools import partial
from pathlib import Path

import typer

from tallystick.commands.up import ready_line
from tallystick.stack.errors import StackError
from tallystick.stack.forked_process import CAN_FORK
from tallystick.stack.local_process import Command
from tallystick.stack.local_stack import LocalStack, StackOptions
from tests.integration.stack import stand_in_service


def stand_in(name: str, endings: Path) -> Command:
    if CAN_FORK:
        return partial(stand_in_service.main, name, str(endings))
    return [sys.executable, stand_in_service.__file__, name, str(endings)]


def main(folder: Path) -> int:
    options = StackOptions(
        folder, port=0, kafka=os.environ.get("TALLYSTICK_KAFKA"), postgres=os.environ.get("TALLYSTICK_POSTGRES")
    )
    stack = LocalStack(
        options,
        announce=lambda found: typer.echo(json.dumps(ready_line(found, options))),
        say=lambda text: typer.echo(text, err=True),
        service_command=lambda name: stand_in(name, folder / "endings"),
        migrate_command=lambda _folder: [sys.executable, "-c", ""],
        prepare=lambda: None,
    )
    try:
        stack.run()
    except StackError as error:
        typer.echo(error, err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
