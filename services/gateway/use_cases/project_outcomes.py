"""Keep what the ledger says became of each transfer, so that it can be asked for and answered again."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Final

import asyncpg

from libs.common.contracts.dead_letters import MessageParked
from libs.common.contracts.ledger import CommandDecided, TransferChanged
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from services.gateway.domain.outcomes import UNSETTLED, Outcome, Settlement
from services.gateway.metrics import OUTCOMES, WAITING
from services.gateway.store.later_states import save_later_states
from services.gateway.store.repeats import schedule_repeats
from services.gateway.store.transfers import load_outcomes, save_outcomes
from services.gateway.use_cases.await_outcomes import Waiters

_POLL_SECONDS: Final = 1.0
_POLL_MAX: Final = 500
_FIRST_WAIT_SECONDS: Final = 60.0
_REVIEW_WAIT_SECONDS: Final = 60
_CALLER_WAIT_SECONDS: Final = 3600
"""The ledger's clock ends a caller's hold without being asked; repeating him only brings back a lost message."""


def outcome_of(message: TransferChanged) -> Outcome:
    """Return a ledger message as an outcome."""
    return Outcome(
        message.transfer_id,
        message.status,
        message.version,
        message.code,
        message.reasons,
        message.facts,
        message.journal_index,
        message.occurred_at,
        _settlement_of(message),
        message.attempts,
    )


def outcome_of_command(message: CommandDecided) -> Outcome:
    """Return the ledger's answer to a command as an outcome: it has one, for ever."""
    return Outcome(
        message.command_id,
        message.status,
        1,
        message.code,
        (),
        message.facts,
        message.journal_index,
        message.occurred_at,
    )


def _settlement_of(message: TransferChanged) -> Settlement:
    """Return what most transfers have none of: it costs a look at five fields then."""
    amounts = message.captured_minor or message.reversed_minor or message.fee_minor or message.gave_back_minor
    if not (message.resolver or amounts):
        return UNSETTLED
    return Settlement(
        resolver=message.resolver,
        expires_at=message.expires_at,
        captured_minor=message.captured_minor,
        reversed_minor=message.reversed_minor,
        gave_back_minor=message.gave_back_minor,
        fee_minor=message.fee_minor,
    )


async def project_outcomes(messages: Sequence[TransferChanged | CommandDecided], connection: HotConnection) -> None:
    """Keep what every request became: the frozen answer or, until there is one, the newest state; and later states.

    Idempotent by: (transfer id, version), command id. Commits: one transaction a batch. A held transfer is put on the
    list of requests to repeat, because the event that ends the hold may be lost.
    """
    kept: dict[str, Outcome] = {}
    later: list[Outcome] = []
    for message in messages:
        outcome = outcome_of(message) if isinstance(message, TransferChanged) else outcome_of_command(message)
        seen = kept.get(outcome.transfer_id)
        if seen is None or _replaces(outcome, seen):
            kept[outcome.transfer_id] = outcome
        if outcome.version > 1:
            later.append(outcome)
    outcomes = sorted(kept.values(), key=lambda outcome: outcome.transfer_id)
    held = [outcome for outcome in outcomes if outcome.status == "held"]
    if held or later:
        # tidy: allow commit-outside-unit-of-work: a projection says nothing, so there is nothing to publish
        async with connection.transaction() as database:
            await save_outcomes(database, outcomes)
            await _schedule(database, held)
            if later:
                await save_later_states(database, sorted(later, key=lambda state: (state.transfer_id, state.version)))
    else:
        async with connection.autocommit() as database:
            await save_outcomes(database, outcomes)
    _count(outcomes)


def _replaces(outcome: Outcome, seen: Outcome) -> bool:
    """Tell which of two states is the request's answer: the first frozen one, and until then the newest."""
    if outcome.is_frozen() and seen.is_frozen():
        return outcome.version < seen.version
    return outcome.is_frozen() or (outcome.version > seen.version and not seen.is_frozen())


async def _schedule(database: asyncpg.Connection, held: Sequence[Outcome]) -> None:
    """List holds to be repeated: a review's every minute, a caller's less and less, up to once an hour."""
    for longest_wait_seconds, is_callers in ((_REVIEW_WAIT_SECONDS, False), (_CALLER_WAIT_SECONDS, True)):
        ids = [outcome.transfer_id for outcome in held if outcome.is_held_for_caller() == is_callers]
        if ids:
            await schedule_repeats(
                database, ids, after_seconds=_FIRST_WAIT_SECONDS, longest_wait_seconds=longest_wait_seconds
            )


async def mark_parked(messages: Sequence[MessageParked], connection: HotConnection) -> None:
    """Show transfers whose command was parked as `parked`, until an outcome comes after all."""
    parked = {
        transfer_id: Outcome(transfer_id, "parked", 0, message.cause, (), {}, -1, message.occurred_at)
        for message in messages
        for transfer_id in message.transfer_ids
    }
    if parked:
        async with connection.autocommit() as database:
            await save_outcomes(database, sorted(parked.values(), key=lambda outcome: outcome.transfer_id))


def _count(outcomes: Iterable[Outcome]) -> None:
    counts: dict[str, int] = {}
    for outcome in outcomes:
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
    for status, number in counts.items():
        OUTCOMES.labels(status).inc(number)


async def poll_outcomes(waiters: Waiters, connection: HotConnection) -> None:
    """Look once a second into the projection for those who still wait: what the tip reader missed is found here."""
    while True:
        await asyncio.sleep(_POLL_SECONDS)
        WAITING.set(len(waiters))
        ids = waiters.some_ids(_POLL_MAX)
        if not ids:
            continue
        with contextlib.suppress(Unavailable):
            async with connection.autocommit() as database:
                for outcome in await load_outcomes(database, ids):
                    waiters.resolve(outcome)
