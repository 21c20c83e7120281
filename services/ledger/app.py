"""Composition root of the ledger: only here are its parts constructed."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import httpx2
from fastapi import APIRouter, FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.common.audit.audit_log import AuditLog
from libs.common.audit.trail import AuditTrail
from libs.common.clock import monotonic_seconds, system_clock
from libs.common.contracts.topics import ACCOUNTS, LEDGER_COMMANDS, OUTCOME_QUESTIONS, SCREENED_COMMANDS, SCREENINGS
from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.reading import Reading
from libs.common.digests.distant_digests import Neighbour
from libs.common.http.app import make_app
from libs.common.http.authorities import trusted_authorities
from libs.common.http.credential_owner import DistantOwner
from libs.common.http.credentials import Credentials
from libs.common.http.health import Health
from libs.common.messaging.bus import Bus
from libs.common.messaging.delivery import Subscription
from libs.common.proof.signed_note import parse_vkeys
from libs.common.service import Role
from libs.common.timers import Timers
from libs.common.wait_for_servers import until_available
from services.ledger.api.accounts import accounts_router
from services.ledger.api.fee_schedules import fee_schedules_router
from services.ledger.api.internal import internal_router
from services.ledger.api.receipts import receipts_router
from services.ledger.api.reconciliation import reconciliation_router
from services.ledger.api.sight import SightOf
from services.ledger.api.statements import statements_router
from services.ledger.api.transfers import transfers_router
from services.ledger.api.transparency import transparency_router
from services.ledger.api.trial_balance import trial_balance_router
from services.ledger.api.verifications import verifications_router
from services.ledger.command_batches import ledger_commands_handler, screened_commands_handler, screenings_handler
from services.ledger.consumers.on_account_changed import OnAccountChanged
from services.ledger.consumers.on_outcome_asked import OnOutcomeAsked
from services.ledger.keys import read_signing_key, read_vkeys
from services.ledger.settings import LedgerSettings
from services.ledger.sisters import ShownAccounts
from services.ledger.store.reconciling import Looking
from services.ledger.use_cases.ask_witness import AskWitness
from services.ledger.use_cases.compare_projections import CompareProjections
from services.ledger.use_cases.expire_holds import ExpireHolds
from services.ledger.use_cases.foresee_transfer import ForeseeTransfer
from services.ledger.use_cases.open_accounts import OpenAccounts
from services.ledger.use_cases.post_transfers import PostTransfers
from services.ledger.use_cases.publish_assets import PublishAssets
from services.ledger.use_cases.publish_checkpoints import PublishCheckpoints
from services.ledger.use_cases.publish_outcomes import PublishOutcomes
from services.ledger.use_cases.reconcile_books import ReconcileBooks
from services.ledger.use_cases.record_decisions import Signer
from services.ledger.use_cases.record_verification import RecordVerification
from services.ledger.use_cases.release_finding import ReleaseFinding
from services.ledger.use_cases.run_reconciliations import RunReconciliations
from services.ledger.use_cases.run_verification import RunVerification
from services.ledger.use_cases.tell_outcomes import TellOutcomes
from services.ledger.use_cases.verify_on_request import VerifyOnRequest
from services.ledger.use_cases.watch_clock import WatchClock
from services.ledger.use_cases.watch_integrity import WatchIntegrity
from services.ledger.use_cases.watch_schema import WatchSchema
from services.ledger.use_cases.watch_system_accounts import WatchSystemAccounts
from services.ledger.use_cases.watch_witness import WatchWitness
from services.ledger.views.accounts import AccountView
from services.ledger.views.fee_schedules import FeeScheduleView
from services.ledger.views.findings import FindingsView
from services.ledger.views.receipts import ReceiptView
from services.ledger.views.reconciliations import ReconciliationView
from services.ledger.views.statements import StatementView
from services.ledger.views.transfers import TransfersView
from services.ledger.views.transparency import TransparencyView
from services.ledger.views.trial_balance import TrialBalanceView

SHARD: Final = 0
_WATCH_SECONDS: Final = 2.0
_SCHEMA_SECONDS: Final = 30.0
_CHECKPOINT_SECONDS: Final = 1.0
_VERIFY_SECONDS: Final = 50.0
"""With a timer's spread and the verification itself, what was changed is found within a minute."""
_NIGHT_SECONDS: Final = 600.0
_EXPIRY_SECONDS: Final = 0.5
_RECONCILE_SECONDS: Final = 300.0
_ASSETS_SECONDS: Final = 3.0


