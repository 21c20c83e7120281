"""What the ledger's tables hold of their own proof: the newest checkpoint, verifications that ended, and the halt."""

from datetime import datetime
from typing import Final

import asyncpg

from libs.common.clock import to_rfc3339
from services.ledger.domain.reconciliation import KeptVerification, Standing

_HEAD: Final = """
SELECT h.shard, h.size, h.last_record_at, h.halted,
    (SELECT sealed_at FROM ledger.blocks WHERE shard = h.shard ORDER BY size LIMIT 1) AS first_block_at,
    (SELECT note FROM ledger.checkpoints WHERE shard = h.shard ORDER BY size DESC LIMIT 1) AS checkpoint,
    (SELECT count(*) FROM ledger.findings f WHERE f.shard = h.shard
        AND NOT EXISTS (SELECT FROM ledger.releases r WHERE r.finding_id = f.finding_id)) AS open_findings
FROM ledger.heads h ORDER BY h.shard LIMIT 1
"""
# What was verified of one account or transfer alone says nothing of the books.
# Not materialized, so that each part reads from the newest on: a minute brings a row.
_VERIFICATIONS: Final = """
WITH whole AS NOT MATERIALIZED (
    SELECT * FROM ledger.verifications WHERE shard = $1 AND scope IN ('full', 'incremental', 'minute')
)
SELECT verification_id::text AS verification_id, scope, size, records, findings, coalesce(note, '') AS note,
    finished_at
FROM (
    (SELECT * FROM whole ORDER BY finished_at DESC LIMIT 1)
    UNION (SELECT * FROM whole WHERE note IS NOT NULL ORDER BY finished_at DESC LIMIT 1)
    UNION (SELECT * FROM whole WHERE scope = 'full' ORDER BY finished_at DESC LIMIT 1)
) AS newest ORDER BY finished_at DESC, verification_id
"""


async def load_standing(connection: asyncpg.Connection) -> Standing:
    """Return it; of a ledger without a head nothing is known."""
    head = await connection.fetchrow(_HEAD)
    if head is None:
        return Standing()
    rows = await connection.fetch(_VERIFICATIONS, head["shard"])
    return Standing(
        first_block_at=_written(head["first_block_at"]),
        last_record_at=_written(head["last_record_at"] if head["size"] else None),
        is_halted=head["halted"],
        open_findings=head["open_findings"],
        checkpoint=head["checkpoint"] or "",
        verifications=[_verification(row) for row in rows],
    )


def _verification(row: asyncpg.Record) -> KeptVerification:
    return KeptVerification(
        verification_id=row["verification_id"],
        scope=row["scope"],
        size=row["size"],
        records=row["records"],
        findings=row["findings"],
        note=row["note"],
        finished_at=_written(row["finished_at"]),
    )


def _written(moment: datetime | None) -> str:
    return "" if moment is None else to_rfc3339(moment)
