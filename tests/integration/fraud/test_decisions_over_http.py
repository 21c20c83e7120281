"""What staff see of a decision."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import msgspec
import pytest
from pydantic import SecretStr

from libs.common.clock import system_clock
from libs.common.contracts.fraud import TransferScreened
from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.ids import new_id
from services.fraud.api.decisions import decisions_router
from services.fraud.api.internal import internal_router
from services.fraud.domain.features import CATALOGUE
from services.fraud.use_cases.foresee_screening import ForeseeScreening
from services.fraud.use_cases.read_policy import PolicyInForce
from services.fraud.views.show_decision import ShowDecision
from services.fraud.views.told_decisions import ToldDecisions
from tests.integration.fraud.office import Office, transfer
from tests.integration.fraud.rulebook import end_rulesets, enter, put_live
from tests.support.api_world import TokenKeys, admin_connection, http_client

PATH = "/api/v1/admin/fraud/decisions"


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path)


@pytest.fixture
async def http(fraud_dsn: str, keys: TokenKeys) -> AsyncIterator[httpx2.AsyncClient]:
    engine = make_engine(fraud_dsn, "fraud-test")
    async with http_client("fraud", [decisions_router(ShowDecision(Reading(engine)))], keys) as client:
        yield client
    await engine.dispose()


@pytest.mark.parametrize("role", ["compliance", "auditor", "admin"])
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


@pytest.mark.parametrize("role", ["support", "operator"])
async def test_who_speaks_with_customers_is_not_shown_what_rules_read(
    office: Office, http: httpx2.AsyncClient, keys: TokenKeys, role: str
) -> None:
    office.now = system_clock()
    command = transfer(new_id(), payee_tier=0)
    screened = await office.ask_one(command)
    for place in (command.transfer_id, f"by-id/{screened.decision_id}"):
        answer = await http.get(f"{PATH}/{place}", headers=keys.bearer(new_id(), role))
        assert (answer.status_code, answer.json()["code"]) == (403, "role_required"), place


async def test_whoever_takes_part_in_a_transfer_is_not_told_why_whatever_his_role(
    office: Office, http: httpx2.AsyncClient, keys: TokenKeys
) -> None:
    payer, office.now = new_id(), system_clock()
    command = transfer(payer, payee_tier=0)
    screened = await office.ask_one(command)
    for party in (payer, command.payees[0].user_id):
        for place in (command.transfer_id, f"by-id/{screened.decision_id}"):
            answer = await http.get(f"{PATH}/{place}", headers=keys.bearer(party, "compliance"))
            assert (answer.status_code, answer.json()["code"]) == (403, "own_transfer"), place


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


EXPLAINED = """
name: explained
review_from: 50
block_from: 500
rules:
- id: large
  title: Large
  when: usd_minor > 40000 && !device_given
  message: "{usd_minor} at once, device named: {device_given}, {usd_minor:>99999999}"
  typology: scam
  points: 60
  examples: [{given: {usd_minor: 50000}, hits: true}, {given: {usd_minor: 1}, hits: false}]
- id: new_payee
  title: New payee
  when: pair_count_30d == 0
  message: first payment
  typology: scam
  points: 30
  examples: [{given: {}, hits: true}, {given: {pair_count_30d: 1}, hits: false}]
- id: share
  title: Cannot be computed
  when: usd_minor / pair_count_30d > 5
  message: never
  typology: other
  points: 1
  on_error: ignore
  examples: [{given: {usd_minor: 60, pair_count_30d: 1}, hits: true}, {given: {pair_count_30d: 1}, hits: false}]
- id: small
  title: Small
  when: usd_minor < 100
  message: small
  typology: other
  points: 1
  examples: [{given: {}, hits: true}, {given: {usd_minor: 100}, hits: false}]
