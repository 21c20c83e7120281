"""Callers who wait for an outcome."""

import asyncio

import pytest

from services.gateway.domain.outcomes import Outcome, accepted
from services.gateway.use_cases.await_outcomes import Waiters

POSTED = Outcome("t", "posted", 1, "", (), {}, 0, "")


class Seconds:
    """The steady clock, moved by the test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def future() -> asyncio.Future[Outcome]:
    return asyncio.get_running_loop().create_future()


async def test_everybody_who_waits_gets_the_outcome(seconds: Seconds) -> None:
    waiters, first, second = Waiters(seconds), future(), future()
    waiters.expect("t", first)
    waiters.expect("t", second)
    assert waiters.wants("t")
    waiters.resolve(POSTED)
    assert (first.result(), second.result(), waiters.wants("t")) == (POSTED, POSTED, False)


async def test_a_wait_that_has_no_end_yet_does_not_end(seconds: Seconds) -> None:
    waiters, waiting = Waiters(seconds), future()
    waiters.expect("t", waiting)
    seconds.now += 1000
    waiters.end_expired()
    assert not waiting.done()


async def test_a_wait_ends_after_its_time_and_not_before(seconds: Seconds) -> None:
    waiters, waiting = Waiters(seconds), future()
    waiters.expect("t", waiting)
    waiters.end_after("t", waiting, 5)
    seconds.now += 5
    waiters.end_expired()
    assert not waiting.done()
    seconds.now += 0.2
    waiters.end_expired()
    assert waiting.result() == accepted("t")
    assert len(waiters) == 0


async def test_a_wait_of_no_time_ends_at_once(seconds: Seconds) -> None:
    waiters, waiting = Waiters(seconds), future()
    waiters.expect("t", waiting)
    waiters.end_after("t", waiting, 0)
    assert (waiting.result(), len(waiters)) == (accepted("t"), 0)


async def test_the_end_of_one_wait_leaves_the_others(seconds: Seconds) -> None:
    waiters, hasty, patient = Waiters(seconds), future(), future()
    for waiting, wait_seconds in ((hasty, 1), (patient, 30)):
        waiters.expect("t", waiting)
        waiters.end_after("t", waiting, wait_seconds)
    seconds.now += 2
    waiters.end_expired()
    assert (hasty.result(), patient.done()) == (accepted("t"), False)
    waiters.resolve(POSTED)
    assert patient.result() == POSTED


async def test_a_late_tick_ends_everything_that_is_over(seconds: Seconds) -> None:
    waiters, futures = Waiters(seconds), [future() for _ in range(5)]
    for number, waiting in enumerate(futures):
        waiters.expect(f"t{number}", waiting)
        waiters.end_after(f"t{number}", waiting, number + 1)
    seconds.now += 60
    waiters.end_expired()
    assert all(waiting.done() for waiting in futures)


async def test_an_outcome_before_the_end_is_kept_when_the_end_comes(seconds: Seconds) -> None:
    waiters, waiting = Waiters(seconds), future()
    waiters.expect("t", waiting)
    waiters.end_after("t", waiting, 1)
    waiters.resolve(POSTED)
    waiters.end_after("t", waiting, 0)
    seconds.now += 5
    waiters.end_expired()
    assert waiting.result() == POSTED


async def test_who_gave_up_does_not_disturb_the_others(seconds: Seconds) -> None:
    waiters, gone, waiting = Waiters(seconds), future(), future()
    for each in (gone, waiting):
        waiters.expect("t", each)
        waiters.end_after("t", each, 1)
    gone.cancel()
    waiters.resolve(POSTED)
    assert waiting.result() == POSTED


async def test_a_dropped_transfer_is_forgotten(seconds: Seconds) -> None:
    waiters, waiting = Waiters(seconds), future()
    waiters.expect("t", waiting)
    waiters.drop("t")
    waiters.resolve(POSTED)
    assert not waiting.done()
    waiters.drop("nobody")


async def test_those_who_have_waited_longest_are_looked_up_first(seconds: Seconds) -> None:
    waiters = Waiters(seconds)
    for number in range(5):
        waiters.expect(f"t{number}", future())
    assert waiters.some_ids(3) == ["t0", "t1", "t2"]


async def test_what_somebody_was_told_is_known_before_the_projection_and_no_longer_after(seconds: Seconds) -> None:
    waiters = Waiters(seconds)
    waiters.expect("t", future())
    waiters.resolve(POSTED)
    assert waiters.newest(accepted("t")) == POSTED
    voided = Outcome("t", "voided", 2, "", (), {}, 1, "")
    assert waiters.newest(voided) == voided
    waiters.resolve(Outcome("u", "posted", 1, "", (), {}, 2, ""))
    assert waiters.newest(accepted("u")) == accepted("u"), "nobody asked for it here"


async def test_what_somebody_was_told_is_remembered_in_bounds(seconds: Seconds) -> None:
    waiters = Waiters(seconds)
    for number in range(10_001):
        waiters.expect(f"t{number}", future())
        waiters.resolve(Outcome(f"t{number}", "posted", 1, "", (), {}, 0, ""))
    assert waiters.newest(accepted("t0")) == accepted("t0")
    assert waiters.newest(accepted("t10000")).status == "posted"
