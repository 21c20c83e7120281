"""What callers and staff have the ledger do is in its audit log with the record that proves it, or not at all."""

import json
from typing import Any

import asyncpg
import msgspec
import pytest

from libs.common.contracts.audit import AskedFrom, AuditRecorded
from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.domain.commands import BlockedCommand, Command, TransferScreened
from tests.integration.ledger.books import Books
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import capture, change, fees, id_of, leg, reverse, screened, void

FROM = AskedFrom(address="192.0.2.7", user_agent="curl/8", request_id="a-request")


def by_request(command: Any, asked_from: AskedFrom = FROM) -> Command:
    asked: Command = msgspec.structs.replace(command, asked_from=asked_from)
    return asked


async def entries(dsn: str) -> list[dict[str, Any]]:
    async with admin_connection(dsn) as connection:
        rows = await connection.fetch("SELECT * FROM ledger.audit_log ORDER BY entry_id")
        return [{**row, "facts": json.loads(row["facts"])} for row in rows]


async def kinds_at(dsn: str, indexes: list[int]) -> list[str]:
    async with admin_connection(dsn) as connection:
        rows = await connection.fetch(
            "SELECT kind FROM ledger.journal WHERE journal_index = ANY($1) ORDER BY journal_index", indexes
        )
        return [row[0] for row in rows]


def by_caller(name: str, amount_minor: int) -> TransferScreened:
    return screened(name, leg("alice", "bob", amount_minor), hold_seconds=60)


def paid(name: str, amount_minor: int) -> TransferScreened:
    return screened(name, leg("alice", "bob", amount_minor))


async def test_a_change_of_an_account_says_who_from_where_and_what_it_was_before(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000)
    await books.do(by_request(change("alice", "frozen")))
    [entry] = await entries(admin_dsn)
    assert (entry["actor_id"], entry["actor_kind"], entry["action"]) == (
        id_of("operator"),
        "person",
        "account.set_status",
    )
    assert (entry["address"], entry["user_agent"], entry["request_id"]) == ("192.0.2.7", "curl/8", "a-request")
    assert (entry["resource_type"], entry["resource_id"]) == ("account", id_of("alice"))
    assert (entry["outcome"], entry["reason"]) == ("done", "")
    allowed = {"minimum_minor": 0, "maximum_minor": MAX_AMOUNT_MINOR}
    assert entry["facts"]["before"] == {"status": "active", **allowed}
    assert entry["facts"]["after"] == {"status": "frozen", **allowed}
    assert await kinds_at(admin_dsn, entry["facts"]["records"]) == ["account.changed"]
    said = [one for one in books.publisher.sent if one.message_type == AuditRecorded.TYPE]
    [told] = [msgspec.json.decode(one.payload, type=AuditRecorded) for one in said]
    assert [one.entry_id for one in told.entries] == [str(entry["entry_id"])]


async def test_a_command_that_fraud_blocks_is_named_as_refused_with_its_record(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(paid("t", 300), by_caller("h", 10))
    await books.do(*(BlockedCommand(asked, "transfer_not_permitted") for asked in (capture("h"), reverse("t"))))
    noted = await entries(admin_dsn)
    assert [(one["action"], one["outcome"], one["reason"]) for one in noted] == [
        ("hold.end", "refused", "transfer_not_permitted"),
        ("transfer.reverse", "refused", "transfer_not_permitted"),
    ]
    records = [index for one in noted for index in one["facts"]["records"]]
    assert await kinds_at(admin_dsn, records) == ["command.refused", "transfer.refused"]


async def test_each_command_is_named_with_its_records(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(paid("t", 300), by_caller("h", 10), by_caller("i", 10))
    for command in (
        capture("h", 5, final=True),
        void("i"),
        reverse("t", 100),
        change("bob", minimum_minor=-5),
        change("carol", "closed", only_while="active"),
        fees(rate_per_million=1_000),
    ):
        await books.do(by_request(command))
    found = await entries(admin_dsn)
    assert [(entry["action"], entry["resource_id"], entry["outcome"], entry["reason"]) for entry in found] == [
        ("hold.end", id_of("h"), "done", ""),
        ("hold.end", id_of("i"), "done", ""),
        ("transfer.reverse", id_of("t"), "done", ""),
        ("account.set_limits", id_of("bob"), "done", ""),
        ("account.close", id_of("carol"), "refused", "account_not_found"),
        ("fee_schedule.publish", "1", "done", ""),
    ]
    kinds = [await kinds_at(admin_dsn, entry["facts"]["records"]) for entry in found]
    assert kinds == [
        ["transfer.posted"],
        ["transfer.voided"],
        ["transfer.posted", "transfer.reversed"],
        ["account.changed"],
        ["command.refused"],
        ["fees.published"],
    ]
    assert [entry["facts"].get("command") for entry in found[:2]] == ["capture", "void"]
    assert found[4]["facts"]["asked"] == {"status": "closed"}


async def test_a_refused_reversal_says_why(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(paid("t", 300))
    await books.do(by_request(reverse("t", 301)))
    [entry] = await entries(admin_dsn)
    assert (entry["outcome"], entry["reason"]) == ("refused", "reversal_exceeds_transfer")


async def test_a_key_is_named_and_makes_the_actor_a_machine(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000)
    await books.do(by_request(change("alice", "frozen"), AskedFrom(key_id="a-key")))
    [entry] = await entries(admin_dsn)
    assert (entry["actor_kind"], entry["facts"]["key_id"]) == ("machine", "a-key")


async def test_a_command_that_comes_again_and_what_fraud_or_the_clock_says_leave_no_entry(
    books: Books, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(paid("t", 300))
    assert await entries(admin_dsn) == []
    for _ in range(2):
        await books.do(by_request(change("alice", "frozen")))
    assert len(await entries(admin_dsn)) == 1


async def test_the_words_of_a_whole_batch_are_each_named(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    names = [f"h{number}" for number in range(120)]
    await books.do(*(by_caller(name, 1) for name in names))
    await books.do(*(by_request(void(name)) for name in names))
    assert [entry["resource_id"] for entry in await entries(admin_dsn)] == [id_of(name) for name in names]
    said = [one for one in books.publisher.sent if one.message_type == AuditRecorded.TYPE]
    assert [len(msgspec.json.decode(one.payload, type=AuditRecorded).entries) for one in said] == [100, 20]


async def test_what_cannot_be_audited_is_not_done(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000)
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("REVOKE INSERT ON ledger.audit_log FROM tallystick_ledger")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await books.do(by_request(change("alice", "frozen")))
        status = await connection.fetchval("SELECT status FROM ledger.accounts WHERE account_id = $1", id_of("alice"))
        assert status == "active"
        assert await connection.fetchval("SELECT count(*) FROM ledger.journal WHERE kind = 'account.changed'") == 0
