"""Two people put live what lets more pass: each time, beside what is live then, however small the steps."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from libs.common.ids import new_id
from tests.integration.fraud.office import Office
from tests.integration.fraud.random_decisions import RULES
from tests.integration.fraud.rulebook import end_rulesets
from tests.integration.fraud.shadow_room import PATH, ShadowRoom, shadow_room
from tests.support.api_world import admin_connection
from tests.support.standing_still import standing, until_waiting, until_waiting_or_done

LENIENT = RULES.replace("block_from: 100", "block_from: 300")
MORE = """
- id: {id}
  title: Tried
  when: usd_minor > 5
  message: tried
  typology: other
  points: 30
  examples:
  - {{given: {{usd_minor: 6}}, hits: true}}
  - {{given: {{}}, hits: false}}
"""
ONCE = RULES.rstrip() + MORE.format(id="once")
TWICE = ONCE.rstrip() + MORE.format(id="twice")


@pytest.fixture
async def room(office: Office, fraud_admin_dsn: str, tmp_path: Path) -> AsyncIterator[ShadowRoom]:
    async with shadow_room(office, fraud_admin_dsn, tmp_path) as room:
        strict = await room.write(RULES)
        await room.put_live(strict)
        yield room
    await end_rulesets(fraud_admin_dsn)


async def refused(room: ShadowRoom, version: int, how: str, code: str, who: dict[str, str] | None = None) -> None:
    answer = await room.try_to_move(version, how, who)
    assert answer.json()["code"] == code, answer.text


async def live_version(room: ShadowRoom) -> int:
    found = (await room.http.get(PATH, headers=room.author)).json()["rulesets"]
    [live] = [one["version"] for one in found if one["status"] == "live"]
    assert isinstance(live, int)
    return live


async def test_an_approval_is_used_up_by_its_publication(office: Office, room: ShadowRoom) -> None:
    lenient, strict = await room.write(LENIENT), await room.write(RULES)
    await room.put_live(lenient)
    office.pass_time(days=2)
    await room.put_live(strict)
    office.pass_time(days=2)

    await refused(room, lenient, "live", "ruleset_needs_approval")
    assert await live_version(room) == strict
    approved = await room.move(lenient, "approve", room.colleague)
    assert approved["approval_stands"] is True
    await refused(room, lenient, "live", "ruleset_needs_approval", room.colleague)
    await refused(room, lenient, "approve", "ruleset_approved", room.colleague)
    put = await room.move(lenient, "live")
    assert (put["status"], put["approval_stands"]) == ("live", False)
    await refused(room, lenient, "approve", "ruleset_status", room.colleague)


async def test_an_approval_is_for_the_change_from_what_was_live(office: Office, room: ShadowRoom) -> None:
    lenient, once = await room.write(LENIENT), await room.write(ONCE)
    await room.move(lenient, "approve", room.colleague)
    await room.move(once, "live")

    shown = (await room.http.get(f"{PATH}/{lenient}", headers=room.author)).json()["ruleset"]
    assert shown["approval_stands"] is False
    await refused(room, lenient, "live", "ruleset_needs_approval")
    await room.move(lenient, "approve", room.colleague)
    await room.move(lenient, "live")


async def test_an_approval_does_not_come_back_with_what_was_live_when_it_was_given(room: ShadowRoom) -> None:
    strict, lenient, once = await live_version(room), await room.write(LENIENT), await room.write(ONCE)
    await room.move(lenient, "approve", room.colleague)
    await room.move(once, "live")
    assert (await room.move(strict, "live"))["approval_stands"] is False

    await refused(room, lenient, "live", "ruleset_needs_approval")


async def test_an_approval_ends_with_the_role_of_whoever_gave_it(room: ShadowRoom, fraud_admin_dsn: str) -> None:
    lenient = await room.write(LENIENT)
    await room.move(lenient, "approve", room.colleague)
    async with admin_connection(fraud_admin_dsn) as connection:
        await connection.execute(
            "INSERT INTO fraud.void_approvals SELECT approved_by::uuid, approved_at FROM fraud.rulesets"
            " WHERE version = $1",
            lenient,
        )

    shown = (await room.http.get(f"{PATH}/{lenient}", headers=room.author)).json()["ruleset"]
    assert shown["approval_stands"] is False
    await refused(room, lenient, "live", "ruleset_needs_approval")
    async with admin_connection(fraud_admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as failure:
            await connection.execute(
                "INSERT INTO fraud.ruleset_publications SELECT max(p.number) + 1, r.version, r.approved_beside,"
                " 'approval', r.version, r.approval_id, r.approved_by, 'somebody', now()"
                " FROM fraud.ruleset_publications p, fraud.rulesets r WHERE r.version = $1 GROUP BY r.version",
                lenient,
            )
    assert failure.value.constraint_name == "ruleset_publications_approval_counts"


async def approved_by(room: ShadowRoom, anna: str) -> int:
    """Write a rule set that takes two people, and have her approve it."""
    version = await room.write(LENIENT)
    await room.move(version, "approve", room.keys.bearer(anna, "compliance"))
    return version


async def test_a_role_that_ends_while_its_approval_is_used_ends_after_that(
    office: Office, room: ShadowRoom, fraud_admin_dsn: str
) -> None:
    anna = new_id()
    lenient = await approved_by(room, anna)
    between = "LOCK TABLE fraud.ruleset_publications IN SHARE MODE"
    async with asyncio.TaskGroup() as both, standing(fraud_admin_dsn, between):
        publishing = both.create_task(room.try_to_move(lenient, "live"))
        await until_waiting(fraud_admin_dsn, 1)
        ending = both.create_task(office.end_authority(anna))
        await until_waiting_or_done(fraud_admin_dsn, ending, 2)
    assert (publishing.result().status_code, publishing.result().json().get("status")) == (200, "live")
    assert await office.query("SELECT FROM fraud.void_approvals WHERE actor_id = $1", anna)


async def test_an_approval_is_not_used_while_its_givers_role_just_ends(
    office: Office, room: ShadowRoom, fraud_admin_dsn: str
) -> None:
    anna = new_id()
    lenient = await approved_by(room, anna)
    ending = "INSERT INTO fraud.void_approvals VALUES ($1, $2)"
    async with asyncio.TaskGroup() as both, standing(fraud_admin_dsn, ending, anna, office.now):
        publishing = both.create_task(room.try_to_move(lenient, "live"))
        await until_waiting_or_done(fraud_admin_dsn, publishing, 1)
    answer = publishing.result()
    assert (answer.status_code, answer.json().get("code")) == (409, "ruleset_needs_approval")


async def test_small_changes_do_not_add_up_to_a_large_one(room: ShadowRoom) -> None:
    once = await room.write(ONCE)
    await room.move(once, "live")
    answer = await room.http.post(PATH, headers=room.author, json={"document": TWICE, "reason": "tried"})
    assert answer.json()["risk"] == "high", "beside the live set alone it would be low"
    twice = answer.json()["version"]
    await refused(room, twice, "live", "ruleset_needs_approval")
    await room.put_live(twice)
    assert await live_version(room) == twice


async def test_what_equals_the_last_agreement_comes_back_by_one_person(office: Office, room: ShadowRoom) -> None:
    strict, once = await live_version(room), await room.write(ONCE)
    await room.move(once, "live")
    office.pass_time(days=30)
    assert (await room.move(strict, "live"))["status"] == "live"


async def test_one_person_undoes_the_last_publication_and_two_bring_it_back(office: Office, room: ShadowRoom) -> None:
    strict, lenient = await live_version(room), await room.write(LENIENT)
    await room.put_live(lenient)
    office.pass_time(hours=23)
    assert (await room.move(strict, "live"))["status"] == "live"
    await refused(room, lenient, "live", "ruleset_needs_approval")
    await room.move(lenient, "approve", room.colleague)
    await room.move(lenient, "live")
    office.pass_time(hours=24)
    await refused(room, strict, "live", "ruleset_needs_approval")


PUBLISH = """
    INSERT INTO fraud.ruleset_publications
    SELECT number + 1, {version}, {live}, '{basis}', {agreed}, {approval}, {approver}, 'somebody', {at}
    FROM fraud.ruleset_publications ORDER BY number DESC LIMIT 1
