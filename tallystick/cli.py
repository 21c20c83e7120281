"""The command line: `tallystick <command>`. Each command is a module of its own, imported when it is asked for."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import typer
from typer._click import Command, Context  # the types of the methods below; Typer exports no others
from typer.core import TyperGroup
from typer.main import get_command as build_command

from tallystick.stack.errors import StackError

# Name → module and attribute, in the order in which help lists them. The attribute is a command's function, or a Typer
# application with commands below it.
COMMANDS = {
    "up": "tallystick.commands.up:up_command",
    "demo": "tallystick.commands.demo:demo_command",
    "migrate": "tallystick.commands.migrate:migrate_command",
    "assets": "tallystick.commands.assets:app",
    "verify": "tallystick.commands.verify:verify_command",
    "release": "tallystick.commands.release:release_command",
    "reconcile": "tallystick.commands.reconcile:reconcile_command",
    "verify-receipt": "tallystick.commands.verify_receipt:verify_receipt_command",
    "new-origin": "tallystick.commands.new_origin:new_origin_command",
    "fraud": "tallystick.commands.fraud:app",
    "dead-letters": "tallystick.commands.dead_letters:app",
    "admin": "tallystick.commands.admin:app",
    "keys": "tallystick.commands.keys:app",
    "bench": "tallystick.commands.bench:bench_command",
}


class CommandsOnDemand(TyperGroup):
    """Imports a command's module when it is run: `verify-receipt` needs no database driver, `up` no load generator."""

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002 -- the signature is Typer's
        """Return the names in the order of the table."""
        return [name for name, target in COMMANDS.items() if find_spec(target.partition(":")[0])]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:  # noqa: ARG002 -- as above
        """Return the command of that name, or None when there is none."""
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            found = _alone(found)
        command = build_command(found)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Context) -> Any:
        """Run the command; what the stack refuses is a sentence for a person, not a traceback."""
        try:
            return super().invoke(ctx)
        except StackError as error:
            typer.echo(f"tallystick: {error}", err=True)
            raise typer.Exit(1) from error


def _alone(function: Callable[..., None]) -> typer.Typer:
    application = typer.Typer(add_completion=False)
    application.command()(function)
    return application


app = typer.Typer(
    cls=CommandsOnDemand,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its boxes show local variables, among them passwords
    help="Moves money between accounts and can prove afterwards that it did so correctly.",
)


@app.callback()
def _main() -> None:
    """Moves money between accounts and can prove afterwards that it did so correctly."""


if __name__ == "__main__":
    app()
