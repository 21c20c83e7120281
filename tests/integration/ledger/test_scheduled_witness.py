"""What the ledger's own verifications learn from the checkpoint kept outside the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from libs.common.contracts.ledger import LedgerIntegrityBroken
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.messaging.outbox import Outbox
from libs.common.proof.signed_note import parse_vkeys
from services.ledger.store.witness import write_witness
from services.ledger.use_cases.ask_witness import AskWitness
from services.ledger.use_cases.record_verification import RecordVerification
from services.ledger.use_cases.run_verification import RunVerification
from services.ledger.use_cases.watch_integrity import WatchIntegrity
from tallystick.stack.service_settings import dsn_of_role
from tests.integration.ledger.books import SHARD, SIGNER, Books
from tests.integration.ledger.conftest import copied_database
from tests.support.api_world import ROLE_PASSWORD, MovedClock, admin_connection
from tests.support.ledger_builders import leg, screened

NEWEST_NOTE = "SELECT note FROM ledger.checkpoints ORDER BY size DESC LIMIT 1"
SIGNED_STATES = "SELECT count(*) FROM ledger.verifications WHERE note IS NOT NULL"


class Worker:
    """A ledger with the timers' calls, over one database."""

    def __init__(self, books: Books, watch: WatchIntegrity, clock: MovedClock, admin_dsn: str) -> None:
        self.books, self.watch, self.clock, self._admin_dsn = books, watch, clock, admin_dsn

    async def ask(self, query: str) -> object:
        async with admin_connection(self._admin_dsn) as connection:
            return await connection.fetchval(query)

    def broken(self) -> list[str]:
        """What was said to be broken, by kind."""
        said = self.books.publisher.said(str(SHARD))
        return [message.kind for message in said if isinstance(message, LedgerIntegrityBroken)]


@asynccontextmanager
async def worker(admin_dsn: str, folder: Path) -> AsyncIterator[Worker]:
    dsn, clock = dsn_of_role(admin_dsn, "tallystick_ledger", ROLE_PASSWORD), MovedClock()
    hot = HotConnection(dsn, "test-auditor")
    async with Books(dsn) as books:
        record = RecordVerification(hot, Outbox("ledger", books.publisher, hot), SIGNER, clock, SHARD)
        ask = AskWitness(hot, folder, parse_vkeys(SIGNER.vkey), SHARD)
        run = RunVerification(dsn, SIGNER.vkey, record, ask, SHARD)
        yield Worker(books, WatchIntegrity(run, hot, clock, SHARD), clock, admin_dsn)
    await hot.close()


@pytest.mark.parametrize("scheduled", ["minute", "night"])
async def test_a_tail_that_was_cut_is_found_by_the_verification_that_runs_by_itself(
    scheduled: str, postgres_dsn: str, admin_dsn: str, tmp_path: Path
) -> None:
    async with worker(admin_dsn, tmp_path) as ledger:
        await ledger.books.fund(alice=1_000, bob=1)
        await ledger.watch.check_new()
    async with copied_database(postgres_dsn, admin_dsn) as backup:
        async with worker(admin_dsn, tmp_path) as ledger:
            await ledger.books.do(screened("lost", leg("alice", "bob", 2)))
            write_witness(tmp_path, SHARD, str(await ledger.ask(NEWEST_NOTE)))
            await ledger.watch.check_new()
            assert ledger.broken() == []
        async with worker(backup, tmp_path) as restored:
            restored.clock.move(timedelta(days=2))
            signed = await restored.ask(SIGNED_STATES)
            await (restored.watch.check_new() if scheduled == "minute" else restored.watch.check_all())
            assert restored.broken() == ["tail_cut"]
            assert await restored.ask("SELECT halted FROM ledger.heads")
            # What the witness speaks against is not signed for the next one to go on from.
            assert await restored.ask(SIGNED_STATES) == signed
            with pytest.raises(Unavailable):
                await restored.books.do(screened("t", leg("alice", "bob", 1)))


async def test_a_folder_that_is_not_there_leaves_the_ledger_unverified_but_hides_no_damage(
    admin_dsn: str, tmp_path: Path
) -> None:
    async with worker(admin_dsn, tmp_path / "not mounted") as ledger:
        await ledger.books.fund(alice=1_000)
        with pytest.raises(Unavailable, match="not mounted is missing"):
            await ledger.watch.check_new()
        assert await ledger.ask(SIGNED_STATES) == 0
        await ledger.ask("UPDATE ledger.accounts SET posted_minor = 7 WHERE owner_id IS NOT NULL RETURNING 1")
        await ledger.watch.check_new()
        assert set(ledger.broken()) == {"balance_altered"}
