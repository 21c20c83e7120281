"""The gateway's composition root: the only place that constructs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import httpx2
from fastapi import APIRouter, FastAPI
from pydantic import SecretStr

from libs.common.clock import system_clock
from libs.common.contracts import topics
from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.reading import Reading
from libs.common.http.app import make_app
from libs.common.http.auth import TokenVerifier
from libs.common.http.digests import digests_router
from libs.common.http.health import Health
from libs.common.http.on_credentials_revoked import OnCredentialsRevoked
from libs.common.http.revocations import Revocations
from libs.common.messaging.bus import Bus
from libs.common.messaging.delivery import Subscription
from libs.common.service import Role
from libs.common.wait_for_servers import until_available
from services.gateway.api.account_commands import account_commands_router
from services.gateway.api.batches import batch_endpoint
from services.gateway.api.command_requests import CommandRoutes
from services.gateway.api.error_pages import error_pages_router
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
from services.gateway.consumers.on_account_changed import OnAccountChanged
from services.gateway.consumers.on_asset_added import on_asset_added
from services.gateway.consumers.on_customer_changed import OnCustomerChanged
from services.gateway.consumers.on_ledger_account_changed import OnLedgerAccountChanged
from services.gateway.consumers.on_ledger_integrity_broken import FollowHalts
from services.gateway.consumers.on_message_parked import OnMessageParked
from services.gateway.consumers.on_transfer_changed import OnTransferChanged, WakeWaiters
from services.gateway.consumers.on_verification_changed import OnVerificationChanged
from services.gateway.settings import GatewaySettings
from services.gateway.store.digests import GatewayDigests
from services.gateway.use_cases.accept_atomic_batch import AtomicIntake
from services.gateway.use_cases.accept_commands import CommandIntake
from services.gateway.use_cases.accept_transfers import Intake
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.use_cases.foresee_transfer import ForeseeTransfer
from services.gateway.use_cases.look_up_parties import Directory
from services.gateway.use_cases.project_outcomes import poll_outcomes
from services.gateway.use_cases.repeat_requests import Repeater
from services.gateway.use_cases.watch_ledger import LedgerHalt

_CONNECTIONS: Final = ("intake", "atomic-intake", "commands", "projection", "repeats", "lookup", "digests")


def build(role: Role) -> FastAPI:
    """Construct the gateway for this role: `api` takes requests, `worker` projects and repeats, `serve` does both."""
    settings = GatewaySettings()
    dsn = settings.postgres_dsn.get_secret_value()
    connections = _connections(dsn)


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


def _subscribe(bus: Bus, projection: HotConnection) -> None:
    subscriptions = (
        Subscription("gateway.project-outcomes", topics.TRANSFERS, OnTransferChanged(projection), max_messages=1000),
        Subscription("gateway.project-accounts", topics.ACCOUNTS, OnAccountChanged(projection)),
        Subscription("gateway.project-account-states", topics.LEDGER_ACCOUNTS, OnLedgerAccountChanged(projection)),
        Subscription("gateway.project-customers", topics.CUSTOMERS, OnCustomerChanged(projection)),
        Subscription("gateway.project-verifications", topics.VERIFICATIONS, OnVerificationChanged(projection)),
        Subscription("gateway.fraud-parked", topics.dead_letters_of("fraud"), OnMessageParked(projection)),
        Subscription("gateway.ledger-parked", topics.dead_letters_of("ledger"), OnMessageParked(projection)),
    )
    for subscription in subscriptions:
        bus.subscribe(subscription)


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
