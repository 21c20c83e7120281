"""The first of two approvals ends with the authority of whoever gave it, until two have agreed."""

import asyncio

import asyncpg
import pytest

from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.ids import new_id
from services.fraud.views.show_decision import ShowDecision
from services.fraud.views.show_reviews import ShowReviews
from tests.integration.fraud.office import Office, transfer
from tests.integration.fraud.review_desk import Desk, hold_for_review, review_of, reviewer
from tests.support.standing_still import standing, until_waiting, until_waiting_or_done

ABOVE = 100_000_01
DECIDE = "UPDATE fraud.reviews SET status = 'approved', decided_by = $2, decided_at = now() WHERE transfer_id = $1"


async def test_a_first_approval_of_who_lost_his_role_is_none(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office, transfer(new_id(), amount_minor=ABOVE))
    anna, ben, carla = reviewer(), reviewer(), reviewer()
    await desk.say("approve", held.transfer_id, anna)
    for _ in range(2):
        await office.end_authority(anna.actor_id)
    office.pass_time(seconds=1)

    assert (await desk.say("approve", held.transfer_id, ben)).review_status == "open"

    assert office.resolutions(held.transfer_id) == []
    assert (await review_of(office, held.transfer_id)).first_approved_by == ben.actor_id
    assert (await desk.say("approve", held.transfer_id, carla)).review_status == "approved"


async def test_who_has_his_role_back_approves_anew(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office, transfer(new_id(), amount_minor=ABOVE))
    anna = reviewer()
    await desk.say("approve", held.transfer_id, anna)
    await office.end_authority(anna.actor_id)
    office.pass_time(seconds=1)
    assert (await desk.say("approve", held.transfer_id, anna)).review_status == "open"
    assert (await desk.say("approve", held.transfer_id)).review_status == "approved"


async def test_who_logs_out_or_ends_a_key_has_approved_all_the_same(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office, transfer(new_id(), amount_minor=ABOVE))
    anna = reviewer()
    await desk.say("approve", held.transfer_id, anna)
    await office.end_authority(anna.actor_id, session_id="his-telephone")
    await office.end_authority(anna.actor_id, key_id="a-key")
    assert (await desk.say("approve", held.transfer_id)).review_status == "approved"


async def test_it_is_not_shown_as_given_and_what_two_agreed_on_is(office: Office, desk: Desk) -> None:
    waiting, done = [await hold_for_review(office, transfer(new_id(), amount_minor=ABOVE)) for _ in range(2)]
    anna = reviewer()
    for held in (waiting, done):
        await desk.say("approve", held.transfer_id, anna)
    await desk.say("approve", done.transfer_id)
    await office.end_authority(anna.actor_id)
    engine = make_engine(office.dsn, "fraud-test")
    show = ShowReviews(Reading(engine), ShowDecision(Reading(engine)), lambda: office.now)
    shown = [(await show.one(one.transfer_id, reader_id=new_id())).review for one in (waiting, done)]
    await engine.dispose()
    assert [one.first_approved_by for one in shown] == [None, anna.actor_id]
    assert [one.first_approved_at is None for one in shown] == [True, False]


async def test_the_database_releases_nothing_by_it(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office, transfer(new_id(), amount_minor=ABOVE))
    anna = reviewer()
    await desk.say("approve", held.transfer_id, anna)
    await office.end_authority(anna.actor_id)
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await office.query(DECIDE, held.transfer_id, new_id())
    assert refused.value.constraint_name == "reviews_first_still_counts"


async def test_a_role_that_ends_while_approvals_are_counted_ends_after_them(
    office: Office, desk: Desk, fraud_admin_dsn: str
) -> None:
    held = await hold_for_review(office, transfer(new_id(), amount_minor=ABOVE))
    anna = reviewer()
    await desk.say("approve", held.transfer_id, anna)
    between = "LOCK TABLE fraud.review_events IN SHARE MODE"
    async with asyncio.TaskGroup() as both, standing(fraud_admin_dsn, between):
        approving = both.create_task(desk.say("approve", held.transfer_id))
        await until_waiting(fraud_admin_dsn, 1)
        ending = both.create_task(office.end_authority(anna.actor_id))
        await until_waiting_or_done(fraud_admin_dsn, ending, 2)
    assert approving.result().review_status == "approved"
    assert [one.resolution for one in office.resolutions(held.transfer_id)] == ["release"]
    assert await office.query("SELECT FROM fraud.void_approvals WHERE actor_id = $1", anna.actor_id)


async def test_a_role_that_just_ends_is_waited_for_and_what_screens_waits_for_neither(
    office: Office, desk: Desk, fraud_admin_dsn: str
) -> None:
    payee = new_id()
    large = transfer(new_id(), payee=payee, amount_minor=ABOVE)
    held = await hold_for_review(office, large, ("review", "kyc_pending"))
    anna, ben = reviewer(), reviewer()
    await desk.say("approve", held.transfer_id, anna)
    ending = "INSERT INTO fraud.void_approvals VALUES ($1, $2)"
    async with asyncio.TaskGroup() as both, standing(fraud_admin_dsn, ending, anna.actor_id, office.now):
        approving = both.create_task(desk.say("approve", held.transfer_id, ben))
        await until_waiting_or_done(fraud_admin_dsn, approving, 1)
        await office.verify(payee)
    assert approving.result().review_status == "open"
    assert (await review_of(office, held.transfer_id)).first_approved_by == ben.actor_id
    assert [one.reason for one in office.resolutions(held.transfer_id)] == ["kyc_pending"]
