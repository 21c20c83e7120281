"""The gateway's composition root: the only place that constructs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

import httpx2
from fastapi import APIRouter, FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.common.audit.audit_log import AuditLog
from libs.common.audit.trail import AuditTrail
from libs.common.clock import system_clock
from libs.common.contracts import topics
from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.reading import Reading
from libs.common.http.app import make_app
from libs.common.http.auth import TokenVerifier
from libs.common.http.credential_owner import DistantOwner
from libs.common.http.credentials import Credentials
from libs.common.http.digests import digests_router
from libs.common.http.health import Health
from libs.common.http.large_bodies import MAX_BATCH_BODY_BYTES
from libs.common.messaging.bus import Bus
from libs.common.messaging.delivery import Subscription
from libs.common.messaging.publisher import Publisher
from libs.common.service import Role
from libs.common.timers import Timers
from libs.common.wait_for_servers import until_available
from services.gateway.api.account_closings import account_closings_router
from services.gateway.api.account_commands import account_closing_router, account_commands_router
from services.gateway.api.accounts import accounts_router
from services.gateway.api.audit_logs import audit_logs_router
from services.gateway.api.batch_files import BATCHES_AT, batch_files_router
from services.gateway.api.batches import batch_endpoint
from services.gateway.api.command_requests import CommandRoutes
from services.gateway.api.docs_page import docs_routes
from services.gateway.api.error_pages import error_pages_router
from services.gateway.api.events import events_router
from services.gateway.api.fee_schedules import fee_schedules_router
from services.gateway.api.merged_openapi import ApiDocument, merged_openapi_routes
from services.gateway.api.money_requests import MoneyRoutes
from services.gateway.api.proxy import proxy_routes
from services.gateway.api.rate_limits import RateLimits, store_address
from services.gateway.api.request_limits import RequestLimits
from services.gateway.api.transfer_commands import transfer_commands_router
from services.gateway.api.transfer_lists import LISTED_AT, transfer_lists_router
from services.gateway.api.transfer_reversals import transfer_reversals_router
from services.gateway.api.transfer_status import transfer_status_router
from services.gateway.api.transfers import money_endpoints
from services.gateway.api.webhooks import webhooks_router
from services.gateway.consumers.on_account_changed import OnAccountChanged
from services.gateway.consumers.on_asset_added import on_asset_added
from services.gateway.consumers.on_audit_recorded import OnAuditRecorded
from services.gateway.consumers.on_customer_changed import OnCustomerChanged
from services.gateway.consumers.on_ledger_account_changed import OnLedgerAccountChanged
from services.gateway.consumers.on_ledger_integrity_broken import FollowHalts
from services.gateway.consumers.on_message_parked import OnMessageParked
from services.gateway.consumers.on_transfer_changed import OnTransferChanged, WakeWaiters
from services.gateway.consumers.on_verification_changed import OnVerificationChanged
from services.gateway.keys import read_audit_key
from services.gateway.settings import GatewaySettings
from services.gateway.store.digests import GatewayDigests
from services.gateway.store.seal_witness import SealWitness
from services.gateway.use_cases.accept_atomic_batch import AtomicIntake
from services.gateway.use_cases.accept_commands import CommandIntake
from services.gateway.use_cases.accept_transfers import Intake
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.use_cases.foresee_transfer import ForeseeTransfer
from services.gateway.use_cases.keep_events import KeepEvents, PruneEvents
from services.gateway.use_cases.keep_webhooks import KeepWebhooks
from services.gateway.use_cases.look_up_parties import Directory
from services.gateway.use_cases.project_outcomes import poll_outcomes
from services.gateway.use_cases.receive_batch import ReceiveBatch
from services.gateway.use_cases.record_callers import RecordCallers
from services.gateway.use_cases.repeat_requests import Repeater
from services.gateway.use_cases.replay_events import ReplayEvents
from services.gateway.use_cases.run_batches import RunBatches
from services.gateway.use_cases.seal_audit_log import SealAuditLog
from services.gateway.use_cases.send_webhooks import SendWebhooks
from services.gateway.use_cases.tell_events import EventStreams
from services.gateway.use_cases.watch_ledger import LedgerHalt
from services.gateway.views.audit_entries import AuditEntriesView
from services.gateway.views.batches import BatchView
from services.gateway.webhook_secrets import WebhookSecrets
from services.gateway.webhook_sender import WebhookSender

_CONNECTIONS: Final = (
    "intake",
    "atomic-intake",
    "commands",
    "projection",
    "repeats",
    "lookup",
    "digests",
    "events",
    "audit",
    "streams",
    "seals",
    "webhooks",
    "sending",
    "batches",
    "uploads",
)
Loop = Callable[[], Coroutine[Any, Any, None]]
_PRUNE_SECONDS: Final = 3600.0
_SEAL_SECONDS: Final = 5.0


def build(role: Role) -> FastAPI:
    """Construct the gateway for this role: `api` takes requests, `worker` projects and repeats, `serve` does both."""
    settings = GatewaySettings()
    dsn = settings.postgres_dsn.get_secret_value()
    connections = {name: HotConnection(dsn, f"gateway-{name}") for name in _CONNECTIONS}
    clients = _clients(settings)
    engine = make_engine(dsn, "gateway-lists")
    document = ApiDocument(clients)
    bus = Bus(settings, service="gateway", clock=system_clock)
    waiters, health = Waiters(), Health()
    credentials = _credentials(settings, bus, health, role)
    money = _money(settings, connections, clients, bus.publisher, waiters, credentials.verifier)
    limits = money.limits
    files, commands = _files(money, connections), _commands(money, bus, waiters, connections["commands"])
    streams, timers = EventStreams(connections["streams"], system_clock), Timers()
    loops: list[Loop] = []
    if role in {"serve", "api"}:
        _follow(bus, waiters, money.directory, money.halt)
        loops += [
            money.intake.run,
            files.work.run,
            streams.run,
            _recorder(money, dsn, bus),
            *_waking(waiters, connections["lookup"]),
        ]
    if role in {"serve", "worker"}:
        _subscribe(bus, connections["projection"], connections["events"], connections["audit"])
        timers.every(_PRUNE_SECONDS, "drop-left-over-files", files.receive.sweep)
        _set_timers(timers, settings, events=connections["events"], sealing=connections["seals"])
        loops += _worker_loops(settings, connections, bus)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            closing = [*(one.aclose for one in clients.values()), *(one.close for one in connections.values())]
            for close in (*closing, engine.dispose, limits.close):
                stack.push_async_callback(close)
            await until_available(bus.start)
            stack.push_async_callback(bus.stop)
            await stack.enter_async_context(credentials)
            tasks = [asyncio.create_task(loop()) for loop in loops]
            stack.push_async_callback(_end, tasks)
            health.add("gateway.loops", lambda: _dead_loop(tasks))
            await timers.start()
            stack.push_async_callback(timers.stop)
            yield

    health.add("gateway.bus", bus.what_is_wrong)
    health.add("gateway.timers", timers.what_is_wrong)
    takes_requests = role in {"serve", "api"}
    routers = _routers(commands, connections["lookup"], waiters, _joined(engine, clients), document)
    routers += [events_router(streams), files.router, _webhooks(settings, connections["webhooks"])]
    routers += _internal(connections["digests"], commands, settings.internal_token)
    return make_app(
        service="gateway",
        title="Tallystick",
        description="Moves money between accounts and can prove afterwards that it did so correctly.",
        version="0.1.0",
        routers=routers if takes_requests else [],
        hot={**money_endpoints(money), **batch_endpoint(money)} if takes_requests else {},
        readable=(LISTED_AT,),
        routes=[*proxy_routes(clients), *merged_openapi_routes(document), *docs_routes()] if takes_requests else [],
        lifespan=lifespan,
        health=health,
        otlp_endpoint=settings.otlp_endpoint,
        verifier=credentials.verifier,
        proxies=settings.proxies(),
        body_bounds={BATCHES_AT: MAX_BATCH_BODY_BYTES},
        audit=AuditTrail(AuditLog("gateway", dsn, bus.outbox), system_clock),
        admission=RequestLimits(limits, credentials.verifier.identify) if limits.enabled else None,
        cors_origins=settings.cors_origins,
    )


def _money(
    settings: GatewaySettings,
    connections: Mapping[str, HotConnection],
    clients: Mapping[str, httpx2.AsyncClient],
    publisher: Publisher,
    waiters: Waiters,
    verifier: TokenVerifier,
) -> MoneyRoutes:
    """Return what the money routes use."""
    directory = Directory(connections["lookup"], clients["accounts"], settings.internal_token.get_secret_value())
    intake = Intake(connections["intake"], publisher, waiters, system_clock)
    return MoneyRoutes(
        verifier=verifier,
        directory=directory,
        intake=intake,
        atomic_intake=AtomicIntake(connections["atomic-intake"], publisher, waiters, intake, system_clock),
        limits=_limits(settings),
        lookup=connections["lookup"],
        clock=system_clock,
        foresee=_foresee(clients, settings),
    )


class _Files(NamedTuple):
    receive: ReceiveBatch
    work: RunBatches
    router: APIRouter


def _files(money: MoneyRoutes, connections: Mapping[str, HotConnection]) -> _Files:
    """Return what takes files of transfers and carries them out."""
    receive = ReceiveBatch(connections["uploads"], money.clock)
    work = RunBatches(connections["batches"], money.intake, money.directory, money.halt, money.clock)
    return _Files(receive, work, batch_files_router(money, receive, BatchView(connections["batches"])))


def _commands(money: MoneyRoutes, bus: Bus, waiters: Waiters, connection: HotConnection) -> CommandRoutes:
    intake = CommandIntake(connection, bus.publisher, waiters, money.clock)
    return CommandRoutes(money=money, intake=intake, states=connection)


def _credentials(settings: GatewaySettings, bus: Bus, health: Health, role: Role) -> Credentials:
    owner = DistantOwner(settings.accounts_url, settings.internal_token.get_secret_value())
    credentials = Credentials(settings.jwks_file, owner, max_auth_age_seconds=settings.max_auth_age_seconds)
    if role != "worker":
        credentials.follow(bus, health, "gateway")
    return credentials


def _limits(settings: GatewaySettings) -> RateLimits:
    store = settings.limits_store
    address = store_address("" if store is None else store.get_secret_value())
    return RateLimits(settings.limits, enabled=settings.rate_limits, store=address)


def _recorder(money: MoneyRoutes, dsn: str, bus: Bus) -> Callable[[], Coroutine[Any, Any, None]]:
    return RecordCallers(money.callers, AuditLog("gateway", dsn, bus.outbox), system_clock).run


def _set_timers(timers: Timers, settings: GatewaySettings, *, events: HotConnection, sealing: HotConnection) -> None:
    timers.every(_PRUNE_SECONDS, "prune-events", PruneEvents(events, system_clock))
    if settings.audit_key_file is None:
        return
    key, witness = read_audit_key(settings.audit_key_file), SealWitness(settings.audit_witness_file)
    seal = SealAuditLog(sealing, settings.audit_origin, key, witness, system_clock)
    timers.every(_SEAL_SECONDS, "seal-audit-log", seal)


def _foresee(clients: Mapping[str, httpx2.AsyncClient], settings: GatewaySettings) -> ForeseeTransfer:
    return ForeseeTransfer(
        clients["fraud"],
        clients["ledger"],
        internal_token=settings.internal_token.get_secret_value(),
        clock=system_clock,
    )


def _internal(connection: HotConnection, commands: CommandRoutes, internal_token: SecretStr) -> list[APIRouter]:
    """Return what the sisters ask."""
    digests = GatewayDigests(connection)
    forget = {"outcomes": digests.forget_outcomes}
    return [
        digests_router(internal_token, digests.tables, count_unsent=digests.count_unsent, forget=forget),
        account_closings_router(commands, internal_token),
    ]


def _webhooks(settings: GatewaySettings, connection: HotConnection) -> APIRouter:
    secrets = WebhookSecrets(settings.webhook_keys_file)
    return webhooks_router(
        KeepWebhooks(connection, secrets, system_clock, settings.webhook_allowed_hosts),
        ReplayEvents(connection, system_clock),
    )


def _worker_loops(settings: GatewaySettings, connections: Mapping[str, HotConnection], bus: Bus) -> list[Loop]:
    sender, secrets = WebhookSender(settings.webhook_allowed_hosts), WebhookSecrets(settings.webhook_keys_file)
    return [
        Repeater(connections["repeats"], bus.publisher, system_clock).run,
        SendWebhooks(connections["sending"], sender, secrets, system_clock).run,
    ]


def _joined(engine: AsyncEngine, clients: Mapping[str, httpx2.AsyncClient]) -> list[APIRouter]:
    """Return the routes whose answers have parts of other services in them."""
    return [
        transfer_lists_router(Reading(engine), clients["ledger"]),
        audit_logs_router(AuditEntriesView(Reading(engine))),
        accounts_router(clients["accounts"], clients["ledger"]),
    ]


def _routers(
    commands: CommandRoutes,
    lookup: HotConnection,
    waiters: Waiters,
    joined: Sequence[APIRouter],
    document: ApiDocument,
) -> list[APIRouter]:
    return [
        *joined,
        transfer_status_router(lookup, waiters),
        transfer_reversals_router(lookup, waiters),
        transfer_commands_router(commands),
        account_commands_router(commands),
        account_closing_router(commands),
        fee_schedules_router(commands),
        error_pages_router(document),
    ]


def _clients(settings: GatewaySettings) -> dict[str, httpx2.AsyncClient]:
    """Return a client for each service, the ledger first: OpenAPI takes the first of two that describe one route."""
    return {
        "ledger": httpx2.AsyncClient(base_url=settings.ledger_url),
        "accounts": httpx2.AsyncClient(base_url=settings.accounts_url),
        "kyc": httpx2.AsyncClient(base_url=settings.kyc_url),
        "fraud": httpx2.AsyncClient(base_url=settings.fraud_url),
    }


def _follow(bus: Bus, waiters: Waiters, directory: Directory, halt: LedgerHalt) -> None:
    """Follow what this process must know at once.

    A caller waits for his outcome; who was just approved sends at once, and a block for a stale tier would be frozen
    under his key.
    """
    bus.follow({topics.TRANSFERS: WakeWaiters(waiters)})
    bus.follow(
        {
            topics.ASSETS: on_asset_added,
            topics.ACCOUNTS: directory.follow_accounts,
            topics.CUSTOMERS: directory.follow_customers,
            topics.VERIFICATIONS: directory.follow_verifications,
            topics.HALTS: FollowHalts(halt),
        },
        urgent=False,
    )


def _subscribe(bus: Bus, projection: HotConnection, keeping: HotConnection, audit: HotConnection) -> None:
    events = KeepEvents(keeping, system_clock)
    subscriptions = (
        Subscription(
            "gateway.project-outcomes", topics.TRANSFERS, OnTransferChanged(projection, events), max_messages=1000
        ),
        Subscription("gateway.project-accounts", topics.ACCOUNTS, OnAccountChanged(projection, events)),
        Subscription(
            "gateway.project-account-states", topics.LEDGER_ACCOUNTS, OnLedgerAccountChanged(projection, events)
        ),
        Subscription("gateway.project-customers", topics.CUSTOMERS, OnCustomerChanged(projection)),
        Subscription("gateway.project-verifications", topics.VERIFICATIONS, OnVerificationChanged(projection, events)),
        Subscription(
            "gateway.collect-audit-entries",
            topics.audit_entries_of("gateway"),
            OnAuditRecorded(audit),
            also=tuple(topics.audit_entries_of(service) for service in topics.SERVICES if service != "gateway"),
        ),
        Subscription("gateway.fraud-parked", topics.dead_letters_of("fraud"), OnMessageParked(projection)),
        Subscription("gateway.ledger-parked", topics.dead_letters_of("ledger"), OnMessageParked(projection)),
    )
    for subscription in subscriptions:
        bus.subscribe(subscription)


def _waking(waiters: Waiters, lookup: HotConnection) -> list[Loop]:
    return [lambda: _tick(waiters), lambda: poll_outcomes(waiters, lookup)]


async def _tick(waiters: Waiters) -> None:
    while True:
        await asyncio.sleep(0.1)
        waiters.end_expired()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)


def _dead_loop(tasks: list[asyncio.Task[None]]) -> str | None:
    for task in tasks:
        if task.done():
            return f"a background loop has ended ({task}); restart the process"
    return None
