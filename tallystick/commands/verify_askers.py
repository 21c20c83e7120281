"""The part of `tallystick verify` that says of each finding who asked for the record concerned, and from where."""

from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from libs.common.ids import is_id
from services.gateway.audit.find_askers import AskedBy, askers_of_records, askers_of_transfers
from services.ledger.use_cases.verify_ledger import Finding

_HAS_LOG: Final = "SELECT to_regclass('gateway.audit_entries') IS NOT NULL"
_FIRST: Final = """
SELECT transfer_id::text, min(journal_index) FROM ledger.journal WHERE transfer_id = ANY($1::uuid[]) GROUP BY 1
"""


async def find_askers(dsn: str, findings: Sequence[Finding]) -> list[AskedBy | None]:
    """Return who asked, for each finding; None where nobody did, or the audit log does not have it.

    A command of its own made the record, or the request for the transfer made its first. Whatever the audit log says,
    the findings stand: what cannot be read of it is left out.
    """
    if not findings:
        return []
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        if not await connection.fetchval(_HAS_LOG):
            return [None] * len(findings)
        return await _look_up(connection, findings)
    except (asyncpg.PostgresError, msgspec.MsgspecError, ValueError, LookupError):
        return [None] * len(findings)
    finally:
        await connection.close()


async def _look_up(connection: asyncpg.Connection, findings: Sequence[Finding]) -> list[AskedBy | None]:
    of_records = await askers_of_records(connection, [one.index for one in findings if one.index is not None])
    transfer_ids = [one.transfer_id for one in findings if is_id(one.transfer_id)]
    of_transfers = await askers_of_transfers(connection, transfer_ids)
    first = dict(await connection.fetch(_FIRST, transfer_ids))

    def asked_by(finding: Finding) -> AskedBy | None:
        if finding.index in of_records:
            return of_records[finding.index]
        is_first = finding.index in {None, first.get(finding.transfer_id)}
        return of_transfers.get(finding.transfer_id) if is_first else None

    return [asked_by(finding) for finding in findings]


def sentence_about(asked_by: AskedBy) -> str:
    """Return what is printed below a finding."""
    who = f"asked by: {asked_by.actor_kind} {asked_by.actor_id}"
    if not asked_by.address:
        return f"{who}, from where is not known"
    return f"{who} from {asked_by.address}, request {asked_by.request_id}"
