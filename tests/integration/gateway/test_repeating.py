"""What has no outcome is sent again, unchanged; what has one is not."""

import asyncio
from datetime import datetime, timedelta

import pytest

from libs.common.clock import system_clock
from libs.common.contracts.dead_letters import MessageParked
from libs.common.ids import new_id
from services.gateway.metrics import OLDEST_UNDECIDED_SECONDS, UNDECIDED
from services.gateway.store.digests import GatewayDigests
from services.gateway.store.repeats import take_due
from services.gateway.use_cases.accept_transfers import Submission
from services.gateway.use_cases.project_outcomes import mark_parked
from services.gateway.use_cases.repeat_requests import _PAGE, Repeater
from tests.integration.gateway.counter import AT, Counter, changed


@pytest.fixture(autouse=True)
async def nothing_to_repeat(counter: Counter) -> None:
    """Other tests of this module share the tables."""
    await counter.rows("DELETE FROM gateway.repeats")
    await counter.rows(
        "UPDATE gateway.sweep_marks SET swept_to = t.transfer_id"
        " FROM (SELECT transfer_id FROM gateway.transfers ORDER BY transfer_id DESC LIMIT 1) AS t"
    )


async def sweep(counter: Counter, now: datetime, *, patience_seconds: float = 0.0) -> list[str]:
    """Return the ids of the messages that one round at this time sends again."""
    counter.publisher.sent.clear()
    sweeper = Repeater(counter.connections["repeats"], counter.publisher, lambda: now)
    await sweeper._collect(timedelta(seconds=patience_seconds))
    await sweeper._send_due()
    return counter.sent_ids()


async def taken(counter: Counter, *submissions: Submission) -> datetime:
    """Store the requests and return the time after."""
    await counter.take(*submissions)
    await asyncio.sleep(0.002)
    return system_clock()


def parked(transfer_id: str) -> MessageParked:
    return MessageParked(
        dead_letter_id=new_id(),
        group="fraud.screen",
        topic="gateway.transfer-requests.v1",
        partition=0,
        offset=1,
        message_type="x",
        cause="payer_missing",
        transfer_ids=(transfer_id,),
        occurred_at=AT,
    )


async def test_what_has_no_outcome_is_sent_again_unchanged_and_what_has_one_is_not(counter: Counter) -> None:
    submissions = [counter.submission() for _ in range(5)]
    now = await taken(counter, *submissions)
    first = {message.message_id: message for message in counter.publisher.sent}
    await counter.hear(submissions[0].transfer_id, "posted")
    await counter.hear(submissions[1].transfer_id, "refused")
    again = await sweep(counter, now)
    assert sorted(again) == sorted(s.transfer_id for s in submissions[2:])
    assert all(message == first[message.message_id] for message in counter.publisher.sent)


async def test_what_was_given_up_for_a_repair_is_asked_for_again_since_the_ledger_may_not_know_it(
    counter: Counter,
) -> None:
    """A ledger that went back in time was asked long ago, and its answer was taken in."""
    told, kept = counter.submission(), counter.submission()
    now = await taken(counter, told, kept)
    for submission in (told, kept):
        await counter.hear(submission.transfer_id, "posted")
    await GatewayDigests(counter.connections["repeats"]).forget_outcomes([told.transfer_id, new_id()])
    assert await sweep(counter, now) == [], "the ledger has a while to tell it"
    assert await sweep(counter, now + timedelta(seconds=10)) == [told.transfer_id]
    await counter.hear(told.transfer_id, "posted")
    assert await sweep(counter, now + timedelta(seconds=30)) == []


async def test_a_request_younger_than_the_patience_is_left_alone(counter: Counter) -> None:
    submission = counter.submission()
    now = await taken(counter, submission)
    assert await sweep(counter, now, patience_seconds=60) == []
    later = now + timedelta(seconds=61)
    assert await sweep(counter, later, patience_seconds=60) == [submission.transfer_id]


async def test_how_many_wait_for_any_outcome_and_how_long_is_measured(counter: Counter) -> None:
    submissions = [counter.submission() for _ in range(3)]
    now = await taken(counter, *submissions)
    await sweep(counter, now)
    await counter.hear(submissions[0].transfer_id, "held")
    later = Repeater(counter.connections["repeats"], counter.publisher, lambda: now + timedelta(seconds=40))
    await later._measure()
    assert UNDECIDED._value.get() == 2
    assert 40 <= OLDEST_UNDECIDED_SECONDS._value.get() < 45
    await counter.rows("DELETE FROM gateway.repeats")
    await later._measure()
    assert (UNDECIDED._value.get(), OLDEST_UNDECIDED_SECONDS._value.get()) == (0, 0)