def build(role: Role) -> FastAPI:
    """Construct the process of this role from its settings."""
    settings = LedgerSettings()
    dsn = settings.postgres_dsn.get_secret_value()
    signing_key = read_signing_key(settings)
    vkeys = read_vkeys(settings, signing_key)
    engine = make_engine(dsn, f"ledger-{role}")
    watching, auditing = (HotConnection(dsn, f"ledger-{name}") for name in ("watch", "auditor"))
    bus, timers = Bus(settings, service="ledger", clock=system_clock), Timers()
    system_accounts = WatchSystemAccounts(watching)
    witness = WatchWitness(
        watching, settings.checkpoint_dir, vkeys=parse_vkeys(vkeys), origin=settings.origin, shard=SHARD
    )
    signer = Signer(settings.origin, signing_key, witness.allow)
    timers.every(_WATCH_SECONDS, "watch-system-accounts", system_accounts.look)
    timers.every(_WATCH_SECONDS, "watch-witness", witness.look)
    schema = WatchSchema(watching)
    timers.every(_SCHEMA_SECONDS, "watch-schema", schema.look)
    health = _health(
        bus=bus.what_is_wrong,
        timers=timers.what_is_wrong,
        system_accounts=system_accounts.trouble,
        witness=witness.trouble,
        schema=schema.trouble,
    )
    credentials = _credentials(settings, bus, health, role)
    writer = None if role == "api" else Writer(dsn, bus, signer, witness, timers, health)
    recording = RecordVerification(auditing, bus.outbox, signer, system_clock, SHARD)
    ask = AskWitness(auditing, settings.checkpoint_dir, parse_vkeys(vkeys), SHARD)
    run_verification = RunVerification(dsn, vkeys, recording, ask, SHARD)
    on_request = VerifyOnRequest(run_verification, monotonic_seconds)
    if role != "api":
        watch_integrity(WatchIntegrity(run_verification, auditing, system_clock, SHARD), timers)
    shown = ShownAccounts(settings.accounts_url, settings.internal_token)
    reconciling = Reconciling(settings, None if role == "api" else timers)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            await until_available(system_accounts.look)
            await until_available(witness.look)
            await until_available(schema.look)
            if writer is not None:
                await until_available(writer.outcomes.start)
            await until_available(bus.start)
            await timers.start()
            async with reconciling, credentials, shown:
                yield
        finally:
            await timers.stop()
            # The consumers end first and the publisher last of the bus: what was committed is sent, then marked.
            await bus.stop()
            if writer is not None:
                await writer.stop()
            await on_request.stop()
            await auditing.close()
            await watching.close()
            await engine.dispose()

    staff_routes = verifications_router(
        on_request,
        FindingsView(Reading(engine), SHARD),
        ReleaseFinding(auditing, bus.outbox, signer, system_clock, SHARD),
    )
    return make_app(
        service="ledger",
        title="Tallystick ledger",
        description="Balances, entries, receipts, and what anybody needs to check them.",
        version="1",
        routers=[]
        if role == "worker"
        else [*make_routers(engine, vkeys, shown, settings.internal_token), staff_routes, reconciling.router(engine)],
        lifespan=lifespan,
        health=health,
        otlp_endpoint=settings.otlp_endpoint,
        metrics_token_file=settings.metrics_token_file,
        verifier=credentials.verifier,
        proxies=settings.proxies(),
        audit=AuditTrail(AuditLog("ledger", dsn, bus.outbox), system_clock),
    )


def _credentials(settings: LedgerSettings, bus: Bus, health: Health, role: Role) -> Credentials:
    owner = DistantOwner(settings.accounts_url, settings.internal_token.get_secret_value())
    credentials = Credentials(settings.jwks_file, owner, max_auth_age_seconds=settings.max_auth_age_seconds)
    if role != "worker":
        credentials.follow(bus, health, "ledger")
    return credentials


def _health(**checks: Callable[[], str | None]) -> Health:
    health = Health()
    for name, check in checks.items():
        health.add(f"ledger.{name.replace('_', '-')}", check)
    return health


class Reconciling:
    """What looks whether everybody says the same of the same money."""

    def __init__(self, settings: LedgerSettings, timers: Timers | None) -> None:
        """Construct it; nothing is opened yet. With timers it runs by itself, too: at start and every night."""
        dsn, token = settings.postgres_dsn.get_secret_value(), settings.internal_token.get_secret_value()
        addresses = {
            "gateway": settings.gateway_url,
            "accounts": settings.accounts_url,
            "fraud": settings.fraud_url,
            "kyc": settings.kyc_url,
        }
        self._clients = {
            name: httpx2.AsyncClient(base_url=url, verify=trusted_authorities())
            for name, url in addresses.items()
            if url
        }
        self._hot = HotConnection(dsn, "ledger-reconciliations")
        looking = Looking(dsn)
        neighbours = {name: Neighbour(name, client, token) for name, client in self._clients.items()}
        reconcile = ReconcileBooks(looking, CompareProjections(looking, neighbours), system_clock)
        self.runs = RunReconciliations(self._hot, looking, reconcile, system_clock)
        self._runs_by_itself = timers is not None
        if timers is not None:
            timers.every(_RECONCILE_SECONDS, "reconcile-nightly", self.runs.nightly)

    def router(self, engine: AsyncEngine) -> APIRouter:
        """Return the routes about it."""
        return reconciliation_router(ReconciliationView(Reading(engine)), self.runs)

    async def __aenter__(self) -> None:
        if self._runs_by_itself:
            await until_available(self.runs.sample_once)

    async def __aexit__(self, *_: object) -> None:
        """End what is under way, and disconnect."""
        await self.runs.stop()
        await self._hot.close()
        for client in self._clients.values():
            await client.aclose()


