"""What a reviewer's decision does to a hold, to its other reasons, and to the limits."""

from collections.abc import Awaitable
from datetime import timedelta

import pytest
from prometheus_client import Gauge

from libs.common.errors import Conflict, Forbidden, NotFound, TallystickError
from libs.common.ids import new_id
from services.fraud.domain.reviews import DUE_AFTER, GRACE
from services.fraud.metrics import OLDEST_REVIEW_SECONDS, REVIEWS_OPEN, REVIEWS_OVERDUE
from services.fraud.store.holds import lock_holds
from services.fraud.use_cases.count_reviews import CountReviews
from services.fraud.use_cases.end_holds import Resolved
from tests.integration.fraud.office import Office, transfer
from tests.integration.fraud.review_desk import Desk, events_of, hold_for_review, review_of, reviewer

ABOVE = 100_000_01


async def code_of(refused: Awaitable[object]) -> str:
    with pytest.raises(TallystickError) as failure:
        await refused
    return failure.value.code


async def test_an_approval_releases_what_waited_for_nothing_else(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office)
    who = reviewer()

    decided = await desk.say("approve", held.transfer_id, who)

    assert (decided.review_status, decided.remaining, decided.code) == ("approved", (), "")
    [resolved] = office.resolutions(held.transfer_id)
    assert (resolved.resolution, resolved.reason, resolved.remaining, resolved.code) == ("release", "review", (), "")
    assert resolved.command == held
    assert (await review_of(office, held.transfer_id)).decided_by == who.actor_id
    assert await events_of(office, held.transfer_id) == [("approved", who.actor_id, "looked at it")]


async def test_a_rejection_gives_the_slot_back_once_and_tells_nothing(office: Office, desk: Desk) -> None:
    payer = new_id()
    held = await hold_for_review(office, transfer(payer, amount_minor=1_000_000_00))
    await office.ask(*[transfer(payer, amount_minor=1_000_000_00) for _ in range(4)])
    assert (await office.ask_one(transfer(payer))).verdict == "block"

    await desk.say("reject", held.transfer_id)
    await office.hear(held.transfer_id, "voided", version=2)

    [resolved] = office.resolutions(held.transfer_id)
    assert (resolved.resolution, resolved.code, resolved.reason) == ("reject", "transfer_not_permitted", "review")
    command = transfer(payer, amount_minor=1_000_000_00)
    await office.ask_until_answered(command)
    assert office.said[-1].verdict == "approve", "memory that another process moved is read again"
    assert (await office.ask_one(transfer(payer))).verdict == "block"


@pytest.mark.parametrize("first", ["review", "kyc_pending"])
async def test_each_resolution_takes_its_reason_and_the_last_one_releases(
    office: Office, desk: Desk, first: str
) -> None:
    payee = new_id()
    held = await hold_for_review(office, transfer(new_id(), payee=payee), ("review", "kyc_pending"))
    if first == "review":
        assert (await desk.say("approve", held.transfer_id)).remaining == ("kyc_pending",)
        await office.verify(payee)
    else:
        await office.verify(payee)
        assert (await desk.say("approve", held.transfer_id)).remaining == ()
    one, other = office.resolutions(held.transfer_id)
    second = {"review": "kyc_pending", "kyc_pending": "review"}[first]
    assert (one.resolution, one.reason, one.remaining) == ("release", first, (second,))
    assert (other.resolution, other.reason, other.remaining) == ("release", second, ())
    assert await office.query("SELECT FROM fraud.hold_payees WHERE transfer_id = $1", held.transfer_id) == []


async def test_the_sweeper_leaves_what_waits_for_a_review_alone(office: Office) -> None:
    payee = new_id()
    held = await hold_for_review(office, transfer(new_id(), payee=payee))
    await office.verify(payee)
    for _ in range(2):
        await office.sweep()
    assert office.resolutions(held.transfer_id) == []


