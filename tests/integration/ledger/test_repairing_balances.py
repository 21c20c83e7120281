"""A balance that was changed is set back by a record of the journal, and only while everything else verifies."""

import json
from collections.abc import AsyncIterator
from hashlib import sha256

import asyncpg
import pytest

from libs.common.audit.asker import Asker
from libs.common.clock import monotonic_seconds
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict, Unavailable, Unprocessable
from libs.common.messaging.outbox import Outbox
from libs.common.proof.signed_note import parse_vkeys
from services.ledger.audit.findings import Scope, Verification
from services.ledger.use_cases.record_verification import RecordVerification
from services.ledger.use_cases.release_finding import ReleaseFinding
from services.ledger.use_cases.repair_accounts import RepairAccounts
from services.ledger.use_cases.verify_ledger import verify_ledger
from tallystick.reconciliation.balances import repair_sentences
from tallystick.reconciliation.run import reconcile
from tests.integration.ledger.books import SHARD, SIGNER, Books, check, until_confirmed
from tests.integration.ledger.histories import live_through_everything
from tests.support.api_world import MovedClock, admin_connection
from tests.support.ledger_builders import change, id_of, leg, screened

ADMIN, BOB = id_of("admin"), id_of("bob")
REASON = "changed by hand, case 7"


class Workshop:
    """Verifies, repairs and releases as administrators do."""

    def __init__(self, dsn: str, books: Books) -> None:
        self.dsn = dsn
        self.hot = HotConnection(dsn, "test-workshop")
        outbox = Outbox("ledger", books.publisher, self.hot)
        self.record = RecordVerification(self.hot, outbox, SIGNER, MovedClock(), SHARD)
        self.repair = RepairAccounts(self.hot, self.verify, self.record, SIGNER, MovedClock(), SHARD)
        self.release = ReleaseFinding(self.hot, outbox, SIGNER, MovedClock(), SHARD)

    async def verify(self, scope: Scope = "full") -> Verification:
        return await verify_ledger(self.dsn, parse_vkeys(SIGNER.vkey), monotonic_seconds=monotonic_seconds, scope=scope)

    async def release_all(self) -> None:
        async with admin_connection(self.dsn) as connection:
            found = await connection.fetch(
                "SELECT finding_id::text FROM ledger.findings LEFT JOIN ledger.releases r USING (finding_id) "
                "WHERE r.finding_id IS NULL"
            )
        for (finding_id,) in found:
            await self.release(finding_id, asker=Asker(ADMIN, "person"), reason="it was repaired")


@pytest.fixture
async def workshop(admin_dsn: str, books: Books) -> AsyncIterator[Workshop]:
    workshop = Workshop(admin_dsn, books)
    yield workshop
    await workshop.hot.close()


async def do_as_owner(admin_dsn: str, *statements: str) -> None:
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("SET session_replication_role = replica")
        for statement in statements:
            await connection.execute(statement)


async def row_of(admin_dsn: str, account_id: str) -> asyncpg.Record:
    async with admin_connection(admin_dsn) as connection:
        return await connection.fetchrow("SELECT * FROM ledger.accounts WHERE account_id = $1", account_id)


