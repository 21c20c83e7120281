"""The review queue as staff see it, and what they may do there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.ids import new_id
from services.fraud.app import review_router
from services.fraud.use_cases.read_policy import PolicyInForce
from services.fraud.views.show_decision import ShowDecision
from services.fraud.views.show_reviews import ShowReviews
from tests.integration.fraud.office import Office, transfer
from tests.integration.fraud.review_desk import Desk, hold_for_review
from tests.support.api_world import TokenKeys, http_client

PATH = "/api/v1/admin/fraud/reviews"
MANY = "/api/v1/admin/fraud/bulk-reviews"


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path)


@pytest.fixture
async def http(office: Office, desk: Desk, keys: TokenKeys) -> AsyncIterator[httpx2.AsyncClient]:
    engine = make_engine(office.dsn, "fraud-test")
    show = ShowReviews(Reading(engine), ShowDecision(Reading(engine)), lambda: office.now)
    router = review_router(
        show, desk.note_comment, desk.work, PolicyInForce(velocity_lifted=False), desk.screening, lambda: office.now
    )
    async with http_client("fraud", [router], keys) as client:
        yield client
    await engine.dispose()


@pytest.fixture
def staff(keys: TokenKeys) -> dict[str, str]:
    return keys.bearer(new_id(), "compliance")


def keyed(who: dict[str, str]) -> dict[str, str]:
    """Give the headers of a request of its own."""
    return who | {"Idempotency-Key": new_id()}


async def listed(http: httpx2.AsyncClient, staff: dict[str, str], **query: Any) -> list[dict[str, Any]]:
    """Follow the cursors to the last page."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await http.get(PATH, headers=staff, params=query)
        assert answer.status_code == 200, answer.text
        found += answer.json()["reviews"]
        if answer.json()["next"] is None:
            return found
        query["cursor"] = answer.json()["next"]


async def test_the_longest_due_comes_first_page_by_page(
    office: Office, http: httpx2.AsyncClient, staff: dict[str, str]
) -> None:
    payer = new_id()
    normal = [await hold_for_review(office, transfer(payer)) for _ in range(3)]
    office.pass_time(hours=2)
    high = await hold_for_review(office, transfer(payer, amount_minor=100_000_01))
    office.pass_time(hours=4)

    found = await listed(http, staff, payer_id=payer, limit=1)

    assert found[0]["transfer_id"] == high.transfer_id, "it came later and is due sooner"
    assert {one["transfer_id"] for one in found[1:]} == {one.transfer_id for one in normal}
    assert len(found) == 4
    assert [(one["age_seconds"], one["is_overdue"], one["priority"], one["needs_two"]) for one in found] == [
        (4 * 3600, True, "high", True)
    ] + [(6 * 3600, False, "normal", False)] * 3
    assert found[0]["waits_for"] == ["review"]


async def test_the_queue_is_narrowed(
    office: Office, desk: Desk, http: httpx2.AsyncClient, keys: TokenKeys, staff: dict[str, str]
) -> None:
    payer, me = new_id(), new_id()
    small = await hold_for_review(office, transfer(payer, amount_minor=5_00))
    large = await hold_for_review(office, transfer(payer, amount_minor=9_00))
    mine = keys.bearer(me, "compliance")
    assert (await http.put(f"{PATH}/{large.transfer_id}/claim", headers=mine)).status_code == 204
    await http.post(f"{PATH}/{small.transfer_id}/reject", headers=staff, json={"reason": "no"})

    def ids(found: list[dict[str, Any]]) -> list[str]:
        return [one["transfer_id"] for one in found]

    assert ids(await listed(http, staff, payer_id=payer)) == [large.transfer_id]
    assert ids(await listed(http, staff, payer_id=payer, status="rejected")) == [small.transfer_id]
    assert ids(await listed(http, staff, payer_id=payer, min_usd_minor=9_00)) == [large.transfer_id]
    assert ids(await listed(http, staff, payer_id=payer, min_usd_minor=9_01)) == []
    assert ids(await listed(http, staff, claimed_by=me)) == [large.transfer_id]
    office.pass_time(minutes=15)
    assert ids(await listed(http, staff, claimed_by=me)) == [], "a claim that is over is none"
    [again] = await listed(http, staff, payer_id=payer)
    assert (again["claimed_by"], again["claimed_until"]) == (None, None)
    ended = (await listed(http, staff, payer_id=payer, status="rejected"))[0]
    assert (ended["age_seconds"], ended["is_overdue"], ended["waits_for"]) == (0, False, [])


async def test_one_is_shown_with_why_it_was_held_and_what_was_said(
    office: Office, http: httpx2.AsyncClient, staff: dict[str, str]
) -> None:
    held = await hold_for_review(office)
    path = f"{PATH}/{held.transfer_id}"
    said = await http.post(f"{path}/comments", headers=staff, json={"text": "He called: it is his rent."})
    assert said.status_code == 204
    decided = await http.post(f"{path}/approve", headers=staff)
    assert decided.json() == {
        "transfer_id": held.transfer_id,
        "review_status": "approved",
        "remaining": [],
        "code": "",
    }

    shown = (await http.get(path, headers=staff)).json()

    assert (shown["review"]["status"], shown["decision"]["verdict"]) == ("approved", "hold")
    assert shown["decision"]["features"]["payer_tier"] == 1
    assert [(one["kind"], one["text"]) for one in shown["events"]] == [
        ("commented", "He called: it is his rent."),
        ("approved", ""),
    ]


