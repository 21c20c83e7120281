"""Who was erased at accounts is forgotten here: words about him, and where he asked from; what was decided stays."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from aiokafka import ConsumerRecord

from libs.common.clock import to_rfc3339
from libs.common.contracts.accounts import CustomerErased
from libs.common.ids import new_id
from libs.common.messaging.records import Received
from services.fraud.consumers.on_customer_erased import OnCustomerErased
from services.fraud.use_cases.forget_erased import ForgetErased
from tests.integration.fraud.office import NOON, Office, transfer
from tests.integration.fraud.review_desk import Desk, events_of, hold_for_review, reviewer
from tests.integration.fraud.rulebook import enter
from tests.integration.fraud.watch_desk import WatchDesk
from tests.support.api_world import admin_connection

ABOUT_HIM = "Ada says that she sold a car"


@pytest.fixture
async def watch(fraud_dsn: str) -> AsyncIterator[WatchDesk]:
    async with WatchDesk(fraud_dsn) as watch:
        yield watch


async def hear_erased(office: Office, *user_ids: str) -> None:
    """Let the consumer hear it; a piece of the work is two rows, so that there are several."""
    record = ConsumerRecord("accounts.erasures.v1", 0, 0, 0, 0, b"", b"", None, 0, 0, ())
    forget = ForgetErased(office.work, lambda: office.now, piece=2)
    messages = [CustomerErased(user_id=user_id, occurred_at=to_rfc3339(NOON)) for user_id in user_ids]
    await OnCustomerErased(forget)([Received(message, record) for message in messages])


async def limit(office: Office, user_id: str) -> None:
    """Keep limits of his own, as compliance sets them."""
    await office.query(
        "INSERT INTO fraud.personal_limits (user_id, day_count, version, reason, set_by) VALUES ($1, 9, 1, $2, $3)",
        user_id,
        ABOUT_HIM,
        new_id(),
    )


async def noted_alert(watch: WatchDesk, user_id: str) -> str:
    """Raise an alert about a customer, and note something in it."""
    await watch.posts(*[(user_id, new_id(), 9_000_00) for _ in range(3)])
    await watch.settle()
    [alert] = await watch.alerts(user_id)
    await watch.query(
        "INSERT INTO fraud.alert_events VALUES ($1, $2, 'noted', 'open', 'open', $3, $4, now())",
        alert["alert_id"],
        alert["version"] + 1,
        new_id(),
        ABOUT_HIM,
    )
    return str(alert["alert_id"])


async def words_about(office: Office, user_id: str) -> set[str]:
    """Return every text that people wrote about a customer."""
    rows = await office.query(
        """SELECT text FROM fraud.review_events JOIN fraud.reviews USING (transfer_id) WHERE payer_id = $1::uuid
           UNION ALL SELECT text FROM fraud.alert_events JOIN fraud.alerts USING (alert_id) WHERE subject_id = $1::uuid
           UNION ALL SELECT reason FROM fraud.personal_limits WHERE user_id = $1::uuid
           UNION ALL SELECT unnest(ARRAY[reason, removed_because]) FROM fraud.list_entries
           WHERE value = $1::text OR other = $1::text""",
        user_id,
    )
    return {row[0] for row in rows} - {""}


async def test_what_people_wrote_about_an_erased_customer_goes_and_about_nobody_else(
    office: Office, desk: Desk, watch: WatchDesk, fraud_admin_dsn: str
) -> None:
    erased, other = new_id(), new_id()
    for user_id in (erased, other):
        held = await hold_for_review(office, transfer(user_id))
        for _ in range(5):
            await desk.comment(held.transfer_id, ABOUT_HIM, reviewer())
        await desk.say("reject", held.transfer_id)
        await noted_alert(watch, user_id)
        await limit(office, user_id)
        await enter(fraud_admin_dsn, "freeze", "customer", user_id)
        await enter(fraud_admin_dsn, "allow", "pair", new_id(), other=user_id)
    removed = await enter(fraud_admin_dsn, "deny", "sender", erased)
    await office.query(
        "UPDATE fraud.list_entries SET removed_by = 'x', removed_at = now(), removed_because = $2 WHERE entry_id = $1",
        removed,
        ABOUT_HIM,
    )
    before = await words_about(office, other)
    await hear_erased(office, erased)
    [review] = await office.query("SELECT transfer_id::text FROM fraud.reviews WHERE payer_id = $1", erased)
    await desk.comment(review["transfer_id"], "said of him afterwards", reviewer())
    await hear_erased(office, erased)
    assert await words_about(office, erased) == {"erased"}
    assert await words_about(office, other) == before == {ABOUT_HIM, "looked at it", "a test"}


async def test_what_the_service_itself_said_of_a_review_stays(office: Office) -> None:
    held = await hold_for_review(office)
    assert held.payer is not None
    await office.query(
        "INSERT INTO fraud.review_events VALUES ($2, $1, 'ended', NULL, 'transfer_not_permitted', now())",
        held.transfer_id,
        new_id(),
    )
    await hear_erased(office, held.payer.user_id)
    assert await events_of(office, held.transfer_id) == [("ended", None, "transfer_not_permitted")]


async def everything_decided(office: Office, user_id: str) -> list[list[tuple[Any, ...]]]:
    """Return what limits, verdicts and explanations rest on, byte for byte."""
    tables = [
        ("decisions", "user_id"),
        ("limit_releases", "user_id"),
        ("users", "user_id"),
        ("reviews", "payer_id"),
        ("alerts", "subject_id"),
        ("aml_edges", "payer_id"),
    ]
    found = [
        await office.query(f"SELECT * FROM fraud.{table} WHERE {column} = $1 ORDER BY 1", user_id)
        for table, column in tables
    ]
    found.append(await office.query("SELECT day_count, version FROM fraud.personal_limits WHERE user_id = $1", user_id))
    return [[tuple(row) for row in rows] for rows in found]


async def test_what_was_decided_about_him_stays_as_it_was_and_who_was_frozen_stays_frozen(
    office: Office, desk: Desk, watch: WatchDesk, fraud_admin_dsn: str
) -> None:
    erased = new_id()
    await office.ask(*[transfer(erased) for _ in range(3)])
    held = await hold_for_review(office, transfer(erased))
    await desk.say("reject", held.transfer_id)
    await noted_alert(watch, erased)
    await limit(office, erased)
    await enter(fraud_admin_dsn, "freeze", "customer", erased)
    before = await everything_decided(office, erased)
    assert all(before[at] for at in (0, 2, 3, 4, 5, 6))
    await hear_erased(office, erased)
    assert await everything_decided(office, erased) == before
    office.forget()
    office.screening.look_again()
    assert (await office.ask_one(transfer(erased))).code == "transfer_not_permitted"


async def test_where_an_erased_customer_asked_from_goes_and_where_others_asked_from_stays(office: Office) -> None:
    erased, other = new_id(), new_id()
    await office.ask(*[transfer(erased) for _ in range(5)], transfer(other), transfer(other, payee=erased))
    await hear_erased(office, erased)
    kept = await office.query("SELECT payer_id::text FROM fraud.activity WHERE payer_id = ANY ($1)", [erased, other])
    assert [row[0] for row in kept] == [other, other]


async def test_lists_are_not_read_anew_where_nothing_is_forgotten(office: Office, fraud_admin_dsn: str) -> None:
    """Everybody is forgotten anew after each start."""
    erased = new_id()
    await enter(fraud_admin_dsn, "freeze", "customer", erased)
    await hear_erased(office, erased)
    before = await office.query("SELECT version FROM fraud.screening_data")
    await hear_erased(office, erased, new_id())
    assert await office.query("SELECT version FROM fraud.screening_data") == before


async def test_of_somebody_who_was_not_erased_nothing_goes_whoever_asks(office: Office, desk: Desk) -> None:
    held = await hold_for_review(office)
    assert held.payer is not None
    await desk.comment(held.transfer_id, ABOUT_HIM, reviewer())
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await office.query("SELECT fraud.forget_words_about($1, 10)", held.payer.user_id)
    assert refused.value.constraint_name == "review_events_append_only"
    await hear_erased(office, held.payer.user_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await office.query("UPDATE fraud.review_events SET text = 'erased' WHERE transfer_id = $1", held.transfer_id)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE fraud.review_events SET text = 'another word' WHERE transfer_id = $1",
        "UPDATE fraud.review_events SET text = 'erased', actor_id = gen_random_uuid() WHERE transfer_id = $1",
        "DELETE FROM fraud.review_events WHERE transfer_id = $1",
        "UPDATE fraud.alert_events SET text = 'erased', at = now() WHERE alert_id = $2",
        "DELETE FROM fraud.alert_events WHERE alert_id = $2",
        "UPDATE fraud.personal_limits SET reason = 'erased', day_count = 10 WHERE user_id = $3",
        "DELETE FROM fraud.personal_limits WHERE user_id = $3",
        "UPDATE fraud.list_entries SET reason = 'another word' WHERE value = $3::text",
        "UPDATE fraud.list_entries SET reason = 'erased', expires_at = now() WHERE value = $3::text",
        "TRUNCATE fraud.review_events",
        "TRUNCATE fraud.alert_events",
        "TRUNCATE fraud.personal_limits",
        "DELETE FROM fraud.erased_customers",
    ],
)
async def test_of_what_is_kept_about_an_erased_customer_nothing_else_changes(
    office: Office, desk: Desk, watch: WatchDesk, fraud_admin_dsn: str, change: str
) -> None:
    erased = new_id()
    held = await hold_for_review(office, transfer(erased))
    await desk.comment(held.transfer_id, ABOUT_HIM, reviewer())
    alert_id = await noted_alert(watch, erased)
    await limit(office, erased)
    await enter(fraud_admin_dsn, "freeze", "customer", erased)
    await office.query("INSERT INTO fraud.erased_customers VALUES ($1, now())", erased)
    named = {"$1": held.transfer_id, "$2": alert_id, "$3": erased}
    for name, value in named.items():
        change = change.replace(name, f"'{value}'")
    async with admin_connection(fraud_admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(change)
