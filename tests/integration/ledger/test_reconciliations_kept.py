"""Reconciliations run in the background, one at a time, and what they found is kept for auditors."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx2
import pytest

from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.reading import Reading
from libs.common.ids import new_id
from services.ledger.api.reconciliation import reconciliation_router
from services.ledger.metrics import RECONCILIATION_DIFFERENCES, RECONCILIATION_ENDED
from services.ledger.store.reconciliations import begin_run, end_run
from services.ledger.store.reconciling import Looking
from services.ledger.use_cases.compare_projections import CompareProjections
from services.ledger.use_cases.reconcile_books import ReconcileBooks
from services.ledger.use_cases.run_reconciliations import RunReconciliations
from services.ledger.views.reconciliations import ReconciliationView
from tests.integration.ledger.books import Books
from tests.support.api_world import MovedClock, TokenKeys, admin_connection, http_client
from tests.support.ledger_builders import id_of, leg, screened

ROUTE = "/api/v1/admin/reconciliation"


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def runs(ledger_dsn: str, clock: MovedClock) -> AsyncIterator[RunReconciliations]:
    hot, looking = HotConnection(ledger_dsn, "test-reconciliations"), Looking(ledger_dsn)
    runs = RunReconciliations(hot, looking, ReconcileBooks(looking, CompareProjections(looking, {}), clock), clock)
    yield runs
    await runs.stop()
    await hot.close()


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path)


@pytest.fixture
async def client(ledger_dsn: str, runs: RunReconciliations, keys: TokenKeys) -> AsyncIterator[httpx2.AsyncClient]:
    engine = make_engine(ledger_dsn, "test-views")
    async with http_client(
        "ledger", [reconciliation_router(ReconciliationView(Reading(engine)), runs)], keys
    ) as client:
        yield client
    await engine.dispose()


async def test_an_auditor_starts_one_and_reads_what_it_found(
    books: Books, runs: RunReconciliations, client: httpx2.AsyncClient, keys: TokenKeys, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", leg("alice", "bob", 300)))
    await books.outcomes.flush()
    auditor = keys.bearer(new_id(), "auditor")
    started = await client.post(ROUTE, headers=auditor)
    assert started.status_code == 202
    await runs.finished()
    seen = (await client.get(f"{ROUTE}/{started.json()['run_id']}", headers=auditor)).json()
    assert (seen["scope"], seen["cause"], seen["verdict"], seen["differences"]) == ("all", "request", "incomplete", 0)
    assert seen["report"]["journal_size"] == 3
    async with admin_connection(admin_dsn) as connection:
        await connection.execute(
            "UPDATE ledger.accounts SET posted_minor = posted_minor + 1 WHERE account_id = $1", id_of("bob")
        )
    await client.post(ROUTE, headers=auditor)
    await runs.finished()
    newest, first = (await client.get(ROUTE, headers=auditor)).json()["runs"]
    assert (newest["verdict"], newest["differences"]) == ("differs", 2)
    assert first["run_id"] == seen["run_id"]
    assert RECONCILIATION_DIFFERENCES.labels("balances")._value.get() == 1


async def test_one_runs_at_a_time_and_a_dead_one_blocks_nobody(
    books: Books, runs: RunReconciliations, client: httpx2.AsyncClient, keys: TokenKeys, ledger_dsn: str
) -> None:
    admin = keys.bearer(new_id(), "admin")
    other = await Looking(ledger_dsn).alone()
    assert other is not None
    refused = await client.post(ROUTE, headers=admin)
    assert (refused.status_code, refused.json()["code"]) == (409, "reconciliation_running")
    await runs.sample_once()
    assert (await client.get(ROUTE, headers=admin)).json() == {"runs": []}
    other.terminate()
    async with asyncio.timeout(30):
        while (await client.post(ROUTE, headers=admin)).status_code != 202:  # noqa: ASYNC110 -- PostgreSQL tells nobody
            await asyncio.sleep(0.01)


async def test_only_auditors_and_admins_may(client: httpx2.AsyncClient, keys: TokenKeys) -> None:
    for role in ("customer", "support", "operator"):
        for method, path in (("GET", ROUTE), ("POST", ROUTE), ("GET", f"{ROUTE}/{new_id()}")):
            answer = await client.request(method, path, headers=keys.bearer(new_id(), role))
            assert (answer.status_code, answer.json()["code"]) == (403, "role_required")
    auditor = keys.bearer(new_id(), "auditor")
    for nobody in (new_id(), "x"):
        answer = await client.get(f"{ROUTE}/{nobody}", headers=auditor)
        assert (answer.status_code, answer.json()["code"]) == (404, "reconciliation_not_found")
    assert (await client.get(ROUTE, params={"limit": 101}, headers=auditor)).status_code == 422


async def test_every_night_has_one_run_and_every_start_a_sample(
    books: Books, runs: RunReconciliations, client: httpx2.AsyncClient, keys: TokenKeys, clock: MovedClock
) -> None:
    clock.stop()
    await runs.sample_once()
    await runs.finished()
    for _ in range(2):
        await runs.nightly()
        await runs.finished()
    clock.move(timedelta(days=1))
    await runs.nightly()
    await runs.finished()
    seen = (await client.get(ROUTE, headers=keys.bearer(new_id(), "auditor"))).json()["runs"]
    assert [(run["cause"], run["scope"]) for run in seen] == [
        ("nightly", "all"),
        ("nightly", "all"),
        ("start", "sample"),
    ]


async def test_what_was_found_is_never_changed(runs: RunReconciliations, admin_dsn: str) -> None:
    await runs.sample_once()
    await runs.finished()
    async with admin_connection(admin_dsn) as connection:
        for table in ("reconciliations", "reconciliation_results"):
            for sql in (f"DELETE FROM ledger.{table}", f"TRUNCATE ledger.{table} CASCADE"):
                with pytest.raises(asyncpg.CheckViolationError, match="INSERT only"):
                    await connection.execute(sql)


async def test_a_process_that_starts_knows_when_the_last_whole_one_ended(
    books: Books, runs: RunReconciliations, clock: MovedClock, admin_dsn: str
) -> None:
    await books.fund(alice=5)
    await runs.sample_once()
    await runs.finished()
    assert RECONCILIATION_ENDED._value.get() == pytest.approx(clock().timestamp(), abs=60), "there was none yet"
    ended, run_id = clock(), new_id()
    async with admin_connection(admin_dsn) as connection:
        await begin_run(connection, run_id, "all", "nightly", None, ended)
        await end_run(connection, run_id, "agrees", 0, {}, ended)
    clock.move(timedelta(hours=30))
    await runs.sample_once()
    await runs.finished()
    assert RECONCILIATION_ENDED._value.get() == pytest.approx(ended.timestamp())
