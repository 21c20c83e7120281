"""`tallystick up --bench --json` on any port, with services that die at ordered points (tests/support/crashing.py)."""

import json
import os
import sys
from pathlib import Path

import typer

from tallystick.commands.up import ready_line
from tallystick.stack.errors import StackError
from tallystick.stack.local_stack import LocalStack, StackOptions
from tests.support.crashing import serve_command


def main(folder: Path) -> int:
    options = StackOptions(
        folder, port=0, kafka=os.environ.get("TALLYSTICK_KAFKA"), rate_limits=False, velocity_limits=False
    )
    stack = LocalStack(
        options,
        announce=lambda found: typer.echo(json.dumps(ready_line(found, options))),
        say=lambda text: typer.echo(f"tallystick: {text}", err=True),
        service_command=serve_command,
    )
    try:
        stack.run()
    except StackError as error:
        typer.echo(error, err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
