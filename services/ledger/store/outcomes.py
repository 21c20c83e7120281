"""Outcomes as the journal keeps them: what has to be told to the bus can always be told again."""

import asyncpg
import msgspec

from services.ledger.domain.transfer import NO_FACTS, Transfer
from services.ledger.store.journal_record import command_legs, decode_record

# Facts belong to final states alone, and a final state is the last: so the transfer's row has them.
_LOAD = """
SELECT j.journal_index, j.record, t.facts::text
FROM ledger.journal j
LEFT JOIN ledger.transfers t ON t.transfer_id = j.transfer_id AND t.journal_index = j.journal_index
WHERE j.shard = $1 AND j.journal_index >= $2
ORDER BY j.journal_index LIMIT $3
"""
_decode_facts = msgspec.json.Decoder(dict[str, int | str]).decode


async def load_outcomes(connection: asyncpg.Connection, shard: int, first: int, limit: int) -> list[Transfer]:
    """Return the states that the records from `first` on brought about, in their order."""
    return [_outcome(row) for row in await connection.fetch(_LOAD, shard, first, limit)]


def _outcome(row: asyncpg.Record) -> Transfer:
    record = decode_record(row[1])
    return Transfer(
        transfer_id=record.transfer_id,
        kind=record.transfer_kind,
        status=record.status,
        version=record.version,
        code=record.code,
        reasons=record.reasons,
        facts=NO_FACTS if row[2] is None else _decode_facts(row[2]),
        legs=command_legs(record.legs),
        journal_index=row[0],
        changed_at=record.time,
    )
