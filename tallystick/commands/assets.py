"""`tallystick assets`: what the ledger keeps accounts in."""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from libs.common.clock import system_clock, to_rfc3339
from libs.common.errors import TallystickError
from libs.common.money import EXPONENT_MAX, know_asset
from services.ledger.use_cases.keep_assets import KeepAssets
from tallystick.stack.errors import StackError
from tallystick.stack.stack_file import find_stack

Answer = TypeVar("Answer")
Data = Annotated[Path, typer.Option(help="Folder of the stack.")]
Postgres = Annotated[
    str | None, typer.Option(envvar="TALLYSTICK_POSTGRES", help="Admin DSN; else the stack running on the folder.")
]

app = typer.Typer(no_args_is_help=True, help="Assets the ledger keeps: add, list.")


@app.command("add")
def add_command(
    code: Annotated[str, typer.Argument(help="3 to 12 capital letters and digits, such as CHF.", show_default=False)],
    exponent: Annotated[
        int, typer.Option(min=0, max=EXPONENT_MAX, help="Decimal digits of its minor unit.", show_default=False)
    ],
    data: Data = Path(".tallystick"),
    postgres: Postgres = None,
) -> None:
    """Add an asset with its accounts of the house. It is known everywhere within ten seconds, and stays for ever."""
    try:
        know_asset(code, exponent)
    except ValueError as error:
        raise StackError(str(error)) from error
    is_new = _do(KeepAssets(postgres or find_stack(data).postgres, system_clock).add(code, exponent))
    typer.echo(f"{code} {'added' if is_new else 'was there before'}; its accounts of the house are there")
    if is_new:
        typer.echo(f"Transfers in {code} are blocked (asset_without_rate) until staff say what it is worth.")
        typer.echo(f"They do by PUT /api/v1/admin/fraud/usd-rates/{code}.")


@app.command("list")
def list_command(
    data: Data = Path(".tallystick"),
    postgres: Postgres = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List all assets, oldest first."""
    assets = _do(KeepAssets(postgres or find_stack(data).postgres, system_clock).known())
    if as_json:
        typer.echo(json.dumps([asset._asdict() | {"added_at": to_rfc3339(asset.added_at)} for asset in assets]))
        return
    table = Table("code", "decimal digits", "added")
    for asset in assets:
        table.add_row(asset.code, str(asset.exponent), to_rfc3339(asset.added_at))
    Console().print(table)


def _do(work: Coroutine[Any, Any, Answer]) -> Answer:
    try:
        return asyncio.run(work)
    except TallystickError as error:
        raise StackError(error.detail) from error
    except (OSError, asyncpg.PostgresError) as error:
        raise StackError(f"the database cannot be changed: {error}") from error
