"""More than can be carried is refused before it is stored, and what was taken is carried out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from libs.common.clock import monotonic_seconds
from libs.common.contracts.topics import TRANSFER_REQUESTS
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from libs.common.messaging.publisher import Publisher
from services.gateway.use_cases.accept_transfers import Intake, Submission
from tallystick.stack.broker import LocalBroker
from tests.integration.gateway.counter import Counter, locked

UNSENT_MAX = 50


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    ends_at = monotonic_seconds() + seconds
    while not condition():
        assert monotonic_seconds() < ends_at
        await asyncio.sleep(0.02)


@asynccontextmanager
async def publishing(broker: LocalBroker) -> AsyncIterator[Publisher]:
    publisher = Publisher(broker.address, idempotence=False, client_id="test-shedding", topics=[TRANSFER_REQUESTS])
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.stop()


@asynccontextmanager
async def running(intake: Intake) -> AsyncIterator[None]:
    task = asyncio.create_task(intake.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_without_the_broker_requests_are_taken_up_to_a_bound_and_sent_when_it_is_back(
    counter: Counter, tmp_path: Path
) -> None:
    broker = LocalBroker(tmp_path / "broker.log")
    broker.start()
    try:
        async with publishing(broker) as publisher:
            connection = counter.connect("shedding")
            intake = Intake(connection, publisher, counter.waiters, counter.clock, unsent_max=UNSENT_MAX)
            async with running(intake):

                async def take() -> Submission:
                    submission = counter.submission()
                    intake.submit(submission)
                    assert (await submission.answer).status == "accepted"
                    return submission

                async def take_what_is_taken(taken: list[Submission]) -> None:
                    while len(taken) < 20 * UNSENT_MAX:
                        taken.append(await take())

                taken = [await take()]
                await until(lambda: publisher.waiting_messages == 0)
                await asyncio.to_thread(broker.stop)
                with pytest.raises(Unavailable) as refused:
                    await take_what_is_taken(taken)
                assert (refused.value.code, refused.value.facts) == ("overloaded", {"retry_after_seconds": 5})
                assert len(taken) > UNSENT_MAX
                ids = [submission.transfer_id for submission in taken]
                stored = await counter.rows(
                    "SELECT transfer_id::text FROM gateway.transfers WHERE transfer_id = ANY($1::uuid[])", ids
                )
                assert len(stored) == len(taken)

                await asyncio.to_thread(broker.start)
                await until(lambda: publisher.is_connected() and publisher.waiting_messages == 0)
                await take()
            await connection.close()
    finally:
        broker.stop()


async def test_what_waits_to_be_stored_is_bounded_and_nothing_beyond_is_stored(counter: Counter) -> None:
    connection = counter.connect("shedding")
    intake = Intake(connection, counter.publisher, counter.waiters, counter.clock, waiting_max=10)
    async with running(intake):
        taken = [counter.submission() for _ in range(10)]
        async with locked(counter.admin_dsn, "gateway.transfers"):
            for submission in taken:
                intake.submit(submission)
            with pytest.raises(Unavailable) as too_many:
                intake.submit(counter.submission("shed"))
            assert (too_many.value.code, too_many.value.facts) == ("overloaded", {"retry_after_seconds": 1})
            await until(lambda: not intake._waiting)  # the lump is on its way, and stands before the lock
            intake.require_room(10)
            with pytest.raises(Unavailable, match="overloaded"):
                intake.require_room(11)
        assert {(await submission.answer).status for submission in taken} == {"accepted"}
    assert await counter.rows("SELECT FROM gateway.transfers WHERE idempotency_key = 'shed'") == []
    await connection.close()


async def test_a_batch_that_finds_no_room_is_refused_whole(counter: Counter) -> None:
    counter.intake._waiting_max = 2
    keys = [new_id() for _ in range(3)]
    transfers = [counter.body(idempotency_key=key) for key in keys]
    async with counter.http() as http:
        answer = await http.post(
            "/api/v1/transfers/batch",
            json={"mode": "independent", "transfers": transfers},
            headers=counter.keys.bearer(counter.payer.owner_id),
        )
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "overloaded", "1")
    assert await counter.rows("SELECT FROM gateway.transfers WHERE idempotency_key = ANY($1)", keys) == []
