"""`tallystick verify`: recompute the ledger's whole proof, or a part, from its tables and a key you trust."""

import gc
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import asyncpg
import msgspec
import typer
import uvloop
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from libs.common.clock import monotonic_seconds
from libs.common.ids import is_id
from libs.common.proof.signed_note import Vkey, VkeyInvalid, parse_vkeys
from services.gateway.audit.find_askers import AskedBy
from services.ledger.store.witness import WitnessUnreadable
from services.ledger.use_cases.ask_witness import ask_witness
from services.ledger.use_cases.verify_ledger import CannotVerify, Finding, Scope, Verification, verify_ledger
from tallystick.commands.verify_askers import find_askers, sentence_about
from tallystick.commands.verify_audit import audit_as_json, print_audit, verify_audit
from tallystick.stack.errors import StackError
from tallystick.stack.halted import STILL_HALTED, stands_still
from tallystick.stack.ledger_trust import CHECKPOINTS, trusted_vkeys
from tallystick.stack.stack_file import find_stack

EXIT_GOOD: Final = 0
EXIT_BROKEN: Final = 1
EXIT_UNKNOWN: Final = 2
SHARD: Final = 0
_TROUBLE: Final = (StackError, CannotVerify, WitnessUnreadable, OSError)
NEXT: Final = "the ledger checks what is new every minute and everything every night; `--since-last` goes on from there"
NEXT_WHEN_BROKEN: Final = (
    "docs/runbooks/LedgerIntegrityBroken.md says how each kind of finding is mended; verify again after that"
)


