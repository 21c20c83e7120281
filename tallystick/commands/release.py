"""`tallystick release`: let a halted ledger go on in spite of a finding; the journal commits to who and why."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Final

import asyncpg
import msgspec
import typer

from libs.common.clock import system_clock, to_rfc3339
from libs.common.db.hot import HotConnection
from libs.common.errors import TallystickError
from libs.common.ids import is_id
from services.ledger.store.verifications import load_open_findings
from services.ledger.use_cases.record_decisions import Signer
from services.ledger.use_cases.release_finding import ReleaseFinding
from tallystick.stack.administrators import BY_HELP, at_the_console, require_administrator
from tallystick.stack.errors import StackError
from tallystick.stack.ledger_trust import signing_key
from tallystick.stack.left_outbox import LeftOutbox
from tallystick.stack.stack_file import find_stack
from tallystick.stack.stack_secrets import load_or_make_secrets

_SHARD: Final = 0
_LISTED_MAX: Final = 200


def release_command(
    finding: Annotated[str, typer.Argument(metavar="[ID]", help="As `--list` shows it.")] = "",
    reason: Annotated[str, typer.Option(help="Why the ledger may go on; kept with the release.")] = "",
    by: Annotated[str, typer.Option(help=BY_HELP)] = "",
    listed: Annotated[bool, typer.Option("--list", help="List what halts the ledger, as JSON.")] = False,
    data: Annotated[Path, typer.Option(help="Folder of the stack, with the key that signs.")] = Path(".tallystick"),
    postgres: Annotated[
        str | None, typer.Option(envvar="TALLYSTICK_POSTGRES", help="Admin DSN; else the stack running on the folder.")
    ] = None,
) -> None:
    """Release a finding. With the last of them the ledger posts again.

    The journal keeps who did it, so --by has to be an active administrator.
    """
    dsn = postgres or find_stack(data).postgres
    if listed:
        typer.echo(json.dumps(_listed(dsn), indent=1))
        return
    if not is_id(finding):
        raise StackError("name the finding's id, as `--list` shows it")
    asyncio.run(require_administrator(dsn, by))
    signer = Signer(load_or_make_secrets(data).ledger_origin, signing_key(data))
    others = asyncio.run(_release(dsn, signer, finding, by, reason))
    typer.echo("released; the ledger goes on" if not others else f"released; {others} finding(s) still halt the ledger")


def _listed(dsn: str) -> list[dict[str, object]]:
    try:
        return asyncio.run(_open_findings(dsn))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StackError(f"the database cannot be read: {error}") from error


async def _open_findings(dsn: str) -> list[dict[str, object]]:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        rows = await load_open_findings(connection, _SHARD, _LISTED_MAX)
    finally:
        await connection.close()
    return [
        {"finding_id": row.finding_id, "found_at": to_rfc3339(row.found_at), **msgspec.json.decode(row.document)}
        for row in rows
    ]


async def _release(dsn: str, signer: Signer, finding_id: str, actor_id: str, reason: str) -> int:
    hot = HotConnection(dsn, "tallystick-release")
    try:
        release = ReleaseFinding(hot, LeftOutbox("ledger", hot, "tallystick-release"), signer, system_clock, _SHARD)
        return await release(finding_id, asker=at_the_console(actor_id, "tallystick release"), reason=reason)
    except TallystickError as failure:
        raise StackError(str(failure)) from failure
    finally:
        await hot.close()
