"""Mistakes that systems like this one are made of, to be planted one at a time: the simulation has to find each.

Each replaces a part of the running services for as long as its block lasts. Nothing outside the tests knows of them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import asyncpg
from aiokafka import TopicPartition

from libs.common.messaging.delivery import Delivery
from services.fraud.domain.moments import to_us
from services.fraud.store.slots import release_slots
from services.fraud.use_cases import release_limits
from services.gateway.store import transfers as gateway_transfers
from services.gateway.use_cases import accept_transfers
from services.gateway.use_cases.accept_transfers import Intake, Submission
from services.ledger.domain import end_hold, engine
from services.ledger.domain.commands import ExpireHold
from services.ledger.domain.refuse_transfer import Refusal
from services.ledger.domain.run import Run
from services.ledger.store.holds import DueHold, load_due_holds
from services.ledger.use_cases import expire_holds

_RELEASED_BEFORE = """
SELECT d.user_id::text, d.decided_at, d.usd_minor
FROM fraud.limit_releases r JOIN fraud.decisions d USING (transfer_id)
WHERE r.transfer_id = ANY($1::uuid[]) AND r.released_at < $2
"""
Planted = AbstractAsyncContextManager[None]


@asynccontextmanager
async def published_before_commit(_dsn: str) -> AsyncIterator[None]:
    """The gateway sends what it has not kept yet."""
    insert = Intake._insert

    async def send_first(
        intake: Intake, lump: list[Submission], rows: list[gateway_transfers.NewRequest], now: datetime
    ) -> set[str]:
        await intake._publisher.send(
            [accept_transfers._message(each, row, len(lump)) for each, row in zip(lump, rows, strict=True)]
        )
        return await insert(intake, lump, rows, now)

    with patch.object(Intake, "_insert", send_first):
        yield


@asynccontextmanager
async def offset_committed_before_the_work(_dsn: str) -> AsyncIterator[None]:
    """A consumer says that it has done what it is about to do."""
    process = Delivery._process

    async def commit_first(delivery: Delivery, records: Sequence[Any]) -> None:
        for record in records:
            delivery._done[TopicPartition(record.topic, record.partition)] = record.offset + 1
        await delivery._commit()
        await process(delivery, records)

    with patch.object(Delivery, "_process", commit_first):
        yield


@asynccontextmanager
async def no_version_check(_dsn: str) -> AsyncIterator[None]:
    """The gateway keeps whatever state it hears of last."""
    statement = gateway_transfers._UPSERT_OUTCOMES
    with patch.object(gateway_transfers, "_UPSERT_OUTCOMES", statement[: statement.rindex("WHERE")]):
        yield


@asynccontextmanager
async def expiry_races_capture(_dsn: str) -> AsyncIterator[None]:
    """Which holds end is looked up a second before; one that was captured meanwhile is ended all the same."""

    async def look_early(connection: asyncpg.Connection, now: datetime, limit: int) -> list[DueHold]:
        due = await load_due_holds(connection, now + timedelta(seconds=1), limit)
        await asyncio.sleep(1.1)
        return due

    def expire(run: Run, command: ExpireHold) -> None:
        held = run.known.get(command.transfer_id)
        if held is not None and held.settlement is not None and run.now >= held.settlement.expires_at:
            end_hold._end(run, held, held.settlement, command, Refusal("hold_expired"))

    with patch.object(engine, "expire_hold", expire), patch.object(expire_holds, "load_due_holds", look_early):
        yield


@asynccontextmanager
async def idempotency_checked_outside_the_transaction(dsn: str) -> AsyncIterator[None]:
    """Whether a key is known is looked up first, and nothing in the database stops a second row of it."""
    await _execute(
        dsn,
        "ALTER TABLE gateway.transfers DROP CONSTRAINT transfers_idempotency_key_unique",
        "ALTER TABLE gateway.transfers ADD CONSTRAINT transfers_idempotency_key_unique"
        " UNIQUE (principal_id, scope, idempotency_key, transfer_id)",
    )

    async def insert_after_a_look(
        connection: asyncpg.Connection, requests: Sequence[gateway_transfers.NewRequest], accepted_at: datetime
    ) -> bool:
        keys = [(each.principal_id, each.scope, each.idempotency_key) for each in requests]
        if await gateway_transfers.find_by_keys(connection, keys):
            return False
        await connection.execute(gateway_transfers._INSERT_NEW, *gateway_transfers._columns(requests), accepted_at)
        return True

    with patch.object(accept_transfers, "insert_new_requests", insert_after_a_look):
        yield


@asynccontextmanager
async def limit_slot_released_twice(_dsn: str) -> AsyncIterator[None]:
    """Whoever hears again that a transfer moved nothing gives its slot back again, in memory."""

    async def release_again(
        connection: asyncpg.Connection, reasons: dict[str, str], at: datetime
    ) -> dict[str, list[tuple[int, int]]]:
        released = await release_slots(connection, reasons, at)
        for user_id, decided_at, usd_minor in await connection.fetch(_RELEASED_BEFORE, list(reasons), at):
            released.setdefault(user_id, []).append((to_us(decided_at), usd_minor))
        return released

    with patch.object(release_limits, "release_slots", release_again):
        yield


async def _execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


PLANTED: Mapping[str, Callable[[str], Planted]] = {
    plant.__name__: plant
    for plant in (
        published_before_commit,
        offset_committed_before_the_work,
        no_version_check,
        expiry_races_capture,
        idempotency_checked_outside_the_transaction,
        limit_slot_released_twice,
    )
}
"""Name → a block over a migrated database in which the mistake is made."""
