"""What the code refuses about reviews, the database refuses too."""

import asyncpg
import pytest

from libs.common.ids import new_id
from tests.integration.fraud.office import Office, transfer
from tests.integration.fraud.review_desk import Desk, hold_for_review, in_bulk, reviewer

DECIDE = "UPDATE fraud.reviews SET status = 'approved', decided_by = $2, decided_at = now() WHERE transfer_id = $1"
FIRST = "UPDATE fraud.reviews SET first_approved_by = $2, first_approved_at = now() WHERE transfer_id = $1"
CLAIM = "UPDATE fraud.reviews SET claimed_by = $2, claimed_until = now() WHERE transfer_id = $1"
SAY = "INSERT INTO fraud.review_events VALUES (gen_random_uuid(), $1, $3, $2, $4, now())"


async def refused(office: Office, sql: str, *arguments: object) -> str:
    with pytest.raises((asyncpg.CheckViolationError, asyncpg.InsufficientPrivilegeError)) as failure:
        await office.query(sql, *arguments)
    return str(getattr(failure.value, "constraint_name", None) or "not granted")


async def test_a_party_is_nowhere_in_his_own_review(office: Office) -> None:
    held = await hold_for_review(office)
    for sql in (DECIDE, FIRST, CLAIM):
        assert await refused(office, sql, held.transfer_id, held.payees[0].user_id) == "reviews_nobodys_own"


async def test_one_person_does_not_approve_a_large_one(office: Office) -> None:
    held = await hold_for_review(office, transfer(new_id(), amount_minor=100_000_01))
    who = new_id()
    assert await refused(office, DECIDE, held.transfer_id, who) == "reviews_two_people"
    await office.query(FIRST, held.transfer_id, who)
    assert await refused(office, DECIDE, held.transfer_id, who) == "reviews_two_people"
    await office.query(DECIDE, held.transfer_id, new_id())


async def test_what_is_over_stays_as_it_is(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office)
    await desk.say("approve", held.transfer_id)
    again = "UPDATE fraud.reviews SET status = 'open', decided_by = NULL, decided_at = NULL WHERE transfer_id = $1"
    assert await refused(office, again, held.transfer_id) == "reviews_closed_stay"
    assert await refused(office, "DELETE FROM fraud.reviews WHERE transfer_id = $1", held.transfer_id) == "not granted"


async def test_what_a_review_is_about_never_changes(office: Office) -> None:
    held = await hold_for_review(office)
    for column, value in (("usd_minor", "1"), ("parties", "parties"), ("due_at", "now()"), ("payer_id", "payer_id")):
        sql = f"UPDATE fraud.reviews SET {column} = {value} WHERE transfer_id = $1"
        assert await refused(office, sql, held.transfer_id) == "not granted"


async def test_what_became_of_many_stays_as_it_was(office: Office, desk: Desk, fraud_admin_dsn: str) -> None:
    held = await hold_for_review(office)
    who = reviewer()
    await desk.decide_many(in_bulk(who, key="kept"), [held.transfer_id], who)
    owner = await asyncpg.connect(fraud_admin_dsn)
    try:
        for table in ("bulk_reviews", "bulk_review_outcomes"):
            for change in (f"UPDATE fraud.{table} SET bulk_id = bulk_id", f"DELETE FROM fraud.{table}"):
                assert await refused(office, change) == "not granted"
                with pytest.raises(asyncpg.CheckViolationError):
                    await owner.execute(change)
    finally:
        await owner.close()
    [[bulk_id]] = await office.query("SELECT bulk_id FROM fraud.bulk_reviews WHERE principal_id = $1", who.actor_id)
    silent = "INSERT INTO fraud.bulk_review_outcomes VALUES ($1, gen_random_uuid(), NULL, '{}', '', '')"
    assert await refused(office, silent, bulk_id) == "bulk_review_outcomes_refused_why"


async def test_what_was_said_is_neither_changed_nor_empty(office: Office, fraud_admin_dsn: str) -> None:
    held = await hold_for_review(office)
    who = reviewer().actor_id
    assert await refused(office, SAY, held.transfer_id, who, "commented", "") == "review_events_said"
    assert await refused(office, SAY, held.transfer_id, who, "commented", "x" * 1001) == "review_events_text_bounded"
    assert await refused(office, SAY, held.transfer_id, None, "rejected", "why") == "review_events_actor"
    await office.query(SAY, held.transfer_id, who, "commented", "this")
    owner = await asyncpg.connect(fraud_admin_dsn)
    try:
        for sql in ("UPDATE fraud.review_events SET text = 'that'", "DELETE FROM fraud.review_events"):
            with pytest.raises(asyncpg.CheckViolationError) as failure:
                await owner.execute(sql)
            assert failure.value.constraint_name == "review_events_append_only"
        with pytest.raises(asyncpg.CheckViolationError):
            await owner.execute("DELETE FROM fraud.reviews")
    finally:
        await owner.close()
