"""A customer asks for a higher tier: he keeps his own until it is decided, and whatever is decided."""

import json
from datetime import timedelta
from typing import Any

import asyncpg
import httpx2
import pytest

from libs.common.ids import new_id
from services.kyc.store.digests import DIGESTS
from tests.integration.kyc.documents.conftest import Shelf
from tests.integration.kyc.documents.test_tiers import IDENTITY, answer, decide
from tests.support.api_world import admin_connection

TIER = "/api/v1/kyc/tier"


async def ask_for(shelf: Shelf, user_id: str, tier: object, key: str | None = None) -> httpx2.Response:
    """Ask for a tier."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await shelf.http.post(TIER, json={"tier": tier}, headers=headers | shelf.keys.bearer(user_id))


async def withdraw(shelf: Shelf, user_id: str) -> int:
    """Ask for it no more."""
    return (await shelf.http.delete(TIER, headers=shelf.keys.bearer(user_id))).status_code


async def approved(shelf: Shelf, *kinds: str, tier: int = 1) -> str:
    """A customer of a tier who has given documents of these kinds."""
    user_id = new_id()
    for kind in kinds:
        await shelf.sent(user_id, kind=kind)
    await shelf.apply(user_id)
    assert (await decide(shelf, user_id, "approve", {"tier": tier})).status_code == 200
    return user_id


def told(status: dict[str, Any]) -> list[Any]:
    """What matters of a status."""
    return [status[name] for name in ("status", "tier", "requested_tier", "phase", "next_action", "needs")]


async def events_of(shelf: Shelf, user_id: str) -> list[tuple[Any, ...]]:
    rows = await shelf.rows(
        "SELECT action, to_status, tier, requested_tier FROM kyc.verification_events WHERE user_id = $1"
        " ORDER BY version",
        user_id,
    )
    return [tuple(row.values()) for row in rows]


async def test_with_its_documents_there_a_request_is_reviewed_and_approved(shelf: Shelf) -> None:
    user_id = await approved(shelf, *IDENTITY)
    asked = await ask_for(shelf, user_id, 2)
    assert (asked.status_code, asked.json()) == (200, await shelf.status(user_id))
    assert told(asked.json()) == ["approved", 1, 2, "tier_under_review", "wait", []]
    given = await decide(shelf, user_id, "approve", {})
    assert told(given.json()) == ["approved", 2, None, "verified", "nothing", []]
    assert shelf.said(user_id) == [("in_review", 0, 1), ("approved", 1, 2), ("approved", 1, 3), ("approved", 2, 4)]
    assert (await events_of(shelf, user_id))[2:] == [
        ("request", "tier_in_review", 1, 2),
        ("approve", "approved", 2, 0),
    ]
    again = await decide(shelf, user_id, "approve", {})
    assert (again.status_code, again.json()["code"]) == (409, "not_in_review")


async def test_what_is_still_needed_is_named_and_reviewed_once_it_is_there(shelf: Shelf) -> None:
    user_id = await approved(shelf, "tax_number")
    asked = await ask_for(shelf, user_id, 3)
    missing = ["identity_front", "identity_back", "proof_of_address"]
    assert told(asked.json()) == ["approved", 1, 3, "tier_information_needed", "provide", missing]
    early = await decide(shelf, user_id, "approve", {"tier": 3})
    assert (early.status_code, early.json()["legal_actions"]) == (409, ["decline", "suspend"])
    await shelf.sent(user_id, kind="identity_front")
    refused = await answer(shelf, user_id)
    assert (refused.status_code, refused.json()["missing"]) == (409, missing[1:])
    for kind in missing[1:]:
        await shelf.sent(user_id, kind=kind)
    assert told((await answer(shelf, user_id)).json()) == ["approved", 1, 3, "tier_under_review", "wait", []]
    assert (await decide(shelf, user_id, "approve", {})).json()["tier"] == 3


async def test_what_was_removed_meanwhile_is_asked_for(shelf: Shelf) -> None:
    user_id = await approved(shelf)
    documents = [await shelf.sent(user_id, kind=kind) for kind in IDENTITY[:2]]
    assert (await ask_for(shelf, user_id, 2)).json()["needs"] == ["tax_number"]
    await shelf.sent(user_id, kind="tax_number")
    assert (await shelf.remove(user_id, documents[0])).status_code == 204
    refused = await answer(shelf, user_id)
    assert (refused.json()["code"], refused.json()["missing"]) == ("documents_missing", ["identity_front"])
    await shelf.sent(user_id, kind="identity_front")
    assert (await answer(shelf, user_id)).status_code == 200
    kept = await shelf.remove(user_id, documents[1])
    assert (kept.status_code, kept.json()["code"]) == (409, "document_in_use")


async def test_declined_he_keeps_his_tier_and_asks_again_after_a_while(shelf: Shelf) -> None:
    user_id = await approved(shelf, *IDENTITY)
    await ask_for(shelf, user_id, 2)
    revoked = await decide(shelf, user_id, "reject", {"reason": "by mistake"})
    assert (revoked.status_code, revoked.json()["code"]) == (409, "not_in_review")
    body = {"reason": "secret words", "code": "document_expired"}
    declined = (await decide(shelf, user_id, "decline", body)).json()
    assert told(declined) == ["approved", 1, None, "verified", "nothing", []]
    assert (declined["rejection_code"], declined["can_retry"]) == ("document_expired", False)
    assert "secret" not in json.dumps(declined)
    twice = await decide(shelf, user_id, "decline", body)
    assert (twice.status_code, twice.json()["legal_actions"]) == (409, ["approve", "reject", "suspend"])
    soon = await ask_for(shelf, user_id, 2)
    assert (soon.status_code, soon.json()["code"], soon.json()["retry_at"]) == (
        409,
        "retry_too_soon",
        declined["retry_at"],
    )
    shelf.clock.move(timedelta(days=1))
    again = await ask_for(shelf, user_id, 2)
    assert [again.json()[name] for name in ("requested_tier", "rejection_code", "retry_at")] == [2, None, None]
    assert shelf.said(user_id)[-2:] == [("approved", 1, 4), ("approved", 1, 5)]
    facts = await shelf.rows(
        "SELECT action, facts FROM kyc.audit_log WHERE resource_id = $1 ORDER BY entry_id DESC LIMIT 2", user_id
    )
    assert [(row["action"], json.loads(row["facts"])) for row in facts] == [
        ("verification.request_tier", {"step": "request", "tier": 2}),
        ("verification.review", {"before": "tier_in_review", "after": "approved", "code": "document_expired"}),
    ]


async def test_a_reviewer_asks_for_a_new_document(shelf: Shelf) -> None:
    user_id = await approved(shelf, *IDENTITY)
    await ask_for(shelf, user_id, 2)
    corrected = await decide(shelf, user_id, "ask", {"needs": ["application"], "reason": "x"})
    assert (corrected.status_code, corrected.json()["code"]) == (409, "not_in_review")
    shelf.clock.move(timedelta(seconds=1))
    asked = await decide(shelf, user_id, "ask", {"needs": ["tax_number"], "reason": "blurred"})
    assert told(asked.json()) == ["approved", 1, 2, "tier_information_needed", "provide", ["tax_number"]]
    assert (await answer(shelf, user_id)).json()["code"] == "information_incomplete"
    await shelf.sent(user_id, kind="tax_number")
    assert (await answer(shelf, user_id)).json()["next_action"] == "wait"


async def test_a_request_is_given_less_than_asked_for_but_never_less_than_before(shelf: Shelf) -> None:
    user_id = await approved(shelf, *IDENTITY, "proof_of_address", tier=2)
    await ask_for(shelf, user_id, 3)
    for tier in (1, 2):
        refused = await decide(shelf, user_id, "approve", {"tier": tier})
        assert (refused.status_code, refused.json()["code"]) == (409, "not_in_review")
    other = await approved(shelf, *IDENTITY, "proof_of_address")
    await ask_for(shelf, other, 3)
    assert told((await decide(shelf, other, "approve", {"tier": 2})).json())[:3] == ["approved", 2, None]


@pytest.mark.parametrize(("has", "tier"), [(1, 1), (2, 2), (3, 2)])
async def test_what_he_has_is_not_asked_for(shelf: Shelf, has: int, tier: int) -> None:
    user_id = await approved(shelf, *IDENTITY, "proof_of_address", tier=has)
    refused = await ask_for(shelf, user_id, tier)
    code = "invalid_request" if tier == 1 else "tier_not_requestable"
    assert refused.json()["code"] == code
    assert (await shelf.status(user_id))["version"] == 2


@pytest.mark.parametrize("tier", [0, 4, "2", None])
async def test_a_tier_that_nobody_can_ask_for_is_refused(shelf: Shelf, tier: object) -> None:
    user_id = await approved(shelf)
    refused = await ask_for(shelf, user_id, tier)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


async def test_only_who_is_approved_asks_and_for_one_at_a_time(shelf: Shelf) -> None:
    user_id = new_id()
    assert (await ask_for(shelf, user_id, 2)).json()["code"] == "application_not_found"
    await shelf.apply(user_id)
    refused = await ask_for(shelf, user_id, 2)
    assert (refused.status_code, refused.json()["code"], refused.json()["legal_actions"]) == (
        409,
        "tier_not_requestable",
        [],
    )
    await decide(shelf, user_id, "approve", {})
    await ask_for(shelf, user_id, 2)
    second = (await ask_for(shelf, user_id, 3)).json()
    assert [second[name] for name in ("code", "verification_status", "legal_actions")] == [
        "tier_not_requestable",
        "approved",
        ["provide", "withdraw"],
    ]
    assert (await shelf.apply(user_id)).json()["code"] == "application_exists"


async def test_a_request_is_taken_back_and_made_anew(shelf: Shelf) -> None:
    user_id = await approved(shelf, *IDENTITY)
    for tier, needs in ((3, ["proof_of_address"]), (2, [])):
        assert (await ask_for(shelf, user_id, tier)).json()["needs"] == needs
        for _ in range(2):
            assert await withdraw(shelf, user_id) == 204
        assert told(await shelf.status(user_id)) == ["approved", 1, None, "verified", "nothing", []]
    assert await withdraw(shelf, new_id()) == 204
    assert [event[0] for event in await events_of(shelf, user_id)][2:] == ["prepare", "withdraw", "request", "withdraw"]


async def test_a_request_is_made_once_by_its_key(shelf: Shelf) -> None:
    user_id = await approved(shelf)
    first, again = [await ask_for(shelf, user_id, 2, "once") for _ in range(2)]
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(shelf.said(user_id)) == 3


@pytest.mark.parametrize("kinds", [IDENTITY, ()], ids=["in review", "incomplete"])
async def test_a_suspension_ends_the_request_and_gives_back_the_tier_from_before(
    shelf: Shelf, kinds: tuple[str, ...]
) -> None:
    user_id = await approved(shelf, *kinds)
    await ask_for(shelf, user_id, 2)
    await decide(shelf, user_id, "suspend", {"reason": "his passport has run out"})
    assert told(await shelf.status(user_id)) == ["suspended", 0, None, "suspended", "wait", []]
    assert (await ask_for(shelf, user_id, 2)).json()["code"] == "tier_not_requestable"
    await decide(shelf, user_id, "resume", {"reason": "a new one"})
    assert told(await shelf.status(user_id))[:4] == ["approved", 1, None, "verified"]


async def test_requests_wait_in_the_queue_and_are_claimed(shelf: Shelf) -> None:
    first, second = await approved(shelf, *IDENTITY), await approved(shelf)
    applicant, anna = new_id(), new_id()
    await shelf.apply(applicant)
    await ask_for(shelf, second, 2)
    await ask_for(shelf, first, 2)
    header = shelf.keys.bearer(anna, "compliance")

    async def queued(status: str) -> list[tuple[str, int | None]]:
        page = (await shelf.http.get(f"/api/v1/admin/kyc/reviews?limit=100{status}", headers=header)).json()
        wanted = (first, second, applicant)
        return [(one["user_id"], one["requested_tier"]) for one in page["reviews"] if one["user_id"] in wanted]

    assert await queued("") == [(applicant, None), (first, 2)]
    assert await queued("&status=tier_in_review") == [(first, 2)]
    assert await queued("&status=tier_needs_info") == [(second, 2)]
    assert (await shelf.http.post(f"/api/v1/admin/kyc/{first}/claim", headers=header)).status_code == 200
    assert (await decide(shelf, first, "approve", {})).json()["code"] == "claimed_by_another"
    shown = (await shelf.http.get(f"/api/v1/admin/kyc/{first}?reason=review", headers=header)).json()
    assert (shown["status"], shown["tier"], shown["requested_tier"]) == ("tier_in_review", 1, 2)
    assert (await decide(shelf, first, "approve", {}, anna)).json()["tier"] == 2


async def test_of_high_risk_two_people_give_what_was_asked_for_and_one_declines(shelf: Shelf) -> None:
    user_id, other = [await approved(shelf, *IDENTITY) for _ in range(2)]
    header = shelf.keys.bearer(new_id(), "compliance")
    for one in (user_id, other):
        await ask_for(shelf, one, 2)
        body = {"high_risk": True, "reason": "lives where few report"}
        await shelf.http.put(f"/api/v1/admin/kyc/{one}/risk", json=body, headers=header)
    noted = await decide(shelf, user_id, "approve", {})
    assert (noted.status_code, noted.json()["tier"]) == (202, 1)
    second = await decide(shelf, user_id, "approve", {})
    assert (second.status_code, second.json()["tier"]) == (200, 2)
    assert (await decide(shelf, other, "decline", {"reason": "x"})).status_code == 200


async def test_what_others_compare_says_that_he_is_approved(shelf: Shelf) -> None:
    user_id = await approved(shelf)
    await ask_for(shelf, user_id, 2)
    rows = await shelf.rows(DIGESTS["verifications"])
    assert {row["said"] for row in rows if str(row["id"]) == user_id} == {"approved|1|3"}


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("status = 'approved', tier = 1, requested_tier = 0", "verifications_request_never_lowers"),
        ("status = 'approved', tier = 3, requested_tier = 0", "verifications_documents_there"),
        ("status = 'tier_needs_info', needs = '{tax_number}', tier = 1", "verifications_request_never_lowers"),
        (
            "status = 'tier_needs_info', needs = '{tax_number}', requested_tier = 2",
            "verifications_requested_tier_is_higher",
        ),
        ("status = 'approved'", "verifications_requested_tier_is_higher"),
        ("status = 'rejected', tier = 0, requested_tier = 0", "verifications_move_known"),
    ],
    ids=["lower", "without documents", "lower meanwhile", "for the same", "left over", "revoked"],
)
async def test_the_database_knows_what_a_request_is(shelf: Shelf, statement: str, constraint: str) -> None:
    user_id = await approved(shelf, *IDENTITY, tier=2)
    address = await shelf.sent(user_id, kind="proof_of_address")
    await ask_for(shelf, user_id, 3)
    async with admin_connection(shelf.admin_dsn) as connection:
        await connection.execute(
            "UPDATE kyc.documents SET status = 'removed', removed_at = now(), key_sealed = NULL WHERE document_id = $1",
            address,
        )
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await connection.execute(
                f"UPDATE kyc.verifications SET {statement}, version = version + 1 WHERE user_id = $1", user_id
            )
    assert refusal.value.constraint_name == constraint


@pytest.mark.parametrize(
    ("status", "constraint"),
    [("tier_in_review", "verifications_documents_there"), ("tier_needs_info", "verifications_retried_in_time")],
)
async def test_the_database_asks_for_documents_and_for_the_waiting(shelf: Shelf, status: str, constraint: str) -> None:
    user_id = await approved(shelf)
    if status == "tier_needs_info":
        await ask_for(shelf, user_id, 2)
        await decide(shelf, user_id, "decline", {"reason": "x"})
    needs = "{}" if status == "tier_in_review" else "{tax_number}"
    async with admin_connection(shelf.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await connection.execute(
                f"UPDATE kyc.verifications SET status = '{status}', requested_tier = 2, needs = '{needs}',"
                " version = version + 1 WHERE user_id = $1",
                user_id,
            )
    assert refusal.value.constraint_name == constraint
