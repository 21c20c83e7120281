"""A journal with a record of every kind in it, for whoever checks what was written."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.proof.tiles import TILE_WIDTH
from services.ledger.domain.commands import Command, ExpireHold
from tests.integration.ledger.books import Books
from tests.integration.ledger.ruin import rewrite_records
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import (
    NOW,
    blocked,
    capture,
    change,
    fees,
    held,
    id_of,
    leg,
    resolved,
    reverse,
    screened,
    void,
)

Do = Callable[..., Awaitable[None]]
HOUR = 3_600
SHORT = 30
"""Seconds; a clock may move so far before the ledger stops trusting it."""


async def nothing() -> None:
    """Do nothing."""


async def live_through_everything(books: Books, after_each: Callable[[], Awaitable[None]] = nothing) -> None:
    """Post, hold, capture, void, expire, release, reverse, refuse and change, with fees from the start."""

    async def do(*commands: Command) -> None:
        await books.do(*commands)
        await after_each()

    await do(fees(rate_per_million=10_000, flat_minor=1))
    await books.fund(alice=100_000, bob=5_000, carol=1_000)
    await do(
        screened("t", leg("alice", "bob", 300)),
        screened("legs", leg("alice", "bob", 1_000), leg("alice", "carol", 2_000)),
        screened("poor", leg("alice", "bob", 10_000_000)),
        blocked("no", leg("alice", "bob", 5)),
    )
    await _fraud_holds(do)
    await _callers_hold(books, do)
    await do(reverse("t", 100, as_="part", with_fees=True), reverse("t", as_="rest", with_fees=True))
    await do(reverse("t", 1, as_="late"), reverse("legs", 10, 0, as_="one leg"))
    await do(change("carol", minimum_minor=10, maximum_minor=90_000), change("bob", "frozen"))
    await do(change("nobody", "frozen"), screened("last", leg("alice", "carol", 7)))
    await do(*(screened(f"small {number}", leg("alice", "carol", 1)) for number in range(TILE_WIDTH)))
    await books.outcomes.flush()


async def _fraud_holds(do: Do) -> None:
    part = leg("alice", "bob", 200)
    await do(*(held(name, part) for name in ("h1", "h2", "h3")), held("waits", part, reasons=("review",)))
    await do(held("two", part, reasons=("kyc_pending", "review")))
    await do(resolved("h1", part), resolved("h2", part, resolution="reject", code="rejected_by_review"))
    await do(resolved("two", part, remaining=("review",)))
    handed = resolved("h3", part)
    command = msgspec.structs.replace(handed.command, hold_seconds=HOUR)
    await do(msgspec.structs.replace(handed, command=command), capture("h3", 150))


async def _callers_hold(books: Books, do: Do) -> None:
    both = (leg("alice", "bob", 600), leg("alice", "carol", 400))
    await do(*(screened(name, *both, hold_seconds=HOUR) for name in ("c1", "c2", "c3", "c4", "open")))
    await do(screened("c5", *both, hold_seconds=SHORT), screened("c6", *both, hold_seconds=SHORT))
    await do(capture("c1", 100, 0, as_="one"), capture("c1", 900, 0, as_="too much"), capture("c1", as_="all"))
    await do(capture("c2", 100, 50, as_="final", final=True), void("c2", as_="late"), void("c3"))
    await do(capture("c4", 10, 20), void("c4"), capture("c5", 10, 20), capture("open", 0, 1))
    books.clock.move(timedelta(seconds=SHORT + 1))
    await do(ExpireHold(id_of("c5"), NOW), ExpireHold(id_of("c6"), NOW))


async def rewrite_last(admin_dsn: str, shard: int = 0) -> None:
    """Change the newest record's memo and recompute every hash over it, as a thief without the key would."""
    async with admin_connection(admin_dsn) as connection:
        last = await connection.fetchval("SELECT max(journal_index) FROM ledger.journal WHERE shard = $1", shard)
    edit = (b'"memo_commitment":""', b'"memo_commitment":"f0"')
    await rewrite_records(admin_dsn, {last: edit}, key=Ed25519PrivateKey.generate(), shard=shard)
