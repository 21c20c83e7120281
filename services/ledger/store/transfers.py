"""Rows of `ledger.transfers` in, decided transfers out."""

from collections.abc import Sequence

import asyncpg
import msgspec

from libs.common.clock import to_rfc3339
from services.ledger.domain.fees import Fee
from services.ledger.domain.run import posted_at_once
from services.ledger.domain.transfer import NO_FACTS, Provenance, Settlement, Transfer
from services.ledger.store.journal_record import command_fees, command_legs, decode_transfer_record

# The record that says what the legs are: the first of a hold, the only one of most others.
_LOAD = """
SELECT t.transfer_id::text, t.kind, t.status, t.version, t.code, t.reasons, t.facts::text, t.journal_index,
       t.attempts, t.changed_at, j.record, s.transfer_id IS NOT NULL AS is_settled, s.legs_index, s.resolver,
       s.expires_at, s.fee_schedule, s.captured_minor, s.reversed_minor, s.fees,
       r.transfer_id::text AS reverses, r.amounts_minor AS gave_back_minor
FROM ledger.transfers t
LEFT JOIN ledger.settlements s ON s.transfer_id = t.transfer_id
LEFT JOIN ledger.reversals r ON t.kind = 'reversal' AND r.reversal_id = t.transfer_id
JOIN ledger.journal j ON j.shard = t.shard AND j.journal_index = coalesce(s.legs_index, t.journal_index)
WHERE t.transfer_id = ANY($1::uuid[])
"""
_decode_facts = msgspec.json.Decoder(dict[str, int | str]).decode
_FEES = msgspec.json.Decoder(list[tuple[int, str, int]])


async def load_transfers(connection: asyncpg.Connection, transfer_ids: Sequence[str]) -> dict[str, Transfer]:
    """Return those of the transfers that were decided before, by id."""
    return {row[0]: _transfer(row) for row in await connection.fetch(_LOAD, transfer_ids)}


def _transfer(row: asyncpg.Record) -> Transfer:
    facts, record = row["facts"], decode_transfer_record(row["record"])
    provenance = Provenance(record.decision_id, record.ruleset, record.verdict)
    legs = command_legs(record.legs)
    settlement = None
    if row["is_settled"]:
        settlement = _settlement(row, provenance)
    elif row["status"] == "posted":
        settlement = posted_at_once(
            legs,
            index=record.index,
            fee_schedule=record.fee_schedule,
            fees=command_fees(record.fees),
            provenance=provenance,
        )
    return Transfer(
        transfer_id=row["transfer_id"],
        kind=row["kind"],
        status=row["status"],
        version=row["version"],
        code=row["code"],
        reasons=tuple(row["reasons"]),
        facts=NO_FACTS if facts is None else _decode_facts(facts),
        legs=legs,
        journal_index=row["journal_index"],
        changed_at=to_rfc3339(row["changed_at"]),
        settlement=settlement,
        reverses=row["reverses"] or "",
        gave_back_minor=tuple(row["gave_back_minor"] or ()),
        fee_minor=0 if settlement is None else settlement.fee_minor,
        attempts=row["attempts"],
    )


def _settlement(row: asyncpg.Record, provenance: Provenance) -> Settlement:
    fees = tuple(Fee(*fee) for fee in _FEES.decode(row["fees"]))
    return Settlement(
        legs_index=row["legs_index"],
        resolver=row["resolver"],
        expires_at="" if row["expires_at"] is None else to_rfc3339(row["expires_at"]),
        fee_schedule=row["fee_schedule"],
        captured_minor=tuple(row["captured_minor"]),
        reversed_minor=tuple(row["reversed_minor"]),
        withheld=tuple(fee for fee in fees if fee.amount_minor > 0),
        returned=tuple(fee for fee in fees if fee.amount_minor < 0),
        provenance=provenance,
    )
