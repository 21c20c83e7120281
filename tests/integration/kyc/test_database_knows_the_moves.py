"""The database takes the moves of the domain's table, and no other, of the row as of its event."""

import re
from itertools import product
from typing import Any, get_args

import asyncpg
import pytest

from libs.common.ids import new_id
from services.kyc.domain.verification import TRANSITIONS, CustomerAction, StaffAction, Status, told_status
from tests.integration.kyc.conftest import World
from tests.support.api_world import admin_connection

ACTIONS = (*get_args(CustomerAction), *get_args(StaffAction))
STORED = tuple(status for status in get_args(Status) if status != "none")
PLACED = {
    "in_review": "tier = 0, kept_tier = 0, requested_tier = 0, needs = '{}', decided_at = NULL, decided_by = NULL",
    "needs_info": "tier = 0, kept_tier = 0, requested_tier = 0, needs = '{application}', decided_at = now(),"
    " decided_by = $2",
    "approved": "tier = 2, kept_tier = 0, requested_tier = 0, needs = '{}', decided_at = now(), decided_by = $2",
    "tier_in_review": "tier = 2, kept_tier = 0, needs = '{}', requested_tier = 3, decided_at = now(), decided_by = $2",
    "tier_needs_info": "tier = 2, kept_tier = 0, needs = '{proof_of_address}', requested_tier = 3, decided_at = now(),"
    " decided_by = $2",
    "suspended": "tier = 0, kept_tier = 2, requested_tier = 0, needs = '{}', decided_at = now(), decided_by = $2",
    "rejected": "tier = 0, kept_tier = 0, requested_tier = 0, needs = '{}', decided_at = now(), decided_by = $2",
}
"""status → the columns that go with it."""


async def place(connection: asyncpg.Connection, user_id: str, status: str, version: int, more: str = "") -> None:
    """Put a row into a state; the second parameter is a reviewer."""
    await connection.execute(
        f"UPDATE kyc.verifications SET status = '{status}', version = {version}, {PLACED[status]}{more}"
        " WHERE user_id = $1 AND $2::uuid IS NOT NULL",
        user_id,
        new_id(),
    )


async def applicant_in(world: World, connection: asyncpg.Connection, status: str, more: str = "") -> str:
    """Somebody who stands in this state, though no move may have led there."""
    user_id = new_id()
    await world.apply(user_id)
    await connection.execute("SET session_replication_role = replica")
    await place(connection, user_id, status, 5, more)
    await connection.execute("SET session_replication_role = origin")
    return user_id


async def refused(connection: asyncpg.Connection, work: Any) -> str:
    """The constraint that refused, or nothing; undone in any case, before it is asked for its event."""
    attempt = connection.transaction()
    await attempt.start()
    try:
        await work
    except asyncpg.CheckViolationError as refusal:
        return str(refusal.constraint_name)
    finally:
        await attempt.rollback()
    return ""


@pytest.mark.parametrize("before", STORED)
@pytest.mark.parametrize("after", STORED)
async def test_a_row_moves_where_the_table_says(world: World, before: str, after: str) -> None:
    async with admin_connection(world.admin_dsn) as connection:
        user_id = await applicant_in(world, connection, before)
        # What a suspension kept comes back, as what a request left does.
        keeps = before == "suspended" or before.startswith("tier_") or after.startswith("tier_")
        columns = PLACED[after] if keeps else re.sub("^tier = 2", "tier = 1", PLACED[after])

        async def change() -> None:
            await connection.execute("ALTER TABLE kyc.verifications DISABLE TRIGGER verifications_documents_there")
            await connection.execute(
                f"UPDATE kyc.verifications SET status = '{after}', version = 6, {columns} WHERE user_id = $1"
                " AND $2::uuid IS NOT NULL",
                user_id,
                new_id(),
            )

        found = await refused(connection, change())
    legal = any((status, target) == (before, after) for (status, _), target in TRANSITIONS.items())
    assert found == ("" if legal else "verifications_move_known")


@pytest.mark.parametrize(("status", "constraint"), [("approved", "verifications_move_known"), ("in_review", "")])
async def test_everybody_begins_in_review(world: World, status: str, constraint: str) -> None:
    statement = """
        INSERT INTO kyc.verifications (user_id, status, tier, version, full_name, birth_date, country, submitted_at,
            reason, changed_at, decided_at, decided_by)
        SELECT $1, $2, CASE $2 WHEN 'approved' THEN 1 ELSE 0 END, 1, 'Ada', '1990-12-10', 'GB', now(), '', now(),
            CASE $2 WHEN 'approved' THEN now() END, CASE $2 WHEN 'approved' THEN $3::uuid END
        """
    async with admin_connection(world.admin_dsn) as connection:
        assert await refused(connection, connection.execute(statement, new_id(), status, new_id())) == constraint


