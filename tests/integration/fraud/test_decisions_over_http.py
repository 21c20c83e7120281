"""What staff see of a decision."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import msgspec
import pytest
from pydantic import SecretStr

from libs.common.contracts.fraud import TransferScreened
from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.ids import new_id
from services.fraud.api.decisions import decisions_router
from services.fraud.api.internal import internal_router
from services.fraud.use_cases.foresee_screening import ForeseeScreening
from services.fraud.use_cases.read_policy import PolicyInForce
from services.fraud.views.show_decision import ShowDecision
from services.fraud.views.told_decisions import ToldDecisions
from tests.integration.fraud.office import Office, transfer
from tests.support.api_world import TokenKeys, http_client

PATH = "/api/v1/admin/fraud/decisions"


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path)


@pytest.fixture
async def http(fraud_dsn: str, keys: TokenKeys) -> AsyncIterator[httpx2.AsyncClient]:
    engine = make_engine(fraud_dsn, "fraud-test")
    async with http_client("fraud", [decisions_router(ShowDecision(engine))], keys) as client:
        yield client
    await engine.dispose()


@pytest.mark.parametrize("role", ["compliance", "support", "auditor", "admin"])
async def test_staff_read_a_decision_with_what_it_rested_on(
    office: Office, http: httpx2.AsyncClient, keys: TokenKeys, role: str
) -> None:
    payer = new_id()
    command = transfer(payer, payee_tier=0, asset="EUR", amount_minor=10_00)
    screened = await office.ask_one(command)

    answer = await http.get(f"{PATH}/{command.transfer_id}", headers=keys.bearer(new_id(), role))

    body = answer.json()
    assert answer.status_code == 200
    assert (body["decision_id"], body["user_id"], body["verdict"]) == (screened.decision_id, payer, "hold")
    assert (body["usd_minor"], body["features"]["rates"]) == (11_00, {"EUR": [110, 100]})
    assert (body["hold_status"], body["hold_remaining"]) == ("open", ["kyc_pending"])


async def test_a_block_shows_its_limit(office: Office, http: httpx2.AsyncClient, keys: TokenKeys) -> None:
    command = transfer(new_id(), amount_minor=1_000_000_01)
    await office.ask_one(command)

    body = (await http.get(f"{PATH}/{command.transfer_id}", headers=keys.bearer(new_id(), "admin"))).json()

    assert body["code"] == "amount_limit_exceeded"
    assert (body["facts"]["limit"], body["facts"]["limit_minor"]) == ("maximum_amount", 1_000_000_00)
    assert body["hold_status"] is None


async def test_customers_and_strangers_see_nothing(http: httpx2.AsyncClient, keys: TokenKeys) -> None:
    assert (await http.get(f"{PATH}/{new_id()}")).status_code == 401
    assert (await http.get(f"{PATH}/{new_id()}", headers=keys.bearer(new_id()))).json()["code"] == "role_required"


async def test_an_unknown_transfer_is_not_found_and_a_wrong_id_is_refused(
    http: httpx2.AsyncClient, keys: TokenKeys
) -> None:
    staff = keys.bearer(new_id(), "auditor")
    assert (await http.get(f"{PATH}/{new_id()}", headers=staff)).json()["code"] == "decision_not_found"
    assert (await http.get(f"{PATH}/not-an-id", headers=staff)).status_code == 422


async def test_a_dry_run_tells_the_verdict_and_uses_no_limit(office: Office, fraud_dsn: str, keys: TokenKeys) -> None:
    payer = new_id()
    for _ in range(49):
        await office.ask_one(transfer(payer))
    engine = make_engine(fraud_dsn, "fraud-test")
    foresee = ForeseeScreening(PolicyInForce(velocity_lifted=False), lambda: office.now)
    reading = Reading(engine)
    router = internal_router(foresee, ToldDecisions(reading), reading, SecretStr("sister to sister"))
    async with http_client("fraud", [router], keys) as client:
        for command, verdict in (
            (transfer(payer), "approve"),
            (transfer(payer), "approve"),
            (transfer(payer, payee_tier=0), "hold"),
            (transfer(payer, amount_minor=1_000_000_01), "block"),
            (transfer(payer, asset="XXX"), "block"),
        ):
            sister = {"X-Internal-Token": "sister to sister"}
            answer = await client.post("/internal/dry-runs", headers=sister, content=msgspec.json.encode(command))
            assert msgspec.json.decode(answer.content, type=TransferScreened).verdict == verdict
        assert (await client.post("/internal/dry-runs", content=b"{}")).status_code == 401
    await engine.dispose()
    assert (await office.ask_one(transfer(payer))).verdict == "approve", "the fiftieth of the hour"