class Writer:
    """The consuming half: the single writer of the shard and what tells of its work."""

    def __init__(
        self, dsn: str, bus: Bus, signer: Signer, witness: WatchWitness, timers: Timers, health: Health
    ) -> None:
        """Construct and subscribe; the bus starts it."""
        self._connections = [HotConnection(dsn, f"ledger-{name}") for name in ("writer", "outcomes", "openings")]
        writing, publishing, opening = self._connections
        clock = WatchClock(system_clock, monotonic_seconds)
        health.add("ledger.clock", clock.trouble)
        self.outcomes = PublishOutcomes(publishing, bus.publisher, SHARD)
        post_transfers = PostTransfers(hot=writing, outcomes=self.outcomes, signer=signer, clock=clock, shard=SHARD)
        open_accounts = OpenAccounts(
            hot=opening, outbox=bus.outbox, clock=system_clock, forget_account=post_transfers.forget_account
        )
        bus.subscribe(
            Subscription(
                group="ledger.post-transfers",
                topic=SCREENINGS,
                handle=screenings_handler(post_transfers),
                max_messages=1000,
                urgent=True,
            )
        )
        bus.subscribe(
            Subscription(
                group="ledger.open-accounts",
                topic=ACCOUNTS,
                handle=OnAccountChanged(open_accounts),
                max_messages=500,
            )
        )
        bus.subscribe(
            Subscription(
                group="ledger.obey-commands",
                topic=LEDGER_COMMANDS,
                handle=ledger_commands_handler(post_transfers),
                max_messages=500,
            )
        )
        bus.subscribe(
            Subscription(
                group="ledger.obey-screened-commands",
                topic=SCREENED_COMMANDS,
                handle=screened_commands_handler(post_transfers),
                max_messages=500,
            )
        )
        bus.subscribe(
            Subscription(
                group="ledger.tell-outcomes",
                topic=OUTCOME_QUESTIONS,
                handle=OnOutcomeAsked(TellOutcomes(opening, self.outcomes)),
                max_messages=200,
            )
        )
        expire_holds = ExpireHolds(opening, post_transfers, clock)
        timers.every(_EXPIRY_SECONDS, "expire-holds", expire_holds)
        checkpoints = PublishCheckpoints(publishing, bus.publisher, witness, SHARD)
        timers.every(_CHECKPOINT_SECONDS, "publish-checkpoints", checkpoints)
        assets = PublishAssets(publishing, bus.publisher, system_clock)
        timers.every(_ASSETS_SECONDS, "publish-assets", assets)

    async def stop(self) -> None:
        """Store the mark and disconnect; the consumers have ended."""
        await self.outcomes.stop()
        for connection in self._connections:
            await connection.close()


def watch_integrity(watch: WatchIntegrity, timers: Timers) -> None:
    """Let the worker verify by itself."""
    timers.every(_VERIFY_SECONDS, "verify-new", watch.check_new)
    timers.every(_NIGHT_SECONDS, "verify-all", watch.check_all)


def make_routers(
    engine: AsyncEngine, vkeys: str, shown: ShownAccounts, internal_token: SecretStr
) -> Sequence[APIRouter]:
    """Construct the routes with the views behind them; `vkeys` is what `/transparency/key` answers."""
    reading = Reading(engine)
    accounts, sight_of = AccountView(reading, SHARD), SightOf(shown, internal_token)
    return [
        accounts_router(accounts, sight_of, system_clock),
        statements_router(accounts, sight_of, StatementView(accounts), system_clock),
        transfers_router(accounts, sight_of, TransfersView(reading, SHARD)),
        trial_balance_router(TrialBalanceView(reading), system_clock),
        receipts_router(ReceiptView(reading)),
        transparency_router(TransparencyView(reading, SHARD), vkeys),
        fee_schedules_router(FeeScheduleView(reading)),
        internal_router(ForeseeTransfer(reading, system_clock), accounts, internal_token, SHARD),
    ]
