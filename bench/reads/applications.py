"""The routes that read, of ledger and gateway, as one client sees them: no sockets, no bus."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.reads.questions import Request
from libs.common.clock import system_clock, unix_seconds
from libs.common.db.reading import Reading
from libs.common.http.app import make_app
from libs.common.http.auth import TokenVerifier
from libs.common.http.health import Health
from libs.common.ids import new_id
from services.gateway.api.transfer_lists import transfer_lists_router
from services.ledger.api.accounts import accounts_router
from services.ledger.api.sight import SightOf
from services.ledger.api.statements import statements_router
from services.ledger.api.transfers import transfers_router
from services.ledger.api.trial_balance import trial_balance_router
from services.ledger.sisters import ShownAccounts
from services.ledger.views.accounts import AccountView
from services.ledger.views.statements import StatementView
from services.ledger.views.transfers import TransfersView
from services.ledger.views.trial_balance import TrialBalanceView
from tallystick.stack.jwks import key_set

_GATEWAYS: Final = "/api/v1/transfers"
_TOKEN_SECONDS: Final = 24 * 3600


class Said:
    """The statements said to PostgreSQL, with their arguments."""

    def __init__(self) -> None:
        """Begin with none."""
        self.statements: list[tuple[str, Sequence[Any]]] = []

    def __call__(self, query: Any) -> None:
        """Note one about our tables; asyncpg calls this, and asks for PostgreSQL's types by statements of its own."""
        if "ledger." not in query.query and "gateway." not in query.query:
            return
        self.statements.append((query.query, query.args))


class Tokens:
    """Tokens for anybody, and the key file that services verify them by."""

    def __init__(self, folder: Path) -> None:
        """Make a key."""
        self._key = Ed25519PrivateKey.generate()
        published = key_set(self._key.public_key())
        self._key_id = published["keys"][0]["kid"]
        self.jwks_file = folder / "jwks.json"
        self.jwks_file.write_text(json.dumps(published))
        self._made: dict[tuple[str, str], str] = {}

    def bearer(self, user_id: str, role: str) -> str:
        """Return an `Authorization` header, the same for the same person."""
        made = self._made.get((user_id, role))
        if made is None:
            now = int(unix_seconds())
            claims: dict[str, object] = {
                "iss": "tallystick",
                "aud": "tallystick",
                "sub": user_id,
                "roles": [role],
                "jti": new_id(),
            }
            claims |= {"iat": now, "exp": now + _TOKEN_SECONDS}
            made = "Bearer " + jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": self._key_id})
            self._made[user_id, role] = made
        return made


class Applications:
    """Asks the gateway for lists of transfers, the ledger for everything else."""

    def __init__(self, ledger: httpx2.AsyncClient, gateway: httpx2.AsyncClient, tokens: Tokens) -> None:
        """Take the clients."""
        self._ledger = ledger
        self._gateway = gateway
        self._tokens = tokens

    async def ask(self, request: Request) -> httpx2.Response:
        """Send it. Anything but 200 ends the run."""
        client = self._gateway if request.path == _GATEWAYS else self._ledger
        headers = {"Authorization": self._tokens.bearer(request.user_id, request.role)}
        answer = await client.get(request.path, params=dict(request.parameters), headers=headers)
        answer.raise_for_status()
        return answer


class _Listening(Reading):
    """Reads as always, and notes what is said."""

    def __init__(self, engine: AsyncEngine, said: Said) -> None:
        super().__init__(engine)
        self._said = said

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        async with super().connection() as connection:
            with connection.query_logger(self._said):
                yield connection


@asynccontextmanager
async def applications(engine: AsyncEngine, tokens: Tokens, said: Said | None = None) -> AsyncIterator[Applications]:
    """Give both applications around this pool. What is said to PostgreSQL is noted in `said`, if given."""
    reading = Reading(engine) if said is None else _Listening(engine, said)
    accounts = AccountView(reading, 0)
    token = SecretStr(new_id())
    # It is asked about closed accounts alone, and none here is.
    sight_of = SightOf(ShownAccounts("http://accounts", token), token)
    routers = (
        accounts_router(accounts, sight_of, system_clock),
        statements_router(accounts, sight_of, StatementView(accounts), system_clock),
        transfers_router(accounts, sight_of, TransfersView(reading, 0)),
        trial_balance_router(TrialBalanceView(reading), system_clock),
    )
    async with (
        _client("ledger", routers, tokens) as ledger,
        _client("gateway", [transfer_lists_router(reading, ledger)], tokens) as gateway,
    ):
        yield Applications(ledger, gateway, tokens)


@asynccontextmanager
async def _client(service: str, routers: Iterable[APIRouter], tokens: Tokens) -> AsyncIterator[httpx2.AsyncClient]:
    app = make_app(
        service=service,
        title=service,
        description=service,
        version="1",
        routers=list(routers),
        lifespan=_nothing,
        health=Health(),
        verifier=TokenVerifier(tokens.jwks_file),
    )
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=f"http://{service}") as client:
        yield client


@asynccontextmanager
async def _nothing(_app: FastAPI) -> AsyncIterator[None]:
    yield
