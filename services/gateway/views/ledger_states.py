"""The state that a journal record proves, as soon as the projection has it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg

from libs.common.clock import monotonic_seconds
from libs.common.db.hot import HotConnection
from services.gateway.domain.outcomes import Outcome
from services.gateway.store.commands import StoredCommand, find_reversal
from services.gateway.store.later_states import (
    AccountState,
    load_account_state_at,
    load_newest_state,
    load_state_at,
)
from services.gateway.store.transfers import load_outcomes
from services.gateway.views.known_transfers import amounts_of

_PATIENCE_SECONDS: Final = 2.0
"""The projection is some milliseconds behind the tip, from which whoever asks has the answer."""
_FIRST_PAUSE_SECONDS: Final = 0.005
_LONGEST_PAUSE_SECONDS: Final = 0.1

_State = TypeVar("_State")


async def await_first_outcome(connection: HotConnection, transfer_id: str) -> Outcome | None:
    """Return what the ledger made of a transfer; None if it has not said so in time. Raises: Unavailable."""

    async def load(database: asyncpg.Connection) -> Outcome | None:
        outcomes = await load_outcomes(database, [transfer_id])
        return next((outcome for outcome in outcomes if outcome.version > 0), None)

    return await _until_there(connection, load)


async def await_transfer_state(connection: HotConnection, transfer_id: str, journal_index: int) -> Outcome | None:
    """Return a transfer's state by its record; None if the projection does not have it in time. Raises: Unavailable."""
    return await _until_there(connection, lambda database: load_state_at(database, transfer_id, journal_index))


async def await_account_state(connection: HotConnection, account_id: str, journal_index: int) -> AccountState | None:
    """Return an account's state by its record; None if the projection does not have it in time. Raises: Unavailable."""
    return await _until_there(connection, lambda database: load_account_state_at(database, account_id, journal_index))


async def await_reversal_amounts(connection: HotConnection, reversal: StoredCommand) -> tuple[int, ...] | None:
    """Return what a posted reversal gave back by leg; None if the projection does not have it in time.

    Raises: Unavailable.
    """
    return await _until_there(connection, lambda database: amounts_of(database, reversal))


async def await_reversal_shown(connection: HotConnection, reversal: StoredCommand) -> None:
    """Wait until a posted reversal shows wherever it is read: in itself, and in what its original says is reversed.

    Ends without that when the projection does not have it in time. Raises: Unavailable.
    """

    async def load(database: asyncpg.Connection) -> Outcome | None:
        kept = await find_reversal(database, reversal.command_id)
        if kept is None or kept.outcome.version == 0:
            return None
        original = await load_newest_state(database, reversal.subject_id)
        is_later = original is not None and original.journal_index > reversal.outcome.journal_index
        return original if is_later else None

    await _until_there(connection, load)


async def _until_there(
    connection: HotConnection, load: Callable[[asyncpg.Connection], Awaitable[_State | None]]
) -> _State | None:
    deadline = monotonic_seconds() + _PATIENCE_SECONDS
    pause_seconds = _FIRST_PAUSE_SECONDS
    while True:
        async with connection.autocommit() as database:
            state = await load(database)
        if state is not None or monotonic_seconds() >= deadline:
            return state
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)
