"""A finding about a record names who asked for it and from where, as far as the audit log has it."""

import asyncio

import pytest

from libs.common.audit.entry import COLUMNS, from_row
from libs.common.contracts.audit import AskedFrom
from libs.common.db.migrate import migrate_all
from libs.common.ids import new_id
from services.gateway.audit.find_askers import AskedBy
from services.gateway.store.audit_entries import save_entries
from services.gateway.store.money_callers import Caller, lump_of, save_lump
from services.ledger.audit.findings import Finding
from tallystick.commands.verify_askers import find_askers, sentence_about
from tests.integration.ledger.books import Books
from tests.integration.ledger.test_noted_commands import by_request
from tests.support.api_world import ROLE_PASSWORD, admin_connection
from tests.support.ledger_builders import change, id_of, leg, reverse, screened

OPERATOR = AskedBy(id_of("operator"), "person", "192.0.2.7", "curl/8", "a-request")
PAYER = AskedBy(id_of("owner of alice"), "machine", "198.51.100.1", "pay/1", "his-request")


def finding(index: int | None, transfer: str = "") -> Finding:
    return Finding("record_altered", "journal", "0/1", "", "", index, id_of(transfer) if transfer else "")


async def keep(dsn: str, *transfers: str) -> None:
    """Have the gateway know what it would: the entries of the ledger, and from where the transfers were asked for."""
    async with admin_connection(dsn) as connection:
        rows = await connection.fetch(f"SELECT {', '.join(COLUMNS)} FROM ledger.audit_log")
        await save_entries(connection, [from_row("ledger", row) for row in rows])
        ids = [id_of(name) for name in transfers]
        for transfer_id in ids:
            await connection.execute(
                "INSERT INTO gateway.transfers (transfer_id, principal_id, scope, idempotency_key, body_hash, command,"
                " accepted_at) VALUES ($1, $2, 'transfers', 'a key', sha256(''), '{}', now())",
                transfer_id,
                PAYER.actor_id,
            )
        requests = [(transfer_id, PAYER.request_id, 0) for transfer_id in ids]
        await save_lump(connection, lump_of(new_id(), requests, [Caller(PAYER.address, PAYER.user_agent, "a key")]))


@pytest.fixture
async def known_dsn(books: Books, admin_dsn: str) -> str:
    """Give a database in which an operator froze an account and reversed a payment."""
    await asyncio.to_thread(migrate_all, admin_dsn, {"gateway": ROLE_PASSWORD})
    await books.fund(alice=1_000, bob=1)  # records 0 and 1
    await books.do(screened("t", leg("alice", "bob", 300)))
    asked_from = AskedFrom(address=OPERATOR.address, user_agent=OPERATOR.user_agent, request_id=OPERATOR.request_id)
    await books.do(by_request(reverse("t", 100), asked_from))
    await books.do(by_request(change("bob", "frozen"), asked_from))
    await keep(admin_dsn, "t")
    return admin_dsn


async def test_who_asked_is_found_by_the_record_or_by_the_transfer_s_first(known_dsn: str) -> None:
    found = await find_askers(
        known_dsn,
        [
            finding(2, "t"),
            finding(None, "t"),
            finding(3, "reversal of t"),
            finding(4, "t"),
            finding(5),
            finding(6, "t"),
            finding(0, "start of alice"),
            finding(None),
        ],
    )
    assert found == [PAYER, PAYER, OPERATOR, OPERATOR, OPERATOR, None, None, None]
    assert sentence_about(PAYER).endswith("from 198.51.100.1, request his-request")


async def test_what_somebody_made_of_the_audit_log_hides_no_finding(known_dsn: str) -> None:
    async with admin_connection(known_dsn) as connection:
        await connection.execute("ALTER TABLE gateway.money_callers DISABLE TRIGGER USER")
        await connection.execute("UPDATE gateway.money_callers SET said = 'nonsense'")
    assert await find_askers(known_dsn, [finding(2, "t"), finding(5)]) == [None, None]


async def test_without_an_audit_log_nobody_is_named(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000)
    assert await find_askers(admin_dsn, [finding(0)]) == [None]
