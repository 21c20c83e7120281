"""Keep what the ledger says became of each transfer, so that it can be asked for and answered again."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Final

from libs.common.contracts.dead_letters import MessageParked
from libs.common.contracts.ledger import TransferChanged
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from services.gateway.domain.outcomes import Outcome
from services.gateway.metrics import OUTCOMES, WAITING
from services.gateway.store.repeats import schedule_repeats
from services.gateway.store.transfers import load_outcomes, save_outcomes
from services.gateway.use_cases.await_outcomes import Waiters

_POLL_SECONDS: Final = 1.0
_POLL_MAX: Final = 500


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
    )


async def project_outcomes(messages: Sequence[TransferChanged], connection: HotConnection) -> None:
    """Keep the newest state of each transfer.

    Idempotent by: (transfer id, version). Commits: one transaction a batch. A held transfer is put on the list of
    requests to repeat, because the event that ends the hold may be lost.
    """
    newest: dict[str, Outcome] = {}
    for message in messages:
        seen = newest.get(message.transfer_id)
        if seen is None or seen.version < message.version:
            newest[message.transfer_id] = outcome_of(message)
    held = [outcome.transfer_id for outcome in newest.values() if outcome.status == "held"]
    outcomes = sorted(newest.values(), key=lambda outcome: outcome.transfer_id)
    if held:
        # tidy: allow commit-outside-unit-of-work: a projection says nothing, so there is nothing to publish
        async with connection.transaction() as database:
            await save_outcomes(database, outcomes)
            await schedule_repeats(database, held, after_seconds=60)
    else:
        async with connection.autocommit() as database:
            await save_outcomes(database, outcomes)
    _count(outcomes)


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
