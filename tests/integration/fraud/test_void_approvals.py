"""The first of two approvals ends with the authority of whoever gave it, until two have agreed."""

import asyncpg
import pytest

from libs.common.approvals.void_approvals import VoidApprovals
from libs.common.audit.asker import Asker
from libs.common.clock import to_rfc3339
from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.ids import new_id
from services.fraud.views.show_decision import ShowDecision
from services.fraud.views.show_reviews import ShowReviews
from tests.integration.fraud.office import Office, transfer
from tests.integration.fraud.review_desk import Desk, hold_for_review, review_of, reviewer

ABOVE = 100_000_01
DECIDE = "UPDATE fraud.reviews SET status = 'approved', decided_by = $2, decided_at = now() WHERE transfer_id = $1"


async def end_authority(office: Office, who: Asker, *, session_id: str = "", key_id: str = "") -> None:
    """Let fraud hear that what was issued to somebody has ended."""
    at = to_rfc3339(office.now)
    revoked = CredentialsRevoked(user_id=who.actor_id, session_id=session_id, key_id=key_id, occurred_at=at)
    await VoidApprovals(office.work.open)([revoked])


async def test_a_first_approval_of_who_lost_his_role_is_none(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office, transfer(new_id(), amount_minor=ABOVE))
    anna, ben, carla = reviewer(), reviewer(), reviewer()
    await desk.say("approve", held.transfer_id, anna)
    for _ in range(2):
        await end_authority(office, anna)
    office.pass_time(seconds=1)

    assert (await desk.say("approve", held.transfer_id, ben)).review_status == "open"

    assert office.resolutions(held.transfer_id) == []
    assert (await review_of(office, held.transfer_id)).first_approved_by == ben.actor_id
    assert (await desk.say("approve", held.transfer_id, carla)).review_status == "approved"


async def test_who_has_his_role_back_approves_anew(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office, transfer(new_id(), amount_minor=ABOVE))
    anna = reviewer()
    await desk.say("approve", held.transfer_id, anna)
    await end_authority(office, anna)
    office.pass_time(seconds=1)
    assert (await desk.say("approve", held.transfer_id, anna)).review_status == "open"
    assert (await desk.say("approve", held.transfer_id)).review_status == "approved"


async def test_who_logs_out_or_ends_a_key_has_approved_all_the_same(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office, transfer(new_id(), amount_minor=ABOVE))
    anna = reviewer()
    await desk.say("approve", held.transfer_id, anna)
    await end_authority(office, anna, session_id="his-telephone")
    await end_authority(office, anna, key_id="a-key")
    assert (await desk.say("approve", held.transfer_id)).review_status == "approved"


async def test_it_is_not_shown_as_given_and_what_two_agreed_on_is(office: Office, desk: Desk) -> None:
    waiting, done = [await hold_for_review(office, transfer(new_id(), amount_minor=ABOVE)) for _ in range(2)]
    anna = reviewer()
    for held in (waiting, done):
        await desk.say("approve", held.transfer_id, anna)
    await desk.say("approve", done.transfer_id)
    await end_authority(office, anna)
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
    await end_authority(office, anna)
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await office.query(DECIDE, held.transfer_id, new_id())
    assert refused.value.constraint_name == "reviews_first_still_counts"