async def test_every_field_of_an_account_that_records_prove_is_set_back_and_the_running_ledger_goes_on(
    books: Books, workshop: Workshop, admin_dsn: str
) -> None:
    await books.fund(alice=10_000, bob=50)
    await books.do(change("bob", minimum_minor=-10), screened("h", leg("alice", "bob", 7), hold_seconds=3_600))
    proven = await row_of(admin_dsn, BOB)
    await do_as_owner(
        admin_dsn,
        "UPDATE ledger.accounts SET posted_minor = 1000050, pending_in_minor = 8, pending_out_minor = 9, last_seq = 6, "
        f"status = 'frozen', minimum_minor = -11, maximum_minor = 2000000 WHERE account_id = '{BOB}'",
        f"UPDATE ledger.accounts SET asset = 'EUR' WHERE account_id = '{id_of('alice')}'",
    )
    plan = await workshop.repair.plan()
    assert {account_id: len(fields) for account_id, fields in plan.accounts.items()} == {BOB: 7, id_of("alice"): 1}
    assert plan.halts
    assert (await workshop.repair.carry_out(plan, asker=Asker(ADMIN, "person"), reason=REASON)).findings == []
    repaired = await row_of(admin_dsn, BOB)
    assert dict(repaired) == dict(proven) | {"version": proven["version"] + 1}
    with pytest.raises(Unavailable, match="ledger_halted"):
        await books.do(screened("t", leg("bob", "alice", 60), payer="bob"))
    await workshop.release_all()
    await books.do(
        screened("t", leg("bob", "alice", 60), payer="bob"), screened("too much", leg("bob", "alice", 1), payer="bob")
    )
    await until_confirmed(10, books)
    assert books.last("t", "too much") == [("posted", ""), ("refused", "insufficient_funds")]
    assert (await workshop.verify("minute")).findings == []
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_a_repair_is_a_record_with_both_values_and_keeps_who_and_why(
    books: Books, workshop: Workshop, admin_dsn: str
) -> None:
    await books.fund(bob=50)
    await books.outcomes.flush()
    await do_as_owner(admin_dsn, f"UPDATE ledger.accounts SET posted_minor = 51 WHERE account_id = '{BOB}'")
    await workshop.repair.carry_out(await workshop.repair.plan(), asker=Asker(ADMIN, "person"), reason=REASON)
    async with admin_connection(admin_dsn) as connection:
        index, kind, text = await connection.fetchrow(
            "SELECT journal_index, kind, record FROM ledger.journal ORDER BY journal_index DESC LIMIT 1"
        )
        kept = await connection.fetchrow(
            "SELECT account_id::text, actor_id::text, reason, salt FROM ledger.repairs WHERE journal_index = $1", index
        )
        entries = await connection.fetchval("SELECT count(*) FROM ledger.entries")
    record = json.loads(text)
    assert (kind, record["kind"], entries) == ("balance.repaired", "balance.repaired", 2)
    assert (record["account_id"], record["actor_id"]) == (BOB, ADMIN)
    assert record["fields"] == [{"computed": "50", "field": "posted_minor", "stored": "51"}]
    assert tuple(kept)[:3] == (BOB, ADMIN, REASON)
    assert record["reason_commitment"] == sha256(f"{kept['salt']}{REASON}".encode()).hexdigest()
    assert REASON not in text.decode()
    run = await reconcile(admin_dsn, scope="books", grace_seconds=0)
    assert [one.name for one in run.outcomes if one.differences and one.name != "ledger_outbox"] == []


async def test_a_repair_replays_to_the_same_books_after_a_history_of_everything(
    books: Books, workshop: Workshop, admin_dsn: str
) -> None:
    await live_through_everything(books)
    await do_as_owner(
        admin_dsn, f"UPDATE ledger.accounts SET pending_out_minor = 0 WHERE account_id = '{id_of('alice')}'"
    )
    await workshop.repair.carry_out(await workshop.repair.plan(), asker=Asker(), reason=REASON)
    await workshop.release_all()
    await books.do(screened("after", leg("alice", "bob", 1)))
    assert (await workshop.verify()).findings == []


