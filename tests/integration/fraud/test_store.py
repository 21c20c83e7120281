"""What the database itself forbids, and how it finds what is asked of it."""

from collections.abc import Iterator

import asyncpg
import pytest

from libs.common.db.hot import HotConnection
from libs.common.ids import new_id
from services.fraud.store import decisions, holds, projections, users
from tests.integration.fraud.office import Office, transfer
from tests.support.api_world import admin_connection, migrated_database

APPEND_ONLY = ("decisions", "late_slots", "limit_releases")


@pytest.mark.parametrize("table", APPEND_ONLY)
async def test_what_was_decided_cannot_be_changed_by_the_service(office: Office, table: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await office.query(f"DELETE FROM fraud.{table}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await office.query(f"UPDATE fraud.{table} SET transfer_id = transfer_id")


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET user_id = NULL", "TRUNCATE {} CASCADE"])
async def test_what_was_decided_cannot_be_changed_by_the_owner_of_the_tables(
    fraud_admin_dsn: str, table: str, statement: str
) -> None:
    async with admin_connection(fraud_admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await connection.execute(statement.format(f"fraud.{table}"))
    assert str(refused.value.constraint_name).endswith("_append_only")


async def test_a_second_decision_on_a_transfer_is_impossible(office: Office) -> None:
    command = transfer(new_id())
    await office.ask_one(command)
    with pytest.raises(asyncpg.UniqueViolationError):
        await office.query(
            "INSERT INTO fraud.decisions (transfer_id, decision_id, verdict, code, reasons, ruleset, usd_minor,"
            " features, decided_at) VALUES ($1, $1, 'approve', '', '{}', 1, 1, '', now())",
            command.transfer_id,
        )


@pytest.fixture(scope="module")
def empty_dsn(postgres_dsn: str) -> Iterator[str]:
    """Give the administrator's DSN of a database in which nothing was ever written."""
    with migrated_database(postgres_dsn, "fraud") as dsn:
        yield dsn


@pytest.mark.parametrize(
    "statement",
    [
        users._SELECT,
        users._SELECT_SLOTS,
        users._BUMP,
        decisions._FIND,
        decisions._KEEP_APPROVED_AND_SAY,
        holds._LOCK,
        holds._WAITING_FOR,
        holds._RESOLVABLE,
        projections._OWNERS,
    ],
)
async def test_plans_made_once_on_empty_tables_stay_good_when_the_tables_grow(empty_dsn: str, statement: str) -> None:
    """A pinned plan is for ever: one that compares rows pair by pair or reads a whole table would creep up on us."""
    hot = HotConnection(empty_dsn, "plans")
    async with hot.autocommit() as connection:
        parameters = (await connection.prepare(statement)).get_parameters()
        await connection.execute(f"PREPARE asked AS {statement}")
        rows = await connection.fetch(f"EXPLAIN EXECUTE asked ({', '.join(['NULL'] * len(parameters))})")
    await hot.close()
    found = "\n".join(row[0] for row in rows)
    for bad in ("Seq Scan", "Join Filter", "Materialize"):
        assert bad not in found, found
    assert "Index Cond" in found
