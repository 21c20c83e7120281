"""Requests are kept before they are acknowledged, once a key, whatever happens beside them."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from libs.common.errors import Conflict, InvariantBroken, TallystickError, Unavailable, Unprocessable
from libs.common.ids import new_id
from services.gateway.domain.outcomes import Outcome
from services.gateway.use_cases.project_outcomes import outcome_of
from tests.integration.gateway.counter import Counter, changed, locked, open_counter
from tests.support.api_world import admin_connection


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 -- what is waited for knows of no test
            await asyncio.sleep(0.01)


async def stored(counter: Counter, key: str) -> list[str]:
    rows = await counter.rows("SELECT transfer_id::text FROM gateway.transfers WHERE idempotency_key = $1", key)
    return [row["transfer_id"] for row in rows]


async def test_a_request_is_stored_then_published_then_answered(counter: Counter) -> None:
    submission = counter.submission("first")
    [outcome] = await counter.take(submission)
    assert isinstance(outcome, Outcome)
    assert outcome.status == "accepted"
    assert await stored(counter, "first") == [outcome.transfer_id] == counter.sent_ids()


async def test_nothing_is_acknowledged_while_postgresql_has_not_committed(counter: Counter, gateway_dsn: str) -> None:
    """A deadline that ends before the commit must not say accepted, not even for somebody who does not wait."""
    hasty, patient = counter.submission(), counter.submission(wait_seconds=0.2)
    async with locked(gateway_dsn, "gateway.transfers"):
        for submission in (hasty, patient):
            counter.intake.submit(submission)
        await asyncio.sleep(0.8)
        assert not hasty.answer.done()
        assert not patient.answer.done()
    assert (await hasty.answer).status == "accepted"
    assert (await patient.answer).status == "accepted"


async def test_what_cannot_be_stored_is_said_to_be_unavailable_and_leaves_nothing(
    counter: Counter, gateway_dsn: str
) -> None:
    submission = counter.submission("too late")
    async with locked(gateway_dsn, "gateway.transfers"):
        [failure] = await counter.take(submission)
    assert isinstance(failure, Unavailable)
    assert (await stored(counter, "too late"), len(counter.waiters), counter.sent_ids()) == ([], 0, [])
    [outcome] = await counter.take(counter.submission("too late"))
    assert isinstance(outcome, Outcome)


async def test_a_slow_replay_of_somebody_who_does_not_wait_gets_the_first_transfer(
    counter: Counter, gateway_dsn: str
) -> None:
    [first] = await counter.take(counter.submission("slow"))
    again = counter.submission("slow")
    async with locked(gateway_dsn, "gateway.transfers"):
        counter.intake.submit(again)
        await asyncio.sleep(0.6)
    assert await again.answer == first


async def test_copies_that_come_before_the_first_is_durable_wait_for_it(counter: Counter, gateway_dsn: str) -> None:
    copies = [counter.submission("busy") for _ in range(64)]
    other = counter.submission("busy", amount_minor=2)
    async with locked(gateway_dsn, "gateway.transfers"):
        for submission in (*copies, other):
            counter.intake.submit(submission)
        await asyncio.sleep(0.2)
        assert not any(submission.answer.done() for submission in copies)
    outcomes = await asyncio.gather(*(submission.answer for submission in copies))
    with pytest.raises(Unprocessable, match="idempotency_key_reused"):
        await other.answer
    assert await stored(counter, "busy") == counter.sent_ids() == list({outcome.transfer_id for outcome in outcomes})
    assert [submission.stored is None for submission in copies].count(True) == 1


async def test_when_the_first_could_not_be_stored_one_of_its_copies_is(counter: Counter, gateway_dsn: str) -> None:
    first, *copies = [counter.submission("heir") for _ in range(4)]
    async with locked(gateway_dsn, "gateway.transfers"):
        for submission in (first, *copies):
            counter.intake.submit(submission)
        with pytest.raises(Unavailable):
            await first.answer
    outcomes = await asyncio.gather(*(submission.answer for submission in copies))
    assert await stored(counter, "heir") == counter.sent_ids() == list({outcome.transfer_id for outcome in outcomes})


async def test_of_copies_that_wait_there_is_a_bound(counter: Counter, gateway_dsn: str) -> None:
    copies = [counter.submission("crowd") for _ in range(1001)]
    async with locked(gateway_dsn, "gateway.transfers"):
        for submission in copies:
            counter.intake.submit(submission)
        with pytest.raises(Conflict, match="request_in_progress") as refusal:
            counter.intake.submit(counter.submission("crowd"))
        assert refusal.value.facts == {"retry_after_seconds": 1}
    await asyncio.gather(*(submission.answer for submission in copies))
    await counter.take(counter.submission("crowd"))
    assert len(await stored(counter, "crowd")) == 1


async def test_a_copy_joins_the_wait_and_both_get_the_same(counter: Counter) -> None:
    first, second = counter.submission("join", wait_seconds=20), counter.submission("join", wait_seconds=20)
    counter.intake.submit(first)
    await until(lambda: bool(counter.publisher.sent))
    counter.intake.submit(second)
    await until(lambda: second.stored is not None)
    counter.waiters.resolve(outcome_of(changed(first.transfer_id, "posted")))
    assert await first.answer == await second.answer
    assert (await first.answer).status == "posted"


async def test_who_was_answered_posted_is_not_shown_accepted_while_the_projection_lags(counter: Counter) -> None:
    """Neither when he asks for the transfer nor when he repeats himself without waiting."""
    body, bearer = counter.body(), counter.keys.bearer(counter.payer.owner_id)
    headers = {**bearer, "Idempotency-Key": new_id()}
    async with counter.http() as http:
        first = asyncio.create_task(http.post("/api/v1/transfers", json=body, headers=headers))
        await until(lambda: bool(counter.publisher.sent))
        counter.waiters.resolve(outcome_of(changed(counter.sent_ids()[0], "posted")))
        posted = await first
        again = await http.post("/api/v1/transfers", json=body, headers={**headers, "Prefer": "wait=0"})
        shown = await http.get(posted.headers["location"], headers=bearer)
    assert (posted.status_code, again.status_code) == (201, 201)
    assert posted.content == again.content == shown.content


async def test_a_lump_with_one_row_that_cannot_be_stored_loses_only_that_one(counter: Counter) -> None:
    good = [counter.submission() for _ in range(20)]
    bad = counter.submission(scope="a scope that a constraint forbids")
    answers = await counter.take(*good[:7], bad, *good[7:])
    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [type(failure) for failure in failures] == [InvariantBroken]
    assert sorted(counter.sent_ids()) == sorted(s.transfer_id for s in good)
    assert isinstance((await counter.take(counter.submission()))[0], Outcome)


def ids_by_key(keys: list[str], answers: list[Outcome | BaseException]) -> dict[str, str]:
    pairs = zip(keys, answers, strict=True)
    return {key: answer.transfer_id for key, answer in pairs if isinstance(answer, Outcome)}


async def test_two_gateways_with_shuffled_shared_keys_neither_deadlock_nor_double(
    counter: Counter, gateway_dsn: str, tmp_path: Path
) -> None:
    dice = random.Random(4711)
    async with open_counter(gateway_dsn, tmp_path) as other:
        for round_number in range(12):
            keys = [f"{round_number}-{number}" for number in range(60)]
            lumps = [dice.sample(keys, len(keys)) for _ in range(2)]
            answers = await asyncio.gather(
                *(
                    gateway.take(*(gateway.submission(key, actor_id=counter.payer.owner_id) for key in lump))
                    for gateway, lump in zip((counter, other), lumps, strict=True)
                )
            )
            by_key = [ids_by_key(lump, answered) for lump, answered in zip(lumps, answers, strict=True)]
            assert by_key[0] == by_key[1]
            assert len(by_key[0]) == 60, [a for a in answers[0] + answers[1] if isinstance(a, BaseException)]
        sent = counter.sent_ids() + other.sent_ids()
    assert len(sent) == len(set(sent)) == 12 * 60


_CLAIM = """
INSERT INTO gateway.transfers (transfer_id, principal_id, scope, idempotency_key, body_hash, command, accepted_at)
VALUES ($1, $2, 'transfers', 'm', '', '', now())
"""
_BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"


async def test_two_gateways_lock_shared_keys_in_one_order(counter: Counter, gateway_dsn: str, tmp_path: Path) -> None:
    """A third one holds the middle key until both have begun: in opposite orders they would wait for each other."""
    payer_id = counter.payer.owner_id
    async with open_counter(gateway_dsn, tmp_path) as other, admin_connection(gateway_dsn) as third:
        for gateway in (counter, other):
            await gateway.take(gateway.submission())  # connected from here on
        holding = third.transaction()
        await holding.start()
        await third.execute(_CLAIM, new_id(), payer_id)
        taking = [
            asyncio.create_task(gateway.take(*(gateway.submission(key, actor_id=payer_id) for key in keys)))
            for gateway, keys in ((counter, "amz"), (other, "zma"))
        ]
        async with asyncio.timeout(1.5):
            while await third.fetchval(_BLOCKED) < len(taking):  # noqa: ASYNC110 -- PostgreSQL tells nobody
                await asyncio.sleep(0.01)
        await holding.rollback()
        first, second = await asyncio.gather(*taking)
    assert ids_by_key(list("amz"), first) == ids_by_key(list("zma"), second)
    assert len(ids_by_key(list("amz"), first)) == 3
    # A deadlock would be tried again and pass unseen; PostgreSQL counts it, a second late.
    await asyncio.sleep(1.5)
    [row] = await counter.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert row["deadlocks"] == 0


async def test_one_key_with_two_bodies_is_refused_even_within_one_lump(counter: Counter) -> None:
    await counter.take(counter.submission("mine", amount_minor=1))
    [failure] = await counter.take(counter.submission("mine", amount_minor=2))
    assert isinstance(failure, TallystickError)
    assert failure.code == "idempotency_key_reused"


async def test_an_atomic_batch_with_one_known_key_stores_nothing(counter: Counter) -> None:
    await counter.take(counter.submission("known", scope="batch"))
    before = await counter.rows("SELECT count(*) FROM gateway.transfers")
    batch = [counter.submission(new_id(), scope="batch"), counter.submission("known", scope="batch", amount_minor=9)]
    with pytest.raises(TallystickError, match="idempotency_key_reused"):
        await counter.atomic.submit(batch)
    assert await counter.rows("SELECT count(*) FROM gateway.transfers") == before
    assert len(counter.waiters) == 0


async def test_ids_of_an_atomic_batch_are_made_when_it_is_stored_and_not_while_it_waits(counter: Counter) -> None:
    """The sweeper looks at ids by their time: one made long before its row is committed would be passed over."""
    async with counter.connections["atomic"].autocommit():
        waiting = counter.submission(scope="batch")
        task = asyncio.create_task(counter.atomic.submit([waiting]))
        await asyncio.sleep(0.1)
        assert waiting.transfer_id == ""
    await task
    assert waiting.transfer_id != ""


async def test_what_was_asked_can_never_be_changed_or_removed(counter: Counter) -> None:
    await counter.take(counter.submission())
    for change in (
        "DELETE FROM gateway.transfers",
        "TRUNCATE gateway.transfers",
        "UPDATE gateway.transfers SET scope = ''",
    ):
        with pytest.raises(asyncpg.PostgresError, match="it is never changed"):
            await counter.rows(change)
