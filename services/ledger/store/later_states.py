"""What few batches have: transfers that were there before, holds and reversals, commands, limits of accounts.

Written in the transaction of a batch, after its money and under the head it has locked.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import asyncpg
import msgspec

from libs.common.clock import from_rfc3339
from services.ledger.domain.fees import Fee, merge
from services.ledger.domain.run import CommandAnswer, Reversal
from services.ledger.domain.transfer import Settlement, Transfer
from services.ledger.store.batch import Batch, HeadMoved
from services.ledger.store.fee_schedules import write_fee_schedule
from services.ledger.store.money import encode_facts, transfer_columns

# A hold goes on to another state, and what was posted may be reversed; all else is final.
_TRANSFERS: Final = """
UPDATE ledger.transfers t
SET status = v.status, version = v.version, code = v.code, reasons = string_to_array(v.reasons, ','),
    facts = v.facts::jsonb, journal_index = v.journal_index, attempts = v.attempts, changed_at = $11
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::bigint[],
            $9::smallint[])
    AS v (transfer_id, kind, status, version, code, reasons, facts, journal_index, attempts)
WHERE t.transfer_id = v.transfer_id AND t.shard = $10 AND t.version < v.version
    AND (t.status = 'held' OR (t.status = 'posted' AND v.status = 'posted'))
"""
_SETTLEMENTS: Final = """
INSERT INTO ledger.settlements AS s (transfer_id, shard, legs_index, resolver, expires_at, fee_schedule, amounts_minor,
    captured_minor, reversed_minor, fees, is_open)
SELECT v.transfer_id, $1, v.legs_index, v.resolver, v.expires_at, v.fee_schedule, v.amounts_minor::bigint[],
    v.captured_minor::bigint[], v.reversed_minor::bigint[], v.fees, v.is_open
FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[], $6::integer[], $7::text[], $8::text[], $9::text[],
            $10::bytea[], $11::boolean[])
    AS v (transfer_id, legs_index, resolver, expires_at, fee_schedule, amounts_minor, captured_minor, reversed_minor,
          fees, is_open)
ON CONFLICT ON CONSTRAINT settlements_pkey DO UPDATE SET resolver = EXCLUDED.resolver,
    expires_at = EXCLUDED.expires_at, captured_minor = EXCLUDED.captured_minor,
    reversed_minor = EXCLUDED.reversed_minor, fees = EXCLUDED.fees, is_open = EXCLUDED.is_open
"""
_REVERSALS: Final = """
INSERT INTO ledger.reversals (reversal_id, transfer_id, actor_id, amounts_minor, reason_commitment, shard,
    journal_index, reversed_at)
SELECT v.reversal_id, v.transfer_id, v.actor_id, v.amounts_minor::bigint[], v.reason_commitment, $1, v.journal_index, $2
FROM unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::bigint[])
    AS v (reversal_id, transfer_id, actor_id, amounts_minor, reason_commitment, journal_index)
"""
_COMMANDS: Final = """
INSERT INTO ledger.commands (command_id, kind, subject_id, status, code, facts, shard, journal_index, decided_at)
SELECT v.command_id, v.kind, v.subject_id, v.status, v.code, v.facts::jsonb, $1, v.journal_index, $2
FROM unnest($3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::bigint[])
    AS v (command_id, kind, subject_id, status, code, facts, journal_index)
"""
_LIMITS: Final = """
UPDATE ledger.accounts a SET status = v.status, minimum_minor = v.minimum_minor, maximum_minor = v.maximum_minor
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[])
    AS v (account_id, status, minimum_minor, maximum_minor)
WHERE a.account_id = v.account_id
"""
_encode: Final = msgspec.json.Encoder().encode


async def write_later_states(connection: asyncpg.Connection, batch: Batch) -> None:
    """Write them, a statement for each kind there is.

    Raises: HeadMoved when a transfer is not in a state that may change; the transaction must roll back.
    """
    decisions = batch.decisions
    if decisions.updated:
        updated = list(decisions.updated.values())
        tag = await connection.execute(_TRANSFERS, *transfer_columns(updated), batch.shard, batch.recorded_at)
        if tag != f"UPDATE {len(updated)}":
            raise HeadMoved
    if decisions.settled:
        await connection.execute(_SETTLEMENTS, batch.shard, *_settlement_columns(list(decisions.settled.values())))
    if decisions.reversals:
        columns = _reversal_columns(decisions.reversals)
        await connection.execute(_REVERSALS, batch.shard, batch.recorded_at, *columns)
    if decisions.commands:
        await connection.execute(_COMMANDS, batch.shard, batch.recorded_at, *_command_columns(decisions.commands))
    if decisions.limited:
        await _write_limits(connection, batch)
    if decisions.published is not None:
        await write_fee_schedule(connection, decisions.published, batch.shard)


async def _write_limits(connection: asyncpg.Connection, batch: Batch) -> None:
    accounts = [batch.decisions.books.changed[account_id] for account_id in batch.decisions.limited]
    await connection.execute(
        _LIMITS,
        [account.account_id for account in accounts],
        [account.status for account in accounts],
        [account.minimum_minor for account in accounts],
        [account.maximum_minor for account in accounts],
    )


def _settlement_columns(transfers: Sequence[Transfer]) -> tuple[list[object], ...]:
    settled = [(transfer, transfer.settlement) for transfer in transfers]
    return tuple(map(list, zip(*(_settlement_row(each, how) for each, how in settled if how is not None), strict=True)))


def _settlement_row(transfer: Transfer, settlement: Settlement) -> tuple[object, ...]:
    return (
        transfer.transfer_id,
        settlement.legs_index,
        settlement.resolver,
        from_rfc3339(settlement.expires_at) if settlement.expires_at else None,
        settlement.fee_schedule,
        _array(leg.amount_minor for leg in transfer.legs),
        _array(settlement.captured_minor),
        _array(settlement.reversed_minor),
        _encode([*_merged(settlement.withheld), *_merged(settlement.returned)]),
        transfer.status == "held",
    )


def _merged(fees: Sequence[Fee]) -> list[Fee]:
    """Return one fee for each leg and account: a hold captured in many parts has no more than one captured at once."""
    return [Fee(*key, amount_minor) for key, amount_minor in merge(fees).items() if amount_minor]


def _reversal_columns(reversals: Sequence[Reversal]) -> tuple[list[object], ...]:
    return (
        [reversal.reversal_id for reversal in reversals],
        [reversal.transfer_id for reversal in reversals],
        [reversal.command.actor_id for reversal in reversals],
        [_array(reversal.amounts_minor) for reversal in reversals],
        [reversal.command.reason_commitment for reversal in reversals],
        [reversal.journal_index for reversal in reversals],
    )


def _command_columns(commands: Sequence[CommandAnswer]) -> tuple[list[object], ...]:
    return (
        [command.command_id for command in commands],
        [command.kind for command in commands],
        [command.subject_id for command in commands],
        [command.status for command in commands],
        [command.code for command in commands],
        [encode_facts(command.facts) for command in commands],
        [command.journal_index for command in commands],
    )


def _array(amounts_minor: Iterable[int]) -> str:
    """Write an array as PostgreSQL reads it: arrays of arrays would all have to be of one length."""
    return "{" + ",".join(map(str, amounts_minor)) + "}"
