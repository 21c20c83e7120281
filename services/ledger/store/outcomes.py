"""Answers as the journal keeps them: what has to be told to the bus can always be told again."""

from collections.abc import Mapping, Sequence

import asyncpg
import msgspec

from services.ledger.domain.run import AccountAnswer, Answer
from services.ledger.domain.transfer import NO_FACTS, UNDECIDED, Settlement, Transfer
from services.ledger.store.commands import load_commands_at
from services.ledger.store.journal_record import (
    AccountRecord,
    CommandRecord,
    FeesRecord,
    JournalRecord,
    ReleaseRecord,
    RepairRecord,
    TransferRecord,
    command_legs,
    decode_record,
)

# Facts belong to final states alone, and a final state is the last: so the transfer's row has them. How often a state
# was tried its row knows while it is the newest; of one before that it is no longer known, and it passes for one try.
_LOAD = """
SELECT j.journal_index, j.kind, j.record, t.facts::text, coalesce(t.attempts, 1)
FROM ledger.journal j
LEFT JOIN ledger.transfers t ON t.transfer_id = j.transfer_id AND t.journal_index = j.journal_index
WHERE j.shard = $1 AND j.journal_index >= $2
ORDER BY j.journal_index LIMIT $3
"""
_GAVE_BACK = """
SELECT reversal_id::text, amounts_minor FROM ledger.reversals WHERE reversal_id = ANY($1::uuid[])
"""
_decode_facts = msgspec.json.Decoder(dict[str, int | str]).decode


async def load_outcomes(connection: asyncpg.Connection, shard: int, first: int, limit: int) -> list[Answer]:
    """Return what the records from `first` on brought about, in their order: one answer or two for each record."""
    rows = await connection.fetch(_LOAD, shard, first, limit)
    records = [decode_record(row[2], row[1]) for row in rows]
    by_command = [record.index for record in records if _is_by_command(record)]
    decided = await load_commands_at(connection, shard, by_command) if by_command else {}
    gave_back = await _load_gave_back(connection, records)
    answers: list[Answer] = []
    for row, record in zip(rows, records, strict=True):
        if record.index in decided:
            answers.append(decided[record.index])
        state = _state(record, row[3], row[4], gave_back)
        if state is not None:
            answers.append(state)
    return answers


def _is_by_command(record: JournalRecord) -> bool:
    return not isinstance(record, ReleaseRecord | RepairRecord) and bool(record.command_id)


async def _load_gave_back(
    connection: asyncpg.Connection, records: Sequence[JournalRecord]
) -> dict[str, tuple[int, ...]]:
    """Return what the reversals among the records gave back; a record has only the legs that gave something."""
    reversals = [record.transfer_id for record in records if isinstance(record, TransferRecord) and record.reverses]
    if not reversals:
        return {}
    return {row[0]: tuple(row[1]) for row in await connection.fetch(_GAVE_BACK, reversals)}


def _state(
    record: JournalRecord, facts: str | None, attempts: int, gave_back: Mapping[str, tuple[int, ...]]
) -> Answer | None:
    """Return what the record says of a transfer or an account; None for one that changed neither."""
    match record:
        case TransferRecord():
            return _transfer(record, facts, attempts, gave_back.get(record.transfer_id, ()))
        case AccountRecord():
            return AccountAnswer(
                account_id=record.account_id,
                status=record.account_status,
                minimum_minor=record.minimum_minor,
                maximum_minor=record.maximum_minor,
                journal_index=record.index,
                changed_at=record.time,
            )
        case CommandRecord() | FeesRecord() | ReleaseRecord() | RepairRecord():
            return None


def _transfer(record: TransferRecord, facts: str | None, attempts: int, gave_back_minor: tuple[int, ...]) -> Transfer:
    return Transfer(
        transfer_id=record.transfer_id,
        kind=record.transfer_kind,
        status=record.status,
        version=record.version,
        code=record.code,
        reasons=record.reasons,
        facts=NO_FACTS if facts is None else _decode_facts(facts),
        legs=command_legs(record.legs),
        journal_index=record.index,
        changed_at=record.time,
        settlement=_settlement(record),
        reverses=record.reverses,
        gave_back_minor=gave_back_minor,
        fee_minor=record.fee_minor,
        attempts=attempts,
    )


def _settlement(record: TransferRecord) -> Settlement | None:
    """Return what is to be told of a hold or a reversal; the engine never sees this one."""
    if not record.resolver and not record.reversed_minor:
        return None
    return Settlement(
        legs_index=record.index,
        resolver=record.resolver,
        expires_at=record.expires_at,
        fee_schedule=record.fee_schedule,
        captured_minor=record.captured_minor,
        reversed_minor=record.reversed_minor,
        withheld=(),
        returned=(),
        provenance=UNDECIDED,
    )
