"""`tallystick migrate`: bring the schemas of all services up to date."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from libs.common.clock import system_clock
from libs.common.db.migrate import migrate_all
from services.ledger.use_cases.keep_assets import KeepAssets
from tallystick.stack.stack_file import find_stack
from tallystick.stack.stack_secrets import load_or_make_secrets


def migrate_command(
    data: Annotated[Path, typer.Option(help="Folder that keeps the roles' passwords.")] = Path(".tallystick"),
    postgres: Annotated[
        str | None, typer.Option(envvar="TALLYSTICK_POSTGRES", help="Admin DSN; else the stack running on the folder.")
    ] = None,
) -> None:
    """Make roles, bring every service's schema to its newest revision, and bring back missing accounts of the house.

    Doing it again changes nothing.
    """
    admin_dsn = postgres or find_stack(data).postgres
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    migrate_all(admin_dsn, load_or_make_secrets(data).role_passwords)
    for restored in asyncio.run(KeepAssets(admin_dsn, system_clock).restore_accounts()):
        typer.echo(f"restored {restored}")
