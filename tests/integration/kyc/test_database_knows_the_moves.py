"""The database takes the moves of the domain's table, and no other, of the row as of its event."""

import re
from itertools import product
from typing import Any, get_args

import asyncpg
import pytest

from libs.common.ids import new_id
from services.kyc.domain.verification import TRANSITIONS, CustomerAction, StaffAction, Status
from tests.integration.kyc.conftest import World
from tests.support.api_world import admin_connection

ACTIONS = (*get_args(CustomerAction), *get_args(StaffAction))
STORED = tuple(status for status in get_args(Status) if status != "none")
PLACED = {
    "in_review": "tier = 0, kept_tier = 0, needs = '{}', decided_at = NULL, decided_by = NULL",
    "needs_info": "tier = 0, kept_tier = 0, needs = '{application}', decided_at = now(), decided_by = $2",
    "approved": "tier = 2, kept_tier = 0, needs = '{}', decided_at = now(), decided_by = $2",
    "suspended": "tier = 0, kept_tier = 2, needs = '{}', decided_at = now(), decided_by = $2",
    "rejected": "tier = 0, kept_tier = 0, needs = '{}', decided_at = now(), decided_by = $2",
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


async def refused(work: Any) -> str:
    """The constraint that refused, or nothing."""
    try:
        await work
    except asyncpg.CheckViolationError as refusal:
        return str(refusal.constraint_name)
    return ""


@pytest.mark.parametrize("before", STORED)
@pytest.mark.parametrize("after", STORED)
async def test_a_row_moves_where_the_table_says(world: World, before: str, after: str) -> None:
    async with admin_connection(world.admin_dsn) as connection:
        user_id = await applicant_in(world, connection, before)
        # Documents are asked for by another trigger; what a suspension kept comes back.
        columns = PLACED[after] if before == "suspended" else re.sub("^tier = 2", "tier = 1", PLACED[after])
        found = await refused(
            connection.execute(
                f"UPDATE kyc.verifications SET status = '{after}', version = 6, {columns} WHERE user_id = $1"
                " AND $2::uuid IS NOT NULL",
                user_id,
                new_id(),
            )
        )
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
        assert await refused(connection.execute(statement, new_id(), status, new_id())) == constraint


@pytest.mark.parametrize("before", get_args(Status))
@pytest.mark.parametrize("action", ACTIONS)
async def test_an_event_is_a_move_of_the_table(world: World, before: str, action: str) -> None:
    legal = {target for (status, done), target in TRANSITIONS.items() if (status, done) == (before, action)}
    taken = set()
    async with admin_connection(world.admin_dsn) as connection:
        for after in STORED:
            user_id = new_id()
            actor_id = user_id if action in get_args(CustomerAction) else new_id()
            tier = 1 if after == "approved" else 0
            values = (user_id, before, after, actor_id, action, tier)
            found = await refused(
                connection.execute(
                    "INSERT INTO kyc.verification_events VALUES ($1, 2, $2, $3, $4, '', now(), $5, $6, '')", *values
                )
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
        assert await refused(other_tier) == "verifications_kept_tier_comes_back"
        rejected = await applicant_in(world, connection, "rejected", ", may_retry = false")
        assert await refused(place(connection, rejected, "in_review", 6)) == "verifications_rejection_final"


def test_every_pair_of_states_and_actions_is_tried() -> None:
    assert set(TRANSITIONS) <= set(product(get_args(Status), ACTIONS))
