"""A customer applies, compliance decides, everybody hears of it."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from libs.common.clock import system_clock
from libs.common.ids import new_id
from services.kyc.use_cases.repeat_changes import RepeatChanges
from tests.integration.kyc.conftest import APPLICATION, World
from tests.support.api_world import SEALER, admin_connection
from tests.support.standing_still import standing, until_waiting


def opened(row: dict[str, Any]) -> dict[str, str]:
    """What is sealed in the row."""
    text = SEALER.open(row["personal_key"], str(row["user_id"]), "application", row["application_sealed"])
    application: dict[str, str] = json.loads(text)
    return application


async def test_who_never_applied_is_told_to(world: World) -> None:
    assert await world.status(new_id()) == {
        "status": "none",
        "tier": 0,
        "requested_tier": None,
        "phase": "not_started",
        "next_action": "apply",
        "needs": [],
        "rejection_code": None,
        "can_retry": False,
        "retry_at": None,
        "since": None,
        "version": 0,
    }


async def test_an_application_is_reviewed_and_approved(world: World) -> None:
    user_id, reviewer = new_id(), new_id()
    applied = await world.apply(user_id)
    assert applied.status_code == 201
    assert applied.json() == await world.status(user_id)
    assert (applied.json()["status"], applied.json()["next_action"], applied.json()["tier"]) == ("in_review", "wait", 0)
    approved = await world.decide(user_id, "approve", reviewer=reviewer)
    assert approved.status_code == 200
    status = await world.status(user_id)
    assert (status["status"], status["tier"], status["version"], status["can_retry"]) == ("approved", 1, 2, False)
    assert status["since"].endswith("Z")
    assert world.said(user_id) == [("in_review", 0, 1), ("approved", 1, 2)]
    [row] = await world.rows("SELECT * FROM kyc.verifications WHERE user_id = $1", user_id)
    assert (row["full_name"], row["birth_date"], row["country"]) == (None, None, None)
    assert opened(row) == {"full_name": "Ada Lovelace", "birth_date": "1990-12-10", "country": "GB"}
    assert (str(row["decided_by"]), row["reason"]) == (reviewer, "looked at")


async def test_applying_and_reviewing_are_audited_without_what_was_said(world: World) -> None:
    user_id, reviewer = new_id(), new_id()
    await world.apply(user_id)
    await world.decide(user_id, "approve", reviewer=reviewer)
    found = await world.rows("SELECT * FROM kyc.audit_log WHERE resource_id = $1 ORDER BY entry_id", user_id)
    assert [(entry["action"], entry["actor_id"], entry["facts"]) for entry in found] == [
        ("verification.apply", user_id, "{}"),
        ("verification.review", reviewer, '{"after":"approved","before":"in_review","tier":1}'),
    ]


async def test_the_whole_life_of_a_verification_is_kept_event_by_event(world: World) -> None:
    user_id, reviewer = new_id(), new_id()
    await world.apply(user_id)
    await world.decide(user_id, "reject", reviewer=reviewer, reason="blurred")
    assert (await world.status(user_id))["can_retry"] is True
    world.clock.move(timedelta(days=1))
    assert (await world.apply(user_id, full_name="Ada King")).status_code == 201
    [row] = await world.rows("SELECT * FROM kyc.verifications WHERE user_id = $1", user_id)
    assert (opened(row)["full_name"], row["decided_by"], row["decided_at"], row["reason"]) == (
        "Ada King",
        None,
        None,
        "",
    )
    await world.decide(user_id, "approve", reviewer=reviewer, reason=None)
    await world.decide(user_id, "reject", reviewer=reviewer, reason="forged")
    events = await world.rows(
        "SELECT version, action, to_status, tier, actor_id::text, reason FROM kyc.verification_events"
        " WHERE user_id = $1 ORDER BY version",
        user_id,
    )
    assert [tuple(event.values()) for event in events] == [
        (1, "apply", "in_review", 0, user_id, ""),
        (2, "reject", "rejected", 0, reviewer, "blurred"),
        (3, "apply", "in_review", 0, user_id, ""),
        (4, "approve", "approved", 1, reviewer, ""),
        (5, "reject", "rejected", 0, reviewer, "forged"),
    ]
    assert [tier for _, tier, _ in world.said(user_id)] == [0, 0, 0, 1, 0]


async def test_a_refused_move_leaves_everything_as_it_is(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id)
    again = await world.apply(user_id)
    assert (again.status_code, again.json()["code"]) == (409, "application_exists")
    assert (again.json()["verification_status"], again.json()["legal_actions"]) == ("in_review", [])
    await world.decide(user_id, "approve")
    assert (await world.apply(user_id)).json()["code"] == "application_exists"
    twice = await world.decide(user_id, "approve")
    assert (twice.status_code, twice.json()["code"]) == (409, "not_in_review")
    assert twice.json()["legal_actions"] == ["approve", "reject", "suspend"]
    assert len(world.said(user_id)) == 2
    assert (await world.status(user_id))["version"] == 2


async def test_of_two_first_applications_at_once_one_wins(world: World) -> None:
    user_id = new_id()
    answers = await asyncio.gather(*(world.apply(user_id) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert world.said(user_id) == [("in_review", 0, 1)]


async def test_of_two_decisions_at_once_the_later_one_is_about_what_is_no_more(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id)
    row = "SELECT 1 FROM kyc.verifications WHERE user_id = $1 FOR UPDATE"
    async with asyncio.TaskGroup() as both, standing(world.admin_dsn, row, user_id):
        approval = both.create_task(world.decide(user_id, "approve"))
        await until_waiting(world.admin_dsn, 1)
        revocation = both.create_task(world.decide(user_id, "reject"))
        await until_waiting(world.admin_dsn, 2)
    assert (approval.result().status_code, revocation.result().json()["code"]) == (200, "application_changed")
    assert world.said(user_id) == [("in_review", 0, 1), ("approved", 1, 2)]


async def test_nobody_reviews_himself(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id)
    for decision in ("approve", "reject"):
        answer = await world.decide(user_id, decision, reviewer=user_id)
        assert (answer.status_code, answer.json()["code"]) == (403, "own_review")
    assert (await world.status(user_id))["status"] == "in_review"


@pytest.mark.parametrize("roles", [["customer"], ["admin"], ["operator", "support", "auditor"]])
async def test_only_compliance_decides(world: World, roles: list[str]) -> None:
    user_id = new_id()
    await world.apply(user_id)
    answer = await world.http.post(
        f"/api/v1/admin/kyc/{user_id}/approve", json={"version": 1}, headers=world.keys.bearer(new_id(), *roles)
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "role_required")


@pytest.mark.parametrize("user_id", ["0195d7a0-0000-7000-8000-000000000000", "nobody", "%20"])
async def test_somebody_who_never_applied_cannot_be_decided_on(world: World, user_id: str) -> None:
    for decision in ("approve", "reject"):
        answer = await world.decide(user_id, decision)
        assert (answer.status_code, answer.json()["code"]) == (404, "application_not_found")


async def test_an_approval_needs_no_reason_and_a_rejection_one(world: World) -> None:
    user_id, header = new_id(), world.keys.bearer(new_id(), "compliance")
    await world.apply(user_id)
    path = f"/api/v1/admin/kyc/{user_id}"
    for body in ({}, {"reason": ""}, {"reason": None}, {"reason": "a\0"}, {"reason": "x" * 141}, {"why": "x"}):
        answer = await world.http.post(f"{path}/reject", json={"version": 1} | body, headers=header)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    bad: list[dict[str, Any] | None] = [None, {}, {"version": -1}, {"version": 2**53}, {"version": None}]
    for seen in (*bad, {"version": 1, "documents_version": -1}):
        answer = await world.http.post(f"{path}/approve", json=seen, headers=header)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (await world.http.post(f"{path}/approve", json={"version": 1}, headers=header)).status_code == 200


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"birth_date": "2999-01-01"}, "birth_date_in_future"),
        ({"birth_date": f"{system_clock().year - 17}-12-31"}, "under_age"),
        ({"birth_date": "1990-02-30"}, "birth_date_invalid"),
        ({"birth_date": "19901210"}, "invalid_request"),
        ({"birth_date": 19901210}, "invalid_request"),
        ({"birth_date": "1990-12-10\n"}, "invalid_request"),
        ({"birth_date": "\u0661990-12-10"}, "invalid_request"),
        ({"country": "XX"}, "unknown_country"),
        ({"country": "gb"}, "invalid_request"),
        ({"country": "GBR"}, "invalid_request"),
        ({"full_name": ""}, "invalid_request"),
        ({"full_name": "A\0da"}, "invalid_request"),
        ({"full_name": "A" * 40_000}, "invalid_request"),
        ({"tier": 3}, "invalid_request"),
    ],
)
async def test_a_bad_application_is_refused_and_nothing_stored(world: World, change: dict[str, Any], code: str) -> None:
    user_id = new_id()
    answer = await world.apply(user_id, **change)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not await world.rows("SELECT 1 FROM kyc.verifications WHERE user_id = $1", user_id)


async def test_without_a_token_nothing_is_told(world: World) -> None:
    answer = await world.http.get("/api/v1/kyc/status")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")


async def test_what_changed_within_the_hour_is_said_again_and_nothing_personal_with_it(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id)
    await world.decide(user_id, "approve")
    world.publisher.sent.clear()
    repeat = RepeatChanges(world.uow, world.publisher, world.clock)
    await repeat()
    assert world.said(user_id) == [("approved", 1, 2)]
    personal = (APPLICATION["full_name"].encode(), APPLICATION["birth_date"].encode())  # "1990" occurs in ids as well
    assert not any(word in item.payload for item in world.publisher.sent for word in personal)
    world.publisher.sent.clear()
    world.clock.move(timedelta(hours=1))
    await repeat()
    assert world.said(user_id) == []


async def test_more_than_one_page_is_said_completely(world: World) -> None:
    await world.rows(
        """
        WITH people AS (SELECT gen_random_uuid() AS user_id FROM generate_series(1, 450)),
        said AS (
            INSERT INTO kyc.verification_events SELECT user_id, 1, 'none', 'in_review', user_id, '', now() FROM people
        )
        INSERT INTO kyc.verifications (user_id, status, tier, version, full_name, birth_date, country, submitted_at,
            reason, changed_at)
        SELECT user_id, 'in_review', 0, 1, 'Page', '1990-01-01', 'DE', now(), '', now() FROM people
        """
    )
    await RepeatChanges(world.uow, world.publisher, world.clock)()
    rows = await world.rows("SELECT user_id FROM kyc.verifications WHERE full_name = 'Page'")
    said = [item.key for item in world.publisher.sent]
    assert {str(row["user_id"]) for row in rows} <= set(said)
    assert len(said) == len(set(said))


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE kyc.verification_events SET reason = 'another'", "verification_events_append_only"),
        ("DELETE FROM kyc.verification_events", "verification_events_append_only"),
        ("TRUNCATE kyc.verification_events", "verification_events_append_only"),
        ("UPDATE kyc.verifications SET tier = 1 WHERE user_id = $1", "verifications_tier_fits_status"),
        (
            "UPDATE kyc.verifications SET status = 'rejected', decided_at = now(), decided_by = $1 WHERE user_id = $1",
            "verifications_reviewed_by_another",
        ),
        (
            "UPDATE kyc.verifications SET status = 'approved', tier = 1 WHERE user_id = $1",
            "verifications_decision_complete",
        ),
        (
            "INSERT INTO kyc.verification_events VALUES ($1, 9, 'none', 'approved', $1, '', now())",
            "verification_events_move_known",
        ),
        (
            "INSERT INTO kyc.verification_events SELECT $1, 9, 'in_review', 'approved', $1, 'x', now(), 'approve', 1",
            "verification_events_by_another",
        ),
        ("UPDATE kyc.verifications SET version = 9 WHERE user_id = $1", "verifications_version_counts_states"),
        ("UPDATE kyc.verifications SET may_retry = false WHERE user_id = $1", "verifications_version_counts_states"),
        ("UPDATE kyc.verifications SET kept_tier = 1 WHERE user_id = $1", "verifications_kept_tier_fits_status"),
        ("UPDATE kyc.verifications SET needs = '{tax_number}' WHERE user_id = $1", "verifications_needs_fit_status"),
    ],
)
async def test_the_database_itself_forbids_it(world: World, statement: str, constraint: str) -> None:
    user_id = new_id()
    await world.apply(user_id)
    async with admin_connection(world.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await connection.execute(statement, *([user_id] if "$1" in statement else []))
    assert refusal.value.constraint_name == constraint


async def test_the_contract_names_every_route_and_its_refusals(world: World) -> None:
    paths = (await world.http.get("/openapi.json")).json()["paths"]
    for path, operations in paths.items():
        if path.startswith("/api/"):
            for operation in operations.values():
                assert operation["summary"], path
                assert operation["description"], path
                assert "422" not in operation["responses"], path
