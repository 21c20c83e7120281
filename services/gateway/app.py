"""The gateway's composition root: with `composition/`, the parts it has, the only place that constructs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import httpx2
from fastapi import FastAPI

from libs.common.audit.audit_log import AuditLog
from libs.common.audit.trail import AuditTrail
from libs.common.clock import system_clock
from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.http.app import make_app
from libs.common.http.authorities import trusted_authorities
from libs.common.http.credential_owner import DistantOwner
from libs.common.http.credentials import Credentials
from libs.common.http.health import Health
from libs.common.http.large_bodies import MAX_BATCH_BODY_BYTES, MAX_DOCUMENT_BODY_BYTES
from libs.common.messaging.bus import Bus
from libs.common.personal.erased_at_accounts import ErasedAtAccounts
from libs.common.service import Role
from libs.common.timers import Timers
from libs.common.wait_for_servers import until_available
from services.gateway.api.batch_files import BATCHES_AT
from services.gateway.api.batches import batch_endpoint
from services.gateway.api.document_uploads import DOCUMENTS_AT
from services.gateway.api.merged_openapi import ApiDocument
from services.gateway.api.request_limits import RequestLimits
from services.gateway.api.transfer_lists import LISTED_AT
from services.gateway.api.transfers import money_endpoints
from services.gateway.composition.background import Loops, add_api_loops, add_worker_loops, set_timers
from services.gateway.composition.erasures import follow_erasures
from services.gateway.composition.listening import follow, subscribe
from services.gateway.composition.money import make_commands, make_files, make_money
from services.gateway.composition.routes import (
    event_routers,
    export_routers,
    internal_routers,
    plain_routes,
    reading_routers,
    transfer_routers,
)
from services.gateway.settings import GatewaySettings
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.use_cases.tell_events import EventStreams

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


def build(role: Role) -> FastAPI:
    """Construct the gateway for this role: `api` takes requests, `worker` projects and repeats, `serve` does both."""
    settings = GatewaySettings()
    dsn = settings.postgres_dsn.get_secret_value()
    connections = {name: HotConnection(dsn, f"gateway-{name}") for name in _CONNECTIONS}
    # What we ask by ourselves has connections of its own: no number of callers leaves us without one.
    clients, sisters = _clients(settings), _clients(settings)
    engine = make_engine(dsn, "gateway-lists")
    document = ApiDocument(sisters)
    bus = Bus(settings, service="gateway", clock=system_clock)
    waiters, health, timers, loops = Waiters(), Health(), Timers(), Loops()
    credentials = _credentials(settings, bus, health, role)
    lookup = connections["lookup"]
    money = make_money(settings, connections, sisters, bus.publisher, waiters, credentials.verifier)
    files = make_files(money, connections, bus.publisher, waiters)
    commands = make_commands(money, bus.publisher, waiters, connections["commands"])
    streams = EventStreams(connections["streams"], system_clock)
    trail = AuditTrail(AuditLog("gateway", dsn, bus.outbox), system_clock)
    uow, erased = UnitOfWork(engine, bus.outbox), ErasedAtAccounts(settings.accounts_url, settings.internal_token)
    takes_requests = role in {"serve", "api"}
    if takes_requests:
        follow(bus, waiters, money.directory, money.halt)
        add_api_loops(loops, money, files, streams, waiters, lookup, AuditLog("gateway", dsn, bus.outbox))
    if role in {"serve", "worker"}:
        subscribe(bus, connections["projection"], connections["events"], connections["audit"])
        set_timers(timers, settings, connections, bus.publisher, files)
        add_worker_loops(loops, settings, connections, bus)
        follow_erasures(bus, timers, erased, uow)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            closing = [
                *(one.aclose for one in (*clients.values(), *sisters.values())),
                *(one.close for one in connections.values()),
                erased.close,
            ]
            for close in (*closing, engine.dispose, money.limits.close):
                stack.push_async_callback(close)
            await until_available(bus.start)
            stack.push_async_callback(bus.stop)
            await stack.enter_async_context(credentials)
            loops.start()
            stack.push_async_callback(loops.stop)
            await timers.start()
            stack.push_async_callback(timers.stop)
            yield

    health.add("gateway.bus", bus.what_is_wrong)
    health.add("gateway.timers", timers.what_is_wrong)
    health.add("gateway.loops", loops.what_is_wrong)
    routers = [
        *reading_routers(engine, clients, document),
        *transfer_routers(commands, lookup, waiters),
        *event_routers(settings, connections["webhooks"], uow, streams),
        *export_routers(settings, connections, uow, engine, clients, trail),
        files.router,
        *internal_routers(connections["digests"], commands, settings.internal_token),
    ]
    return make_app(
        service="gateway",
        title="Tallystick",
        description="Moves money between accounts and can prove afterwards that it did so correctly.",
        version="0.1.0",
        routers=routers if takes_requests else [],
        hot={**money_endpoints(money), **batch_endpoint(money)} if takes_requests else {},
        readable=(LISTED_AT,),
        routes=plain_routes(clients, document) if takes_requests else [],
        lifespan=lifespan,
        health=health,
        otlp_endpoint=settings.otlp_endpoint,
        metrics_token_file=settings.metrics_token_file,
        verifier=credentials.verifier,
        proxies=settings.proxies(),
        body_bounds={BATCHES_AT: MAX_BATCH_BODY_BYTES, DOCUMENTS_AT: MAX_DOCUMENT_BODY_BYTES},
        audit=trail,
        admission=RequestLimits(money.limits, credentials.verifier.identify) if money.limits.enabled else None,
        cors_origins=settings.cors_origins,
    )


def _credentials(settings: GatewaySettings, bus: Bus, health: Health, role: Role) -> Credentials:
    owner = DistantOwner(settings.accounts_url, settings.internal_token.get_secret_value())
    credentials = Credentials(settings.jwks_file, owner, max_auth_age_seconds=settings.max_auth_age_seconds)
    if role != "worker":
        credentials.follow(bus, health, "gateway")
    return credentials


def _clients(settings: GatewaySettings) -> dict[str, httpx2.AsyncClient]:
    """Return a client for each service, the ledger first: OpenAPI takes the first of two that describe one route."""
    return {
        "ledger": httpx2.AsyncClient(base_url=settings.ledger_url, verify=trusted_authorities()),
        "accounts": httpx2.AsyncClient(base_url=settings.accounts_url, verify=trusted_authorities()),
        "kyc": httpx2.AsyncClient(base_url=settings.kyc_url, verify=trusted_authorities()),
        "fraud": httpx2.AsyncClient(base_url=settings.fraud_url, verify=trusted_authorities()),
    }