async def test_news_of_kyc_that_another_instance_has_used_changes_nothing(office: Office) -> None:
    payee = new_id()
    await office.verify(payee)
    held = await hold_for_review(office, transfer(new_id(), payee=payee))
    async with office.work.open() as transaction:
        holds = await lock_holds(transaction.connection, [held.transfer_id])
        await office.resolve(transaction, holds, office.now, Resolved())
    assert len(holds) == 1
    assert office.resolutions(held.transfer_id) == []


async def test_a_rejection_ends_a_hold_that_waits_for_kyc_too(office: Office, desk: Desk) -> None:
    payee = new_id()
    held = await hold_for_review(office, transfer(new_id(), payee=payee), ("review", "kyc_pending"))
    await desk.say("reject", held.transfer_id)
    await office.verify(payee)
    assert [one.resolution for one in office.resolutions(held.transfer_id)] == ["reject"]
    assert await office.query("SELECT FROM fraud.hold_payees WHERE transfer_id = $1", held.transfer_id) == []


async def test_a_rejected_payee_ends_the_review_too(office: Office, desk: Desk) -> None:
    payee = new_id()
    held = await hold_for_review(office, transfer(new_id(), payee=payee), ("review", "kyc_pending"))
    await office.verify(payee, status="rejected", tier=0, version=3)
    assert (await review_of(office, held.transfer_id)).status == "ended"
    assert await events_of(office, held.transfer_id) == [("ended", None, "payee_kyc_rejected")]
    assert await code_of(desk.say("approve", held.transfer_id)) == "review_not_open"


async def test_what_the_ledger_refused_needs_no_review(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office)
    await office.hear(held.transfer_id, "refused")
    assert await events_of(office, held.transfer_id) == [("ended", None, "refused")]
    assert await code_of(desk.say("approve", held.transfer_id)) == "review_not_open"


async def test_a_claim_keeps_colleagues_out_until_it_is_over(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office)
    mine, other = reviewer(), reviewer()
    await desk.claim(held.transfer_id, mine)
    assert await code_of(desk.claim(held.transfer_id, other)) == "review_claimed"
    assert await code_of(desk.say("approve", held.transfer_id, other)) == "review_claimed"
    assert await code_of(desk.say("reject", held.transfer_id, other)) == "review_claimed"
    assert await code_of(desk.claim.release(held.transfer_id, other)) == "review_not_claimed"

    office.pass_time(minutes=10)
    await desk.claim(held.transfer_id, mine)
    office.pass_time(minutes=14, seconds=59)
    assert await code_of(desk.claim(held.transfer_id, other)) == "review_claimed", "claiming again begins anew"
    office.pass_time(seconds=1)
    await desk.claim(held.transfer_id, other)
    assert await code_of(desk.say("approve", held.transfer_id, mine)) == "review_claimed"


async def test_who_lets_go_lets_a_colleague_decide(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office)
    mine, other = reviewer(), reviewer()
    await desk.claim(held.transfer_id, mine)
    await desk.claim.release(held.transfer_id, mine)
    await desk.say("approve", held.transfer_id, other)
    kinds = [kind for kind, *_ in await events_of(office, held.transfer_id)]
    assert kinds == ["claimed", "unclaimed", "approved"]


async def test_above_the_threshold_two_people_approve(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office, transfer(new_id(), amount_minor=ABOVE))
    first, second = reviewer(), reviewer()
    await desk.claim(held.transfer_id, first)

    decided = await desk.say("approve", held.transfer_id, first)

    assert (decided.review_status, decided.remaining) == ("open", ("review",))
    assert office.resolutions(held.transfer_id) == []
    assert await code_of(desk.say("approve", held.transfer_id, first)) == "second_person_required"
    assert (await desk.say("approve", held.transfer_id, second)).review_status == "approved"
    assert [one.resolution for one in office.resolutions(held.transfer_id)] == ["release"]
    kinds = [kind for kind, *_ in await events_of(office, held.transfer_id)]
    assert kinds == ["claimed", "approved_once", "approved"]


