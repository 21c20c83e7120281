"""A gateway around a real PostgreSQL, without a bus: what it says is kept in a list, outcomes come from the test."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
from fastapi import FastAPI

from libs.common.contracts.audit import AuditRecorded
from libs.common.contracts.ledger import CommandDecided, LedgerAccountChanged, TransferChanged, TransferStatus
from libs.common.contracts.transfers import Leg, Party
from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.reading import Reading
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.http.app import make_app
from libs.common.http.auth import TokenVerifier
from libs.common.http.health import Health
from libs.common.http.large_bodies import MAX_BATCH_BODY_BYTES
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from libs.common.origins import OriginKeys
from services.gateway.api.account_commands import account_closing_router, account_commands_router
from services.gateway.api.audit_logs import audit_logs_router
from services.gateway.api.batch_files import BATCHES_AT, batch_files_router
from services.gateway.api.batches import batch_endpoint
from services.gateway.api.command_requests import CommandRoutes
from services.gateway.api.fee_schedules import fee_schedules_router
from services.gateway.api.money_requests import MoneyRoutes
from services.gateway.api.proxy import proxy_routes
from services.gateway.api.rate_limits import IN_MEMORY, RateLimits
from services.gateway.api.request_limits import RequestLimits
from services.gateway.api.transfer_commands import transfer_commands_router
from services.gateway.api.transfer_lists import LISTED_AT, transfer_lists_router
from services.gateway.api.transfer_reversals import transfer_reversals_router
from services.gateway.api.transfer_status import transfer_status_router
from services.gateway.api.transfers import money_endpoints
from services.gateway.domain.outcomes import Outcome
from services.gateway.settings import Bounds
from services.gateway.store.directory import KnownAccount, KnownCustomer
from services.gateway.use_cases.accept_atomic_batch import AtomicIntake
from services.gateway.use_cases.accept_commands import CommandIntake
from services.gateway.use_cases.accept_transfers import Intake, Submission
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.use_cases.cancel_batch import CancelBatch
from services.gateway.use_cases.foresee_transfer import ForeseeTransfer
from services.gateway.use_cases.look_up_parties import Directory
from services.gateway.use_cases.prepare_transfer import Draft
from services.gateway.use_cases.project_directory import project_account_states
from services.gateway.use_cases.project_outcomes import outcome_of, outcome_of_command, project_outcomes
from services.gateway.use_cases.receive_batch import ReceiveBatch
from services.gateway.views.audit_entries import AuditEntriesView
from services.gateway.views.batches import BatchView
from tallystick.stack.service_settings import dsn_of_role
from tests.support.api_world import ROLE_PASSWORD, MovedClock, RecordingPublisher, TokenKeys, admin_connection

AT = "2026-03-01T09:30:00.000000Z"

_BOUNDS = Bounds()


@dataclass
class Neighbour:
    """Stands for every other service: answers as it is told."""

    status: int = 404
    body: dict[str, Any] = field(default_factory=dict)
    away: bool = False
    failure: httpx2.HTTPError | None = None
    """What the way to it raises instead of an answer."""
    asked: list[str] = field(default_factory=list)
    heard: list[httpx2.Headers] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.raw_path.decode())
        self.heard.append(request.headers)
        assert asyncio.current_task() is not None, "a real client's timeouts need a task"
        if self.failure is not None:
            raise self.failure
        if self.away:
            raise httpx2.ConnectError("refused")
        if self.asked[-1] == "/internal/accounts/find" and self.status in {200, 404}:
            ids = json.loads(request.content)["account_ids"] if self.status == 200 else []
            return httpx2.Response(200, json={"accounts": [{"account_id": one, **self.body} for one in ids]})
        return httpx2.Response(self.status, json=self.body)


class Counter:
    """One gateway process, as far as intake, projection and answers go."""

    def __init__(
        self,
        admin_dsn: str,
        keys: TokenKeys,
        *,
        rate_limits: bool = False,
        bounds: Bounds = _BOUNDS,
        limits_store: str = IN_MEMORY,
    ) -> None:
        self.admin_dsn = admin_dsn
        self.dsn = dsn_of_role(admin_dsn, "tallystick_gateway", ROLE_PASSWORD)
        self.keys = keys
        self.publisher, self.waiters, self.clock = RecordingPublisher(), Waiters(), MovedClock()
        self.connections = {
            name: self.connect(name)
            for name in ("intake", "atomic", "commands", "lookup", "projection", "repeats", "batches", "uploads")
        }
        self.engine = make_engine(self.dsn, "test-lists")
        self.uow = UnitOfWork(self.engine, Outbox("gateway", self.publisher, self.connections["repeats"]))
        self.neighbour = Neighbour()
        self.client = httpx2.AsyncClient(base_url="http://neighbour", transport=httpx2.MockTransport(self.neighbour))
        self.directory = Directory(self.connections["lookup"], self.client, "sister to sister")
        self.intake = Intake(self.connections["intake"], self.publisher, self.waiters, self.clock)
        self.atomic = AtomicIntake(self.connections["atomic"], self.publisher, self.waiters, self.intake, self.clock)
        self.commands = CommandIntake(self.connections["commands"], self.publisher, self.waiters, self.clock)
        self.limits = RateLimits(bounds, enabled=rate_limits, store=limits_store)
        self.receive = ReceiveBatch(self.connections["uploads"], self.clock)
        self.cancel = CancelBatch(self.connections["uploads"], self.clock)
        self.payer, self.payee = self.knows_customer(), self.knows_customer()

    def connect(self, name: str) -> HotConnection:
        return HotConnection(self.dsn, f"test-{name}")

    def knows_customer(self, profile: str = "retail") -> KnownAccount:
        """Put a customer with an account into the directory."""
        account = KnownAccount(new_id(), new_id(), "USD", "active", 1)
        self.directory.accounts[account.account_id] = account
        self.directory.customers[account.owner_id] = KnownCustomer(account.owner_id, profile)
        return account

    def submission(
        self,
        key: str | None = None,
        *,
        amount_minor: int = 1,
        wait_seconds: float = 0.0,
        scope: str = "transfers",
        actor_id: str | None = None,
    ) -> Submission:
        """Return a request of the payer's; its body is its amount."""
        leg = Leg(self.payer.account_id, self.payee.account_id, amount_minor, "USD", self.payee.owner_id)
        actor_id = actor_id or self.payer.owner_id
        draft = Draft("transfer", actor_id, Party(actor_id, 1, 1), (), (leg,), None, None, "")
        body_hash = amount_minor.to_bytes(32, "big")
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        return Submission(scope, key or new_id(), body_hash, draft, wait_seconds, answer)

    async def take(self, *submissions: Submission) -> list[Outcome | BaseException]:
        """Submit at once and return what each was answered."""
        for submission in submissions:
            self.intake.submit(submission)
        return await asyncio.gather(*(s.answer for s in submissions), return_exceptions=True)

    async def hear(self, transfer_id: str, status: TransferStatus, version: int = 1, code: str = "") -> None:
        """Project an outcome."""
        await project_outcomes([changed(transfer_id, status, version, code)], self.connections["projection"])

    async def hear_all(self, *messages: TransferChanged | CommandDecided | LedgerAccountChanged) -> None:
        """Project what the ledger says, and tell those who wait, as the tip does."""
        said = [message for message in messages if not isinstance(message, LedgerAccountChanged)]
        accounts = [message for message in messages if isinstance(message, LedgerAccountChanged)]
        await project_account_states(accounts, self.connections["projection"])
        await project_outcomes(said, self.connections["projection"])
        for message in said:
            self.waiters.resolve(
                outcome_of(message) if isinstance(message, TransferChanged) else outcome_of_command(message)
            )

    async def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        async with admin_connection(self.admin_dsn) as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    def sent_ids(self) -> list[str]:
        """What was sent to fraud and the ledger, audit entries aside."""
        return [one.message_id for one in self.publisher.sent if one.message_type != AuditRecorded.TYPE]

    def app(self) -> FastAPI:
        money = MoneyRoutes(
            verifier=TokenVerifier(self.keys.jwks_file),
            directory=self.directory,
            intake=self.intake,
            atomic_intake=self.atomic,
            limits=self.limits,
            lookup=self.connections["lookup"],
            clock=self.clock,
            foresee=ForeseeTransfer(self.client, self.client, internal_token="sister to sister", clock=self.clock),
            origins=OriginKeys("secret"),
        )
        commands = CommandRoutes(money=money, intake=self.commands, states=self.connections["commands"])
        clients = dict.fromkeys(("accounts", "kyc", "ledger", "fraud"), self.client)

        @asynccontextmanager
        async def nothing(_app: FastAPI) -> AsyncIterator[None]:
            yield

        return make_app(
            service="gateway",
            title="gateway",
            description="gateway",
            version="1",
            routers=[
                transfer_lists_router(Reading(self.engine), self.client),
                audit_logs_router(AuditEntriesView(Reading(self.engine))),
                transfer_status_router(self.connections["lookup"], self.waiters),
                transfer_reversals_router(self.connections["lookup"], self.waiters),
                transfer_commands_router(commands),
                account_commands_router(commands),
                account_closing_router(commands),
                fee_schedules_router(commands),
                batch_files_router(money, self.receive, self.cancel, BatchView(self.connections["batches"])),
            ],
            hot={**money_endpoints(money), **batch_endpoint(money)},
            readable=(LISTED_AT,),
            routes=proxy_routes(clients),
            lifespan=nothing,
            health=Health(),
            verifier=money.verifier,
            body_bounds={BATCHES_AT: MAX_BATCH_BODY_BYTES},
            admission=RequestLimits(self.limits, money.verifier.identify) if self.limits.enabled else None,
        )

    def http(self, address: str = "192.0.2.1") -> httpx2.AsyncClient:
        """Return a client at this address."""
        transport = httpx2.ASGITransport(app=self.app(), client=(address, 1))
        return httpx2.AsyncClient(transport=transport, base_url="http://test")

    def body(self, source: KnownAccount | None = None, **changes: Any) -> dict[str, Any]:
        source = source or self.payer
        plain = {"source_account_id": source.account_id, "destination_account_id": self.payee.account_id}
        return {**plain, "amount_minor": 1, "asset": "USD", **changes}


