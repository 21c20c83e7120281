"""Verification over HTTP, in a process of its own, as an auditor asks for it; the release, as an administrator does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from libs.common.clock import monotonic_seconds
from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.reading import Reading
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from services.ledger.api.verifications import verifications_router
from services.ledger.use_cases.ask_witness import AskWitness
from services.ledger.use_cases.record_verification import RecordVerification
from services.ledger.use_cases.release_finding import ReleaseFinding
from services.ledger.use_cases.run_verification import RunVerification
from services.ledger.use_cases.verify_on_request import VerifyOnRequest
from services.ledger.views.findings import FindingsView
from tests.integration.ledger.books import SHARD, SIGNER, Books
from tests.support.api_world import MovedClock, TokenKeys, admin_connection, http_client
from tests.support.ledger_builders import id_of, leg, screened

ROOT = "/api/v1/admin/ledger"


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path)


@pytest.fixture
async def client(ledger_dsn: str, books: Books, keys: TokenKeys) -> AsyncIterator[httpx2.AsyncClient]:
    engine = make_engine(ledger_dsn, "test-views")
    hot = HotConnection(ledger_dsn, "test-auditor")
    outbox = Outbox("ledger", books.publisher, hot)
    record = RecordVerification(hot, outbox, SIGNER, MovedClock(), SHARD)
    verify = VerifyOnRequest(
        RunVerification(ledger_dsn, SIGNER.vkey, record, AskWitness(hot, None, (), SHARD), SHARD), monotonic_seconds
    )
    release = ReleaseFinding(hot, outbox, SIGNER, MovedClock(), SHARD)
    router = verifications_router(verify, FindingsView(Reading(engine), SHARD), release)
    async with http_client("ledger", [router], keys) as client:
        yield client
    await verify.stop()
    await hot.close()
    await engine.dispose()


async def finished(client: httpx2.AsyncClient, answer: httpx2.Response, staff: dict[str, str]) -> dict[str, object]:
    """Ask until it has ended."""
    said: dict[str, object] = answer.json()
    async with asyncio.timeout(60):
        while said["state"] == "running":
            await asyncio.sleep(0.2)
            said = (await client.get(f"{ROOT}/verifications/{said['verification_id']}", headers=staff)).json()
    return said


async def test_an_auditor_verifies_and_an_administrator_releases(
    books: Books, client: httpx2.AsyncClient, keys: TokenKeys, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    auditor, admin = keys.bearer(new_id(), "auditor"), keys.bearer(new_id(), "admin")
    said = await finished(client, await client.post(f"{ROOT}/verify", json={"scope": "full"}, headers=auditor), auditor)
    assert (said["state"], said["verified"], said["scope"]) == ("finished", True, "full")
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("UPDATE ledger.accounts SET posted_minor = 2 WHERE account_id = $1", id_of("bob"))
    said = await finished(
        client, await client.post(f"{ROOT}/verify", json={"scope": "incremental"}, headers=auditor), auditor
    )
    assert said["verified"] is False
    halted = (await client.get(f"{ROOT}/findings", headers=auditor)).json()
    (finding,) = halted["findings"]
    assert (halted["halted"], finding["finding"]["row"]) == (True, id_of("bob"))
    body = {"finding_id": finding["finding_id"], "reason": "put right by hand"}
    assert (await client.post(f"{ROOT}/release", json=body, headers=auditor)).status_code == 403
    released = await client.post(f"{ROOT}/release", json=body, headers=admin)
    assert (released.status_code, released.json()) == (200, {"open_findings": 0})
    await books.do(screened("t", leg("alice", "bob", 1)))
    one = await finished(
        client, await client.post(f"{ROOT}/verify/{id_of('alice')}", json={}, headers=auditor), auditor
    )
    assert (one["verified"], one["scope"]) == (True, "account")


async def test_what_is_not_there_cannot_be_verified(books: Books, client: httpx2.AsyncClient, keys: TokenKeys) -> None:
    auditor = keys.bearer(new_id(), "auditor")
    said = await finished(client, await client.post(f"{ROOT}/verify/{new_id()}", headers=auditor), auditor)
    assert (said["state"], said["verified"]) == ("failed", None)
    assert (await client.post(f"{ROOT}/verify/x", headers=auditor)).status_code == 404
    assert (await client.get(f"{ROOT}/verifications/x", headers=auditor)).status_code == 404
    assert (await client.post(f"{ROOT}/verify", json={"scope": "half"}, headers=auditor)).status_code == 422


async def test_customers_and_operators_verify_nothing(client: httpx2.AsyncClient, keys: TokenKeys) -> None:
    for roles in ((), ("operator",)):
        answer = await client.post(f"{ROOT}/verify", json={}, headers=keys.bearer(new_id(), *roles))
        assert (answer.status_code, answer.json()["code"]) == (403, "role_required")
