"""What takes money requests: transfers one by one, in batches and files, and commands about what is there already."""

from collections.abc import Mapping
from typing import NamedTuple

import httpx2
from fastapi import APIRouter

from libs.common.clock import system_clock
from libs.common.db.hot import HotConnection
from libs.common.http.auth import TokenVerifier
from libs.common.messaging.publisher import Publisher
from libs.common.origins import OriginKeys
from services.gateway.api.batch_files import batch_files_router
from services.gateway.api.command_requests import CommandRoutes
from services.gateway.api.money_requests import MoneyRoutes
from services.gateway.api.rate_limits import RateLimits, store_address
from services.gateway.settings import GatewaySettings
from services.gateway.use_cases.accept_atomic_batch import AtomicIntake
from services.gateway.use_cases.accept_commands import CommandIntake
from services.gateway.use_cases.accept_piece import PieceIntake
from services.gateway.use_cases.accept_transfers import Intake
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.use_cases.cancel_batch import CancelBatch
from services.gateway.use_cases.foresee_transfer import ForeseeTransfer
from services.gateway.use_cases.look_up_parties import Directory
from services.gateway.use_cases.receive_batch import ReceiveBatch
from services.gateway.use_cases.run_batches import RunBatches
from services.gateway.views.batches import BatchView


class Files(NamedTuple):
    """What takes files of transfers and carries them out."""

    receive: ReceiveBatch
    work: RunBatches
    router: APIRouter


def make_money(
    settings: GatewaySettings,
    connections: Mapping[str, HotConnection],
    clients: Mapping[str, httpx2.AsyncClient],
    publisher: Publisher,
    waiters: Waiters,
    verifier: TokenVerifier,
) -> MoneyRoutes:
    """Return what the money routes use."""
    internal_token = settings.internal_token.get_secret_value()
    intake = Intake(connections["intake"], publisher, waiters, system_clock)
    return MoneyRoutes(
        verifier=verifier,
        directory=Directory(connections["lookup"], clients["accounts"], internal_token),
        intake=intake,
        atomic_intake=AtomicIntake(connections["atomic-intake"], publisher, waiters, intake, system_clock),
        limits=_limits(settings),
        lookup=connections["lookup"],
        clock=system_clock,
        foresee=ForeseeTransfer(clients["fraud"], clients["ledger"], internal_token=internal_token, clock=system_clock),
        origins=OriginKeys(internal_token),
    )


def make_files(
    money: MoneyRoutes, connections: Mapping[str, HotConnection], publisher: Publisher, waiters: Waiters
) -> Files:
    """Return what the routes for files and their worker use."""
    batches = connections["batches"]
    receive, cancel = ReceiveBatch(connections["uploads"], money.clock), CancelBatch(batches, money.clock)
    pieces = PieceIntake(batches, publisher, waiters, money.clock)
    work = RunBatches(batches, pieces, money.intake, money.directory, money.halt, money.origins, money.clock)
    return Files(receive, work, batch_files_router(money, receive, cancel, BatchView(batches)))


def make_commands(
    money: MoneyRoutes, publisher: Publisher, waiters: Waiters, connection: HotConnection
) -> CommandRoutes:
    """Return what the routes for commands use."""
    intake = CommandIntake(connection, publisher, waiters, money.clock)
    return CommandRoutes(money=money, intake=intake, states=connection)


def _limits(settings: GatewaySettings) -> RateLimits:
    store = settings.limits_store
    address = store_address("" if store is None else store.get_secret_value())
    return RateLimits(settings.limits, enabled=settings.rate_limits, store=address)