async def test_the_wait_grows_with_every_repetition(counter: Counter) -> None:
    submission = counter.submission()
    now = await taken(counter, submission)
    assert await sweep(counter, now) == [submission.transfer_id]
    for seconds in (5, 10, 20, 40, 60, 60):
        assert await sweep(counter, now + timedelta(seconds=seconds - 0.001)) == []
        now += timedelta(seconds=seconds)
        assert await sweep(counter, now) == [submission.transfer_id]


async def test_a_held_transfer_is_repeated_a_minute_later_and_until_it_is_final(counter: Counter) -> None:
    submission = counter.submission()
    now = await taken(counter, submission)
    await counter.hear(submission.transfer_id, "held")
    assert await sweep(counter, now) == []
    assert await sweep(counter, now + timedelta(minutes=2)) == [submission.transfer_id]
    await counter.hear(submission.transfer_id, "posted", 2)
    assert await sweep(counter, now + timedelta(minutes=9)) == []
    assert await counter.rows("SELECT 1 FROM gateway.repeats") == []


async def test_a_parked_transfer_is_repeated_too(counter: Counter) -> None:
    submission = counter.submission()
    now = await taken(counter, submission)
    assert await sweep(counter, now) == [submission.transfer_id]
    await mark_parked([parked(submission.transfer_id)], counter.connections["projection"])
    assert await sweep(counter, now + timedelta(seconds=6)) == [submission.transfer_id]


async def test_an_atomic_batch_is_repeated_whole_in_its_order_and_once_a_round(counter: Counter) -> None:
    """Also one that is larger than a page, and of which only one outcome is missing."""
    batch = [counter.submission(scope="batch") for _ in range(_PAGE + 50)]
    await counter.atomic.submit(batch)
    now = await taken(counter)
    [first] = counter.publisher.sent
    assert await sweep(counter, now) == [first.message_id]
    assert counter.publisher.sent == [first]
    for submission in batch[:-1]:
        await counter.hear(submission.transfer_id, "posted")
    assert await sweep(counter, now + timedelta(seconds=6)) == [first.message_id]
    assert counter.publisher.sent == [first]


async def test_a_page_is_bounded_and_two_sweepers_never_take_the_same(counter: Counter) -> None:
    now = await taken(counter, *(counter.submission() for _ in range(30)))
    await Repeater(counter.connections["repeats"], counter.publisher, lambda: now)._collect(timedelta(0))
    other = counter.connect("other")
    async with other.transaction() as theirs, counter.connections["repeats"].transaction() as ours:
        pages = [await take_due(connection, now, 10) for connection in (theirs, ours)]
    await other.close()
    assert [len(page) for page in pages] == [10, 10]
    assert not {request.transfer_id for request in pages[0]} & {request.transfer_id for request in pages[1]}


async def test_what_was_not_swept_for_hours_is_still_found(counter: Counter) -> None:
    early, late = counter.submission(), counter.submission()
    now = await taken(counter, early)
    assert await sweep(counter, now) == [early.transfer_id]
    await taken(counter, late)
    again = await sweep(counter, now + timedelta(hours=3), patience_seconds=5)
    assert sorted(again) == sorted([early.transfer_id, late.transfer_id])


async def test_a_clock_that_was_ahead_hides_nothing_that_came_after_it_was_set_right(counter: Counter) -> None:
    before, after = counter.submission(), counter.submission()
    now = await taken(counter, before)
    assert await sweep(counter, now + timedelta(hours=1)) == [before.transfer_id]
    now = await taken(counter, after)
    assert await sweep(counter, now) == [before.transfer_id], "put off for an hour; and the mark was ahead"
    assert after.transfer_id in await sweep(counter, now)


async def test_what_was_taken_where_a_clock_is_ahead_is_found_by_whose_clock_is_not(counter: Counter) -> None:
    submission = counter.submission()
    now = await taken(counter, submission)
    assert submission.transfer_id in await sweep(counter, now - timedelta(hours=1))


async def test_a_caller_s_hold_is_repeated_ever_more_rarely_and_until_a_later_state_ends_it(counter: Counter) -> None:
    submission = counter.submission()
    now = await taken(counter, submission)
    held = {"resolver": "caller", "expires_at": AT}
    await counter.hear_all(changed(submission.transfer_id, "held", 1, **held))
    now += timedelta(minutes=2)
    assert await sweep(counter, now) == [submission.transfer_id]
    for seconds in (*(5 * 2**number for number in range(10)), 3600, 3600):
        assert await sweep(counter, now + timedelta(seconds=seconds - 0.001)) == []
        now += timedelta(seconds=seconds)
        assert await sweep(counter, now) == [submission.transfer_id]
    await counter.hear_all(changed(submission.transfer_id, "held", 2, captured_minor=(1,), **held))
    assert await sweep(counter, now + timedelta(hours=1)) == [submission.transfer_id]
    await counter.hear_all(changed(submission.transfer_id, "posted", 3, captured_minor=(1,), **held))
    assert await sweep(counter, now + timedelta(hours=3)) == []
    assert await counter.rows("SELECT 1 FROM gateway.repeats") == []
