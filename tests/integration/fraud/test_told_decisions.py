"""What a customer takes along of decisions on his transfers: what he was told, page by page."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from libs.common.clock import from_rfc3339
from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.ids import LOWEST_ID, new_id
from services.fraud.api.internal import internal_router
from services.fraud.use_cases.foresee_screening import ForeseeScreening
from services.fraud.use_cases.read_policy import PolicyInForce
from services.fraud.views.told_decisions import ToldDecisions
from tests.integration.fraud.office import NOON, Office, transfer
from tests.support.api_world import TokenKeys, http_client

INTERNAL_TOKEN = "sister to sister"
START = {"since": "1970-01-01T00:00:00Z", "after": LOWEST_ID}


@pytest.fixture
async def told(fraud_dsn: str) -> AsyncIterator[ToldDecisions]:
    engine = make_engine(fraud_dsn, "fraud-test")
    yield ToldDecisions(Reading(engine))
    await engine.dispose()


@pytest.fixture
async def http(fraud_dsn: str, told: ToldDecisions, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    engine = make_engine(fraud_dsn, "fraud-test")
    foresee = ForeseeScreening(PolicyInForce(velocity_lifted=False), lambda: NOON)
    router = internal_router(foresee, told, Reading(engine), SecretStr(INTERNAL_TOKEN))
    async with http_client("fraud", [router], TokenKeys(tmp_path)) as client:
        yield client
    await engine.dispose()


async def decided(office: Office, payer: str) -> list[str]:
    """Let fraud approve, hold and block transfers of the payer, two of them at one moment; return their ids."""
    commands = [
        transfer(payer),
        transfer(payer, payee_tier=0),
        transfer(payer, amount_minor=1_000_000_01),
        transfer(payer),
    ]
    await office.ask(*commands[:2])
    for command in commands[2:]:
        office.now += timedelta(seconds=1)
        await office.ask_one(command)
    return [command.transfer_id for command in commands]


async def test_a_payer_is_told_verdict_code_facts_and_when_and_nothing_else(
    office: Office, http: httpx2.AsyncClient
) -> None:
    payer = new_id()
    ids = await decided(office, payer)
    await office.ask_one(transfer(new_id(), payee=payer))
    sister = {"X-Internal-Token": INTERNAL_TOKEN}
    answer = await http.get(f"/internal/customers/{payer}/decisions", params=START, headers=sister)
    found: list[dict[str, Any]] = answer.json()["decisions"]
    assert {one["transfer_id"] for one in found[:2]} == set(ids[:2])
    assert [one["transfer_id"] for one in found[2:]] == ids[2:]
    assert sorted(one["verdict"] for one in found) == ["approve", "approve", "block", "hold"]
    blocked = found[2]
    assert set(blocked) == {"transfer_id", "verdict", "code", "facts", "decided_at"}
    assert (blocked["code"], blocked["facts"]["limit"]) == ("amount_limit_exceeded", "maximum_amount")
    assert from_rfc3339(blocked["decided_at"]) == NOON + timedelta(seconds=1)
    assert (found[3]["code"], found[3]["facts"]) == ("", {})


async def test_pages_follow_each_other_without_gap_or_repetition(office: Office, told: ToldDecisions) -> None:
    payer = new_id()
    ids = await decided(office, payer)
    seen, place = [], (from_rfc3339("1970-01-01T00:00:00.000000Z"), LOWEST_ID)
    while page := await told.of(payer, place, 1):
        [one] = page
        seen.append(one.transfer_id)
        place = (from_rfc3339(one.decided_at), one.transfer_id)
    assert (len(seen), set(seen)) == (4, set(ids))


async def test_strangers_and_nonsense_are_refused(http: httpx2.AsyncClient) -> None:
    path, sister = f"/internal/customers/{new_id()}/decisions", {"X-Internal-Token": INTERNAL_TOKEN}
    assert (await http.get(path, params=START)).status_code == 401
    for nonsense in ({**START, "since": "yesterday"}, {**START, "after": "0"}, {}):
        assert (await http.get(path, params=nonsense, headers=sister)).status_code == 422
    nobody = await http.get("/internal/customers/nobody/decisions", params=START, headers=sister)
    assert nobody.status_code == 422
