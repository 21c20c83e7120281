"""A decision names what it rests on: it does not count for what came after whoever decides had looked."""

from typing import Any

import httpx2
import pytest

from libs.common.ids import new_id
from tests.integration.kyc.documents.conftest import Shelf
from tests.integration.kyc.documents.test_tiers import IDENTITY, answer

DECISIONS: dict[str, dict[str, Any]] = {
    "approve": {"tier": 1},
    "reject": {"reason": "blurred"},
    "ask": {"reason": "blurred", "needs": ["tax_number"]},
}


async def looked(shelf: Shelf, user_id: str) -> dict[str, int]:
    """Look at an applicant as a reviewer does, and return what a decision names."""
    header = shelf.keys.bearer(new_id(), "compliance")
    shown = (await shelf.http.get(f"/api/v1/admin/kyc/{user_id}?reason=review", headers=header)).json()
    return {name: shown[name] for name in ("version", "documents_version")}


async def post(shelf: Shelf, user_id: str, decision: str, body: dict[str, Any], by: str = "") -> httpx2.Response:
    header = shelf.keys.bearer(by or new_id(), "compliance")
    return await shelf.http.post(f"/api/v1/admin/kyc/{user_id}/{decision}", json=body, headers=header)


@pytest.mark.parametrize("decision", DECISIONS)
async def test_a_document_that_came_since_is_looked_at_first(shelf: Shelf, decision: str) -> None:
    user_id = new_id()
    await shelf.apply(user_id)
    before = await looked(shelf, user_id)
    assert before == {"version": 1, "documents_version": 0}
    await shelf.sent(user_id)

    for seen in (before, {"version": 1}):
        refused = await post(shelf, user_id, decision, DECISIONS[decision] | seen)
        assert (refused.status_code, refused.json()["code"]) == (409, "application_changed")
        assert [refused.json()[name] for name in ("version", "documents_version")] == [1, 1]
    assert shelf.said(user_id) == [("in_review", 0, 1)]
    done = await post(shelf, user_id, decision, DECISIONS[decision] | await looked(shelf, user_id))
    assert done.status_code == 200


@pytest.mark.parametrize("decision", DECISIONS)
async def test_a_later_version_is_looked_at_first(shelf: Shelf, decision: str) -> None:
    user_id = new_id()
    await shelf.apply(user_id)
    before = await looked(shelf, user_id)
    await post(shelf, user_id, "ask", before | {"reason": "a typo", "needs": ["application"]})
    await shelf.apply(user_id, full_name="Ada King")
    refused = await post(shelf, user_id, decision, DECISIONS[decision] | before)
    assert (refused.json()["code"], refused.json()["version"]) == ("application_changed", 3)
    early = await post(shelf, user_id, decision, DECISIONS[decision] | {"version": 4})
    assert early.json()["code"] == "application_changed"
    done = await post(shelf, user_id, decision, DECISIONS[decision] | await looked(shelf, user_id))
    assert done.status_code == 200


async def test_a_request_for_a_tier_is_declined_as_it_was_seen(shelf: Shelf) -> None:
    user_id = new_id()
    await shelf.apply(user_id)
    await post(shelf, user_id, "approve", {"version": 1})
    for kind in IDENTITY:
        await shelf.sent(user_id, kind=kind)
    await shelf.http.post("/api/v1/kyc/tier", json={"tier": 2}, headers=shelf.keys.bearer(user_id))
    before = await looked(shelf, user_id)
    await shelf.sent(user_id, kind="proof_of_address")
    refused = await post(shelf, user_id, "decline", before | {"reason": "x"})
    assert refused.json()["code"] == "application_changed"
    declined = await post(shelf, user_id, "decline", await looked(shelf, user_id) | {"reason": "x"})
    assert declined.status_code == 200


async def test_what_was_taken_back_is_a_change_as_well(shelf: Shelf) -> None:
    user_id = new_id()
    await shelf.apply(user_id)
    await post(shelf, user_id, "approve", {"version": 1})
    document_id = await shelf.sent(user_id)
    before = await looked(shelf, user_id)
    assert (await shelf.remove(user_id, document_id)).status_code == 204
    assert await looked(shelf, user_id) == before | {"documents_version": 2}


async def test_a_suspension_holds_whatever_came_since(shelf: Shelf) -> None:
    user_id = new_id()
    await shelf.apply(user_id)
    await post(shelf, user_id, "approve", {"version": 1})
    await shelf.sent(user_id)
    assert (await post(shelf, user_id, "suspend", {"reason": "a hit on a list"})).status_code == 200
    assert (await post(shelf, user_id, "resume", {"reason": "another person"})).status_code == 200
    assert (await answer(shelf, user_id)).json()["code"] == "information_not_asked"


async def test_the_first_of_two_approvals_is_for_the_documents_that_its_giver_saw(shelf: Shelf) -> None:
    user_id, anna, ben = new_id(), new_id(), new_id()
    await shelf.apply(user_id)
    risk = {"high_risk": True, "reason": "lives where few report"}
    header = shelf.keys.bearer(new_id(), "compliance")
    await shelf.http.put(f"/api/v1/admin/kyc/{user_id}/risk", json=risk, headers=header)
    first = await post(shelf, user_id, "approve", await looked(shelf, user_id), by=anna)
    assert (first.status_code, first.json()["status"]) == (202, "in_review")
    await shelf.sent(user_id)

    second = await post(shelf, user_id, "approve", await looked(shelf, user_id), by=ben)
    assert (second.status_code, second.json()["status"]) == (202, "in_review")
    third = await post(shelf, user_id, "approve", await looked(shelf, user_id), by=anna)
    assert (third.status_code, third.json()["status"]) == (200, "approved")
