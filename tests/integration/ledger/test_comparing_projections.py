"""The ledger finds what its neighbours show differently, by digests alone, and has it told again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx2
import msgspec
import pytest
from pydantic import SecretStr

from libs.common.clock import system_clock
from libs.common.contracts.ledger import CommandDecided, LedgerAccountOpened, TransferChanged
from libs.common.digests.digest_table import LAST_ID, DigestTable
from libs.common.digests.distant_digests import Neighbour
from libs.common.http.digests import digests_router
from libs.common.messaging.outgoing_message import Outgoing
from services.ledger.domain.reconciliation import Outcome
from services.ledger.store.reconciling import Looking
from services.ledger.use_cases.compare_projections import CompareProjections
from services.ledger.use_cases.rebuild_projections import RebuildProjections
from services.ledger.use_cases.reconcile_books import ReconcileBooks
from tests.integration.ledger.books import Books, account_changed
from tests.support.api_world import TokenKeys, admin_connection, http_client
from tests.support.ledger_builders import capture, change, id_of, leg, screened

_SHOWN = """
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.requests AS SELECT transfer_id AS id, '' AS said FROM ledger.transfers;
CREATE TABLE elsewhere.outcomes AS
    SELECT transfer_id AS id, concat_ws('|', status, version, code, journal_index) AS said FROM ledger.transfers;
CREATE TABLE elsewhere.commands AS
    SELECT command_id AS id, concat_ws('|', status, code, journal_index) AS said FROM ledger.commands;
CREATE TABLE elsewhere.accounts AS
    SELECT account_id AS id, concat_ws('|', owner_id, asset, account_number, status) AS said
    FROM ledger.accounts WHERE kind = 'customer';
CREATE TABLE elsewhere.owners AS
    SELECT account_id AS id, concat_ws('|', owner_id, asset, 'active') AS said
    FROM ledger.accounts WHERE kind = 'customer';
CREATE TABLE elsewhere.profiles AS
    SELECT owner_id AS id, 'retail' AS said FROM ledger.accounts WHERE kind = 'customer';