async def test_at_the_threshold_one_person_is_enough(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office, transfer(new_id(), amount_minor=ABOVE - 1))
    assert (await desk.say("approve", held.transfer_id)).review_status == "approved"


async def test_one_person_rejects_whatever_the_amount(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office, transfer(new_id(), amount_minor=ABOVE))
    first = reviewer()
    await desk.say("approve", held.transfer_id, first)
    assert (await desk.say("reject", held.transfer_id, first)).review_status == "rejected"


@pytest.mark.parametrize("part", ["payer", "payee", "actor"])
async def test_nobody_reviews_a_transfer_that_he_takes_part_in(office: Office, desk: Desk, part: str) -> None:
    command = transfer(new_id())
    actor = new_id()
    command = type(command)(
        **{name: getattr(command, name) for name in command.__struct_fields__} | {"actor_id": actor}
    )
    assert command.payer is not None
    held = await hold_for_review(office, command)
    who = reviewer()
    who.actor_id = {"payer": command.payer.user_id, "payee": command.payees[0].user_id, "actor": actor}[part]
    for refused in (
        desk.claim(held.transfer_id, who),
        desk.comment(held.transfer_id, "mine", who),
        desk.say("approve", held.transfer_id, who),
        desk.say("reject", held.transfer_id, who),
    ):
        with pytest.raises(Forbidden) as failure:
            await refused
        assert failure.value.code == "own_transfer"
    assert await events_of(office, held.transfer_id) == []


async def test_what_was_never_held_for_a_review_has_none(office: Office, desk: Desk) -> None:
    waits = transfer(new_id(), payee_tier=0)
    await office.ask_one(waits)
    for transfer_id in (waits.transfer_id, new_id()):
        with pytest.raises(NotFound):
            await desk.say("approve", transfer_id)


async def test_a_decision_stands(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office)
    await desk.say("reject", held.transfer_id)
    for decision in ("approve", "reject"):
        with pytest.raises(Conflict) as failure:
            await desk.say(decision, held.transfer_id)
        assert failure.value.facts == {"review_status": "rejected"}
    assert len(office.resolutions(held.transfer_id)) == 1


async def test_a_late_approval_looks_at_the_limits_again(office: Office, desk: Desk) -> None:
    payer, other = new_id(), new_id()
    late = await hold_for_review(office, transfer(payer))
    fits = await hold_for_review(office, transfer(other))
    office.pass_time(hours=25)
    await office.ask(*[transfer(payer) for _ in range(50)])

    refused = await desk.say("approve", late.transfer_id)
    passed = await desk.say("approve", fits.transfer_id)

    assert (refused.review_status, refused.code) == ("approved", "hourly_count_limit_exceeded")
    assert (passed.review_status, passed.code) == ("approved", "")
    assert [one.resolution for one in office.resolutions(late.transfer_id)] == ["reject"]
    [[count]] = await office.query("SELECT count(*) FROM fraud.late_slots WHERE user_id = $1", other)
    assert count == 1


async def test_what_nobody_decides_is_rejected_after_its_grace(office: Office, desk: Desk) -> None:
    payer = new_id()
    normal = await hold_for_review(office, transfer(payer))
    both = await hold_for_review(office, transfer(payer, payee=new_id()), ("review", "kyc_pending"))
    high = await hold_for_review(office, transfer(payer, amount_minor=ABOVE))
    office.pass_time(hours=52, seconds=-1)
    await office.expire()
    assert (await review_of(office, high.transfer_id)).status == "open"
    office.pass_time(seconds=1)
    await office.expire()
    assert (await review_of(office, high.transfer_id)).status == "expired"
    assert (await review_of(office, normal.transfer_id)).status == "open"
    assert DUE_AFTER["normal"] + GRACE == timedelta(hours=72)
    office.pass_time(hours=20)

    await office.expire()

    for held in (normal, both):
        [resolved] = office.resolutions(held.transfer_id)
        assert (resolved.resolution, resolved.code, resolved.reason) == ("reject", "review_expired", "review")
        assert await events_of(office, held.transfer_id) == [("expired", None, "review_expired")]
        assert await code_of(desk.say("approve", held.transfer_id)) == "review_not_open"
    [[released]] = await office.query("SELECT count(*) FROM fraud.limit_releases WHERE user_id = $1", payer)
    assert released == 3