"""


async def test_a_decision_is_explained_rule_by_rule(
    office: Office, http: httpx2.AsyncClient, keys: TokenKeys, fraud_admin_dsn: str
) -> None:
    payer = new_id()
    office.now = system_clock()
    await office.ask_one(transfer(payer, amount_minor=300_00))
    version = await put_live(fraud_admin_dsn, EXPLAINED)
    entry = await enter(fraud_admin_dsn, "snooze", "sender", payer, rule_id="new_payee")
    office.screening.look_again()
    command = transfer(payer, amount_minor=500_00)
    screened = await office.ask_one(command)
    await end_rulesets(fraud_admin_dsn)
    office.screening.look_again()

    staff = keys.bearer(new_id(), "auditor")
    body = (await http.get(f"{PATH}/{command.transfer_id}", headers=staff)).json()

    why = body["explanation"]
    assert (body["verdict"], body["ruleset"], why["points"]) == ("hold", version, 60)
    assert why["sentence"] == (
        "Held for a person's review; 1 of 4 rules hit, 1 muted, 1 could not be computed, 60 points "
        "(a person decides from 50 on, 500 block)."
    )
    rules = {one["rule_id"]: one for one in why["rules"]}
    assert [(one["rule_id"], one["said"], one["counted_points"]) for one in why["rules"]] == [
        ("large", "hit", 60),
        ("new_payee", "muted", 0),
        ("share", "error", 0),
        ("small", "nothing", 0),
    ]
    assert rules["large"]["message"] == "500.00 USD at once, device named: no, 500.00 USD"
    assert rules["large"]["reads"] == {
        "usd_minor": [500_00],
        "device_given": [False],
    }
    assert (rules["new_payee"]["muted_by"], rules["small"]["message"]) == ([entry], None)
    assert [(one["entry_id"], one["list"], one["reason"]) for one in why["lists"]] == [(entry, "snooze", "a test")]
    limits = {one["limit"]: (one["allowed"], one["used"], one["remaining"]) for one in why["limits"]}
    assert limits["daily_amount"] == (5_000_000_00, 300_00, 4_999_700_00)
    assert (limits["hourly_count"], limits["maximum_amount"]) == ((50, 1, 49), (1_000_000_00, None, None))
    catalogue = {one["name"]: one for one in why["catalogue"]}
    assert (catalogue["sender_count_7d"]["values"], catalogue["sender_count_7d"]["consistency"]) == ([1], "snapshot")
    assert catalogue["sender_count_7d"]["as_of"] is not None
    assert catalogue["usd_minor"]["as_of"] is None
    assert len(catalogue) == len(CATALOGUE)

    same = await http.get(f"{PATH}/by-id/{screened.decision_id}", headers=staff)
    assert same.json() == body


async def test_a_decision_of_before_there_were_rules_still_shows(
    http: httpx2.AsyncClient, keys: TokenKeys, fraud_admin_dsn: str
) -> None:
    transfer_id, few_id = new_id(), new_id()
    old = {"kind": "transfer", "amounts_minor": {"USD": 5}, "rates": {"USD": [1, 1]}, "payees": [[new_id(), 1, 1]]}
    async with admin_connection(fraud_admin_dsn) as connection:
        for one, features in ((transfer_id, old), (few_id, old | {"values": [[5, 1, 0]]})):
            await connection.execute(
                "INSERT INTO fraud.decisions (transfer_id, decision_id, verdict, code, reasons, ruleset, usd_minor,"
                " features, decided_at) VALUES ($1, $2, 'approve', '', '{}', 1, 5, $3, '2025-06-01Z')",
                one,
                new_id(),
                msgspec.json.encode(features),
            )
    staff = keys.bearer(new_id(), "admin")
    why = (await http.get(f"{PATH}/{transfer_id}", headers=staff)).json()["explanation"]
    assert (why["sentence"], why["rules"], why["catalogue"]) == ("Approved; no rules were asked.", [], [])
    few = (await http.get(f"{PATH}/{few_id}", headers=staff)).json()["explanation"]["catalogue"]
    assert [one["name"] for one in few] == ["usd_minor", "legs", "hold_seconds"]


@pytest.mark.parametrize("unknown", ["0198f3a2-7c41-4d10-9f5e-2b6c7d8e9f01", "ffffffff-ffff-7fff-bfff-ffffffffffff"])
async def test_an_id_that_names_no_decision_is_not_found(
    http: httpx2.AsyncClient, keys: TokenKeys, unknown: str
) -> None:
    answer = await http.get(f"{PATH}/by-id/{unknown}", headers=keys.bearer(new_id(), "auditor"))
    assert (answer.status_code, answer.json()["code"]) == (404, "decision_not_found")
