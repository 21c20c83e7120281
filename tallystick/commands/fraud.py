"""`tallystick fraud`: try rules on what was decided."""

import asyncio
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import asyncpg
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from libs.common.clock import monotonic_seconds
from libs.common.errors import TallystickError
from libs.common.http.days import Days, read_day, require_days
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.domain.rulesets import Ruleset
from tallystick.backtest.comparison import Comparison
from tallystick.backtest.html_report import html_report
from tallystick.backtest.printed import print_comparison
from tallystick.backtest.redecide import redecide
from tallystick.stack.errors import StackError
from tallystick.stack.stack_file import find_stack

EXIT_UNKNOWN: Final = 2
_UNPUBLISHED: Final = 0
_TROUBLE: Final = (TallystickError, ValueError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Try rules on what was decided.")


@app.callback()
def _main() -> None:
    """Try rules on what was decided."""


@app.command("backtest")
def backtest_command(
    rules: Annotated[Path, typer.Option(help="The rule set, YAML.")],
    first: Annotated[str, typer.Option("--from", help="The first day, UTC, YYYY-MM-DD.")],
    last: Annotated[str, typer.Option("--to", help="The last day, UTC, included; at most 366 days in all.")],
    data: Annotated[Path, typer.Option(help="Folder of the stack.")] = Path(".tallystick"),
    postgres: Annotated[
        str | None,
        typer.Option(
            envvar="TALLYSTICK_POSTGRES",
            help="DSN of a role that may read what was decided; else the stack running on the folder.",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the same as one HTML page to this file.", show_default=False)
    ] = None,
) -> None:
    """Make stored decisions again by other rules, and print what would change. Nothing is written to the database."""
    try:
        days = require_days(_day(first), _day(last))
        document = read_ruleset(rules.read_text(encoding="utf-8"))
        dsn = postgres or find_stack(data).postgres
        began = monotonic_seconds()
        comparison = asyncio.run(_redecide(dsn, Ruleset(_UNPUBLISHED, document), days))
        seconds = monotonic_seconds() - began
        if html is not None:
            html.write_text(html_report(document.name, first, last, comparison), encoding="utf-8")
    except StackError:
        raise
    except _TROUBLE as failure:
        said = failure.detail if isinstance(failure, TallystickError) else str(failure) or repr(failure)
        typer.echo(f"tallystick: could not back-test: {said}", err=True)
        raise typer.Exit(EXIT_UNKNOWN) from failure
    print_comparison(Console(), document.name, comparison, seconds)


def _day(text: str) -> date:
    try:
        return read_day(text)
    except ValueError as failure:
        raise StackError(f"{text!r} {failure}") from failure


async def _redecide(dsn: str, ruleset: Ruleset, days: Days) -> Comparison:
    teller = Console(stderr=True)
    columns = (TextColumn("deciding again"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=teller, transient=True, disable=not teller.is_terminal) as bar:
        task = bar.add_task("", total=None)
        return await redecide(dsn, ruleset, days, lambda done, of: bar.update(task, completed=done, total=of))
