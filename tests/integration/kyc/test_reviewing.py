"""Reviewers find their work, take it, and see what they need; each look is recorded."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import asyncpg
import httpx2
import pytest
from prometheus_client import Gauge

from libs.common.approvals.void_approvals import VoidApprovals
from libs.common.clock import to_rfc3339
from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.ids import new_id
from services.kyc.metrics import OLDEST_REVIEW_SECONDS, REVIEWS_WAITING
from services.kyc.use_cases.count_reviews import CountReviews
from tests.integration.kyc.conftest import APPLICATION, DECIDING_WAITS, World
from tests.support.api_world import admin_connection
from tests.support.standing_still import standing, until_waiting, until_waiting_or_done

STAFF = "/api/v1/admin/kyc"


async def reviews(world: World, **query: Any) -> dict[str, Any]:
    """A page of the queue."""
    header = world.keys.bearer(new_id(), "compliance")
    answer = await world.http.get(f"{STAFF}/reviews", params=query, headers=header)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def queue(world: World, **query: Any) -> list[str]:
    """Everybody in the queue, page after page."""
    found: list[str] = []
    page = await reviews(world, **query)
    while True:
        found += [one["user_id"] for one in page["reviews"]]
        if page["next"] is None:
            return found
        page = await reviews(world, **query, cursor=page["next"])


async def ask(
    world: World,
    method: str,
    path: str,
    reviewer: str,
    body: dict[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
) -> httpx2.Response:
    """Send what a reviewer sends."""
    header = world.keys.bearer(reviewer, "compliance")
    return await world.http.request(method, f"{STAFF}/{path}", json=body, params=query, headers=header)


async def test_the_queue_begins_with_who_has_waited_longest(world: World) -> None:
    users = [new_id() for _ in range(5)]
    for user_id in users:
        await world.apply(user_id)
    assert [one for one in await queue(world, limit=2) if one in users] == users
    await world.decide(users[0], "approve")
    await ask(world, "POST", f"{users[1]}/ask", new_id(), {"version": 1, "needs": ["application"], "reason": "blurred"})
    await world.apply(users[1])
    assert [one for one in await queue(world, limit=3) if one in users] == [*users[2:], users[1]]
    assert users[0] in await queue(world, status="approved", limit=100)


async def test_the_queue_says_how_long_each_waits(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id)
    world.clock.stop()
    world.clock.move(timedelta(hours=25))
    [shown] = [one for one in (await reviews(world, limit=100))["reviews"] if one["user_id"] == user_id]
    assert 89_990 <= shown.pop("waiting_seconds") <= 90_010
    assert shown.pop("since").endswith("Z")
    assert shown == {
        "user_id": user_id,
        "status": "in_review",
        "tier": 0,
        "requested_tier": None,
        "version": 1,
        "is_overdue": True,
        "high_risk": False,
        "claim": None,
    }


async def test_the_gauges_say_how_long_the_first_has_waited(world: World) -> None:
    for user_id in await queue(world, limit=100):
        assert (await world.decide(user_id, "reject")).status_code == 200
    count = CountReviews(world.uow, world.clock)
    await count()
    assert (gauge(REVIEWS_WAITING), gauge(OLDEST_REVIEW_SECONDS)) == (0, 0)
    world.clock.stop()
    users = [new_id(), new_id()]
    for user_id in users:
        await world.apply(user_id)
        world.clock.move(timedelta(hours=1))
    await count()
    assert (gauge(REVIEWS_WAITING), gauge(OLDEST_REVIEW_SECONDS)) == (2, 2 * 3600)
    await world.decide(users[0], "approve")
    await count()
    assert (gauge(REVIEWS_WAITING), gauge(OLDEST_REVIEW_SECONDS)) == (1, 3600)


def gauge(one: Gauge) -> float:
    """What a gauge shows."""
    [family] = one.collect()
    return family.samples[0].value


async def test_a_cursor_belongs_to_its_question(world: World) -> None:
    for _ in range(2):
        await world.apply(new_id())
    cursor = (await reviews(world, limit=1))["next"]
    for query in ({"status": "approved"}, {"claimed_by": "nobody"}):
        answer = await ask(world, "GET", "reviews", new_id(), query={"cursor": cursor, **query})
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")


@pytest.mark.parametrize(
    "query", [{"status": "none"}, {"claimed_by": "me"}, {"limit": "0"}, {"limit": "101"}, {"cursor": "x"}]
)
async def test_a_question_that_cannot_be_is_refused(world: World, query: dict[str, str]) -> None:
    assert (await ask(world, "GET", "reviews", new_id(), query=query)).status_code == 422


async def test_who_has_claimed_it_alone_decides(world: World) -> None:
    user_id, anna, ben = new_id(), new_id(), new_id()
    await world.apply(user_id)
    claimed = await ask(world, "POST", f"{user_id}/claim", anna)
    assert (claimed.status_code, claimed.json()["claimed_by"]) == (200, anna)
    for refused in (await ask(world, "POST", f"{user_id}/claim", ben), await world.decide(user_id, "approve")):
        assert (refused.status_code, refused.json()["code"]) == (409, "claimed_by_another")
        assert 1790 <= int(refused.headers["Retry-After"]) <= 1800
    assert (await ask(world, "DELETE", f"{user_id}/claim", ben)).status_code == 409
    assert user_id in await queue(world, claimed_by=anna)
    assert user_id not in await queue(world, claimed_by="nobody")
    assert (await world.decide(user_id, "reject", reviewer=anna)).status_code == 200
    assert user_id not in await queue(world, claimed_by=anna, status="rejected")


async def test_a_claim_ends_by_itself_and_when_it_is_given_back(world: World) -> None:
    user_id, anna, ben = new_id(), new_id(), new_id()
    await world.apply(user_id)
    await ask(world, "POST", f"{user_id}/claim", anna)
    for _ in range(2):
        assert (await ask(world, "DELETE", f"{user_id}/claim", anna)).status_code == 204
    assert (await ask(world, "POST", f"{user_id}/claim", ben)).status_code == 200
    world.clock.move(timedelta(minutes=29))
    assert (await ask(world, "POST", f"{user_id}/claim", ben)).status_code == 200
    world.clock.move(timedelta(minutes=29))
    assert (await ask(world, "POST", f"{user_id}/claim", anna)).status_code == 409
    world.clock.move(timedelta(minutes=2))
    assert user_id in await queue(world, claimed_by="nobody")
    assert (await ask(world, "POST", f"{user_id}/claim", anna)).json()["claimed_by"] == anna


async def test_of_two_claims_at_once_one_wins(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id)
    answers = await asyncio.gather(*(ask(world, "POST", f"{user_id}/claim", new_id()) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]


async def test_only_what_waits_is_claimed(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id)
    await world.decide(user_id, "approve")
    refused = await ask(world, "POST", f"{user_id}/claim", new_id())
    assert (refused.status_code, refused.json()["code"]) == (409, "not_in_review")
    assert refused.json()["legal_actions"] == ["approve", "reject", "suspend"]
    for method in ("POST", "DELETE"):
        assert (await ask(world, method, f"{new_id()}/claim", new_id())).json()["code"] == "application_not_found"


async def test_a_reviewer_sees_the_application_and_each_look_is_recorded(world: World) -> None:
    user_id, reviewer = new_id(), new_id()
    await world.apply(user_id)
    await world.decide(user_id, "reject", reviewer=reviewer, reason="blurred")
    world.clock.move(timedelta(days=1))
    await world.apply(user_id)
    answer = await ask(world, "GET", user_id, reviewer, query={"reason": "investigation"})
    assert answer.status_code == 200
    shown = answer.json()
    assert shown["application"] == APPLICATION
    assert [(one["action"], one["reason"]) for one in shown["moves"]] == [
        ("apply", ""),
        ("reject", "blurred"),
        ("apply", ""),
    ]
    [entry] = await world.rows(
        "SELECT * FROM kyc.audit_log WHERE resource_id = $1 AND action = 'verification.read_applicant'", user_id
    )
    assert (entry["actor_id"], json.loads(entry["facts"])) == (
        reviewer,
        {"roles": ["compliance"], "why": "investigation"},
    )


@pytest.mark.parametrize("query", [{}, {"reason": "curiosity"}, {"reason": ""}])
async def test_without_a_reason_nobody_reads_it(world: World, query: dict[str, str]) -> None:
    user_id = new_id()
    await world.apply(user_id)
    answer = await ask(world, "GET", user_id, new_id(), query=query)
    assert answer.status_code == 422
    assert "Lovelace" not in answer.text
    assert not await world.rows(
        "SELECT 1 FROM kyc.audit_log WHERE resource_id = $1 AND action = 'verification.read_applicant'", user_id
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "?reason=review", None),
        ("POST", "/claim", None),
        ("DELETE", "/claim", None),
        ("POST", "/ask", {"version": 1, "needs": ["tax_number"], "reason": "x"}),
        ("POST", "/suspend", {"reason": "x"}),
        ("POST", "/resume", {"reason": "x"}),
        ("PUT", "/risk", {"high_risk": True, "reason": "x"}),
    ],
)
async def test_compliance_alone_does_it_and_nobody_about_himself(
    world: World, method: str, path: str, body: dict[str, Any] | None
) -> None:
    user_id = new_id()
    await world.apply(user_id)
    own = await world.http.request(
        method, f"{STAFF}/{user_id}{path}", json=body, headers=world.keys.bearer(user_id, "compliance")
    )
    assert (own.status_code, own.json()["code"]) == (403, "own_review")
    for roles in (["customer"], ["support", "operator", "auditor", "admin"]):
        header = world.keys.bearer(new_id(), *roles)
        answer = await world.http.request(method, f"{STAFF}/{user_id}{path}", json=body, headers=header)
        assert (answer.status_code, answer.json()["code"]) == (403, "role_required")
    assert (await world.status(user_id))["version"] == 1


async def test_a_customer_is_asked_answers_is_suspended_and_goes_on(world: World) -> None:
    user_id, reviewer = new_id(), new_id()
    await world.apply(user_id)
    asked = await ask(
        world, "POST", f"{user_id}/ask", reviewer, {"version": 1, "needs": ["application"], "reason": "a typo"}
    )
    assert asked.status_code == 200
    status = await world.status(user_id)
    assert [status[name] for name in ("status", "phase", "next_action", "needs", "tier")] == [
        "needs_info",
        "information_needed",
        "provide",
        ["application"],
        0,
    ]
    assert (await world.apply(user_id, full_name="Ada King")).json()["needs"] == []
    await world.decide(user_id, "approve")
    suspended = await ask(world, "POST", f"{user_id}/suspend", reviewer, {"reason": "a hit on a list"})
    assert [suspended.json()[name] for name in ("status", "tier", "next_action")] == ["suspended", 0, "wait"]
    again = await ask(world, "POST", f"{user_id}/suspend", reviewer, {"reason": "twice"})
    assert (again.status_code, again.json()["legal_actions"]) == (409, ["resume", "reject"])
    await ask(world, "POST", f"{user_id}/resume", reviewer, {"reason": "another person"})
    assert world.said(user_id) == [
        ("in_review", 0, 1),
        ("needs_info", 0, 2),
        ("in_review", 0, 3),
        ("approved", 1, 4),
        ("suspended", 0, 5),
        ("approved", 1, 6),
    ]
    facts = await world.rows(
        "SELECT facts FROM kyc.audit_log WHERE resource_id = $1 AND action = 'verification.review' ORDER BY entry_id",
        user_id,
    )
    assert [json.loads(row["facts"]) for row in facts] == [
        {"before": "in_review", "after": "needs_info", "needs": ["application"]},
        {"before": "in_review", "after": "approved", "tier": 1},
        {"before": "approved", "after": "suspended"},
        {"before": "suspended", "after": "approved"},
    ]


@pytest.mark.parametrize(("code", "told"), [("document_expired", "document_expired"), ("suspicion", None)])
async def test_a_rejection_tells_what_may_be_told_and_may_be_final(world: World, code: str, told: str | None) -> None:
    user_id = new_id()
    await world.apply(user_id)
    body = {"version": 1, "reason": "secret words", "code": code, "may_retry": False}
    rejected = await ask(world, "POST", f"{user_id}/reject", new_id(), body)
    assert rejected.status_code == 200
    status = await world.status(user_id)
    assert [status[name] for name in ("rejection_code", "can_retry", "next_action")] == [told, False, "nothing"]
    assert "secret words" not in json.dumps(status)
    refused = await world.apply(user_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "retry_not_allowed")


@pytest.mark.parametrize(
    "body",
    [
        {"needs": [], "reason": "x"},
        {"needs": ["tax_number", "tax_number"], "reason": "x"},
        {"needs": ["passport"], "reason": "x"},
        {"needs": ["tax_number"]},
    ],
)
async def test_a_question_that_asks_nothing_is_refused(world: World, body: dict[str, Any]) -> None:
    user_id = new_id()
    await world.apply(user_id)
    answer = await ask(world, "POST", f"{user_id}/ask", new_id(), {"version": 1} | body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def flag(world: World, user_id: str, reviewer: str, *, high_risk: bool) -> int:
    body = {"high_risk": high_risk, "reason": "lives where few report"}
    return (await ask(world, "PUT", f"{user_id}/risk", reviewer, body)).status_code


async def test_an_applicant_of_high_risk_is_approved_by_two(world: World) -> None:
    user_id, anna, ben, flagger = new_id(), new_id(), new_id(), new_id()
    await world.apply(user_id)
    assert await flag(world, user_id, flagger, high_risk=True) == 204
    await ask(world, "POST", f"{user_id}/claim", anna)
    first = await world.decide(user_id, "approve", reviewer=anna)
    assert (first.status_code, first.json()["status"], first.json()["version"]) == (202, "in_review", 1)
    twice = await world.decide(user_id, "approve", reviewer=anna)
    assert (twice.status_code, twice.json()["code"]) == (403, "second_person_needed")
    shown = (await ask(world, "GET", user_id, ben, query={"reason": "review"})).json()
    assert (shown["high_risk"], shown["approvals"], shown["claim"]) == (
        True,
        [{"approved_by": anna, "tier": 1}],
        None,
    )
    second = await world.decide(user_id, "approve", reviewer=ben)
    assert (second.status_code, second.json()["status"]) == (200, "approved")
    assert world.said(user_id) == [("in_review", 0, 1), ("approved", 1, 2)]


async def test_an_approval_counts_for_the_state_it_was_given_in(world: World) -> None:
    user_id, anna, ben = new_id(), new_id(), new_id()
    await world.apply(user_id)
    await flag(world, user_id, new_id(), high_risk=True)
    await world.decide(user_id, "approve", reviewer=anna)
    await ask(world, "POST", f"{user_id}/ask", ben, {"version": 1, "needs": ["application"], "reason": "x"})
    await world.apply(user_id)
    assert (await world.decide(user_id, "approve", reviewer=ben)).status_code == 202
    assert (await world.decide(user_id, "approve", reviewer=anna)).status_code == 200


async def test_a_first_approval_ends_with_the_role_of_whoever_gave_it(world: World) -> None:
    user_id, anna, ben, carla = new_id(), new_id(), new_id(), new_id()
    await world.apply(user_id)
    await flag(world, user_id, new_id(), high_risk=True)
    world.clock.stop()
    void = VoidApprovals(world.uow.begin)
    await world.decide(user_id, "approve", reviewer=anna)
    at = to_rfc3339(world.clock())
    for session_id, key_id in (("his-telephone", ""), ("", "a-key")):
        await void([CredentialsRevoked(user_id=anna, session_id=session_id, key_id=key_id, occurred_at=at)])
    shown = (await ask(world, "GET", user_id, ben, query={"reason": "review"})).json()
    assert [one["approved_by"] for one in shown["approvals"]] == [anna]

    for _ in range(2):
        await void([CredentialsRevoked(user_id=anna, session_id="", key_id="", occurred_at=at)])

    shown = (await ask(world, "GET", user_id, ben, query={"reason": "review"})).json()
    assert shown["approvals"] == []
    world.clock.move(timedelta(seconds=1))
    assert (await world.decide(user_id, "approve", reviewer=anna)).status_code == 202, "she has the role again"
    await void([CredentialsRevoked(user_id=anna, session_id="", key_id="", occurred_at=to_rfc3339(world.clock()))])
    assert (await world.decide(user_id, "approve", reviewer=ben)).status_code == 202
    assert (await world.decide(user_id, "approve", reviewer=carla)).status_code == 200


async def test_the_database_counts_no_approval_of_who_lost_his_role(world: World) -> None:
    user_id, anna = new_id(), new_id()
    await world.apply(user_id)
    await flag(world, user_id, new_id(), high_risk=True)
    await world.decide(user_id, "approve", reviewer=anna)
    at = to_rfc3339(world.clock() + timedelta(seconds=1))
    await VoidApprovals(world.uow.begin)([CredentialsRevoked(user_id=anna, session_id="", key_id="", occurred_at=at)])
    approve = (
        "UPDATE kyc.verifications SET status = 'approved', tier = 1, version = 2, decided_by = $2, decided_at = now()"
        " WHERE user_id = $1"
    )
    revive = "UPDATE kyc.void_approvals SET up_to = '-infinity' WHERE actor_id = $1"
    for statement, arguments, name in (
        (approve, (user_id, new_id()), "verifications_two_people"),
        (revive, (anna,), "void_approvals_forward"),
        ("DELETE FROM kyc.void_approvals", (), "void_approvals_stay"),
    ):
        async with admin_connection(world.admin_dsn) as connection:
            with pytest.raises(asyncpg.CheckViolationError) as refused:
                await connection.execute(statement, *arguments)
        assert refused.value.constraint_name == name


async def test_a_role_that_ends_while_approvals_are_counted_ends_after_them(world: World) -> None:
    user_id, anna = new_id(), new_id()
    await world.apply(user_id)
    await flag(world, user_id, new_id(), high_risk=True)
    await world.decide(user_id, "approve", reviewer=anna)
    revoked = CredentialsRevoked(user_id=anna, session_id="", key_id="", occurred_at=to_rfc3339(world.clock()))
    async with asyncio.TaskGroup() as both, standing(world.admin_dsn, DECIDING_WAITS):
        approving = both.create_task(world.decide(user_id, "approve"))
        await until_waiting(world.admin_dsn, 1)
        ending = both.create_task(VoidApprovals(world.uow.begin)([revoked]))
        await until_waiting_or_done(world.admin_dsn, ending, 2)
    assert (approving.result().status_code, approving.result().json()["status"]) == (200, "approved")
    assert await world.rows("SELECT FROM kyc.void_approvals WHERE actor_id = $1", anna)


async def test_who_takes_the_flag_away_does_not_approve_alone(world: World) -> None:
    user_id, anna, ben = new_id(), new_id(), new_id()
    await world.apply(user_id)
    await flag(world, user_id, ben, high_risk=True)
    for _ in range(2):
        assert await flag(world, user_id, anna, high_risk=False) == 204
    refused = await world.decide(user_id, "approve", reviewer=anna)
    assert (refused.status_code, refused.json()["code"]) == (403, "second_person_needed")
    assert (await world.decide(user_id, "approve", reviewer=ben)).status_code == 200
    kept = await world.rows(
        "SELECT high_risk, actor_id::text FROM kyc.risk_changes WHERE user_id = $1 ORDER BY change_id", user_id
    )
    assert [tuple(row.values()) for row in kept] == [(True, ben), (False, anna)]


async def test_nobody_learns_that_he_is_flagged(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id)
    before = await world.status(user_id)
    await flag(world, user_id, new_id(), high_risk=True)
    await world.decide(user_id, "approve")
    assert await world.status(user_id) == before


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (
            """UPDATE kyc.verifications SET status = 'approved', tier = 1, version = 2, decided_at = now(),
                decided_by = gen_random_uuid() WHERE user_id = $1""",
            "verifications_two_people",
        ),
        ("UPDATE kyc.verifications SET claimed_by = gen_random_uuid() WHERE user_id = $1", "verifications_claim_whole"),
        (
            "UPDATE kyc.verifications SET claimed_by = $1, claimed_until = now() WHERE user_id = $1",
            "verifications_claimed_by_another",
        ),
        ("UPDATE kyc.verifications SET risk_set_by = $1 WHERE user_id = $1", "verifications_risk_set_by_another"),
        (
            "UPDATE kyc.verifications SET risk_set_by = NULL WHERE user_id = $1",
            "verifications_high_risk_set_by_somebody",
        ),
        ("INSERT INTO kyc.approvals VALUES ($1, 1, $1, 1, '', now(), 0)", "approvals_by_another"),
        ("INSERT INTO kyc.approvals VALUES ($1, 1, gen_random_uuid(), 4, '', now(), 0)", "approvals_tier_known"),
        ("UPDATE kyc.approvals SET tier = 2", "approvals_append_only"),
        ("DELETE FROM kyc.risk_changes", "risk_changes_append_only"),
    ],
)
async def test_the_database_forbids_it(world: World, statement: str, constraint: str) -> None:
    user_id = new_id()
    await world.apply(user_id)
    await flag(world, user_id, new_id(), high_risk=True)
    async with admin_connection(world.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await connection.execute(statement, *([user_id] if "$1" in statement else []))
    assert refusal.value.constraint_name == constraint