CREATE TABLE elsewhere.tiers AS SELECT id, '1|2' AS said FROM elsewhere.profiles;
CREATE TABLE elsewhere.verifications AS SELECT id, 'approved|1|2' AS said FROM elsewhere.profiles;
CREATE SCHEMA hearsay;
CREATE TABLE hearsay.owners AS TABLE elsewhere.owners;
CREATE TABLE hearsay.profiles AS TABLE elsewhere.profiles;
CREATE TABLE hearsay.verifications AS TABLE elsewhere.verifications;
"""

CAPTURE, CHANGE = "capture of h", "change of bob"


class Elsewhere:
    """A neighbour that shows tables of its own, over HTTP without a socket."""

    def __init__(self, dsn: str, schema: str) -> None:
        self._dsn = dsn
        self.unsent = 0
        self.forgotten: list[str] = []
        self.token = "secret"
        tables = {name: DigestTable(self._connect, f"SELECT * FROM {schema}.{name}") for name in TABLES}

        async def count_unsent() -> int:
            return self.unsent

        async def forget(ids: list[str]) -> None:
            self.forgotten += ids

        self.router = digests_router(
            SecretStr("secret"), tables, count_unsent=count_unsent, forget={"outcomes": forget}
        )

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[asyncpg.Connection]:
        async with admin_connection(self._dsn) as connection:
            yield connection

    def neighbour(self, name: str, client: httpx2.AsyncClient) -> Neighbour:
        return Neighbour(name, client, self.token)


TABLES = ("requests", "outcomes", "commands", "accounts", "owners", "profiles", "tiers", "verifications")


class World:
    """A ledger with a history, neighbours that show it, and fraud, which was told by them."""

    def __init__(
        self, dsn: str, elsewhere: Elsewhere, client: httpx2.AsyncClient, hearsay: Elsewhere, fraud: httpx2.AsyncClient
    ) -> None:
        self.dsn, self.elsewhere = dsn, elsewhere
        self.neighbours = {name: elsewhere.neighbour(name, client) for name in ("gateway", "accounts", "kyc")}
        self.neighbours["fraud"] = hearsay.neighbour("fraud", fraud)
        looking = Looking(dsn)
        compare = CompareProjections(looking, self.neighbours)
        self.rebuild = RebuildProjections(dsn, compare, self.neighbours)
        self._reconcile = ReconcileBooks(looking, compare, system_clock)

    async def do(self, sql: str) -> None:
        async with admin_connection(self.dsn) as connection:
            await connection.execute(sql)

    async def broken(self, *, grace_seconds: float = 0) -> dict[str, Outcome]:
        run = await self._reconcile("all", grace_seconds=grace_seconds)
        return {outcome.name: outcome for outcome in run.outcomes if outcome.verdict != "ok"}

    async def left_to_be_told(self) -> list[Outgoing]:
        async with admin_connection(self.dsn) as connection:
            rows = await connection.fetch("SELECT payload FROM ledger.outbox ORDER BY row_id")
        return [message for row in rows for message in msgspec.msgpack.decode(row[0], type=list[Outgoing])]


@pytest.fixture
async def world(books: Books, admin_dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", leg("alice", "bob", 300)), screened("h", leg("alice", "bob", 9), hold_seconds=600))
    await books.do(capture("h", 4), change("bob", minimum_minor=1_000))
    await books.outcomes.flush()
    elsewhere, hearsay = Elsewhere(admin_dsn, "elsewhere"), Elsewhere(admin_dsn, "hearsay")
    keys = TokenKeys(tmp_path)
    async with (
        http_client("elsewhere", [elsewhere.router], keys) as client,
        http_client("hearsay", [hearsay.router], keys) as fraud,
    ):
        world = World(admin_dsn, elsewhere, client, hearsay, fraud)
        await world.do(f"DELETE FROM ledger.outbox; {_SHOWN}")
        yield world


async def test_neighbours_that_show_the_same_agree(world: World) -> None:
    assert await world.broken() == {}


@pytest.mark.parametrize(
    ("check", "table", "name"),
    [
        ("asked_and_decided", "requests", "t"),
        ("gateway_agrees", "outcomes", "t"),
        ("answers_agree", "commands", CAPTURE),
        ("accounts_agree", "accounts", "bob"),
    ],
)
async def test_the_id_that_is_missing_or_differs_is_named(world: World, check: str, table: str, name: str) -> None:
    await world.do(f"DELETE FROM elsewhere.{table} WHERE id = '{id_of(name)}'")
    broken = await world.broken()
    assert broken.keys() == {check}
    assert [found.subject for found in broken[check].differences] == [id_of(name)]
    assert broken[check].differences[0].text.endswith("knows nothing of it")
    await world.do(f"INSERT INTO elsewhere.{table} VALUES ('{id_of(name)}', 'altered'), ('{LAST_ID}', 'made up')")
    broken = await world.broken()
    assert {found.subject for found in broken[check].differences} == {id_of(name), LAST_ID}


@pytest.mark.parametrize("table", ["owners", "profiles", "verifications"])
async def test_what_fraud_was_told_is_compared_with_who_told_it(world: World, table: str) -> None:
    name = id_of("bob") if table == "owners" else id_of("owner of bob")
    await world.do(f"UPDATE hearsay.{table} SET said = 'altered' WHERE id = '{name}'")
    broken = await world.broken()
    assert broken.keys() == {f"fraud_knows_{table}"}
    (found,) = broken[f"fraud_knows_{table}"].differences
    assert found.subject == name
    assert found.text.endswith("fraud says altered")
    assert found.text.startswith("kyc says" if table == "verifications" else "accounts says")
    plan = await world.rebuild.plan(upto=LAST_ID, grace_seconds=0)
    assert plan.is_empty
    assert [left.subject for left in plan.left] == [name]


async def test_what_another_was_told_may_arrive_until_the_second_look(world: World) -> None:
    await world.do("DELETE FROM hearsay.verifications")
    looking = asyncio.create_task(world.rebuild.plan(upto=LAST_ID, grace_seconds=2))
    await asyncio.sleep(0.5)
    await world.do("INSERT INTO hearsay.verifications TABLE elsewhere.verifications")
    assert (await looking).left == []


async def test_what_changed_a_moment_ago_may_be_on_its_way(world: World) -> None:
    await world.do("DELETE FROM elsewhere.outcomes")
    assert (await world.broken()).keys() == {"gateway_agrees"}
    assert await world.broken(grace_seconds=600) == {}


async def test_messages_that_wait_too_long_are_told(world: World) -> None:
    world.elsewhere.unsent = 3
    assert (await world.broken()).keys() == {"gateway_outbox", "accounts_outbox", "kyc_outbox"}


async def test_only_who_has_the_token_is_told(world: World) -> None:
    for neighbour in world.neighbours.values():
        neighbour._headers["x-internal-token"] = "wrong"
    broken = await world.broken()
    assert {outcome.verdict for outcome in broken.values()} == {"skipped"}
    assert len(broken) == 14


async def test_a_repair_has_every_state_told_again_and_the_wrong_one_forgotten(world: World) -> None:
    await world.do(f"UPDATE elsewhere.outcomes SET said = 'refused' WHERE id = '{id_of('h')}'")
    await world.do(f"DELETE FROM elsewhere.outcomes WHERE id = '{id_of('t')}'")
    await world.do(f"DELETE FROM elsewhere.accounts WHERE id = '{id_of('bob')}'")
    plan = await world.rebuild.plan(upto=LAST_ID, grace_seconds=0)
    assert plan.forgotten == [id_of("h")]
    assert set(plan.told_transfers) == {id_of("t"), id_of("h")}
    assert plan.told_accounts == [id_of("bob")]
    assert await world.left_to_be_told() == [], "a plan changes nothing"
    await world.rebuild.carry_out(plan)
    assert world.elsewhere.forgotten == [id_of("h")]
    told = await world.left_to_be_told()
    states = [msgspec.json.decode(one.payload, type=TransferChanged) for one in told if one.message_type == CHANGED]
    assert {(state.transfer_id, state.status, state.version) for state in states} == {
        (id_of("t"), "posted", 1),
        (id_of("h"), "held", 1),
        (id_of("h"), "held", 2),
    }
    opened = [msgspec.json.decode(one.payload, type=LedgerAccountOpened) for one in told if one.message_type == OPENED]
    assert [(one.account_id, one.owner_id) for one in opened] == [(id_of("bob"), account_changed("bob").owner_id)]


async def test_a_repair_has_the_answer_to_a_command_told_again(world: World) -> None:
    await world.do(f"UPDATE elsewhere.commands SET said = 'refused' WHERE id = '{id_of(CAPTURE)}'")
    await world.do(f"DELETE FROM elsewhere.commands WHERE id = '{id_of(CHANGE)}'")
    plan = await world.rebuild.plan(upto=LAST_ID, grace_seconds=0)
    assert (plan.forgotten, set(plan.told_commands)) == ([id_of(CAPTURE)], {id_of(CAPTURE), id_of(CHANGE)})
    await world.rebuild.carry_out(plan)
    told = await world.left_to_be_told()
    answers = [msgspec.json.decode(one.payload, type=CommandDecided) for one in told if one.message_type == DECIDED]
    assert {(one.command_id, one.status, one.code) for one in answers} == {
        (id_of(CAPTURE), "done", ""),
        (id_of(CHANGE), "refused", "minimum_above_balance"),
    }


async def test_a_repair_leaves_to_people_what_no_projection_caused(world: World) -> None:
    await world.do(f"DELETE FROM elsewhere.requests WHERE id = '{id_of('t')}'")
    await world.do(f"INSERT INTO elsewhere.requests VALUES ('{LAST_ID}', '')")
    await world.do(f"UPDATE elsewhere.accounts SET said = 'another owner' WHERE id = '{id_of('bob')}'")
    plan = await world.rebuild.plan(upto=LAST_ID, grace_seconds=0)
    assert plan.is_empty
    assert {left.subject for left in plan.left} == {id_of("t"), LAST_ID, id_of("bob")}


CHANGED, DECIDED, OPENED = TransferChanged.TYPE, CommandDecided.TYPE, LedgerAccountOpened.TYPE
