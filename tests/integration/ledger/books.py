"""A ledger's use cases around a real PostgreSQL, as the service's own role, with a list for a bus."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import asyncpg
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.clock import monotonic_seconds
from libs.common.contracts.accounts import AccountChanged, AccountStatus
from libs.common.contracts.ledger import TransferChanged
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.messaging.outbox import Outbox
from libs.common.messaging.outgoing_message import Outgoing
from services.ledger.domain.commands import Command
from services.ledger.use_cases.open_accounts import OpenAccounts
from services.ledger.use_cases.post_transfers import PostTransfers
from services.ledger.use_cases.publish_outcomes import PublishOutcomes
from services.ledger.use_cases.record_decisions import Signer
from services.ledger.use_cases.watch_clock import WatchClock
from tests.support.api_world import MovedClock, RecordingPublisher, admin_connection
from tests.support.invariants import check_everything
from tests.support.ledger_builders import NOW, deposit, id_of

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = Signer("ledger.example/test", KEY)
SHARD = 0
_WAITING = """
SELECT backend_xid IS NULL AS has_written_nothing FROM pg_stat_activity
WHERE application_name = 'test-writer' AND datname = current_database() AND wait_event_type = 'Lock'
"""


class MoodyPublisher(RecordingPublisher):
    """Confirms what it is sent, unless a test wants it to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False

    async def send(self, batch: Sequence[Outgoing]) -> "asyncio.Future[None]":
        if not self.fails:
            return await super().send(batch)
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        failed.set_exception(Unavailable("broker_unavailable", "The broker is away."))
        return failed


class Books:
    """One process of the ledger. Two of them over one database are two writers."""

    def __init__(self, dsn: str, *, clock: MovedClock | None = None, monotonic: MovedClock | None = None) -> None:
        self._connections = [
            HotConnection(dsn, f"test-{name}") for name in ("writer", "outcomes", "openings", "outbox")
        ]
        self.writing, publishing, opening, sweeping = self._connections
        self.publisher = MoodyPublisher()
        self.clock = clock or MovedClock()
        self.outcomes = PublishOutcomes(publishing, self.publisher, SHARD)
        self.watch = WatchClock(self.clock, monotonic_seconds)
        self.post = PostTransfers(
            hot=self.writing, outcomes=self.outcomes, signer=SIGNER, clock=self.watch, shard=SHARD
        )
        self.open_accounts = OpenAccounts(
            hot=opening,
            outbox=Outbox("ledger", self.publisher, sweeping),
            clock=self.clock,
            forget_account=self.post.forget_account,
        )

    async def __aenter__(self) -> Self:
        await self.outcomes.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.outcomes.stop()
        for connection in self._connections:
            await connection.close()

    async def open(self, *names: str, status: AccountStatus = "opening", version: int = 1) -> None:
        """Open dollar accounts by name; each one's owner has its name."""
        await self.open_accounts([account_changed(name, status=status, version=version) for name in names])

    async def fund(self, **amounts_minor: int) -> None:
        """Open accounts and deposit into them."""
        await self.open(*amounts_minor)
        await self.do(*(deposit(f"start of {name}", name, amount) for name, amount in amounts_minor.items()))

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[list[Any]]:
        """Give what the writer says to PostgreSQL inside, with arguments and failures. COPY is not among it."""
        said: list[Any] = []
        log = said.append
        async with self.writing.autocommit() as connection:
            connection.add_query_logger(log)
        yield said
        await asyncio.sleep(0)  # it is told of a statement one round of the loop later
        connection.remove_query_logger(log)

    def told(self, name: str) -> list[TransferChanged]:
        """What the bus was told of a transfer, in order."""
        return [
            msgspec.json.decode(item.payload, type=TransferChanged)
            for item in self.publisher.sent
            if item.key == id_of(name)
        ]

    def last(self, *names: str) -> list[tuple[str, str]]:
        """The newest state told of each transfer, with its code."""
        return [(self.told(name)[-1].status, self.told(name)[-1].code) for name in names]

    async def do(self, *commands: Command) -> None:
        """Post, then wait until the bus confirmed."""
        await self.post(commands)
        await asyncio.sleep(0)

    async def insist(self, *commands: Command) -> None:
        """Do this as delivery would: again for as long as others contend."""
        while True:
            try:
                return await self.do(*commands)
            except Unavailable:
                await asyncio.sleep(0.01)


def account_changed(
    name: str, *, status: AccountStatus = "opening", version: int = 1, asset: str = "USD"
) -> AccountChanged:
    """Return what accounts says of an account."""
    return AccountChanged(
        account_id=id_of(name),
        account_number=f"TS{int(id_of(name)[:8], 16):014}",
        owner_id=id_of(f"owner of {name}"),
        asset=asset,
        status=status,
        version=version,
        occurred_at=NOW,
    )


def count_of(counter: Any, *labels: str) -> Callable[[], float]:
    """Return what tells by how much the counter grew from here on."""
    child = counter.labels(*labels) if labels else counter
    start = child._value.get()
    return lambda: child._value.get() - start


async def until_confirmed(size: int, *ledgers: Books) -> None:
    """Wait until one of the processes has seen the bus confirm the first `size` records; then all store their marks.

    Of two writers only the one that wrote last knows of all records.
    """
    async with asyncio.timeout(30):
        while max(books.outcomes.confirmed_size for books in ledgers) < size:  # noqa: ASYNC110 -- a number that grows
            await asyncio.sleep(0.01)
    for books in ledgers:
        await books.outcomes.flush()


async def until_waiting(admin_dsn: str) -> bool:
    """Wait until the writer waits for a lock. Returns whether it has locked and written nothing until then."""
    async with asyncio.timeout(30), admin_connection(admin_dsn) as connection:
        while (has_nothing := await connection.fetchval(_WAITING)) is None:  # noqa: ASYNC110 -- PostgreSQL's state
            await asyncio.sleep(0.01)
    return bool(has_nothing)


async def check(admin_dsn: str) -> None:
    """Check every invariant."""
    # Deleting acknowledged outbox rows is the bus's job, which these tests leave out.
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute("DELETE FROM ledger.outbox")
    finally:
        await connection.close()
    await check_everything(admin_dsn, SIGNER.vkey)
