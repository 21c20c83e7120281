"""No statement of accounts can find what is deleted: the database hides it from the service's role."""

import contextlib
import dataclasses
import importlib
import inspect
import json
import pkgutil
import types
import typing
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from unittest.mock import MagicMock

import asyncpg
import pytest
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql import asyncpg as dialect

from libs.common.clock import system_clock, to_rfc3339
from libs.common.contracts.base import Message
from libs.common.ids import new_id
from services.accounts import store
from services.accounts.store.digests import DIGESTS
from tallystick.stack.service_settings import dsn_of_role
from tests.support.api_world import ROLE_PASSWORD, SEALER, admin_connection

HIDING = {"customers", "accounts"}
"""The tables that have deleted rows."""
PARTIAL = {"customers_email_unique"}
"""Indexes that hold present rows alone, so that no filter is needed."""
DOORS = {
    "erase_customer",
    "erasure_state",
    "delete_customer",
    "restore_customer",
    "delete_account",
    "restore_account",
    "deleted_accounts_of",
}
"""What runs as the owner, and so sees them: deleting, restoring, erasing, telling an owner. Nothing else may."""
RECONCILED = {"accounts_as_told", "profiles_as_told"}
"""What is compared with other services: ids, states and profiles, deleted ones too."""


PLAIN: dict[Any, Any] = {
    str: new_id(),
    bytes: b"\0" * 32,
    int: 1,
    bool: True,
    float: 1.0,
    datetime: system_clock(),
    timedelta: timedelta(seconds=1),
}


DIALECT = typing.cast("Any", dialect.dialect)()


class Recorder:
    """A connection that runs nothing and remembers every statement."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.sync_connection = MagicMock()
        self.sync_connection.get_execution_options.return_value = {"sealer": SEALER}

    async def execute(self, statement: ClauseElement, _parameters: object = None) -> MagicMock:
        compiled = statement.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
        self.statements.append(str(compiled))
        return MagicMock()

    def begin_nested(self) -> MagicMock:
        return MagicMock()


def some(kind: Any) -> Any:
    """Any value of this type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in PLAIN:
        return PLAIN[kind]
    if origin is Literal:
        return arguments[0]
    if origin in {types.UnionType, typing.Union, typing.Annotated}:
        return some(arguments[0])
    if origin is tuple:
        return tuple(some(one) for one in arguments if one is not Ellipsis)
    if origin in {frozenset, set}:
        return frozenset({some(arguments[0])})
    if origin in {list, Sequence, Collection, Iterable}:
        return [some(arguments[0])]
    return {"name": new_id()} if origin in {Mapping, dict} else some_object(kind)


def some_object(kind: Any) -> Any:
    """Any object of this class of ours."""
    if isinstance(kind, type) and issubclass(kind, Message):
        hints = {name: typing.get_type_hints(kind)[name] for name in kind.__struct_fields__}
        moments = {name: to_rfc3339(system_clock()) for name in hints if name.endswith("_at")}
        return kind(**{name: some(hint) for name, hint in hints.items()} | moments)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return typing.cast("Any", kind)(**{field.name: some(hints[field.name]) for field in dataclasses.fields(kind)})
    return MagicMock()


async def every_statement() -> dict[str, list[str]]:
    """Function of the store → the statements it runs."""
    found: dict[str, list[str]] = {}
    for module in pkgutil.iter_modules(store.__path__):
        loaded = importlib.import_module(f"{store.__name__}.{module.name}")
        for name, function in inspect.getmembers(loaded, inspect.iscoroutinefunction):
            if function.__module__ != loaded.__name__ or name.startswith("_"):
                continue
            hints = typing.get_type_hints(function)
            recorder = Recorder()
            arguments = {
                parameter: recorder if parameter in {"connection", "tx"} else some(hints[parameter])
                for parameter in inspect.signature(function).parameters
            }
            # What it makes of an answer that is none does not matter here.
            with contextlib.suppress(Exception):
                await function(**arguments)
            found[f"{module.name}.{name}"] = recorder.statements
    return found


def scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Every node of the plan that reads one of the hiding tables."""
    inner = [node for child in plan.get("Plans", []) for node in scans(child)]
    return [*inner, plan] if plan.get("Relation Name") in HIDING and "Scan" in plan["Node Type"] else inner


async def plan_of(connection: asyncpg.Connection, text: str) -> dict[str, Any]:
    """The plan that the statement has whatever its parameters are."""
    await connection.execute(f"PREPARE planned AS {text}")
    count = await connection.fetchval(
        "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'planned'"
    )
    arguments = f"({', '.join(['NULL'] * count)})" if count else ""
    explained = await connection.fetchval(f"EXPLAIN (VERBOSE, FORMAT json) EXECUTE planned{arguments}")
    await connection.execute("DEALLOCATE planned")
    plan: dict[str, Any] = json.loads(explained)[0]["Plan"]
    return plan


async def test_every_statement_of_the_store_reads_present_rows_alone(accounts_dsn: str) -> None:
    statements = await every_statement()
    assert [name for name, texts in statements.items() if not texts] == []
    dsn = dsn_of_role(accounts_dsn, "tallystick_accounts", ROLE_PASSWORD)
    connection = await asyncpg.connect(dsn)
    read = 0
    try:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        for name, texts in statements.items():
            for text in texts:
                for node in scans(await plan_of(connection, text)):
                    read += 1
                    hidden = "deleted_at IS NULL" in json.dumps(node) or node.get("Index Name") in PARTIAL
                    assert hidden, (name, node)
    finally:
        await connection.close()
    assert read >= 20


async def test_what_hides_rows_hides_them_from_the_role_and_the_role_can_do_nothing_about_it(
    accounts_dsn: str,
) -> None:
    async with admin_connection(accounts_dsn) as connection:
        tables = await connection.fetch(
            """
            SELECT c.relname, c.relrowsecurity, pg_get_expr(p.polqual, c.oid) AS shown, p.polwithcheck IS NULL AS plain,
                pg_get_userbyid(c.relowner) <> 'tallystick_accounts' AS foreign_owner
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'deleted_at'
                LEFT JOIN pg_policy p ON p.polrelid = c.oid
            WHERE c.relnamespace = 'accounts'::regnamespace AND c.relkind = 'r'
            """
        )
        role = await connection.fetchrow(
            "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'tallystick_accounts'"
        )
        partial = await connection.fetch(
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'accounts' AND indexdef LIKE '%(deleted_at IS NULL)'"
        )
    assert {row["indexname"] for row in partial} == PARTIAL
    assert {row["relname"] for row in tables} == HIDING
    assert {tuple(row)[1:] for row in tables} == {(True, "(deleted_at IS NULL)", True, True)}
    assert tuple(role) == (False, False)


async def test_only_the_doors_and_the_reconciled_views_see_what_is_deleted(accounts_dsn: str) -> None:
    async with admin_connection(accounts_dsn) as connection:
        functions = await connection.fetch(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'accounts'::regnamespace AND prosecdef"
        )
        views = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'accounts'::regnamespace AND relkind IN ('v', 'm')"
        )
    assert {row["proname"] for row in functions} == DOORS
    assert {row["relname"] for row in views} == RECONCILED
    assert all(view in " ".join(DIGESTS.values()) for view in RECONCILED)


@pytest.mark.parametrize(
    "statement", ["UPDATE accounts.customers SET deleted_at = NULL", "DELETE FROM accounts.customers"]
)
async def test_the_role_itself_neither_restores_nor_removes(accounts_dsn: str, statement: str) -> None:
    user_id = new_id()
    async with admin_connection(accounts_dsn) as connection:
        await connection.execute(
            """
            INSERT INTO accounts.customers (user_id, email, password_hash, full_name, roles, profile, status, version,
                registered_at, changed_at, deleted_at)
            VALUES ($1, $2, '', 'Ada', '{}', 'retail', 'closed', 1, now(), now(), now())
            """,
            user_id,
            f"{user_id}@example.com",
        )
    service = await asyncpg.connect(dsn_of_role(accounts_dsn, "tallystick_accounts", ROLE_PASSWORD))
    try:
        try:
            assert await service.execute(f"{statement} WHERE user_id = $1", user_id) == "UPDATE 0"
        except asyncpg.InsufficientPrivilegeError:
            assert statement.startswith("DELETE")
    finally:
        await service.close()
