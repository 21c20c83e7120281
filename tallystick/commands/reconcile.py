"""`tallystick reconcile`: compare what the services say of the same money, report it, and repair."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Final

import asyncpg
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from libs.common.errors import Conflict, TallystickError
from libs.common.ids import is_id
from services.ledger.domain.reconciliation import Reconciliation, Scope, report_of
from tallystick.reconciliation.evidence import keys_of
from tallystick.reconciliation.html_report import html_report
from tallystick.reconciliation.maker import this_maker
from tallystick.reconciliation.printed import print_run
from tallystick.reconciliation.repairing import Leave, repair_what_differs
from tallystick.reconciliation.run import tools_for
from tallystick.stack.administrators import BY_HELP, require_administrator
from tallystick.stack.errors import StackError, TheyDiffer
from tallystick.stack.halted import STILL_HALTED, stands_still
from tallystick.stack.stack_file import Stack, find_stack

EXIT_AGREES: Final = 0
EXIT_DIFFERS: Final = 1
EXIT_UNKNOWN: Final = 2
_LISTED_MAX: Final = 1_000
_TROUBLE: Final = (StackError, TallystickError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


def reconcile_command(  # noqa: PLR0913, PLR0917 -- one parameter an option
    everything: Annotated[bool, typer.Option("--all", help="Compare all services, not the books alone.")] = False,
    account: Annotated[str, typer.Option(help="Only this account of the books.", show_default=False)] = "",
    report: Annotated[
        Path | None, typer.Option(help="Write an HTML report for auditors to this file.", show_default=False)
    ] = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Mend balances and what others show of the ledger, after asking."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Repair without asking.")] = False,
    by: Annotated[
        str, typer.Option(help=f"{BY_HELP} Needed to repair a balance; the journal keeps it.", show_default=False)
    ] = "",
    reason: Annotated[
        str, typer.Option(help="Why a balance is repaired; kept with the repair.")
    ] = "tallystick reconcile --repair",
    data: Annotated[Path, typer.Option(help="Folder of the stack.")] = Path(".tallystick"),
    postgres: Annotated[
        str | None, typer.Option(envvar="TALLYSTICK_POSTGRES", help="Admin DSN; else the stack running on the folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare what the services say of the same money. Exit 0: they agree, 1: not, 2: it could not be done, or in part.

    A repair never touches entries or records. It sets an account to what they prove, if everything else verifies, as a
    record of the journal; and it has projections told again.
    """
    try:
        scope = _scope(everything=everything or repair, account=account)
        stack = _stack(data, postgres)
        dsn = postgres or find_stack(data).postgres
        leave = Leave(yes, by, reason) if repair else None
        run, halted = asyncio.run(_run(dsn, stack, scope, account, data, leave, quiet=as_json))
        if report is not None:
            _write(report, run, data)
    except TheyDiffer:
        raise
    except Conflict as error:
        raise TheyDiffer(error.detail) from error
    except _TROUBLE as error:
        typer.echo(f"tallystick: could not reconcile: {_text(error)}", err=True)
        raise typer.Exit(EXIT_UNKNOWN) from error
    if as_json:
        typer.echo(json.dumps(report_of(run, shown_max=_LISTED_MAX)))
    else:
        print_run(Console(), run)
    if halted:
        typer.echo(f"Next: {STILL_HALTED}.", err=True)
    raise typer.Exit(_exit_code(run))


def _scope(*, everything: bool, account: str) -> Scope:
    if account and everything:
        raise StackError("--account looks at one account of the books; leave out --all and --repair")
    if account and not is_id(account):
        raise StackError(f"{account!r} is no account id; ids look like 0198c2f0-0000-7000-8000-000000000000")
    if account:
        return "account"
    return "all" if everything else "books"


def _stack(data: Path, postgres: str | None) -> Stack | None:
    """Return the stack; none when a database alone was named."""
    try:
        return find_stack(data)
    except StackError:
        if postgres is None:
            raise
        return None


async def _run(
    dsn: str, stack: Stack | None, scope: Scope, account: str, data: Path, leave: Leave | None, *, quiet: bool
) -> tuple[Reconciliation, bool]:
    """Return what was found, and whether the ledger is halted at the end of a repair."""
    if leave is not None and leave.actor_id:
        await require_administrator(dsn, leave.actor_id)
    async with tools_for(dsn, stack) as tools:
        teller = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn())
        with Progress(*columns, console=teller, transient=True, disable=quiet or not teller.is_terminal) as bar:
            task = bar.add_task("reconciling", total=None)

            def progress(name: str, done: int, of: int) -> None:
                bar.update(task, description=name, completed=done, total=of)

            run = await tools.reconcile(scope, account_id=account, progress=progress)
        if leave is None:
            return run, False
        return await repair_what_differs(tools, run, dsn, data, leave), await stands_still(dsn)


def _text(error: Exception) -> str:
    """Return what went wrong, for a person."""
    if isinstance(error, StackError):
        return str(error)
    return error.detail if isinstance(error, TallystickError) else f"the database cannot be read: {error!r}"


def _write(report: Path, run: Reconciliation, data: Path) -> None:
    try:
        report.write_text(html_report(run, keys_of(data), this_maker()), encoding="utf-8")
    except OSError as error:
        raise StackError(f"{report} cannot be written: {error.strerror}") from error


def _exit_code(run: Reconciliation) -> int:
    if not run.agrees:
        return EXIT_DIFFERS
    return EXIT_UNKNOWN if any(outcome.skipped for outcome in run.outcomes) else EXIT_AGREES
