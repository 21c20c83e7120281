"""What the journal and the books have to tell again, and where it is left to be told."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from libs.common.clock import to_rfc3339
from libs.common.messaging.outbox import leave_messages
from libs.common.messaging.outgoing_message import Outgoing
from services.ledger.messages import account_opened, answer_message
from services.ledger.store.outcomes import load_outcomes
from services.ledger.store.transfer_records import find_records

_ANSWERS: Final = """
SELECT shard, journal_index FROM ledger.commands WHERE command_id = ANY($1::uuid[]) ORDER BY shard, journal_index
"""
_ACCOUNTS: Final = """
SELECT account_id::text, owner_id::text, asset, opened_at FROM ledger.accounts
WHERE account_id = ANY($1::uuid[]) AND kind = 'customer' AND status <> 'closed'
"""
_ROW_MESSAGES_MAX: Final = 500


async def load_states(connection: asyncpg.Connection, transfer_ids: Sequence[str]) -> list[Outgoing]:
    """Return every state of these transfers as the journal has them, in its order, as messages."""
    found = await find_records(connection, transfer_ids)
    return await _load_records(connection, sorted(place for places in found.values() for place in places))


async def load_answers(connection: asyncpg.Connection, command_ids: Sequence[str]) -> list[Outgoing]:
    """Return what the records that answered these commands brought about, in their order, as messages."""
    return await _load_records(connection, await connection.fetch(_ANSWERS, command_ids))


async def _load_records(connection: asyncpg.Connection, places: Sequence[Sequence[int]]) -> list[Outgoing]:
    messages = []
    for shard, index in places:
        answers = await load_outcomes(connection, shard, index, 1)
        messages += [answer_message(answer, shard) for answer in answers]
    return messages


async def load_openings(connection: asyncpg.Connection, account_ids: Sequence[str]) -> list[Outgoing]:
    """Return of each of these accounts that it is open, as messages."""
    rows = await connection.fetch(_ACCOUNTS, account_ids)
    return [account_opened(row[0], row[1], row[2], to_rfc3339(row[3])) for row in rows]


async def leave_to_be_told(connection: asyncpg.Connection, messages: Sequence[Outgoing]) -> None:
    """Leave the messages in the ledger's outbox; its running process publishes them."""
    for first in range(0, len(messages), _ROW_MESSAGES_MAX):
        await leave_messages(connection, "ledger", messages[first : first + _ROW_MESSAGES_MAX])
