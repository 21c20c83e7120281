"""What is new is verified from what was signed; what is broken halts the shard, until somebody says why it goes on."""

from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.audit.asker import Asker
from libs.common.clock import monotonic_seconds
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict, NotFound, Unavailable, Unprocessable
from libs.common.messaging.outbox import Outbox
from libs.common.proof.signed_note import parse_vkeys
from services.ledger.audit.findings import CannotVerify, Scope, Verification
from services.ledger.use_cases.record_decisions import Signer
from services.ledger.use_cases.record_verification import RecordVerification
from services.ledger.use_cases.release_finding import ReleaseFinding
from services.ledger.use_cases.verify_ledger import verify_ledger
from tests.integration.ledger.books import SHARD, SIGNER, Books, check, until_confirmed
from tests.integration.ledger.histories import live_through_everything
from tests.support.api_world import MovedClock, admin_connection
from tests.support.ledger_builders import capture, id_of, leg, reverse, screened, void

ADMIN = id_of("admin")


class Auditor:
    """Verifies and records as the service does."""

    def __init__(self, dsn: str, books: Books, signer: Signer = SIGNER) -> None:
        self._dsn = dsn
        self.hot = HotConnection(dsn, "test-auditor")
        outbox = Outbox("ledger", books.publisher, self.hot)
        self.record = RecordVerification(self.hot, outbox, signer, MovedClock(), SHARD)
        self.release = ReleaseFinding(self.hot, outbox, SIGNER, MovedClock(), SHARD)

    async def verify(self, scope: Scope, subject_id: str = "", turn: int = 0) -> Verification:
        vkeys = parse_vkeys(SIGNER.vkey)
        return await verify_ledger(
            self._dsn, vkeys, monotonic_seconds=monotonic_seconds, scope=scope, subject_id=subject_id, turn=turn
        )

    async def round(self, scope: Scope = "minute") -> Verification:
        found = await self.verify(scope)
        await self.record(found)
        return found


@pytest.fixture
async def auditor(ledger_dsn: str, books: Books) -> AsyncIterator[Auditor]:
    auditor = Auditor(ledger_dsn, books)
    yield auditor
    await auditor.hot.close()


async def do_as_owner(admin_dsn: str, *statements: str) -> None:
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("SET session_replication_role = replica")
        for statement in statements:
            await connection.execute(statement)


async def test_only_what_is_new_is_verified_after_a_signed_verification(books: Books, auditor: Auditor) -> None:
    await books.fund(alice=10_000, bob=10)
    await books.do(screened("old", leg("alice", "bob", 600), hold_seconds=3_600), screened("t", leg("alice", "bob", 9)))
    await books.do(screened("part", leg("alice", "bob", 500), hold_seconds=3_600), capture("part", 100, as_="one"))
    first = await auditor.round()
    assert (first.scope, first.findings) == ("full", [])
    await books.do(capture("old", 200), capture("part", as_="rest"), reverse("t"))
    await books.do(screened("new", leg("alice", "bob", 7), hold_seconds=3_600), void("new"))
    second = await auditor.round()
    assert (second.scope, second.findings) == ("minute", [])
    assert second.first == first.size
    assert (await auditor.round("incremental")).records == 0


async def test_every_kind_of_record_verifies_from_any_signed_state_on(
    books: Books, auditor: Auditor, admin_dsn: str
) -> None:
    rounds: list[Verification] = []

    async def verify() -> None:
        rounds.append(await auditor.round("incremental"))

    await live_through_everything(books, after_each=verify)
    assert [one.findings for one in rounds] == [[]] * len(rounds)
    assert {one.scope for one in rounds[1:]} == {"incremental"}
    assert len(rounds) > 10


async def test_a_signed_state_of_another_key_is_not_gone_on_from(books: Books, ledger_dsn: str) -> None:
    await books.fund(alice=10)
    stranger = Signer("ledger.example/test", Ed25519PrivateKey.generate())
    for signer in (stranger, SIGNER):
        auditor = Auditor(ledger_dsn, books, signer)
        assert (await auditor.round()).scope == "full"
        await auditor.hot.close()
    assert (await auditor.verify("minute")).scope == "minute"


@pytest.mark.parametrize(
    ("statement", "kind", "table"),
    [
        (
            "UPDATE ledger.accounts SET posted_minor = posted_minor + 1 WHERE owner_id IS NOT NULL",
            "balance_altered",
            "accounts",
        ),
        ("UPDATE ledger.accounts SET pending_in_minor = 5 WHERE owner_id IS NOT NULL", "balance_altered", "accounts"),
        ("UPDATE ledger.tree_tiles SET root = sha256('x') WHERE level = 0", "chain_broken", "tree_tiles"),
        (
            "UPDATE ledger.journal SET record = replace(convert_from(record, 'UTF8'), ':7,', ':8,')::bytea",
            "record_altered",
            "journal",
        ),
    ],
)
async def test_a_minute_finds_balances_and_new_records_that_were_changed(
    books: Books, auditor: Auditor, admin_dsn: str, statement: str, kind: str, table: str
) -> None:
    await books.fund(alice=10_000, bob=10)
    await books.do(*(screened(f"small {number}", leg("alice", "bob", 1)) for number in range(300)))
    await auditor.round()
    await books.do(screened("new", leg("alice", "bob", 7)))
    await do_as_owner(admin_dsn, statement)
    assert (kind, table) in {(one.kind, one.table) for one in (await auditor.round()).findings}


