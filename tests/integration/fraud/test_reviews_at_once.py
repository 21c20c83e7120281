"""Whoever comes at the same moment: of two who would decide one does, and what was decided leaves, whatever dies."""

import asyncio
from collections.abc import Awaitable

import pytest

from libs.common import crash_points
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict, Unavailable
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from tests.integration.fraud.office import Office, transfer
from tests.integration.fraud.review_desk import Desk, hold_for_review, review_of, reviewer

ROUNDS = 10


async def outcome_of(attempt: Awaitable[object]) -> str:
    """Return `done`, or the code of what was answered; what is unavailable is asked for again by whoever did."""
    try:
        await attempt
    except (Conflict, Unavailable) as refusal:
        return refusal.code
    return "done"


async def test_of_two_reviewers_at_once_one_decides(office: Office, desk: Desk, second_desk: Desk) -> None:
    for _ in range(ROUNDS):
        held = await hold_for_review(office)
        outcomes = await asyncio.gather(
            outcome_of(desk.say("approve", held.transfer_id)), outcome_of(second_desk.say("reject", held.transfer_id))
        )
        assert sorted(outcomes) == ["done", "review_not_open"]
        [resolved] = office.resolutions(held.transfer_id)
        assert resolved.resolution == ("release" if outcomes[0] == "done" else "reject")


async def test_of_two_who_claim_at_once_one_has_it(office: Office, desk: Desk, second_desk: Desk) -> None:
    for _ in range(ROUNDS):
        held = await hold_for_review(office)
        one, other = reviewer(), reviewer()
        outcomes = await asyncio.gather(
            outcome_of(desk.claim(held.transfer_id, one)), outcome_of(second_desk.claim(held.transfer_id, other))
        )
        assert sorted(outcomes) == ["done", "review_claimed"]
        winner = one if outcomes[0] == "done" else other
        assert (await review_of(office, held.transfer_id)).claimed_by == winner.actor_id


async def test_an_approval_and_the_end_of_the_time_at_once_give_one_outcome(office: Office, desk: Desk) -> None:
    await office.expire()
    for _ in range(ROUNDS):
        held = await hold_for_review(office)
        office.pass_time(hours=72)
        said, _ = await asyncio.gather(outcome_of(desk.say("approve", held.transfer_id)), office.expire())
        [resolved] = office.resolutions(held.transfer_id)
        expected = ("release", "approved") if said == "done" else ("reject", "expired")
        assert (resolved.resolution, (await review_of(office, held.transfer_id)).status) == expected


async def test_an_approval_and_kyc_at_once_release_once(office: Office, desk: Desk) -> None:
    for _ in range(ROUNDS):
        payee = new_id()
        held = await hold_for_review(office, transfer(new_id(), payee=payee), ("review", "kyc_pending"))
        await asyncio.gather(desk.say("approve", held.transfer_id), office.verify(payee))
        first, second = office.resolutions(held.transfer_id)
        assert {first.reason, second.reason} == {"review", "kyc_pending"}
        assert {len(first.remaining), len(second.remaining)} == {1, 0}, "one saw what the other had left"
        [[status]] = await office.query("SELECT status FROM fraud.holds WHERE transfer_id = $1", held.transfer_id)
        assert status == "released"


async def test_an_approval_and_a_rejected_payee_at_once_give_the_slot_back_once(office: Office, desk: Desk) -> None:
    for _ in range(ROUNDS):
        payer, payee = new_id(), new_id()
        held = await hold_for_review(office, transfer(payer, payee=payee), ("review", "kyc_pending"))
        said, _ = await asyncio.gather(
            outcome_of(desk.say("approve", held.transfer_id)), office.verify(payee, status="rejected", tier=0)
        )
        last = [one for one in office.resolutions(held.transfer_id) if one.resolution == "reject"]
        assert [one.code for one in last] == ["payee_kyc_rejected"]
        status = (await review_of(office, held.transfer_id)).status
        assert status == ("approved" if said == "done" else "ended")
        [[released]] = await office.query("SELECT count(*) FROM fraud.limit_releases WHERE user_id = $1", payer)
        assert released == 1


async def test_a_late_approval_beside_a_payer_who_sends_takes_one_slot(office: Office, desk: Desk) -> None:
    payer = new_id()
    held = await hold_for_review(office, transfer(payer))
    office.pass_time(hours=25)
    commands = [transfer(payer) for _ in range(60)]

    said, *_ = await asyncio.gather(
        outcome_of(desk.say("approve", held.transfer_id)),
        *(office.ask_until_answered(command) for command in commands),
    )

    assert said == "done"
    used = sum(message.verdict == "approve" for message in office.said if hasattr(message, "verdict"))
    used += [one.resolution for one in office.resolutions(held.transfer_id)].count("release")
    assert used == 50


class Killed(BaseException):
    """Nothing in the service may catch this, as nothing catches a kill."""


@pytest.mark.parametrize(
    ("point", "committed"), [("fraud.before_commit", False), ("fraud.after_commit_before_publish", True)]
)
async def test_what_a_kill_left_unsaid_is_said_by_whoever_comes_next(
    office: Office, desk: Desk, monkeypatch: pytest.MonkeyPatch, point: str, *, committed: bool
) -> None:
    held = await hold_for_review(office)
    await office.query("DELETE FROM fraud.outbox")  # what other tests left would be swept first

    def kill(name: str) -> None:
        if name == point:
            raise Killed

    with monkeypatch.context() as killing:
        killing.setattr(crash_points, "_hook", kill)
        with pytest.raises(Killed):
            await desk.say("approve", held.transfer_id)
    assert office.resolutions(held.transfer_id) == []
    assert (await review_of(office, held.transfer_id)).status == ("approved" if committed else "open")

    hot = HotConnection(office.dsn, "fraud-successor")
    await office.query("UPDATE fraud.outbox_lease SET expires_at = '-infinity'")
    successor = Outbox("fraud", office.publisher, hot)
    await successor._sweep(everything=True)
    await successor.stop()
    await hot.close()

    assert [one.resolution for one in office.resolutions(held.transfer_id)] == ["release"] * committed
    again = await outcome_of(desk.say("approve", held.transfer_id))
    assert again == ("review_not_open" if committed else "done")
    assert {one.resolution_id for one in office.resolutions(held.transfer_id)} != set()
