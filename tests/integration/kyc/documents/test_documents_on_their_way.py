"""A document that comes while somebody decides by what there is comes before him or after him, never in between."""

import asyncio
from typing import Any

import httpx2

from libs.common.ids import new_id
from tests.integration.kyc.conftest import DECIDING_WAITS
from tests.integration.kyc.documents.conftest import Shelf
from tests.integration.kyc.documents.test_asking_for_a_tier import approved, ask_for
from tests.integration.kyc.documents.test_deciding_on_what_was_seen import looked, post
from tests.integration.kyc.documents.test_tiers import IDENTITY, decide
from tests.support.standing_still import standing, until_waiting, until_waiting_or_done

SENDING_WAITS = "LOCK TABLE kyc.document_holders IN SHARE MODE"
"""Whoever sends a document stands still before he stores it."""


async def half_approved(shelf: Shelf) -> tuple[str, dict[str, Any]]:
    """An applicant of high risk whom one has approved, and what a second one saw."""
    user_id = new_id()
    await shelf.apply(user_id)
    header = shelf.keys.bearer(new_id(), "compliance")
    risk = {"high_risk": True, "reason": "lives where few report"}
    await shelf.http.put(f"/api/v1/admin/kyc/{user_id}/risk", json=risk, headers=header)
    seen = await looked(shelf, user_id)
    assert (await post(shelf, user_id, "approve", seen)).status_code == 202
    return user_id, seen


async def test_a_second_approval_waits_for_a_document_and_is_for_what_was_there(shelf: Shelf) -> None:
    user_id, seen = await half_approved(shelf)
    async with asyncio.TaskGroup() as both, standing(shelf.admin_dsn, DECIDING_WAITS):
        async with standing(shelf.admin_dsn, SENDING_WAITS):
            sending = both.create_task(shelf.send(user_id))
            await until_waiting(shelf.admin_dsn, 1)
            approving = both.create_task(post(shelf, user_id, "approve", seen))
            await until_waiting(shelf.admin_dsn, 2)
        assert (await sending).status_code == 201
    refused = approving.result()
    assert (refused.status_code, refused.json()["code"]) == (409, "application_changed")
    assert refused.json()["documents_version"] == 1
    assert shelf.said(user_id) == [("in_review", 0, 1)]


async def test_a_document_waits_for_a_second_approval_and_comes_after_it(shelf: Shelf) -> None:
    user_id, seen = await half_approved(shelf)
    key = f"kyc\n{user_id}\nPOST /api/v1/kyc/documents\na-document"
    async with asyncio.TaskGroup() as both, standing(shelf.admin_dsn, DECIDING_WAITS):
        async with standing(shelf.admin_dsn, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key):
            sending = both.create_task(shelf.send(user_id, key="a-document"))
            await until_waiting(shelf.admin_dsn, 1)
            approving = both.create_task(post(shelf, user_id, "approve", seen))
            await until_waiting(shelf.admin_dsn, 2)
        await until_waiting_or_done(shelf.admin_dsn, sending, 2)
    assert (approving.result().status_code, approving.result().json()["tier"]) == (200, 1)
    assert sending.result().status_code == 201
    assert shelf.said(user_id) == [("in_review", 0, 1), ("approved", 1, 2)]


async def test_nobody_is_asked_for_a_document_that_is_on_its_way(shelf: Shelf) -> None:
    user_id = new_id()
    await shelf.apply(user_id)
    question = await looked(shelf, user_id) | {"reason": "missing", "needs": ["identity_front"]}
    async with asyncio.TaskGroup() as both, standing(shelf.admin_dsn, SENDING_WAITS):
        sending = both.create_task(shelf.send(user_id))
        await until_waiting(shelf.admin_dsn, 1)
        asking = both.create_task(post(shelf, user_id, "ask", question))
        await until_waiting_or_done(shelf.admin_dsn, asking, 2)
    assert sending.result().status_code == 201
    assert (asking.result().status_code, asking.result().json().get("code")) == (409, "application_changed")


async def test_a_request_for_a_tier_counts_a_document_that_is_on_its_way(shelf: Shelf) -> None:
    user_id = await approved(shelf, *IDENTITY[1:])
    async with asyncio.TaskGroup() as both, standing(shelf.admin_dsn, SENDING_WAITS):
        sending = both.create_task(shelf.send(user_id, kind=IDENTITY[0]))
        await until_waiting(shelf.admin_dsn, 1)
        requesting = both.create_task(ask_for(shelf, user_id, 2))
        await until_waiting_or_done(shelf.admin_dsn, requesting, 2)
    assert sending.result().status_code == 201
    assert (requesting.result().json()["phase"], requesting.result().json()["needs"]) == ("tier_under_review", [])


async def test_nobody_applies_while_a_document_of_his_goes(shelf: Shelf) -> None:
    user_id = new_id()
    [first, *_] = [await shelf.sent(user_id, kind=kind) for kind in IDENTITY]

    async def apply_and_decide() -> httpx2.Response:
        await shelf.apply(user_id)
        return await decide(shelf, user_id, "approve", {"tier": 2})

    async with asyncio.TaskGroup() as both, standing(shelf.admin_dsn, "LOCK TABLE kyc.documents IN SHARE MODE"):
        removing = both.create_task(shelf.remove(user_id, first))
        await until_waiting(shelf.admin_dsn, 1)
        approving = both.create_task(apply_and_decide())
        await until_waiting_or_done(shelf.admin_dsn, approving, 2)
    assert removing.result().status_code == 204
    assert (approving.result().status_code, approving.result().json().get("code")) == (409, "documents_missing")