def changed(transfer_id: str, status: TransferStatus, version: int = 1, code: str = "", **more: Any) -> TransferChanged:
    return TransferChanged(
        transfer_id=transfer_id,
        status=status,
        version=version,
        code=code,
        facts={},
        shard=0,
        occurred_at=AT,
        **{"reasons": (), "journal_index": version, **more},
    )


def decided(command_id: str, code: str = "", *, journal_index: int = 2, **facts: int | str) -> CommandDecided:
    """The ledger's answer to a command: done, or refused with this code."""
    return CommandDecided(
        command_id=command_id,
        subject_id=new_id(),
        status="refused" if code else "done",
        code=code,
        facts=facts,
        shard=0,
        journal_index=journal_index,
        occurred_at=AT,
    )


@asynccontextmanager
async def open_counter(admin_dsn: str, folder: Path, **options: Any) -> AsyncIterator[Counter]:
    """Give a counter whose intake runs, ticking as the process does."""
    counter = Counter(admin_dsn, TokenKeys(folder), **options)

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.1)
            counter.waiters.end_expired()

    async with AsyncExitStack() as stack:
        stack.push_async_callback(counter.client.aclose)
        stack.push_async_callback(counter.engine.dispose)
        stack.push_async_callback(counter.limits.close)
        for connection in counter.connections.values():
            stack.push_async_callback(connection.close)
        tasks = [asyncio.create_task(counter.intake.run()), asyncio.create_task(tick())]
        stack.push_async_callback(_end, tasks)
        yield counter
        assert not any(task.done() for task in tasks), "a loop of the gateway has ended"


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def locked(admin_dsn: str, table: str) -> AsyncIterator[asyncpg.Connection]:
    """Keep everybody from writing to the table while the block runs."""
    async with admin_connection(admin_dsn) as connection, connection.transaction():
        await connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
        yield connection