@pytest.mark.parametrize("before", get_args(Status))
@pytest.mark.parametrize("action", ACTIONS)
async def test_an_event_is_a_move_of_the_table(world: World, before: str, action: str) -> None:
    legal = {target for (status, done), target in TRANSITIONS.items() if (status, done) == (before, action)}
    taken = set()
    async with admin_connection(world.admin_dsn) as connection:
        for after in STORED:
            user_id = new_id()
            actor_id = user_id if action in get_args(CustomerAction) else new_id()
            tier = 1 if told_status(after) == "approved" else 0
            values = (user_id, before, after, actor_id, action, tier)
            found = await refused(
                connection,
                connection.execute(
                    "INSERT INTO kyc.verification_events VALUES ($1, 2, $2, $3, $4, 'x', now(), $5, $6, '')", *values
                ),
            )
            assert found in {"", "verification_events_move_known"}
            taken |= set() if found else {after}
    assert taken == legal


async def test_what_a_suspension_kept_comes_back_and_a_final_rejection_stays(world: World) -> None:
    async with admin_connection(world.admin_dsn) as connection:
        suspended = await applicant_in(world, connection, "suspended")
        other_tier = place(connection, suspended, "approved", 6, ", reason = 'x'")
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE kyc.verifications SET kept_tier = 3 WHERE user_id = $1", suspended)
        await connection.execute("SET session_replication_role = origin")
        assert await refused(connection, other_tier) == "verifications_kept_tier_comes_back"
        rejected = await applicant_in(world, connection, "rejected", ", may_retry = false")
        assert await refused(connection, place(connection, rejected, "in_review", 6)) == "verifications_rejection_final"


async def moved(world: World, event: str) -> str:
    """The constraint that refuses an approval whose event is written so, or nothing."""
    user_id, reviewer = new_id(), new_id()
    await world.apply(user_id)
    try:
        async with admin_connection(world.admin_dsn) as connection, connection.transaction():
            await connection.execute(
                "UPDATE kyc.verifications SET status = 'approved', tier = 1, version = 2, decided_at = now(),"
                " decided_by = $2 WHERE user_id = $1",
                user_id,
                reviewer,
            )
            if event:
                await connection.execute(
                    f"INSERT INTO kyc.verification_events SELECT $1::uuid, {event}", user_id, reviewer
                )
    except asyncpg.CheckViolationError as refusal:
        assert (await world.status(user_id))["version"] == 1
        return str(refusal.constraint_name)
    assert (await world.status(user_id))["version"] == 2
    return ""


@pytest.mark.parametrize(
    ("event", "constraint"),
    [
        ("2, 'in_review', 'approved', $2::uuid, '', now(), 'approve', 1, ''", ""),
        ("", "verifications_have_events"),
        ("3, 'in_review', 'approved', $2::uuid, '', now(), 'approve', 1, ''", "verifications_have_events"),
        ("2, 'in_review', 'approved', $2::uuid, '', now(), 'approve', 2, ''", "verifications_have_events"),
        ("2, 'approved', 'approved', $2::uuid, '', now(), 'approve', 1, ''", "verifications_have_events"),
        ("2, 'in_review', 'rejected', $2::uuid, 'x', now(), 'reject', 0, ''", "verifications_have_events"),
        ("2, 'in_review', 'rejected', $2::uuid, '', now(), 'reject', 0, ''", "verification_events_reason_given"),
    ],
    ids=["its own", "none", "another version", "another tier", "another origin", "another state", "no reason"],
)
async def test_a_state_commits_with_the_event_that_says_so(world: World, event: str, constraint: str) -> None:
    assert await moved(world, event) == constraint


async def test_who_begins_has_an_event_too(world: World) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refusal:
        await world.rows(
            """
            INSERT INTO kyc.verifications (user_id, status, tier, version, full_name, birth_date, country, submitted_at,
                reason, changed_at)
            VALUES (gen_random_uuid(), 'in_review', 0, 1, 'Ada', '1990-12-10', 'GB', now(), '', now())
            """
        )
    assert refusal.value.constraint_name == "verifications_have_events"


def test_every_pair_of_states_and_actions_is_tried() -> None:
    assert set(TRANSITIONS) <= set(product(get_args(Status), ACTIONS))
