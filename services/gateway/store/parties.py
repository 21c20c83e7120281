"""Whom transfers concern: read from what was asked, by the batch."""

from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from libs.common.contracts.gateway import ReverseTransfer
from libs.common.contracts.transfers import TransferCommand
from services.gateway.domain.events import TransferParties, parties_of, parties_of_reversal
from services.gateway.store.later_states import load_reversed_by
from services.gateway.store.outcome_rows import settlement_from

_COMMANDS: Final = """
SELECT transfer_id::text, command FROM gateway.transfers WHERE transfer_id = ANY($1::uuid[])
"""
_REVERSALS: Final = """
SELECT c.command_id::text, c.message, t.command, o.journal_index, o.settlement
FROM gateway.commands c JOIN gateway.transfers t ON t.transfer_id = c.subject_id
LEFT JOIN gateway.outcomes o ON o.transfer_id = c.command_id
WHERE c.command_id = ANY($1::uuid[]) AND c.scope = 'reversals'
"""
_decode_command = msgspec.json.Decoder(TransferCommand).decode
_decode_reversal = msgspec.json.Decoder(ReverseTransfer).decode


async def load_parties(connection: asyncpg.Connection, transfer_ids: Sequence[str]) -> dict[str, TransferParties]:
    """Return transfer id → whom it concerns, of transfers and reversals; one that nobody here asked for is absent."""
    found = {
        transfer_id: parties_of(_decode_command(command))
        for transfer_id, command in await connection.fetch(_COMMANDS, transfer_ids)
    }
    others = [transfer_id for transfer_id in transfer_ids if transfer_id not in found]
    if others:
        for reversal_id, message, original, journal_index, settlement in await connection.fetch(_REVERSALS, others):
            found[reversal_id] = await _reversal(connection, message, original, journal_index, settlement)
    return found


async def _reversal(
    connection: asyncpg.Connection,
    message: bytes,
    original: bytes,
    journal_index: int | None,
    settlement: str | None,
) -> TransferParties:
    """Return whom a reversal concerns; what "all that is left" was, the ledger said with it."""
    reversal = _decode_reversal(message)
    amounts_minor = reversal.amounts_minor or settlement_from(settlement).gave_back_minor
    if not amounts_minor and journal_index is not None:
        amounts_minor = await load_reversed_by(connection, reversal.transfer_id, journal_index) or ()
    return parties_of_reversal(
        parties_of(_decode_command(original)),
        actor_id=reversal.actor_id,
        reverses=reversal.transfer_id,
        amounts_minor=amounts_minor,
    )
