"""`tallystick verify`: recompute the ledger's whole proof from its tables and a key you trust."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from rich.console import Console
from rich.text import Text

from libs.common.clock import monotonic_seconds
from libs.common.proof.signed_note import Vkey, VkeyInvalid, parse_vkeys, vkey
from services.ledger.audit.findings import Finding, Verification
from services.ledger.use_cases.verify_ledger import verify_ledger
from tallystick.stack.errors import StackError
from tallystick.stack.stack_file import find_stack
from tallystick.stack.stack_secrets import load_or_make_secrets

EXIT_GOOD: Final = 0
EXIT_BROKEN: Final = 1


def verify_command(
    data: Annotated[Path, typer.Option(help="Folder of the stack.")] = Path(".tallystick"),
    key: Annotated[
        Path | None,
        typer.Option(help="The keys you trust, one vkey a line; else the folder's own.", show_default=False),
    ] = None,
    postgres: Annotated[
        str | None, typer.Option(envvar="TALLYSTICK_POSTGRES", help="Admin DSN; else the stack running on the folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check every record, hash, checkpoint, entry and balance. Exit 0 when all is as proven, 1 when not."""
    trusted = trusted_keys(data, key)
    dsn = postgres or find_stack(data).postgres
    verification = asyncio.run(verify_ledger(dsn, trusted, monotonic_seconds=monotonic_seconds))
    if as_json:
        typer.echo(json.dumps(_as_json(verification)))
    else:
        _print(verification)
    raise typer.Exit(EXIT_GOOD if verification.is_good else EXIT_BROKEN)


def trusted_keys(data: Path, key: Path | None) -> list[Vkey]:
    """Return the keys of the file, or the public half of the folder's own; never what the database says.

    Raises: StackError with what to do.
    """
    if key is None and not data.exists():
        raise StackError(f"there is no stack in {data}; name its folder with --data, or its keys with --key")
    try:
        if key is not None:
            return parse_vkeys(key.read_text())
        signing_key = load_pem_private_key((data / "keys" / "ledger-signing.pem").read_bytes(), password=None)
    except (OSError, UnicodeDecodeError, VkeyInvalid) as error:
        raise StackError(
            f"no key to trust: {error}; name one with --key, as /api/v1/transparency/key gave it"
        ) from error
    if not isinstance(signing_key, Ed25519PrivateKey):
        raise StackError(f"{data}/keys/ledger-signing.pem holds no Ed25519 key; name a key with --key")
    return parse_vkeys(vkey(load_or_make_secrets(data).ledger_origin, signing_key.public_key()))


def _as_json(verification: Verification) -> dict[str, object]:
    return asdict(verification) | {
        "verified": verification.is_good,
        "records_per_second": verification.records_per_second,
    }


def _print(verification: Verification) -> None:
    console = Console()
    checked = (
        f"{verification.records:,} records, {verification.blocks:,} blocks, {verification.tiles:,} tiles in "
        f"{verification.seconds:.1f} s ({verification.records_per_second:,} records/s)"
    )
    if verification.is_good:
        console.print(Text("Verified: the tables hold what the ledger signed.", style="bold green"))
        console.print(Text(f"{checked}; root {verification.root}"))
        return
    console.print(Text(f"NOT verified: {len(verification.findings)} finding(s).", style="bold red"))
    console.print(Text(checked))
    for finding in verification.findings:
        _print_finding(console, finding)


def _print_finding(console: Console, finding: Finding) -> None:
    place = "" if finding.index is None else f" at record {finding.index}"
    console.print(Text(f"\n{finding.check}{place}: {finding.detail}", style="bold"))
    if finding.fields:
        console.print(Text(f"  differs:  {', '.join(finding.fields)}"))
    if finding.stored or finding.computed:
        console.print(Text(f"  stored:   {finding.stored}"))
        console.print(Text(f"  computed: {finding.computed}"))
    console.print(Text(f"  {finding.what_to_do}"))
