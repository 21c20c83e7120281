"""`tallystick new-origin`: let a ledger whose end is lost go on under another name."""

import asyncio
import getpass
from pathlib import Path
from typing import Annotated, Final

import asyncpg
import typer

from libs.common.clock import system_clock, to_rfc3339
from libs.common.proof.departure import Departure
from services.ledger.store.witness import WitnessUnreadable, witness_file
from services.ledger.use_cases.check_witness import Examination, examine_witness
from services.ledger.use_cases.start_origin import next_origin, start_origin
from tallystick.stack.errors import StackError
from tallystick.stack.ledger_trust import CHECKPOINTS, rename_origin, signing_key, trusted_vkeys
from tallystick.stack.stack_database import open_database
from tallystick.stack.stack_secrets import load_or_make_secrets

REASON_LENGTH_MAX: Final = 500
_SHARD: Final = 0


def new_origin_command(
    reason: Annotated[str, typer.Option(help="Why what was signed cannot be brought back; kept for ever.")],
    data: Annotated[Path, typer.Option(help="Folder of the stack.")] = Path(".tallystick"),
    checkpoints: Annotated[
        Path | None,
        typer.Option(envvar="TALLYSTICK_CHECKPOINT_DIR", help="Folder of checkpoints; else the stack's own."),
    ] = None,
    postgres: Annotated[
        str | None, typer.Option(envvar="TALLYSTICK_POSTGRES", help="Admin DSN; else the folder's own server.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Go on under a new origin after signed records were lost. Only when no backup has them; it cannot be undone."""
    if not 0 < len(reason.strip()) <= REASON_LENGTH_MAX:
        raise StackError(f"--reason is 1 to {REASON_LENGTH_MAX} characters")
    if not data.exists():
        raise StackError(f"there is no stack in {data}; name its folder with --data")
    folder = checkpoints or data / CHECKPOINTS
    with open_database(data, postgres) as dsn:
        departure = _unfinished(dsn, data, folder) or _ask_and_depart(dsn, data, folder, reason.strip(), yes=yes)
    rename_origin(data, departure.origin)
    typer.echo(f"The ledger signs as {departure.origin} from its next start on: restart the stack.")
    typer.echo(f"Receipts signed as {departure.floor.origin} go on verifying. Publish the new key beside the old one.")


def _unfinished(dsn: str, data: Path, folder: Path) -> Departure | None:
    """Return a departure that was recorded before the folder's settings were brought along."""
    origin = load_or_make_secrets(data).ledger_origin
    departures = asyncio.run(_examine(dsn, data, folder)).departures
    return next((left for left in departures if left.floor.origin == origin), None)


def _ask_and_depart(dsn: str, data: Path, folder: Path, reason: str, *, yes: bool) -> Departure:
    trouble = asyncio.run(_examine(dsn, data, folder)).trouble
    if trouble is None:
        raise StackError(f"the journal is what {witness_file(folder, _SHARD)} saw last: no new origin is needed")
    if trouble.floor is None:
        raise StackError(f"{trouble.detail}. {trouble.what_to_do}")
    departure = Departure(
        origin=next_origin(load_or_make_secrets(data).ledger_origin),
        floor=trouble.floor,
        shard=_SHARD,
        reason=reason,
        actor=getpass.getuser(),
        started_at=to_rfc3339(system_clock()),
    )
    typer.echo(f"{trouble.kind}: {trouble.detail}.")
    typer.echo(
        f"The ledger would go on as {departure.origin}. What {departure.floor.origin} signed and lost stays lost."
    )
    if not yes:
        typer.confirm("No backup has the lost records, and the writer is stopped. Go on?", abort=True)
    asyncio.run(_depart(dsn, data, departure))
    return departure


async def _examine(dsn: str, data: Path, folder: Path) -> Examination:
    connection = await asyncpg.connect(dsn)
    try:
        return await examine_witness(connection, folder, trusted_vkeys(data), _SHARD)
    except WitnessUnreadable as error:
        raise StackError(f"{error}; name it with --checkpoints") from error
    finally:
        await connection.close()


async def _depart(dsn: str, data: Path, departure: Departure) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await start_origin(connection, departure, signing_key(data))
    finally:
        await connection.close()
