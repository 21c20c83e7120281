"""Tiers take documents, and who is asked for documents sends them before he is reviewed again."""

from datetime import timedelta
from typing import Any

import asyncpg
import httpx2
import pytest

from libs.common.ids import new_id
from tests.integration.kyc.documents.conftest import Shelf
from tests.support.api_world import admin_connection

IDENTITY = ("identity_front", "identity_back", "tax_number")
INFORMATION = "/api/v1/kyc/information"


async def decide(
    shelf: Shelf, user_id: str, what: str, body: dict[str, Any], reviewer: str | None = None
) -> httpx2.Response:
    """Send a reviewer's decision."""
    header = shelf.keys.bearer(reviewer or new_id(), "compliance")
    seen = await shelf.seen(user_id) if what not in ("suspend", "resume") else {}
    return await shelf.http.post(f"/api/v1/admin/kyc/{user_id}/{what}", json=seen | body, headers=header)


async def answer(shelf: Shelf, user_id: str, key: str | None = None) -> httpx2.Response:
    """Say that what was asked for is there."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await shelf.http.post(INFORMATION, headers=headers | shelf.keys.bearer(user_id))


async def asked(shelf: Shelf, *needs: str) -> str:
    """An applicant who was asked for this."""
    user_id = new_id()
    await shelf.apply(user_id)
    response = await decide(shelf, user_id, "ask", {"needs": list(needs), "reason": "blurred"})
    assert response.status_code == 200
    return user_id


async def test_a_tier_is_given_once_its_documents_are_there(shelf: Shelf) -> None:
    user_id = new_id()
    await shelf.apply(user_id)
    refused = await decide(shelf, user_id, "approve", {"tier": 2})
    assert (refused.status_code, refused.json()["code"]) == (409, "documents_missing")
    assert refused.json()["missing"] == list(IDENTITY)
    for kind in IDENTITY:
        await shelf.sent(user_id, kind=kind)
    assert (await decide(shelf, user_id, "approve", {"tier": 3})).json()["missing"] == ["proof_of_address"]
    assert (await shelf.status(user_id))["status"] == "in_review"
    approved = await decide(shelf, user_id, "approve", {"tier": 2})
    assert (approved.status_code, approved.json()["tier"]) == (200, 2)
    assert shelf.said(user_id) == [("in_review", 0, 1), ("approved", 2, 2)]


async def test_an_approved_customer_goes_up_and_down(shelf: Shelf) -> None:
    user_id = new_id()
    await shelf.apply(user_id)
    await decide(shelf, user_id, "approve", {})
    for kind in (*IDENTITY, "proof_of_address"):
        await shelf.sent(user_id, kind=kind)
    for tier in (3, 2, 1):
        assert (await decide(shelf, user_id, "approve", {"tier": tier})).json()["tier"] == tier
    for body in ({"tier": 1}, {}):
        same = await decide(shelf, user_id, "approve", body)
        assert (same.status_code, same.json()["code"]) == (409, "not_in_review")
    assert [tier for _, tier, _ in shelf.said(user_id)] == [0, 1, 3, 2, 1]


async def test_a_removed_document_counts_no_more(shelf: Shelf) -> None:
    user_id = new_id()
    documents = [await shelf.sent(user_id, kind=kind) for kind in IDENTITY]
    await shelf.remove(user_id, documents[1])
    await shelf.apply(user_id)
    assert (await decide(shelf, user_id, "approve", {"tier": 2})).json()["missing"] == ["identity_back"]


@pytest.mark.parametrize("tier", [0, 4, "2"])
async def test_a_tier_that_is_none_is_refused(shelf: Shelf, tier: object) -> None:
    user_id = new_id()
    await shelf.apply(user_id)
    refused = await decide(shelf, user_id, "approve", {"tier": tier})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


async def test_of_high_risk_two_people_give_another_tier(shelf: Shelf) -> None:
    user_id, anna = new_id(), new_id()
    await shelf.apply(user_id)
    await decide(shelf, user_id, "approve", {})
    for kind in IDENTITY:
        await shelf.sent(user_id, kind=kind)
    header = shelf.keys.bearer(new_id(), "compliance")
    body = {"high_risk": True, "reason": "lives where few report"}
    await shelf.http.put(f"/api/v1/admin/kyc/{user_id}/risk", json=body, headers=header)
    first = await decide(shelf, user_id, "approve", {"tier": 2}, anna)
    assert (first.status_code, first.json()["tier"]) == (202, 1)
    second = await decide(shelf, user_id, "approve", {"tier": 2})
    assert (second.status_code, second.json()["tier"]) == (200, 2)


async def test_the_reviewer_sees_what_each_tier_still_needs(shelf: Shelf) -> None:
    user_id = new_id()
    await shelf.apply(user_id)
    await shelf.sent(user_id, kind="tax_number")
    header = shelf.keys.bearer(new_id(), "compliance")
    shown = (await shelf.http.get(f"/api/v1/admin/kyc/{user_id}?reason=review", headers=header)).json()
    assert shown["given"] == ["tax_number"]
    assert shown["tiers"] == [
        {"tier": 1, "missing": []},
        {"tier": 2, "missing": ["identity_front", "identity_back"]},
        {"tier": 3, "missing": ["identity_front", "identity_back", "proof_of_address"]},
    ]


async def test_who_was_asked_for_a_document_sends_a_new_one(shelf: Shelf) -> None:
    user_id = new_id()
    await shelf.sent(user_id, kind="tax_number")
    shelf.clock.move(timedelta(seconds=1))
    await shelf.apply(user_id)
    await decide(shelf, user_id, "ask", {"needs": ["tax_number"], "reason": "blurred"})
    for refused in (await answer(shelf, user_id), await shelf.apply(user_id)):
        assert (refused.status_code, refused.json()["code"]) == (409, "information_incomplete")
        assert refused.json()["missing"] == ["tax_number"]
    await shelf.sent(user_id, kind="tax_number")
    answered = await answer(shelf, user_id)
    assert (answered.status_code, answered.json()["status"], answered.json()["needs"]) == (200, "in_review", [])
    assert shelf.said(user_id)[-1] == ("in_review", 0, 3)
    [entry] = await shelf.rows(
        "SELECT * FROM kyc.audit_log WHERE resource_id = $1 AND action = 'verification.provide'", user_id
    )
    assert entry["actor_id"] == user_id


async def test_a_corrected_application_is_its_own_answer(shelf: Shelf) -> None:
    user_id = await asked(shelf, "application")
    refused = await answer(shelf, user_id)
    assert (refused.json()["code"], refused.json()["missing"]) == ("information_incomplete", ["application"])
    assert (await shelf.apply(user_id, full_name="Ada King")).json()["status"] == "in_review"


async def test_an_answer_is_given_once_by_its_key(shelf: Shelf) -> None:
    user_id = await asked(shelf, "tax_number")
    await shelf.sent(user_id, kind="tax_number")
    first, again = await answer(shelf, user_id, "once"), await answer(shelf, user_id, "once")
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    twice = await answer(shelf, user_id)
    assert (twice.status_code, twice.json()["code"]) == (409, "information_not_asked")
    assert (await answer(shelf, new_id())).json()["code"] == "application_not_found"
    assert len(shelf.said(user_id)) == 3


@pytest.mark.parametrize(
    ("statement", "status"),
    [
        (
            """UPDATE kyc.verifications SET status = 'approved', tier = 2, version = 2, decided_at = now(),
                decided_by = gen_random_uuid() WHERE user_id = $1""",
            "in_review",
        ),
        (
            """UPDATE kyc.verifications SET status = 'in_review', needs = '{}', version = 3, decided_at = NULL,
                decided_by = NULL WHERE user_id = $1""",
            "needs_info",
        ),
    ],
    ids=["approval", "answer"],
)
async def test_the_database_asks_for_the_documents(shelf: Shelf, statement: str, status: str) -> None:
    user_id = new_id()
    for kind in IDENTITY[:2]:
        await shelf.sent(user_id, kind=kind)
    await shelf.apply(user_id)
    if status == "needs_info":
        await decide(shelf, user_id, "ask", {"needs": ["application", "tax_number"], "reason": "x"})
    async with admin_connection(shelf.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await connection.execute(statement, user_id)
        assert refusal.value.constraint_name == "verifications_documents_there"
        await shelf.sent(user_id, kind="tax_number")
        undone = connection.transaction()
        await undone.start()
        await connection.execute(statement, user_id)
        await undone.rollback()
