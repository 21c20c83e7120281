"""One instance of the fraud service's use cases over a real database, with a bus that only remembers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

import asyncpg
import msgspec

from libs.common.approvals.void_approvals import VoidApprovals
from libs.common.clock import to_rfc3339
from libs.common.contracts.accounts import AccountChanged, CredentialsRevoked, CustomerChanged, Profile
from libs.common.contracts.fraud import HoldResolved, TransferBatchScreened, TransferScreened
from libs.common.contracts.kyc import VerificationChanged, VerificationStatus
from libs.common.contracts.ledger import TransferChanged, TransferStatus
from libs.common.contracts.transfers import Leg, Party, TransferCommand
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from libs.common.origins import OriginKeys
from services.fraud.store.activity_cache import ActivityCache
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.unit_of_work import UnitOfWork
from services.fraud.use_cases.apply_customers import ApplyCustomers
from services.fraud.use_cases.apply_verifications import ApplyVerifications
from services.fraud.use_cases.ask_outcomes import AskOutcomes, PayersNearLimits
from services.fraud.use_cases.end_holds import EndHolds
from services.fraud.use_cases.expire_holds import ExpireHolds
from services.fraud.use_cases.find_payees import Asked
from services.fraud.use_cases.project_accounts import ProjectAccounts
from services.fraud.use_cases.read_policy import FRESH_SECONDS, PolicyInForce
from services.fraud.use_cases.read_screening_data import ScreeningInForce
from services.fraud.use_cases.resolve_holds import ResolveHolds
from services.fraud.use_cases.screen_transfers import ScreenTransfers
from services.fraud.use_cases.settle_limits import AwaitedHolds, SettleLimits
from services.fraud.use_cases.sweep_holds import SweepHolds
from tests.support.api_world import RecordingPublisher

Resolver = Literal["", "caller", "fraud"]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
READERS: dict[str, Any] = {
    kind.TYPE: msgspec.json.Decoder(kind).decode for kind in (TransferScreened, TransferBatchScreened, HoldResolved)
}


class Office:
    """An instance: what it hears goes to its use cases, what it says is in `said`. Time is moved by hand."""

    def __init__(self, dsn: str, *, velocity_lifted: bool = False, lane: int = 0) -> None:
        self.dsn = dsn
        self.now = NOON
        self.seconds = 0.0
        self.policy_seconds = 0.0
        self.publisher = RecordingPublisher()
        self.hot = HotConnection(dsn, "fraud-test")
        self.outbox = Outbox("fraud", self.publisher, self.hot)
        self.work = work = UnitOfWork(self.hot, self.outbox)
        self.cache = PayerCache()
        self.awaited = AwaitedHolds()
        policy = PolicyInForce(velocity_lifted=velocity_lifted, monotonic=lambda: self.policy_seconds)
        self.origins = OriginKeys("secret")
        self.screening = ScreeningInForce(self.origins, monotonic=lambda: self.seconds)
        end_holds = EndHolds(self.cache, policy, self.screening)
        self.resolve = resolve = ResolveHolds(end_holds)
        self.near = PayersNearLimits()
        self.screen = ScreenTransfers(
            work,
            self.cache,
            policy,
            self.screening,
            self.near,
            lane=lane,
            clock=lambda: self.now,
            monotonic=lambda: self.seconds,
        )
        self.settle = SettleLimits(work, self.cache, self.awaited, clock=lambda: self.now)
        self.apply_verifications = ApplyVerifications(work, self.cache, resolve, clock=lambda: self.now)
        self.apply_customers = ApplyCustomers(work, self.cache)
        self.project_accounts = ProjectAccounts(work)
        self.expire = ExpireHolds(work, self.cache, end_holds, clock=lambda: self.now)
        self.ask_outcomes = AskOutcomes(work, self.near, clock=lambda: self.now)
        self.sweep = SweepHolds(work, self.cache, resolve, self.awaited, clock=lambda: self.now)

    async def __aenter__(self) -> Self:
        await self.hot.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hot.close()

    def pass_time(self, **parts: float) -> None:
        self.now += timedelta(**parts)

    def policy_grows_old(self) -> None:
        """Let the next decision read limits and rates anew, as after ten seconds."""
        self.policy_seconds += FRESH_SECONDS + 1

    def forget(self) -> None:
        """Lose all memory, as a restart does."""
        self.cache.forget(list(self.cache._payers))
        self.screen._activity = ActivityCache()

    @property
    def said(self) -> list[Any]:
        """Every message about transfers sent so far, decoded; not what the audit log says."""
        sent = [one for one in self.publisher.sent if one.message_type in READERS]
        return [READERS[one.message_type](one.payload) for one in sent]

    def resolutions(self, transfer_id: str) -> list[HoldResolved]:
        return [
            message
            for message in self.said
            if isinstance(message, HoldResolved) and message.command.transfer_id == transfer_id
        ]

    async def ask(self, *commands: TransferCommand) -> list[TransferScreened]:
        """Screen these in one unit of work; return what was said about each of them, the last time it was said."""
        await self.screen([Asked((command,)) for command in commands])
        verdicts = {m.command.transfer_id: m for m in self.said if isinstance(m, TransferScreened)}
        return [verdicts[command.transfer_id] for command in commands]

    async def ask_one(self, command: TransferCommand) -> TransferScreened:
        return (await self.ask(command))[0]

    async def ask_batch(self, *commands: TransferCommand, batch_id: str | None = None) -> TransferBatchScreened:
        await self.screen([Asked(commands, batch_id=batch_id or new_id())])
        last = self.said[-1]
        assert isinstance(last, TransferBatchScreened)
        return last

    async def ask_until_answered(self, *commands: TransferCommand) -> None:
        """Screen as delivery does: again and again while something is unavailable."""
        while True:
            try:
                await self.screen([Asked((command,)) for command in commands])
            except Unavailable:
                await asyncio.sleep(0)
            else:
                return

    async def verify(
        self, user_id: str, *, tier: int = 1, status: VerificationStatus = "approved", version: int = 1
    ) -> None:
        await self.apply_verifications(
            [
                VerificationChanged(
                    user_id=user_id, status=status, tier=tier, version=version, occurred_at=to_rfc3339(self.now)
                )
            ]
        )

    async def give_profile(self, user_id: str, profile: Profile, *, version: int = 1) -> None:
        await self.apply_customers(
            [
                CustomerChanged(
                    user_id=user_id,
                    profile=profile,
                    status="active",
                    version=version,
                    occurred_at=to_rfc3339(self.now),
                )
            ]
        )

    async def end_authority(self, user_id: str, *, session_id: str = "", key_id: str = "") -> None:
        """Hear that what was issued to somebody has ended: a log-in or a key, or all, as when his roles change."""
        at = to_rfc3339(self.now)
        revoked = CredentialsRevoked(user_id=user_id, session_id=session_id, key_id=key_id, occurred_at=at)
        await VoidApprovals(self.work.open)([revoked])

    async def open_account(self, account_id: str, owner_id: str, *, version: int = 1) -> None:
        await self.project_accounts(
            [
                AccountChanged(
                    account_id=account_id,
                    account_number="TS00000000000000",
                    owner_id=owner_id,
                    asset="USD",
                    status="active",
                    version=version,
                    occurred_at=to_rfc3339(self.now),
                )
            ]
        )

    async def hear(
        self, transfer_id: str, status: TransferStatus, *, version: int = 1, resolver: Resolver = ""
    ) -> None:
        await self.settle([changed(transfer_id, status, version=version, resolver=resolver)])

    async def version_of(self, user_id: str) -> int:
        [[version]] = await self.query("SELECT version FROM fraud.users WHERE user_id = $1", user_id)
        assert isinstance(version, int)
        return version

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[list[asyncpg.connection.LoggedQuery]]:
        """Collect what this instance sends to the database, a statement each round trip."""
        sent: list[asyncpg.connection.LoggedQuery] = []
        connection = self.hot._connection
        assert connection is not None
        connection.add_query_logger(sent.append)
        try:
            yield sent
            await asyncio.sleep(0)  # asyncpg tells in the loop's next turn
        finally:
            connection.remove_query_logger(sent.append)

    async def query(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        async with self.hot.autocommit() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            return rows


def changed(
    transfer_id: str,
    status: TransferStatus,
    *,
    version: int = 1,
    resolver: Resolver = "",
    captured_minor: tuple[int, ...] = (),
) -> TransferChanged:
    return TransferChanged(
        transfer_id=transfer_id,
        status=status,
        version=version,
        code="",
        reasons=(),
        facts={},
        shard=0,
        journal_index=0,
        occurred_at=to_rfc3339(NOON),
        resolver=resolver,
        captured_minor=captured_minor,
    )


def transfer(
    payer: str,
    *,
    amount_minor: int = 100_00,
    asset: str = "USD",
    payee: str | None = None,
    payee_tier: int = 1,
    payer_tier: int = 1,
    transfer_id: str | None = None,
    legs: tuple[Leg, ...] | None = None,
) -> TransferCommand:
    """Ask for a customer's transfer; the gateway saw both sides verified, unless told otherwise."""
    payee = payee or new_id()
    return TransferCommand(
        transfer_id=transfer_id or new_id(),
        kind="transfer",
        actor_id=payer,
        payer=Party(payer, payer_tier, 1),
        payees=(Party(payee, payee_tier, 1),),
        legs=legs or (Leg(new_id(), new_id(), amount_minor, asset, payee),),
        memo_commitment="",
        requested_at=to_rfc3339(NOON),
    )


def withdrawal(payer_id: str, *, amount_minor: int) -> TransferCommand:
    return TransferCommand(
        transfer_id=new_id(),
        kind="withdrawal",
        actor_id=new_id(),
        payer=Party(payer_id, 0, 0),
        payees=(),
        legs=(Leg(new_id(), new_id(), amount_minor, "USD", ""),),
        memo_commitment="",
        requested_at=to_rfc3339(NOON),
    )


def deposit(*, amount_minor: int, payee: str | None = None) -> TransferCommand:
    payee = payee or new_id()
    return TransferCommand(
        transfer_id=new_id(),
        kind="deposit",
        actor_id=new_id(),
        payer=None,
        payees=(Party(payee, 0, 0),),
        legs=(Leg(new_id(), new_id(), amount_minor, "USD", payee),),
        memo_commitment="",
        requested_at=to_rfc3339(NOON),
    )