async def test_a_finding_halts_the_shard_until_it_is_released_with_a_reason(
    books: Books, auditor: Auditor, admin_dsn: str
) -> None:
    await books.fund(alice=10_000, bob=10)
    await auditor.round()
    await do_as_owner(admin_dsn, f"UPDATE ledger.accounts SET posted_minor = 11 WHERE account_id = '{id_of('bob')}'")
    found = await auditor.round()
    assert [one.fields for one in found.findings] == [("posted_minor",)]
    with pytest.raises(Unavailable, match="ledger_halted"):
        await books.do(screened("t", leg("alice", "bob", 1)), capture("nothing"))
    async with admin_connection(admin_dsn) as connection:
        finding_id = await connection.fetchval("SELECT finding_id::text FROM ledger.findings")
    with pytest.raises(Unprocessable, match="reason_missing"):
        await auditor.release(finding_id, asker=Asker(ADMIN, "person"), reason=" ")
    with pytest.raises(NotFound, match="finding_not_found"):
        await auditor.release(id_of("no finding"), asker=Asker(ADMIN, "person"), reason="a")
    assert await auditor.release(finding_id, asker=Asker(ADMIN, "person"), reason="corrected by hand, ticket 7") == 0
    assert (await auditor.round()).findings == found.findings
    await books.do(screened("t", leg("alice", "bob", 1)))
    await until_confirmed(4, books)
    assert books.last("t") == [("posted", "")]
    assert (await auditor.round()).findings == []
    said = [item.message_type for item in books.publisher.sent if item.key == str(SHARD)]
    assert said == ["tallystick.ledger.integrity-broken.v1", "tallystick.ledger.released.v1"]


async def test_a_release_is_a_record_like_any_other(books: Books, auditor: Auditor, admin_dsn: str) -> None:
    await books.fund(alice=10_000, bob=10)
    await do_as_owner(admin_dsn, "UPDATE ledger.heads SET last_record_at = last_record_at + interval '1 second'")
    await auditor.round()
    async with admin_connection(admin_dsn) as connection:
        finding_id = await connection.fetchval("SELECT finding_id::text FROM ledger.findings")
    await auditor.release(finding_id, asker=Asker(ADMIN, "person"), reason="a reason")
    with pytest.raises(NotFound):
        await auditor.release(finding_id, asker=Asker(ADMIN, "person"), reason="again")
    await books.do(screened("t", leg("alice", "bob", 1)))
    await until_confirmed(4, books)
    await check(admin_dsn)
    async with admin_connection(admin_dsn) as connection:
        kinds = [row[0] for row in await connection.fetch("SELECT kind FROM ledger.journal ORDER BY journal_index")]
    assert kinds[-2:] == ["finding.released", "transfer.posted"]


async def test_a_running_shard_has_nothing_to_release(books: Books, auditor: Auditor, admin_dsn: str) -> None:
    await books.fund(alice=10, bob=10)
    await do_as_owner(admin_dsn, f"UPDATE ledger.accounts SET posted_minor = 11 WHERE account_id = '{id_of('bob')}'")
    await auditor.round()
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("UPDATE ledger.heads SET halted = false")
        finding_id = await connection.fetchval("SELECT finding_id::text FROM ledger.findings")
    with pytest.raises(Conflict, match="ledger_not_halted"):
        await auditor.release(finding_id, asker=Asker(ADMIN, "person"), reason="a")


async def test_one_account_and_one_transfer_are_verified_alone(books: Books, auditor: Auditor, admin_dsn: str) -> None:
    await live_through_everything(books)
    for name in ("alice", "bob", "carol"):
        assert (await auditor.verify("account", id_of(name))).findings == []
    for name in ("t", "legs", "c1", "c2", "h1", "h3", "poor", "open", "part of t"):
        assert (await auditor.verify("transfer", id_of(name))).findings == [], name
    await do_as_owner(
        admin_dsn,
        f"UPDATE ledger.entries SET amount_minor = amount_minor + 1 WHERE transfer_id = '{id_of('legs')}' AND seq = 6",
        f"UPDATE ledger.transfers SET status = 'voided', code = 'x' WHERE transfer_id = '{id_of('t')}'",
        f"UPDATE ledger.accounts SET pending_out_minor = 1 WHERE account_id = '{id_of('alice')}'",
    )
    assert {one.kind for one in (await auditor.verify("account", id_of("alice"))).findings} >= {"balance_altered"}
    assert [one.fields for one in (await auditor.verify("transfer", id_of("t"))).findings] == [("status", "code")]
    with pytest.raises(CannotVerify):
        await auditor.verify("account", id_of("nobody"))
    with pytest.raises(CannotVerify):
        await auditor.verify("transfer", id_of("nothing"))
