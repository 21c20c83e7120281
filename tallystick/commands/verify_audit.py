"""The part of `tallystick verify` that is about the audit log: who did what, from where."""

from pathlib import Path
from typing import Final

import asyncpg
import msgspec
from rich.console import Console
from rich.text import Text

from libs.common.clock import system_clock
from libs.common.proof.signed_note import Vkey, VkeyInvalid, parse_vkeys
from services.gateway.audit.findings import AuditVerification
from services.gateway.audit.verify_audit_log import verify_audit_log
from tallystick.stack.errors import StackError
from tallystick.stack.ledger_trust import CHECKPOINTS, audit_vkeys

WITNESS: Final = "audit.checkpoint"
_SUFFIX: Final = "/audit"
_MENDING: Final = "docs/runbooks/AuditChainBroken.md says what each kind of finding means and what to do"


async def verify_audit(dsn: str, data: Path, key: Path | None) -> AuditVerification | None:
    """Verify the audit log in the database; None when nobody trusts a key of it, or it has none.

    Raises: StackError, OSError, asyncpg's errors.
    """
    trusted = _trusted(data, key)
    witness = data / CHECKPOINTS / WITNESS
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        if not trusted or not await connection.fetchval("SELECT to_regclass('gateway.audit_seals')"):
            return None
        note = witness.read_text() if witness.exists() else ""
        return await verify_audit_log(connection, trusted, now=system_clock(), witness=note)
    finally:
        await connection.close()


def audit_as_json(audited: AuditVerification) -> dict[str, object]:
    """Return what was found as it is printed in JSON."""
    findings = [
        msgspec.to_builtins(finding) | {"differences": [difference._asdict() for difference in finding.differences]}
        for finding in audited.findings
    ]
    return {**msgspec.to_builtins(audited), "findings": findings, "verified": audited.is_good}


def print_audit(audited: AuditVerification | None) -> None:
    """Print what was found."""
    console = Console()
    if audited is None:
        console.print(
            Text("Audit log: not verified, because no key of it is trusted (a vkey whose name ends in /audit).")
        )
        return
    counted = f"{audited.size:,} entries under {audited.seals:,} seals, {audited.waiting:,} waiting for theirs"
    if audited.is_good:
        console.print(Text(f"Audit log verified: {counted}.", style="bold green"))
        return
    console.print(Text(f"Audit log NOT verified: {len(audited.findings)} finding(s); {counted}.", style="bold red"))
    for finding in audited.findings:
        console.print(Text(f"\n{finding.kind} in {finding.table} {finding.row}: {finding.detail}", style="bold"))
        for difference in finding.differences:
            console.print(Text(f"  {difference.field}: stored {difference.stored}, expected {difference.expected}"))
    console.print(Text(f"Next: {_MENDING}."), soft_wrap=True)


def _trusted(data: Path, key: Path | None) -> list[Vkey]:
    if key is None:
        return audit_vkeys(data)
    try:
        return [one for one in parse_vkeys(key.read_text()) if one.name.endswith(_SUFFIX)]
    except VkeyInvalid as error:
        raise StackError(f"no key to trust: {error}") from error