"""
ANY = {"agreed": "version", "approval": "NULL", "approver": "NULL", "at": "at"}


async def test_the_database_refuses_what_no_two_people_agreed_on(
    office: Office, room: ShadowRoom, fraud_admin_dsn: str
) -> None:
    live, lenient, once = await live_version(room), await room.write(LENIENT), await room.write(ONCE)
    approval = "(SELECT approval_id FROM fraud.rulesets WHERE version = {})"
    used = ANY | {"version": live, "live": live, "basis": "approval", "approval": approval.format(live)}
    new = ANY | {"version": once, "live": live, "basis": "small_change"}
    refusals = [
        (f"UPDATE fraud.rulesets SET status = 'live' WHERE version = {lenient}", "rulesets_live_as_published"),
        (
            f"UPDATE fraud.rulesets SET approved_at = now() + interval '1 day' WHERE version = {live}",
            "rulesets_live_as_published",
        ),
        (PUBLISH.format(**used | {"approver": "'somebody'"}), "ruleset_publications_have_a_basis"),
        (PUBLISH.format(**new | {"agreed": str(once)}), "ruleset_publications_have_a_basis"),
        (PUBLISH.format(**new | {"live": "NULL"}), "ruleset_publications_have_a_basis"),
        (PUBLISH.format(**new | {"basis": "rollback"}), "ruleset_publications_have_a_basis"),
        (PUBLISH.format(**new | {"basis": "whatever"}), "ruleset_publications_have_a_basis"),
        ("UPDATE fraud.ruleset_publications SET at = now()", "ruleset_publications_append_only"),
        ("DELETE FROM fraud.ruleset_publications", "ruleset_publications_append_only"),
    ]
    async with admin_connection(fraud_admin_dsn) as connection:
        for statement, constraint in refusals:
            with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
                await connection.execute(statement)
            assert refusal.value.constraint_name == constraint, statement
        await room.move(lenient, "approve", room.colleague)
        approver = f"(SELECT approved_by FROM fraud.rulesets WHERE version = {lenient})"
        alone = ANY | {"version": lenient, "live": live, "basis": "approval", "approval": approval.format(lenient)}
        statement = PUBLISH.format(**alone | {"agreed": str(lenient), "approver": approver})
        with pytest.raises(asyncpg.CheckViolationError, match="ruleset_publications_by_two"):
            await connection.execute(statement.replace("'somebody'", approver))
        await connection.execute(statement)
    await room.move(lenient, "shadow")


async def test_the_database_lets_one_person_undo_a_days_publication_once(
    room: ShadowRoom, fraud_admin_dsn: str
) -> None:
    strict, lenient, other = await live_version(room), await room.write(LENIENT), await room.write(ONCE)
    await room.put_live(lenient)
    undoing = ANY | {"version": strict, "live": lenient, "basis": "rollback", "agreed": strict}
    async with admin_connection(fraud_admin_dsn) as connection:
        for wrong in ({"version": other}, {"at": "at + interval '24 hours'"}, {"agreed": lenient}):
            with pytest.raises(asyncpg.CheckViolationError, match="on an approval of this change"):
                await connection.execute(PUBLISH.format(**undoing | wrong))
        await connection.execute(PUBLISH.format(**undoing))
        again = PUBLISH.format(**undoing | {"version": lenient, "agreed": lenient})
        with pytest.raises(asyncpg.CheckViolationError, match="on an approval of this change"):
            await connection.execute(again)
