"""The gateway's own routes, money's hot ones aside: what answers them, and over which connection."""

from collections.abc import Mapping

import httpx2
from fastapi import APIRouter
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.common.audit.trail import AuditTrail
from libs.common.clock import system_clock
from libs.common.db.hot import HotConnection
from libs.common.db.reading import Reading
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.http.digests import digests_router
from libs.common.http.gate import GuardedRoute
from services.gateway.api.account_closings import account_closings_router
from services.gateway.api.account_commands import account_closing_router, account_commands_router
from services.gateway.api.accounts import accounts_router
from services.gateway.api.audit_logs import audit_logs_router
from services.gateway.api.command_requests import CommandRoutes
from services.gateway.api.docs_page import docs_routes
from services.gateway.api.document_uploads import document_upload_routes
from services.gateway.api.error_pages import error_pages_router
from services.gateway.api.events import events_router
from services.gateway.api.export import export_router
from services.gateway.api.export_parts import Sources
from services.gateway.api.fee_schedules import fee_schedules_router
from services.gateway.api.merged_openapi import ApiDocument, merged_openapi_routes
from services.gateway.api.proxy import proxy_routes
from services.gateway.api.transfer_commands import transfer_commands_router
from services.gateway.api.transfer_lists import transfer_lists_router
from services.gateway.api.transfer_reversals import transfer_reversals_router
from services.gateway.api.transfer_status import transfer_status_router
from services.gateway.api.webhooks import webhooks_router
from services.gateway.settings import GatewaySettings
from services.gateway.store.digests import GatewayDigests
from services.gateway.use_cases.ask_about_customer import AskAboutCustomer
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.use_cases.keep_webhooks import KeepWebhooks
from services.gateway.use_cases.replay_events import ReplayEvents
from services.gateway.use_cases.tell_events import EventStreams
from services.gateway.views.audit_entries import AuditEntriesView
from services.gateway.views.batches import BatchView
from services.gateway.webhook_secrets import WebhookSecrets


def plain_routes(clients: Mapping[str, httpx2.AsyncClient], document: ApiDocument) -> list[GuardedRoute]:
    """Return what is handed on to the service that owns it, and the documents; the first that fits a path answers."""
    return [
        *document_upload_routes(clients["kyc"]),
        *proxy_routes(clients),
        *merged_openapi_routes(document),
        *docs_routes(),
    ]


def transfer_routers(commands: CommandRoutes, lookup: HotConnection, waiters: Waiters) -> list[APIRouter]:
    """Return what is asked and commanded about transfers, accounts and fees that are there already."""
    return [
        transfer_status_router(lookup, waiters),
        transfer_reversals_router(lookup, waiters),
        transfer_commands_router(commands),
        account_commands_router(commands),
        account_closing_router(commands),
        fee_schedules_router(commands),
    ]


def reading_routers(
    engine: AsyncEngine, clients: Mapping[str, httpx2.AsyncClient], document: ApiDocument
) -> list[APIRouter]:
    """Return what only reads, most of it with parts of other services in the answers."""
    return [
        transfer_lists_router(Reading(engine), clients["ledger"]),
        audit_logs_router(AuditEntriesView(Reading(engine))),
        accounts_router(clients["accounts"], clients["ledger"]),
        error_pages_router(document),
    ]


def event_routers(
    settings: GatewaySettings, connection: HotConnection, uow: UnitOfWork, streams: EventStreams
) -> list[APIRouter]:
    """Return how customers hear of events: streams, and webhooks over this connection."""
    keep = _webhooks(settings, connection, uow)
    return [events_router(streams), webhooks_router(keep, ReplayEvents(connection, system_clock))]


def export_routers(
    settings: GatewaySettings,
    connections: Mapping[str, HotConnection],
    uow: UnitOfWork,
    engine: AsyncEngine,
    clients: Mapping[str, httpx2.AsyncClient],
    trail: AuditTrail,
) -> list[APIRouter]:
    """Return how customers take along all that is held about them, here and in the other services."""
    connection, reading = connections["webhooks"], Reading(engine)
    sources = Sources(
        clients=clients,
        sisters=AskAboutCustomer(clients["accounts"], clients["fraud"], settings.internal_token.get_secret_value()),
        reading=reading,
        webhooks=_webhooks(settings, connection, uow),
        deliveries=ReplayEvents(connection, system_clock),
        batches=BatchView(connections["batches"]),
        audit=AuditEntriesView(reading),
    )
    return [export_router(sources, trail)]


def _webhooks(settings: GatewaySettings, connection: HotConnection, uow: UnitOfWork) -> KeepWebhooks:
    secrets = WebhookSecrets(settings.webhook_keys_file)
    return KeepWebhooks(connection, uow, secrets, system_clock, settings.webhook_allowed_hosts)


def internal_routers(connection: HotConnection, commands: CommandRoutes, internal_token: SecretStr) -> list[APIRouter]:
    """Return what the sisters ask."""
    digests = GatewayDigests(connection)
    forget = {"outcomes": digests.forget_outcomes}
    return [
        digests_router(internal_token, digests.tables, count_unsent=digests.count_unsent, forget=forget),
        account_closings_router(commands, internal_token),
    ]
