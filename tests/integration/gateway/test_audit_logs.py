"""Collecting what all services wrote, and reading it: filters, pages both ways, CSV."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from libs.common.audit.asker import Asker
from libs.common.audit.entry import new_entry
from libs.common.contracts.audit import AuditEntry, AuditRecorded
from libs.common.ids import new_id
from services.gateway.store.money_callers import Caller, lump_of, save_lump
from services.gateway.use_cases.collect_audit_entries import collect_audit_entries
from tests.integration.gateway.counter import Counter
from tests.support.api_world import admin_connection

PATH = "/api/v1/admin/audit-logs"


def entry(
    action: str = "account.read", *, actor: str = "", resource: tuple[str, str] = ("", ""), **more: Any
) -> AuditEntry:
    asker = Asker(actor_id=actor or new_id(), actor_kind="person", user_agent=more.pop("user_agent", ""))
    return new_entry("kyc", asker, action, at=datetime.now(UTC), resource=resource, **more)


async def collect(counter: Counter, *entries: AuditEntry) -> None:
    await collect_audit_entries([AuditRecorded(entries=entries)], counter.connections["projection"])


async def read(counter: Counter, **query: Any) -> Any:
    async with counter.http() as http:
        answer = await http.get(PATH, params=query, headers=counter.keys.bearer(new_id(), "auditor"))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ids(counter: Counter, **query: Any) -> list[str]:
    return [one["entry_id"] for one in (await read(counter, **query))["entries"]]


async def test_an_entry_that_is_said_twice_is_collected_once(counter: Counter) -> None:
    one = entry(actor=new_id())
    await collect(counter, one, one)
    await collect(counter, one)
    assert await ids(counter, user_id=one.actor_id) == [one.entry_id]
    assert len(await counter.rows("SELECT 1 FROM gateway.audit_unsealed WHERE entry_id = $1", one.entry_id)) == 1


async def test_an_entry_is_shown_as_it_was_written(counter: Counter) -> None:
    one = entry(
        "customer.set_roles", resource=("customer", "c"), outcome="refused", reason="role_required", facts={"a": 1}
    )
    await collect(counter, one)
    [shown] = (await read(counter, user_id=one.actor_id))["entries"]
    assert shown == {name: getattr(one, name) for name in AuditEntry.__struct_fields__}


async def test_each_filter_finds_what_it_names(counter: Counter) -> None:
    actor, account = new_id(), new_id()
    first = entry("hold.end", actor=actor, resource=("transfer", "t"))
    second = entry(actor=actor, resource=("account", account), outcome="refused", reason="x")
    about = entry("customer.set_roles", resource=("customer", actor))
    await collect(counter, first, second, about)
    expected: dict[tuple[str, ...], list[AuditEntry]] = {
        (): [about, second, first],
        ("action", "hold.end"): [first],
        ("resource_type", "account"): [second],
        ("resource_id", account): [second],
        ("outcome", "refused"): [second],
        ("service", "kyc"): [about, second, first],
        ("service", "ledger"): [],
    }
    for named, found in expected.items():
        query = {named[0]: named[1]} if named else {}
        assert await ids(counter, user_id=actor, **query) == [one.entry_id for one in found], named
    hour = timedelta(hours=1)
    begins, ends = datetime.now(UTC) - hour, datetime.now(UTC) + hour
    assert len(await ids(counter, user_id=actor, **{"from": begins.isoformat(), "to": ends.isoformat()})) == 3
    assert await ids(counter, user_id=actor, **{"from": ends.isoformat()}) == []


async def test_pages_lead_there_and_back(counter: Counter) -> None:
    actor = new_id()
    entries = [entry(actor=actor) for _ in range(7)]
    await collect(counter, *entries)
    newest_first = [one.entry_id for one in reversed(entries)]
    pages = [await read(counter, user_id=actor, limit=3)]
    assert pages[0]["prev"] is None
    while pages[-1]["next"]:
        pages.append(await read(counter, user_id=actor, limit=3, cursor=pages[-1]["next"]))
    assert [one["entry_id"] for page in pages for one in page["entries"]] == newest_first
    back = await read(counter, user_id=actor, limit=3, cursor=pages[-1]["prev"])
    assert [one["entry_id"] for one in back["entries"]] == newest_first[3:6]
    first = await read(counter, user_id=actor, limit=3, cursor=back["prev"])
    assert ([one["entry_id"] for one in first["entries"]], first["prev"]) == (newest_first[:3], None)


async def test_a_request_for_money_stands_among_the_others_without_being_written_twice(counter: Counter) -> None:
    submission = counter.submission()
    [outcome] = await counter.take(submission)
    transfer_id = getattr(outcome, "transfer_id", "")
    payer = counter.payer.owner_id
    one = entry(actor=payer)
    await collect(counter, one)
    assert await ids(counter, user_id=payer) == [one.entry_id, transfer_id]
    [shown] = (await read(counter, user_id=payer, action="transfer.create"))["entries"]
    assert (shown["outcome"], shown["facts"], shown["resource_id"]) == ("done", '{"status":"accepted"}', transfer_id)
    await counter.hear(transfer_id, "refused", code="insufficient_funds")
    [shown] = (await read(counter, resource_type="transfer", resource_id=transfer_id, outcome="refused"))["entries"]
    assert (shown["reason"], shown["actor_id"]) == ("insufficient_funds", payer)
    assert await ids(counter, user_id=payer, outcome="done") == [one.entry_id]
    for other in ({"action": "deposit.create"}, {"service": "ledger"}, {"outcome": "failed"}):
        assert transfer_id not in await ids(counter, user_id=payer, **other)


async def test_money_asked_for_with_an_api_key_is_a_machine_s(counter: Counter) -> None:
    [outcome] = await counter.take(counter.submission())
    transfer_id = getattr(outcome, "transfer_id", "")
    lump = lump_of(new_id(), [(transfer_id, "r", 0)], [Caller("192.0.2.7", "curl/8", "a-key")])
    async with counter.connections["lookup"].autocommit() as connection:
        await save_lump(connection, lump)
    [shown] = (await read(counter, resource_type="transfer", resource_id=transfer_id))["entries"]
    assert (shown["actor_kind"], shown["address"], shown["request_id"]) == ("machine", "192.0.2.7", "r")
    assert shown["facts"] == '{"key_id":"a-key","status":"accepted"}'


async def test_as_csv_everything_comes_at_once_and_no_cell_is_a_formula(counter: Counter) -> None:
    actor = new_id()
    entries = [entry(actor=actor, user_agent="=cmd|' /C calc'!A0") for _ in range(3)]
    await collect(counter, *entries)
    async with counter.http() as http:
        headers = counter.keys.bearer(new_id(), "compliance")
        answer = await http.get(PATH, params={"user_id": actor, "format": "csv"}, headers=headers)
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["entry_id"] for line in lines] == [one.entry_id for one in reversed(entries)]
    assert {line["user_agent"] for line in lines} == {"'=cmd|' /C calc'!A0"}


@pytest.mark.parametrize(("role", "status"), [("customer", 403), ("operator", 403), ("support", 403), ("admin", 200)])
async def test_who_may_read_it(counter: Counter, role: str, status: int) -> None:
    async with counter.http() as http:
        assert (await http.get(PATH, headers=counter.keys.bearer(new_id(), role))).status_code == status


@pytest.mark.parametrize(
    "query",
    [
        {"user_id": ""},
        {"user_id": "\u0000"},
        {"action": "DROP"},
        {"limit": "0"},
        {"cursor": "x"},
        {"outcome": "maybe"},
        {"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"},
        {"from": "today"},
        {"format": "xml"},
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(counter: Counter, query: dict[str, str]) -> None:
    async with counter.http() as http:
        answer = await http.get(PATH, params=query, headers=counter.keys.bearer(new_id(), "auditor"))
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("table", ["audit_entries", "audit_leaves", "audit_seals", "audit_log"])
@pytest.mark.parametrize("statement", ["DELETE FROM gateway.{}", "TRUNCATE gateway.{}"])
async def test_not_even_the_owner_takes_anything_back(gateway_dsn: str, table: str, statement: str) -> None:
    async with admin_connection(gateway_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await connection.execute(statement.format(table))
    assert refusal.value.constraint_name == "audit_log_append_only"
