"""Two gateways that are sent the same keys in different orders, over and over: each key once, and nobody stuck."""

import asyncio
import random
from pathlib import Path

from libs.common.ids import new_id
from services.gateway.use_cases.accept_transfers import Submission
from tests.integration.gateway.counter import Counter, open_counter

ROUNDS = 50
KEYS = 60


async def take_shuffled(counter: Counter, order: random.Random, keys: list[str]) -> list[str]:
    """Submit all keys in an order of our own, alone or in one atomic batch; return the ids they got, by key."""
    shuffled = order.sample(keys, len(keys))
    submissions = [counter.submission(key, scope="batch") for key in shuffled]
    outcomes = await counter.take(*submissions)
    ids = {
        s.idempotency_key: o.transfer_id
        for s, o in zip(submissions, outcomes, strict=True)
        if hasattr(o, "transfer_id")
    }
    assert len(ids) == len(keys), [o for o in outcomes if isinstance(o, BaseException)][:1]
    return [ids[key] for key in keys]


async def take_atomic(counter: Counter, order: random.Random, keys: list[str]) -> list[str]:
    shuffled = order.sample(keys, len(keys))
    submissions: list[Submission] = [counter.submission(key, scope="batch") for key in shuffled]
    await counter.atomic.submit(submissions)
    outcomes = await asyncio.gather(*(submission.answer for submission in submissions))
    ids = {s.idempotency_key: o.transfer_id for s, o in zip(submissions, outcomes, strict=True)}
    return [ids[key] for key in keys]


async def test_overlapping_batches_never_deadlock(gateway_dsn: str, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    order = random.Random(7)
    async with (
        open_counter(gateway_dsn, tmp_path / "one") as one,
        open_counter(gateway_dsn, tmp_path / "other") as other,
    ):
        other.payer = one.payer
        [before] = await one.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        for number in range(ROUNDS):
            keys = [new_id() for _ in range(KEYS)]
            take = (take_shuffled, take_atomic)[number % 2]
            both = await asyncio.wait_for(asyncio.gather(take(one, order, keys), take(other, order, keys)), 60)
            assert both[0] == both[1], "a key has one transfer, whichever gateway it came to"
        [after] = await one.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert after == before