async def test_a_decision_after_the_grace_counts_until_the_sweeper_comes(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office)
    office.pass_time(hours=100)
    await desk.say("approve", held.transfer_id)
    await office.expire()
    assert [one.resolution for one in office.resolutions(held.transfer_id)] == ["release"]


async def test_a_wait_for_kyc_ends_after_thirty_days(office: Office) -> None:
    payee = new_id()
    held = transfer(new_id(), payee=payee, payee_tier=0)
    await office.ask_one(held)
    office.pass_time(days=30, seconds=-1)
    await office.expire()
    assert office.resolutions(held.transfer_id) == []
    office.pass_time(seconds=1)
    for _ in range(2):
        await office.expire()
    [resolved] = office.resolutions(held.transfer_id)
    assert (resolved.resolution, resolved.code, resolved.reason) == ("reject", "kyc_expired", "kyc_pending")
    await office.verify(payee)
    assert len(office.resolutions(held.transfer_id)) == 1


async def test_a_review_has_two_hundred_comments_at_most(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office)
    who = reviewer()
    await desk.comment(held.transfer_id, "the first", who)
    await office.query(
        "INSERT INTO fraud.review_events SELECT gen_random_uuid(), $1, 'commented', $2, 'x', now()"
        " FROM generate_series(1, 199)",
        held.transfer_id,
        who.actor_id,
    )
    assert await code_of(desk.comment(held.transfer_id, "one more", who)) == "too_many_comments"


async def test_every_step_is_in_the_audit_log_without_what_was_said(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office)
    who = reviewer()
    await desk.claim(held.transfer_id, who)
    await desk.comment(held.transfer_id, "Mallory looks like trouble", who)
    await desk.say("reject", held.transfer_id, who)
    entries = await office.query(
        "SELECT action, resource_type, resource_id, facts FROM fraud.audit_log WHERE actor_id = $1 ORDER BY entry_id",
        who.actor_id,
    )
    assert {tuple(entry)[:3] for entry in entries} == {("review.decide", "transfer", held.transfer_id)}
    steps = ["claimed", "commented", "rejected"]
    assert [step for entry, step in zip(entries, steps, strict=True) if f'"step":"{step}"' in entry[3]] == steps
    assert not any("trouble" in entry[3] for entry in entries)


async def test_the_gauges_say_what_waits(office: Office, desk: Desk) -> None:
    count = CountReviews(office.work, clock=lambda: office.now)
    office.pass_time(days=400)
    await office.expire()
    await count()
    assert (gauge(REVIEWS_OPEN), gauge(REVIEWS_OVERDUE), gauge(OLDEST_REVIEW_SECONDS)) == (0, 0, 0)
    held = [await hold_for_review(office, transfer(new_id(), amount_minor=amount)) for amount in (1, ABOVE)]
    office.pass_time(hours=4)
    await count()
    assert (gauge(REVIEWS_OPEN), gauge(REVIEWS_OVERDUE), gauge(OLDEST_REVIEW_SECONDS)) == (2, 1, 4 * 3600)
    for one in held:
        await desk.say("reject", one.transfer_id)
    await count()
    assert (gauge(REVIEWS_OPEN), gauge(REVIEWS_OVERDUE), gauge(OLDEST_REVIEW_SECONDS)) == (0, 0, 0)


def gauge(one: Gauge) -> float:
    return float(next(iter(one.collect())).samples[0].value)
