"""Accounts around a real PostgreSQL: its routes, its consumer, its sweepers."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from aiokafka import ConsumerRecord
from argon2 import PasswordHasher
from fastapi import FastAPI
from pydantic import SecretStr

from libs.common.contracts.ledger import LedgerAccountChanged, LedgerAccountOpened
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.ids import new_id
from libs.common.messaging.records import Received
from services.accounts.app import make_routers
from services.accounts.consumers.on_ledger_account_changed import OnLedgerAccountChanged
from services.accounts.consumers.on_ledger_account_opened import OnLedgerAccountOpened
from services.accounts.domain.mail import Mail
from services.accounts.openings import Openings
from services.accounts.passwords import Passwords
from services.accounts.settings import AccountsSettings
from services.accounts.sisters import Sisters
from services.accounts.use_cases.activate_accounts import ActivateAccounts
from services.accounts.use_cases.note_ledger_states import NoteLedgerStates
from tests.support.api_world import (
    SEALER,
    MovedClock,
    RecordingPublisher,
    TokenKeys,
    admin_connection,
    application,
    client_of,
    migrated_database,
    unit_of_work,
)
from tests.support.late_bound import LateBound

PASSWORD = "correct horse battery"
INTERNAL_TOKEN = "sister to sister"


class FakeBooks:
    """The ledger and the gateway, as far as accounts asks them to close accounts."""

    def __init__(self) -> None:
        self.unsettled: str | None = None
        self.refusals: dict[str, str] = {}
        self.closed: list[str] = []
        self.away = False
        self.late = False

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        assert request.headers["x-internal-token"] == INTERNAL_TOKEN
        if self.away:
            raise httpx2.ConnectError("refused")
        if request.method == "GET":
            return httpx2.Response(200, json={"account_id": self.unsettled})
        account_id = json.loads(request.content)["account_id"]
        if self.late:
            return httpx2.Response(200, json={"status": "accepted", "code": ""})
        if account_id in self.refusals:
            return httpx2.Response(200, json={"status": "refused", "code": self.refusals[account_id]})
        self.closed.append(account_id)
        return httpx2.Response(200, json={"status": "done", "code": ""})


@dataclass
class World:
    """Accounts as tests drive it."""

    http: httpx2.AsyncClient
    uow: UnitOfWork
    publisher: RecordingPublisher
    clock: MovedClock
    keys: TokenKeys
    consumer: OnLedgerAccountOpened
    passwords: Passwords
    openings: Openings
    admin_dsn: str
    books: "FakeBooks"

    async def register(self, email: str | None = None) -> str:
        """Register somebody and return his id."""
        body = {"email": email or f"{new_id()}@example.com", "password": PASSWORD, "full_name": "Ada Lovelace"}
        answer = await self.http.post("/api/v1/users", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["user_id"])

    async def log_in(self, email: str, password: str = PASSWORD) -> httpx2.Response:
        return await self.http.post("/api/v1/auth/login", json={"email": email, "password": password})

    async def open_account(self, user_id: str, asset: str = "USD") -> httpx2.Response:
        return await self.http.post("/api/v1/accounts", json={"asset": asset}, headers=self.keys.bearer(user_id))

    async def hear_opened(self, account_id: str, owner_id: str, asset: str = "USD") -> None:
        """Let the consumer hear that the ledger opened the account."""
        message = LedgerAccountOpened(
            account_id=account_id, owner_id=owner_id, asset=asset, occurred_at="2026-03-01T09:30:00.000000Z"
        )
        record = ConsumerRecord("ledger.accounts.v1", 0, 0, 0, 0, account_id.encode(), b"", None, 0, 0, ())
        await self.consumer([Received(message, record)])

    async def hear_changed(self, *changes: LedgerAccountChanged) -> None:
        """Let the consumer hear in one batch what staff let accounts do."""
        record = ConsumerRecord("ledger.accounts.v1", 0, 0, 0, 0, b"", b"", None, 0, 0, ())
        await OnLedgerAccountChanged(NoteLedgerStates(self.uow))([Received(change, record) for change in changes])

    async def mails_to(self, email: str) -> list[Mail]:
        """The mails that wait for this address, oldest first."""
        rows = await self.rows("SELECT mail_id::text, content FROM accounts.mails ORDER BY mail_id")
        mails = [msgspec.json.decode(SEALER.open_in_passing(row["mail_id"], row["content"]), type=Mail) for row in rows]
        return [mail for mail in mails if mail.to == email]

    async def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        """Read tables as the administrator."""
        async with admin_connection(self.admin_dsn) as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]


@pytest.fixture(scope="module")
def accounts_dsn(postgres_dsn: str) -> Iterator[str]:
    with migrated_database(postgres_dsn, "accounts") as dsn:
        yield dsn


@pytest.fixture
def settings_changes() -> dict[str, object]:
    """Settings of a test that wants other ones."""
    return {}


class Front:
    """The routes of accounts, made once for all tests: they hold no state, and making them takes longer than a test.

    What a test has anew is bound late; other settings than usual have routes of their own.
    """

    def __init__(self, folder: Path) -> None:
        self.keys = TokenKeys(folder)
        self.uow, self.passwords, self.openings, self.sisters, self.clock = (LateBound() for _ in range(5))
        self._apps: dict[str, FastAPI] = {}

    def app(self, changes: dict[str, object]) -> FastAPI:
        """The application under these settings."""
        name = repr(sorted(changes.items()))
        if name not in self._apps:
            bound: Any = (self.uow, self.passwords, self.openings, self.sisters, self.clock)
            routers = make_routers(self._settings().model_copy(update=changes), *bound)
            self._apps[name] = application("accounts", routers, self.keys)
        return self._apps[name]

    def _settings(self) -> AccountsSettings:
        return AccountsSettings(
            postgres_dsn=SecretStr("each test's own"),
            http_port=1,
            kafka="nowhere:1",
            jwks_file=self.keys.jwks_file,
            internal_token=SecretStr(INTERNAL_TOKEN),
            master_keys_file=self.keys.master_keys_file,
            token_key_file=self.keys.private_file,
            opening_patience_seconds=0.0,
        )


@pytest.fixture(scope="session")
def front(tmp_path_factory: pytest.TempPathFactory) -> Front:
    return Front(tmp_path_factory.mktemp("accounts"))


@pytest.fixture
def hasher() -> PasswordHasher:
    """As cheap as Argon2 gets: most tests hash a password without being about hashes."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
async def world(
    accounts_dsn: str, front: Front, hasher: PasswordHasher, settings_changes: dict[str, object]
) -> AsyncIterator[World]:
    app, keys = front.app(settings_changes), front.keys
    clock, publisher, openings, passwords = MovedClock(), RecordingPublisher(), Openings(), Passwords(hasher)
    books = FakeBooks()
    sisters = Sisters(
        {"gateway": "http://gateway", "ledger": "http://ledger"},
        SecretStr(INTERNAL_TOKEN),
        httpx2.MockTransport(books),
    )
    async with unit_of_work(accounts_dsn, "accounts", publisher) as uow, client_of(app) as client:
        front.uow.stands_for, front.passwords.stands_for, front.openings.stands_for = uow, passwords, openings
        front.sisters.stands_for, front.clock.stands_for = sisters, clock
        consumer = OnLedgerAccountOpened(ActivateAccounts(uow, openings, clock))
        yield World(client, uow, publisher, clock, keys, consumer, passwords, openings, accounts_dsn, books)