def verify_command(
    data: Annotated[Path, typer.Option(help="Folder of the stack.")] = Path(".tallystick"),
    key: Annotated[
        Path | None,
        typer.Option(help="The keys you trust, one vkey a line; else the folder's own.", show_default=False),
    ] = None,
    postgres: Annotated[
        str | None, typer.Option(envvar="TALLYSTICK_POSTGRES", help="Admin DSN; else the stack running on the folder.")
    ] = None,
    since_last: Annotated[
        bool,
        typer.Option("--since-last", help="Only what is new since the last signed verification, and all balances."),
    ] = False,
    account: Annotated[str, typer.Option(help="One account: its entries, its records and what it holds.")] = "",
    transfer: Annotated[str, typer.Option(help="One transfer: its record, its state and its entries.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check records, hashes, checkpoints, entries, balances. Exit 0: all as proven; 1: not; 2: cannot be checked."""
    try:
        scope, subject_id = _scope(since_last=since_last, account=account, transfer=transfer)
        trusted = trusted_keys(data, key)
        dsn = postgres or find_stack(data).postgres
        gc.disable()  # there is no cycle among the records, and looking for some costs a fifth of the time
        verification = uvloop.run(_verify(dsn, trusted, scope, subject_id, quiet=as_json))
        if (data / CHECKPOINTS).is_dir():
            verification.findings += uvloop.run(hear_witness(dsn, data / CHECKPOINTS, trusted))
        askers = uvloop.run(find_askers(dsn, verification.findings))
        audited = uvloop.run(verify_audit(dsn, data, key)) if scope == "full" else None
        halted = uvloop.run(stands_still(dsn))
    except (*_TROUBLE, asyncpg.PostgresError, asyncpg.InterfaceError) as failure:
        _say_unknown(str(failure) or repr(failure), as_json=as_json)
        raise typer.Exit(EXIT_UNKNOWN) from failure
    if as_json:
        document = _as_json(verification, askers, halted=halted)
        if audited is not None:
            document["audit"] = audit_as_json(audited)
            document["verified"] = verification.is_good and audited.is_good
        typer.echo(json.dumps(document))
    else:
        _print(verification, askers, halted=halted)
        if scope == "full":
            print_audit(audited)
    is_good = verification.is_good and (audited is None or audited.is_good)
    raise typer.Exit(EXIT_GOOD if is_good else EXIT_BROKEN)


def trusted_keys(data: Path, key: Path | None) -> list[Vkey]:
    """Return the keys of the file, or the folder's own and retired ones; never what the database says.

    Raises: StackError with what to do.
    """
    if key is None and not data.exists():
        raise StackError(f"there is no stack in {data}; name its folder with --data, or its keys with --key")
    try:
        if key is not None:
            return parse_vkeys(key.read_text())
    except (OSError, UnicodeDecodeError, VkeyInvalid) as error:
        raise StackError(
            f"no key to trust: {error}; name one with --key, as /api/v1/transparency/key gave it"
        ) from error
    return trusted_vkeys(data)


def _scope(*, since_last: bool, account: str, transfer: str) -> tuple[Scope, str]:
    if since_last + bool(account) + bool(transfer) > 1:
        raise StackError("--since-last, --account and --transfer exclude each other")
    subject_id = account or transfer
    if subject_id and not is_id(subject_id):
        raise StackError(f"{subject_id} is no id: a UUID in lower case, with hyphens")
    if account:
        return "account", account
    if transfer:
        return "transfer", transfer
    return ("incremental" if since_last else "full"), ""


async def _verify(dsn: str, trusted: list[Vkey], scope: Scope, subject_id: str, *, quiet: bool) -> Verification:
    """Verify, and show on a terminal how far it is, how fast, and how long it will take."""
    columns = (
        TextColumn("verifying"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("verifying", total=None, rate="")
        began = monotonic_seconds()

        def show(done: int, total: int) -> None:
            rate = round(done / max(monotonic_seconds() - began, 0.001))
            bar.update(task, completed=done, total=total, rate=f"{rate:,}/s")

        return await verify_ledger(
            dsn, trusted, monotonic_seconds=monotonic_seconds, progress=show, scope=scope, subject_id=subject_id
        )


async def hear_witness(dsn: str, directory: Path, trusted: list[Vkey]) -> list[Finding]:
    """Return what the newest checkpoint outside the database says against it."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await ask_witness(connection, directory, trusted, SHARD)
    finally:
        await connection.close()


def _say_unknown(reason: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"verified": None, "reason": reason, "findings": []}))
    else:
        typer.echo(f"tallystick: could not verify: {reason}", err=True)


def _next(verification: Verification, *, halted: bool) -> str:
    """Return what comes next for whoever has read this."""
    if not verification.is_good:
        return NEXT_WHEN_BROKEN
    return STILL_HALTED if halted else NEXT


def _as_json(verification: Verification, askers: Sequence[AskedBy | None], *, halted: bool) -> dict[str, object]:
    document: dict[str, object] = msgspec.to_builtins(verification)
    findings = [
        msgspec.to_builtins(finding)
        | {
            "digest": finding.digest,
            "differences": [difference._asdict() for difference in finding.differences],
            "asked_by": None if asked_by is None else asked_by._asdict(),
        }
        for finding, asked_by in zip(verification.findings, askers, strict=True)
    ]
    return document | {
        "findings": findings,
        "verified": verification.is_good,
        "records_per_second": verification.records_per_second,
        "halted": halted,
        "next_check": _next(verification, halted=halted),
    }


def _print(verification: Verification, askers: Sequence[AskedBy | None], *, halted: bool) -> None:
    console = Console()
    checked = (
        f"{verification.records:,} records, {verification.entries:,} entries, {verification.blocks:,} blocks, "
        f"{verification.tiles:,} tiles in {verification.seconds:.1f} s ({verification.records_per_second:,} records/s)"
    )
    if verification.is_good:
        console.print(Text("Verified: the tables hold what the ledger signed.", style="bold green"))
        console.print(Text(f"{checked}; {verification.scope}, root {verification.root or '-'}"))
    else:
        console.print(Text(f"NOT verified: {len(verification.findings)} finding(s).", style="bold red"))
        console.print(Text(checked))
        for finding, asked_by in zip(verification.findings, askers, strict=True):
            _print_finding(console, finding, asked_by)
    # Whole lines, here and below: they name commands, which people paste.
    console.print(Text(f"Next: {_next(verification, halted=halted)}."), soft_wrap=True)


def _print_finding(console: Console, finding: Finding, asked_by: AskedBy | None) -> None:
    place = "" if finding.index is None else f", record {finding.index}"
    console.print(Text(f"\n{finding.kind} in {finding.table} {finding.row}{place}: {finding.detail}", style="bold"))
    if finding.transfer_id or finding.parties:
        console.print(Text(f"  transfer: {finding.transfer_id or '-'}; accounts: {', '.join(finding.parties) or '-'}"))
    if asked_by is not None:
        console.print(Text(f"  {sentence_about(asked_by)}"), soft_wrap=True)
    if finding.stored_hash or finding.computed_hash:
        console.print(Text(f"  hash:     stored {finding.stored_hash}, computed {finding.computed_hash}"))
    for difference in finding.differences:
        console.print(Text(f"  {difference.field}: stored {difference.stored}, computed {difference.computed}"))
    console.print(Text(f"  {finding.what_to_do}"), soft_wrap=True)
