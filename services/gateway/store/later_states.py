"""`gateway.later_states` and `gateway.account_states`: what became of transfers and accounts after their first state.

Rows are only added; a repair alone removes those of a transfer, to have them told again. Most transfers have none: what
they became at first stands in `gateway.outcomes`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from services.gateway.domain.outcomes import Outcome
from services.gateway.store.outcome_rows import columns_of, outcome_from, settlement_from

_INSERT_STATES = """
INSERT INTO gateway.later_states (transfer_id, status, version, code, reasons, facts, journal_index, occurred_at,
    settlement, attempts)
SELECT r.id, r.status, r.version, r.code, string_to_array(r.reasons, ','), r.facts, r.journal_index, r.at,
    r.settlement::jsonb, r.attempts
FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::bytea[], $7::bigint[], $8::text[],
    $9::text[], $10::smallint[])
    AS r(id, status, version, code, reasons, facts, journal_index, at, settlement, attempts)
ON CONFLICT ON CONSTRAINT later_states_pkey DO NOTHING
"""
_NEWEST_STATE = """
SELECT transfer_id::text, status, version, code, reasons, facts, journal_index, occurred_at, settlement,
    attempts
FROM gateway.later_states WHERE transfer_id = $1::uuid ORDER BY version DESC LIMIT 1
"""
_FIRST_FINAL_STATE = """
SELECT transfer_id::text, status, version, code, reasons, facts, journal_index, occurred_at, settlement,
    attempts
FROM gateway.later_states WHERE transfer_id = $1::uuid AND status <> 'held' ORDER BY version LIMIT 1
"""
_STATE_AT = """
SELECT transfer_id::text, status, version, code, reasons, facts, journal_index, occurred_at, settlement,
    attempts
FROM gateway.later_states WHERE transfer_id = $1::uuid AND journal_index = $2
"""
# A reversal's record is followed by the one that says how much of the original is reversed now.
_REVERSED_BY = """
SELECT s.settlement, p.settlement, s.version
FROM gateway.later_states s
LEFT JOIN gateway.later_states p ON p.transfer_id = s.transfer_id AND p.version = s.version - 1
WHERE s.transfer_id = $1::uuid AND s.journal_index > $2 ORDER BY s.version LIMIT 1
"""
_INSERT_ACCOUNT_STATES = """
INSERT INTO gateway.account_states (account_id, journal_index, status, minimum_minor, maximum_minor, occurred_at)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
ON CONFLICT ON CONSTRAINT account_states_pkey DO NOTHING
"""
_ACCOUNT_STATE_AT = """
SELECT account_id::text, journal_index, status, minimum_minor, maximum_minor, occurred_at
FROM gateway.account_states WHERE account_id = $1::uuid AND journal_index = $2
"""


_FIRST_LATER_VERSION = 2


class AccountState(NamedTuple):
    """What an account may do from the journal record at `journal_index` on; limits in minor units."""

    account_id: str
    journal_index: int
    status: str
    minimum_minor: int
    maximum_minor: int
    occurred_at: str


async def save_later_states(connection: asyncpg.Connection, states: Sequence[Outcome]) -> None:
    """Keep states of a version above 1, each once."""
    await connection.execute(_INSERT_STATES, *columns_of(states))


async def load_newest_state(connection: asyncpg.Connection, transfer_id: str) -> Outcome | None:
    """Return the newest state, or None for a transfer that has only its first."""
    row = await connection.fetchrow(_NEWEST_STATE, transfer_id)
    return None if row is None else outcome_from(row)


async def load_first_final_state(connection: asyncpg.Connection, transfer_id: str) -> Outcome | None:
    """Return the state that ended a hold; None if there is none, or its first state was final."""
    row = await connection.fetchrow(_FIRST_FINAL_STATE, transfer_id)
    return None if row is None else outcome_from(row)


async def load_state_at(connection: asyncpg.Connection, transfer_id: str, journal_index: int) -> Outcome | None:
    """Return the state that this journal record proves."""
    row = await connection.fetchrow(_STATE_AT, transfer_id, journal_index)
    return None if row is None else outcome_from(row)


async def load_reversed_by(
    connection: asyncpg.Connection, transfer_id: str, journal_index: int
) -> tuple[int, ...] | None:
    """Return what each leg of a transfer gave back by the reversal of this record; None while that is not known.

    For a reversal that does not say so itself: the ledger decided it before it told `gave_back_minor`.
    """
    row = await connection.fetchrow(_REVERSED_BY, transfer_id, journal_index)
    if row is None or (row[1] is None and row[2] > _FIRST_LATER_VERSION):
        return None
    after_minor = settlement_from(row[0]).reversed_minor
    before_minor = settlement_from(row[1]).reversed_minor or (0,) * len(after_minor)
    return tuple(after - before for after, before in zip(after_minor, before_minor, strict=True))


async def save_account_states(connection: asyncpg.Connection, states: Sequence[AccountState]) -> None:
    """Keep states of accounts, each once."""
    await connection.execute(_INSERT_ACCOUNT_STATES, *(list(column) for column in zip(*states, strict=True)))


async def load_account_state_at(
    connection: asyncpg.Connection, account_id: str, journal_index: int
) -> AccountState | None:
    """Return the account's state that this journal record proves."""
    row = await connection.fetchrow(_ACCOUNT_STATE_AT, account_id, journal_index)
    return None if row is None else AccountState(*row)