async def test_a_balance_whose_finding_was_released_is_repaired_and_the_minute_goes_on_from_no_older_state(
    books: Books, workshop: Workshop, admin_dsn: str
) -> None:
    await books.fund(alice=10, bob=50)
    await do_as_owner(admin_dsn, f"UPDATE ledger.accounts SET posted_minor = 51 WHERE account_id = '{BOB}'")
    await workshop.record(await workshop.verify())
    await workshop.release_all()
    await workshop.record(await workshop.verify())  # its state is signed with the wrong balance in it
    plan = await workshop.repair.plan()
    assert not plan.halts
    assert "halted" not in " ".join(repair_sentences(plan))
    await workshop.repair.carry_out(plan, asker=Asker(ADMIN, "person"), reason=REASON)
    async with admin_connection(admin_dsn) as connection:
        assert not await connection.fetchval("SELECT halted FROM ledger.heads")
        await connection.execute("SET session_replication_role = replica")
        # As if the process had died before it verified again.
        await connection.execute(
            "DELETE FROM ledger.verifications WHERE verification_id = (SELECT verification_id "
            "FROM ledger.verifications ORDER BY size DESC, finished_at DESC LIMIT 1)"
        )
    found = await workshop.verify("minute")
    assert (found.scope, found.findings) == ("full", [])
    await books.do(screened("t", leg("bob", "alice", 50), payer="bob"))
    await until_confirmed(5, books)
    assert books.last("t") == [("posted", "")]
    await workshop.record(await workshop.verify("minute"))
    assert (await workshop.verify("minute")).scope == "minute"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.entries SET balance_after_minor = 51 WHERE account_id = '{bob}'",
        "UPDATE ledger.journal SET record = replace(convert_from(record, 'UTF8'), ':50,', ':51,')::bytea",
        "UPDATE ledger.blocks SET root = sha256('x')",
        "UPDATE ledger.transfers SET version = 2",
        "DELETE FROM ledger.accounts WHERE account_id = '{alice}'",
    ],
)
async def test_no_balance_is_repaired_while_anything_else_is_broken(
    books: Books, workshop: Workshop, admin_dsn: str, statement: str
) -> None:
    await books.fund(bob=50, alice=9)
    await do_as_owner(
        admin_dsn,
        statement.format(bob=BOB, alice=id_of("alice")),
        f"UPDATE ledger.accounts SET posted_minor = 51 WHERE account_id = '{BOB}'",
    )
    with pytest.raises(Conflict, match="books_unproven"):
        await workshop.repair.plan()
    assert (await row_of(admin_dsn, BOB))["posted_minor"] == 51


async def test_what_changed_since_it_was_planned_is_not_overwritten(
    books: Books, workshop: Workshop, admin_dsn: str
) -> None:
    await books.fund(alice=100, bob=50)
    await do_as_owner(admin_dsn, f"UPDATE ledger.accounts SET posted_minor = 51 WHERE account_id = '{BOB}'")
    plan = await workshop.repair.plan()
    with pytest.raises(Unprocessable, match="reason_missing"):
        await workshop.repair.carry_out(plan, asker=Asker(ADMIN, "person"), reason=" ")
    await do_as_owner(admin_dsn, f"UPDATE ledger.accounts SET posted_minor = 52 WHERE account_id = '{BOB}'")
    with pytest.raises(Conflict, match="ledger_moved"):
        await workshop.repair.carry_out(plan, asker=Asker(ADMIN, "person"), reason=REASON)
    assert (await row_of(admin_dsn, BOB))["posted_minor"] == 52


async def test_a_ledger_that_posted_until_it_was_halted_is_repaired_to_what_is_proven_then(
    books: Books, workshop: Workshop, admin_dsn: str
) -> None:
    await books.fund(alice=100, bob=50, carol=5)
    await do_as_owner(admin_dsn, f"UPDATE ledger.accounts SET posted_minor = 51 WHERE account_id = '{BOB}'")
    plan = await workshop.repair.plan()
    await books.do(screened("meanwhile", leg("alice", "carol", 1)))
    assert (await workshop.repair.carry_out(plan, asker=Asker(ADMIN, "person"), reason=REASON)).findings == []
    assert (await row_of(admin_dsn, BOB))["posted_minor"] == 50


async def test_who_remembered_the_account_decides_on_the_repaired_row(
    books: Books, workshop: Workshop, admin_dsn: str
) -> None:
    """The writer has read the wrong balance and would spend it."""
    await books.fund(alice=100, bob=50)
    await do_as_owner(admin_dsn, f"UPDATE ledger.accounts SET posted_minor = 5000 WHERE account_id = '{BOB}'")
    books.post.forget_account(BOB)
    await books.do(screened("refused", leg("bob", "alice", 6_000), payer="bob"))
    assert books.post._memory.accounts[BOB].posted_minor == 5_000
    await workshop.repair.carry_out(await workshop.repair.plan(), asker=Asker(ADMIN, "person"), reason=REASON)
    await workshop.release_all()
    await books.do(
        screened("t", leg("bob", "alice", 51), payer="bob"), screened("all", leg("bob", "alice", 50), payer="bob")
    )
    await until_confirmed(7, books)
    assert books.last("t", "all") == [("refused", "insufficient_funds"), ("posted", "")]
    await books.outcomes.flush()
    await check(admin_dsn)
