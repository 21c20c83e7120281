"""Copies of an application: one is stored, all are answered alike, and no hash of them tells who it is."""

import asyncio
import hashlib
import json
from datetime import timedelta

from libs.common.ids import new_id
from services.kyc.use_cases.forget_applicants import ForgetApplicants
from tests.integration.kyc.conftest import APPLICATION, World

APPLYING = "/api/v1/kyc/application"


async def test_copies_at_once_make_one_application_and_get_one_answer(world: World) -> None:
    user_id = new_id()
    answers = await asyncio.gather(*(world.apply(user_id, key="once") for _ in range(8)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert sorted(answer.headers.get("Idempotency-Replayed", "") for answer in answers) == ["", *["true"] * 7]
    assert world.said(user_id) == [("in_review", 0, 1)]


async def test_a_copy_is_answered_as_the_first_was_also_after_the_decision(world: World) -> None:
    user_id = new_id()
    first = await world.apply(user_id, key="once")
    await world.decide(user_id, "approve")
    again = await world.apply(user_id, key="once")
    assert (again.status_code, again.content) == (201, first.content)
    assert (await world.apply(user_id, key="another")).json()["code"] == "application_exists"


async def test_another_application_under_the_same_key_is_refused(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id, key="once")
    refused = await world.apply(user_id, key="once", country="DE")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_refusal_is_final_for_its_key(world: World) -> None:
    user_id = new_id()
    born = str(world.clock().date() - timedelta(days=17 * 365))
    refused = await world.apply(user_id, key="once", birth_date=born)
    assert refused.json()["code"] == "under_age"
    again = await world.apply(user_id, key="once", birth_date=born)
    assert (again.content, again.headers["Idempotency-Replayed"]) == (refused.content, "true")
    assert (await world.apply(user_id, key="next")).status_code == 201


async def test_what_is_kept_of_the_body_is_a_keyed_hash_and_goes_with_the_customer(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id, key="once")
    [row] = await world.rows("SELECT * FROM kyc.kept_answers WHERE principal_id = $1", user_id)
    canonical = json.dumps(APPLICATION, sort_keys=True, separators=(",", ":"))
    plain = hashlib.sha256(f"{APPLYING}\n{canonical}".encode()).digest()
    assert row["body_hash"] not in {plain, hashlib.sha256(canonical.encode()).digest()}
    assert b"Lovelace" not in row["body"]
    await ForgetApplicants(world.uow, world.clock)([user_id])
    assert not await world.rows("SELECT 1 FROM kyc.kept_answers WHERE principal_id = $1", user_id)


async def test_a_customer_sees_what_he_applied_with_and_nobody_else_does(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id)

    async def seen_by(reader: str, *roles: str) -> tuple[int, object]:
        answer = await world.http.get(APPLYING, headers=world.keys.bearer(reader, *roles))
        return answer.status_code, answer.json().get("code") or answer.json()

    assert await seen_by(user_id) == (200, APPLICATION)
    for stranger in (new_id(), new_id()):
        assert await seen_by(stranger, "compliance", "admin") == (404, "application_not_found")
    world.clock.move(timedelta(minutes=11))
    assert await seen_by(user_id) == (403, "step_up_required")
    world.clock.move(timedelta(minutes=-11))
    await ForgetApplicants(world.uow, world.clock)([user_id])
    assert await seen_by(user_id) == (404, "application_not_found")
