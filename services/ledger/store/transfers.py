"""Rows of `ledger.transfers` in, decided transfers out."""

from collections.abc import Sequence

import asyncpg
import msgspec

from libs.common.clock import to_rfc3339
from services.ledger.domain.transfer import NO_FACTS, Transfer
from services.ledger.store.journal_record import command_legs, decode_record

# The record is read for holds alone: it says what they reserved.
_LOAD = """
SELECT t.transfer_id::text, t.kind, t.status, t.version, t.code, t.reasons, t.facts::text, t.journal_index,
       t.changed_at, j.record
FROM ledger.transfers t
LEFT JOIN ledger.journal j ON t.status = 'held' AND j.shard = t.shard AND j.journal_index = t.journal_index
WHERE t.transfer_id = ANY($1::uuid[])
"""
_decode_facts = msgspec.json.Decoder(dict[str, int | str]).decode


async def load_transfers(connection: asyncpg.Connection, transfer_ids: Sequence[str]) -> dict[str, Transfer]:
    """Return those of the transfers that were decided before, by id. Legs are filled in for holds alone."""
    rows = await connection.fetch(_LOAD, transfer_ids)
    return {row[0]: _transfer(row) for row in rows}


def _transfer(row: asyncpg.Record) -> Transfer:
    facts, record = row[6], row[9]
    return Transfer(
        transfer_id=row[0],
        kind=row[1],
        status=row[2],
        version=row[3],
        code=row[4],
        reasons=tuple(row[5]),
        facts=NO_FACTS if facts is None else _decode_facts(facts),
        legs=() if record is None else command_legs(decode_record(record).legs),
        journal_index=row[7],
        changed_at=to_rfc3339(row[8]),
    )