async def test_a_comment_that_is_sent_again_stands_once(
    office: Office, http: httpx2.AsyncClient, staff: dict[str, str]
) -> None:
    held = await hold_for_review(office)
    path = f"{PATH}/{held.transfer_id}"
    keyed = staff | {"Idempotency-Key": "once"}

    async def say(text: str, headers: dict[str, str]) -> httpx2.Response:
        return await http.post(f"{path}/comments", headers=headers, json={"text": text})

    answers = await asyncio.gather(*(say("He called.", keyed) for _ in range(4)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(204, b"")}
    assert sorted(answer.headers.get("Idempotency-Replayed", "") for answer in answers) == ["", *["true"] * 3]
    other = await say("He did not.", keyed)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await say("He called.", staff)).status_code == 204
    shown = (await http.get(path, headers=staff)).json()
    assert [one["text"] for one in shown["events"]] == ["He called.", "He called."]
    audited = await office.query("SELECT 1 FROM fraud.audit_log WHERE resource_id = $1", held.transfer_id)
    assert len(audited) == 2


async def test_nobody_sees_that_his_own_transfer_is_looked_at(
    office: Office, http: httpx2.AsyncClient, keys: TokenKeys, staff: dict[str, str]
) -> None:
    payer = new_id()
    held = await hold_for_review(office, transfer(payer))
    himself = keys.bearer(payer, "compliance")
    assert [one["transfer_id"] for one in await listed(http, staff, payer_id=payer)] == [held.transfer_id]
    assert await listed(http, himself, payer_id=payer) == []
    answer = await http.get(f"{PATH}/{held.transfer_id}", headers=himself)
    assert (answer.status_code, answer.json()["code"]) == (403, "own_transfer")


@pytest.mark.parametrize("role", ["customer", "support", "operator"])
async def test_others_see_nothing(office: Office, http: httpx2.AsyncClient, keys: TokenKeys, role: str) -> None:
    held = await hold_for_review(office)
    who = keys.bearer(new_id(), role)
    for path in (PATH, f"{PATH}/{held.transfer_id}"):
        assert (await http.get(path, headers=who)).json()["code"] == "role_required"


@pytest.mark.parametrize("role", ["auditor", "admin"])
async def test_who_reads_does_not_decide(office: Office, http: httpx2.AsyncClient, keys: TokenKeys, role: str) -> None:
    held = await hold_for_review(office)
    who, path = keys.bearer(new_id(), role), f"{PATH}/{held.transfer_id}"
    assert (await http.get(path, headers=who)).status_code == 200
    body = {"reason": "x", "text": "x", "transfer_ids": [held.transfer_id]}
    refused = [
        await http.put(f"{path}/claim", headers=who),
        await http.delete(f"{path}/claim", headers=who),
        *[await http.post(f"{path}/{step}", headers=who, json=body) for step in ("comments", "approve", "reject")],
        *[await http.post(f"{MANY}/{step}", headers=keyed(who), json=body) for step in ("approve", "reject")],
    ]
    assert {answer.json()["code"] for answer in refused} == {"role_required"}


async def test_what_is_wrong_changes_nothing(office: Office, http: httpx2.AsyncClient, staff: dict[str, str]) -> None:
    held = await hold_for_review(office)
    path = f"{PATH}/{held.transfer_id}"
    for answer in (
        await http.post(f"{path}/reject", headers=staff, json={}),
        await http.post(f"{path}/reject", headers=staff, json={"reason": ""}),
        await http.post(f"{path}/comments", headers=staff, json={"text": "x" * 1001}),
        await http.post(f"{path}/comments", headers=staff, json={"text": "bell\x07"}),
        await http.post(f"{MANY}/approve", headers=keyed(staff), json={"transfer_ids": []}),
        await http.post(f"{MANY}/approve", headers=keyed(staff), json={"transfer_ids": [new_id() for _ in range(101)]}),
        await http.post(f"{MANY}/reject", headers=keyed(staff), json={"transfer_ids": [held.transfer_id]}),
        await http.get(f"{PATH}?min_usd_minor=-1", headers=staff),
        await http.get(f"{PATH}?limit=101", headers=staff),
        await http.get(f"{PATH}/not-an-id", headers=staff),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    other = (await http.get(PATH, headers=staff, params={"limit": 1})).json()["next"]
    if other is not None:
        answer = await http.get(PATH, headers=staff, params={"limit": 1, "status": "ended", "cursor": other})
        assert answer.json()["code"] == "cursor_invalid"
    shown = (await http.get(path, headers=staff)).json()
    assert (shown["review"]["status"], shown["events"]) == ("open", [])


async def test_many_get_a_result_each(office: Office, http: httpx2.AsyncClient, staff: dict[str, str]) -> None:
    held = await hold_for_review(office)
    ids = [held.transfer_id, "00000000-0000-7000-8000-000000000000", held.transfer_id]
    headers, body = keyed(staff), {"transfer_ids": ids, "reason": "a ring"}
    nameless = await http.post(f"{MANY}/reject", headers=staff, json=body)
    assert (nameless.status_code, nameless.json()["code"]) == (400, "idempotency_key_missing")
    answer = await http.post(f"{MANY}/reject", headers=headers, json=body)
    assert (answer.status_code, answer.headers.get("Idempotency-Replayed")) == (200, None)
    done, unknown = answer.json()["results"]
    assert (done["done"]["review_status"], done["code"]) == ("rejected", "")
    assert done["done"]["code"] == "transfer_not_permitted"
    assert (unknown["done"], unknown["code"]) == (None, "review_not_found")
    again = await http.post(f"{MANY}/reject", headers=headers, json=body)
    assert (again.headers.get("Idempotency-Replayed"), again.content) == ("true", answer.content)
    other = await http.post(f"{MANY}/reject", headers=headers, json=body | {"reason": "no ring"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
