"""Whoever changes the past is found out, and what he changed is named."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.clock import monotonic_seconds
from libs.common.proof.signed_note import parse_vkeys
from services.ledger.audit.findings import Verification
from services.ledger.use_cases.record_decisions import Signer
from services.ledger.use_cases.verify_ledger import verify_ledger
from tests.integration.ledger.books import SIGNER, Books, check
from tests.support.ledger_builders import deposit, held, leg, screened


async def verify(dsn: str, vkey: str = SIGNER.vkey) -> Verification:
    return await verify_ledger(dsn, parse_vkeys(vkey), monotonic_seconds=monotonic_seconds)


async def written(books: Books) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", leg("alice", "bob", 300)), held("h", leg("alice", "bob", 10)))
    await books.do(screened("u", leg("alice", "bob", 5)))


async def test_a_key_that_is_not_the_ledgers_verifies_nothing(books: Books, admin_dsn: str) -> None:
    await written(books)
    stranger = Signer("ledger.example/test", Ed25519PrivateKey.generate())
    findings = (await verify(admin_dsn, stranger.vkey)).findings
    assert {finding.kind for finding in findings} == {"checkpoint_forged"}


async def test_a_journal_of_several_tiles_and_block_sizes_verifies(books: Books, admin_dsn: str) -> None:
    await books.open("alice")
    for number in range(12):
        names = [f"d {number} {at}" for at in range(1 + number * 61 % 150)]
        await books.do(*(deposit(name, "alice", 1) for name in names))
    verification = await verify(admin_dsn)
    assert verification.is_good, verification.findings
    assert verification.tiles >= 2
    assert verification.blocks == 12
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_an_empty_journal_verifies(admin_dsn: str) -> None:
    assert (await verify(admin_dsn)).is_good
