"""What staff enter in lists: once for each key, and nothing that is lenient with themselves."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import msgspec
import pytest

from libs.common.clock import to_rfc3339
from libs.common.ids import new_id
from services.fraud.use_cases.forget_erased import ForgetErased
from tests.integration.fraud.office import NOON, Office, transfer
from tests.integration.fraud.rulebook import end_rulesets, enter
from tests.integration.fraud.shadow_room import ShadowRoom, shadow_room
from tests.support.api_world import admin_connection
from tests.support.rulesets_in_force import put_in_force

PATH = "/api/v1/admin/fraud/lists"
ADDRESS, DEVICE = "203.0.114.77", "phone of the officer"
REVIEWS_ALL = """
name: tried
review_from: 1
block_from: 2
rules:
- id: any
  title: Any
  when: usd_minor > 5
  message: tried
  typology: other
  action: review
  examples: [{given: {usd_minor: 6}, hits: true}, {given: {}, hits: false}]
"""


@pytest.fixture
async def room(office: Office, fraud_admin_dsn: str, tmp_path: Path) -> AsyncIterator[ShadowRoom]:
    async with shadow_room(office, fraud_admin_dsn, tmp_path) as room:
        yield room


async def post(room: ShadowRoom, user_id: str, path: str = "", key: str | None = None, **body: Any) -> httpx2.Response:
    headers = room.keys.bearer(user_id, "compliance") | ({"Idempotency-Key": key} if key else {})
    return await room.http.post(PATH + path, headers=headers, json={"reason": "tried"} | body)


def lenient(name: str, subject: str, value: str, *, now: datetime = NOON) -> dict[str, str]:
    """Give an entry that ends after a day."""
    rule = {"rule_id": "any"} if name == "snooze" else {}
    return {"list": name, "subject": subject, "value": value, "expires_at": to_rfc3339(now + timedelta(days=1))} | rule


async def entries_of(office: Office, officer: str) -> list[asyncpg.Record]:
    return await office.query("SELECT entry_id::text FROM fraud.list_entries WHERE added_by = $1", officer)


async def sent_by(office: Office, officer: str) -> None:
    """Send a transfer of the officer's own, from where he does."""
    keys = {"address_key": office.origins.address(ADDRESS), "device_key": office.origins.device(DEVICE)}
    await office.ask_until_answered(msgspec.structs.replace(transfer(officer), **keys))


async def test_nobody_reads_why_he_is_on_a_list_himself_and_support_reads_none(room: ShadowRoom) -> None:
    officer, colleague = new_id(), new_id()
    await post(room, colleague, list="freeze", subject="customer", value=officer)
    await post(room, colleague, list="deny", subject="pair", value=new_id(), other=officer)
    for role, reader, count in (("compliance", colleague, 2), ("compliance", officer, 0), ("support", colleague, None)):
        answer = await room.http.get(PATH, params={"value": officer}, headers=room.keys.bearer(reader, role))
        assert (answer.status_code, len(answer.json()["entries"]) if answer.is_success else None) == (
            403 if count is None else 200,
            count,
        )


async def test_a_key_makes_one_entry_and_all_copies_are_answered_alike(office: Office, room: ShadowRoom) -> None:
    officer, key = new_id(), "freeze-him"
    wanted = lenient("allow", "customer", new_id())
    answers = await asyncio.gather(*[post(room, officer, key=key, **wanted) for _ in range(3)])
    assert {(one.status_code, one.text) for one in answers} == {(201, answers[0].text)}
    assert sorted(one.headers.get("Idempotency-Replayed", "") for one in answers) == ["", "true", "true"]
    [entry] = await entries_of(office, officer)
    assert entry["entry_id"] == answers[0].json()["entry_id"]

    office.pass_time(days=2)
    late = await post(room, officer, key=key, **wanted)
    assert (late.status_code, late.text) == (201, answers[0].text), "it has ended meanwhile"
    other = await post(room, officer, key=key, **wanted | {"value": new_id()})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await post(room, officer, key="a key of", **wanted)).json()["code"] == "idempotency_key_invalid"
    assert len(await entries_of(office, officer)) == 1


@pytest.mark.parametrize("name", ["allow", "snooze"])
@pytest.mark.parametrize(("subject", "value"), [("address", ADDRESS), ("device", DEVICE)])
async def test_nobody_is_lenient_with_where_he_sent_from_himself(
    office: Office, room: ShadowRoom, name: str, subject: str, value: str
) -> None:
    officer, colleague = new_id(), new_id()
    await sent_by(office, officer)
    refused = await post(room, officer, **lenient(name, subject, value))
    assert (refused.status_code, refused.json()["code"]) == (403, "own_list_entry")
    assert await entries_of(office, officer) == []
    assert (await post(room, colleague, **lenient(name, subject, value))).status_code == 201
    assert (await post(room, officer, **lenient(name, subject, "198.51.99.3"))).status_code == 201


async def test_who_sent_from_there_denies_it_and_a_colleague_takes_that_back(office: Office, room: ShadowRoom) -> None:
    officer = new_id()
    await sent_by(office, officer)
    denied = await post(room, officer, list="deny", subject="device", value=DEVICE)
    assert denied.status_code == 201
    path = f"/{denied.json()['entry_id']}/remove"
    assert (await post(room, officer, path)).json()["code"] == "own_list_entry"
    assert (await post(room, new_id(), path)).status_code == 200
    allowed = await post(room, new_id(), **lenient("allow", "device", DEVICE))
    assert (await post(room, officer, f"/{allowed.json()['entry_id']}/remove")).status_code == 200


async def test_what_somebody_allowed_mutes_nothing_for_himself(
    office: Office, room: ShadowRoom, fraud_admin_dsn: str
) -> None:
    officer, device = new_id(), new_id()
    [[office.now]] = await office.query("SELECT now()")  # entries that have ended are not even read, by that clock
    async with admin_connection(fraud_admin_dsn) as connection:
        await put_in_force(connection, REVIEWS_ALL)
    office.screening.look_again()
    try:
        assert (await post(room, officer, **lenient("allow", "device", device, now=office.now))).status_code == 201
        shown = {"device_key": office.origins.device(device)}
        his, paid, others = (
            msgspec.structs.replace(command, **shown)
            for command in (transfer(officer), transfer(new_id(), payee=officer), transfer(new_id()))
        )
        verdicts = {}
        for name, command in (("his", his), ("paid", paid), ("others", others)):
            await office.ask_until_answered(command)
            verdicts[name] = (await office.ask_one(command)).verdict
        assert verdicts == {"his": "hold", "paid": "hold", "others": "approve"}
    finally:
        await end_rulesets(fraud_admin_dsn)


async def test_what_an_officer_was_answered_about_an_erased_customer_is_forgotten(
    office: Office, room: ShadowRoom, fraud_admin_dsn: str
) -> None:
    officer, erased, other = new_id(), new_id(), new_id()
    for number, user_id in enumerate((erased, other)):
        body = {"list": "deny", "subject": "customer", "value": user_id}
        assert (await post(room, officer, key=f"entry-{number}", **body)).status_code == 201
    await enter(fraud_admin_dsn, "deny", "customer", erased)

    await ForgetErased(office.work, lambda: office.now)([erased])

    kept = await office.query("SELECT idempotency_key FROM fraud.kept_answers WHERE principal_id = $1", officer)
    assert [row[0] for row in kept] == ["entry-1"]
