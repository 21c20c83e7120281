"""One instance of what watches postings, over a real database. Time is moved by hand."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any, Self

import asyncpg
import msgspec

from libs.common.clock import to_rfc3339
from libs.common.contracts.ledger import TransferChanged
from libs.common.db.hot import HotConnection
from libs.common.ids import new_id
from services.fraud.store.aml_memory import Memory
from services.fraud.store.aml_watch import Watch
from services.fraud.use_cases.discard_edges import DiscardEdges
from services.fraud.use_cases.judge_postings import JudgePostings
from services.fraud.use_cases.watch_postings import WatchPostings
from tests.integration.fraud.office import NOON

INDEX = count(1)

Payment = tuple[str | None, str | None, int]
"""Payer, payee, US cents."""


class WatchDesk:
    """What it hears is kept by `hear`, judged by `judge`; `posts` tells of payments from their decision on."""

    def __init__(self, dsn: str, *, memory: Memory | None = None) -> None:
        self.now = NOON
        self.memory = Memory() if memory is None else memory
        self.hot = HotConnection(dsn, "fraud-watch-test")
        watch = Watch(self.hot)
        self.hear = WatchPostings(watch, self.memory, clock=lambda: self.now)
        self.judge = JudgePostings(watch, self.memory, clock=lambda: self.now)
        self.discard = DiscardEdges(watch, clock=lambda: self.now)

    async def __aenter__(self) -> Self:
        await self.hot.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hot.close()

    def pass_time(self, **parts: float) -> None:
        self.now += timedelta(**parts)

    async def settle(self) -> None:
        """Let pass what it takes until everything heard so far is judged, and judge it."""
        self.pass_time(seconds=4)
        await self.judge()

    async def decided(self, *payments: Payment, hours: float = 0.0) -> list[TransferChanged]:
        """Store a decision on each (payer, payee, US cents); return how the ledger says that they were posted."""
        ids = [new_id() for _ in payments]
        features = [
            {
                "amounts_minor": {"USD": minor},
                "rates": {"USD": (1, 1)},
                "payees": [(payee, 1, 1)] if payee else [],
                **({} if payee else {"payer_id": payer}),
            }
            for payer, payee, minor in payments
        ]
        async with self.hot.autocommit() as connection:
            for transfer_id, (payer, payee, minor), seen in zip(ids, payments, features, strict=True):
                await connection.execute(
                    "INSERT INTO fraud.decisions (transfer_id, decision_id, user_id, verdict, code, reasons, ruleset,"
                    " usd_minor, features, decided_at) VALUES ($1, $1, $2, 'approve', '', '{}', 1, $3, $4, $5)",
                    transfer_id,
                    payer if payee else None,
                    minor,
                    msgspec.json.encode(seen),
                    NOON,
                )
        at = NOON + timedelta(hours=hours)
        return [posted(one, at + timedelta(milliseconds=number)) for number, one in enumerate(ids)]

    async def posts(self, *payments: Payment, hours: float = 0.0) -> list[TransferChanged]:
        """Decide on these, and hear that they were posted."""
        changes = await self.decided(*payments, hours=hours)
        await self.hear(changes)
        return changes

    async def alerts(self, subject_id: str) -> list[asyncpg.Record]:
        return await self.query(
            "SELECT alert_id::text, typology, state, transfers, score, version, parameters_version, window_from,"
            " window_to FROM fraud.alerts WHERE subject_id = $1 ORDER BY alert_id",
            subject_id,
        )

    async def proof(self, alert_id: str) -> list[str]:
        rows = await self.query(
            "SELECT transfer_id::text FROM fraud.alert_transfers WHERE alert_id = $1 ORDER BY journal_index", alert_id
        )
        return [row[0] for row in rows]

    async def everything_on(self, *subjects: str) -> list[tuple[Any, ...]]:
        """Return what is known of these subjects, without ids that are made anew: to compare two courses of events."""
        rows = await self.query(
            "SELECT a.subject_id::text, a.typology, a.state, a.transfers, a.score, a.window_from, a.window_to,"
            " array_agg(t.journal_index ORDER BY t.journal_index) FROM fraud.alerts a"
            " JOIN fraud.alert_transfers t USING (alert_id) WHERE a.subject_id = ANY($1::uuid[])"
            " GROUP BY a.alert_id ORDER BY 1, 2, a.opened_at",
            list(subjects),
        )
        return [tuple(row) for row in rows]

    async def query(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        async with self.hot.autocommit() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            return rows


def posted(transfer_id: str, at: datetime, **more: Any) -> TransferChanged:
    """Return what the ledger says of a posted transfer; `more` overrides."""
    facts: dict[str, Any] = {
        "transfer_id": transfer_id,
        "status": "posted",
        "version": 1,
        "code": "",
        "reasons": (),
        "facts": {},
        "shard": 0,
        "journal_index": next(INDEX),
        "occurred_at": to_rfc3339(at),
    }
    return TransferChanged(**(facts | more))
