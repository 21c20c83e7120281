"""One service's HTTP side around a real PostgreSQL, with the bus replaced by a list and a clock that tests move."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import asyncpg
import httpx2
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import APIRouter, FastAPI

from libs.common.clock import system_clock
from libs.common.contracts.base import Message
from libs.common.contracts.topics import ALL_TOPICS
from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.db.migrate import migrate_all
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.http.app import make_app
from libs.common.http.auth import TokenVerifier
from libs.common.http.client_address import TrustedProxies
from libs.common.http.health import Health
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from libs.common.messaging.outgoing_message import Outgoing
from libs.common.messaging.publisher import Publisher
from libs.common.personal.sealing import Sealer
from tallystick.stack.jwks import key_set
from tallystick.stack.service_settings import dsn_of_role
from tests.support.postgres import fresh_database

ROLE_PASSWORD = "only for a test"
MASTER_KEY = b"a master key only for a test!!!!"
SEALER = Sealer([MASTER_KEY])
_MESSAGE_TYPES = {kind.TYPE: kind for topic in ALL_TOPICS for kind in topic.messages}


class MovedClock:
    """The machine's time, shifted by what a test says. It starts at the real time, because tokens are judged by it."""

    def __init__(self) -> None:
        self.shift = timedelta()
        self._stands_at: datetime | None = None

    def __call__(self) -> datetime:
        return (self._stands_at or system_clock()) + self.shift

    def stop(self) -> None:
        """Let no time pass but what `move` says: neither a slow machine nor midnight comes between two looks."""
        self._stands_at = system_clock()

    def go_on(self) -> None:
        """Let time pass again."""
        self._stands_at = None

    def move(self, shift: timedelta) -> None:
        self.shift += shift


class RecordingPublisher(Publisher):
    """Keeps what is published instead of sending it, and acknowledges at once."""

    def __init__(self) -> None:
        super().__init__("nowhere:1", idempotence=True, client_id="test")
        self.sent: list[Outgoing] = []

    async def send(self, batch: Sequence[Outgoing]) -> asyncio.Future[None]:
        self.sent.extend(batch)
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(None)
        return acknowledged

    def said(self, key: str) -> list[Message]:
        """The messages under this key, decoded, in order."""
        return [
            msgspec.json.decode(item.payload, type=_MESSAGE_TYPES[item.message_type])
            for item in self.sent
            if item.key == key
        ]


class TokenKeys:
    """A key pair on disk as the stack writes it, and tokens signed by it for anybody."""

    def __init__(self, folder: Path) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.private_file = folder / "access-token.pem"
        self.jwks_file = folder / "jwks.json"
        self.master_keys_file = folder / "master.keys"
        self.master_keys_file.write_bytes(base64.b64encode(MASTER_KEY))
        self.private_file.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        published = key_set(self.key.public_key())
        self.jwks_file.write_text(json.dumps(published))
        self.key_id = published["keys"][0]["kid"]

    def bearer(self, user_id: str, *roles: str, lifetime_seconds: int = 600) -> dict[str, str]:
        """Return the header of somebody with these roles; a customer if none is named."""
        now = int(system_clock().timestamp())
        claims: dict[str, object] = {
            "iss": "tallystick",
            "aud": "tallystick",
            "sub": user_id,
            "roles": list(roles or ("customer",)),
        }
        claims |= {"jti": new_id(), "iat": min(now, now + lifetime_seconds), "exp": now + lifetime_seconds}
        token = jwt.encode(claims, self.key, algorithm="EdDSA", headers={"kid": self.key_id})
        return {"Authorization": f"Bearer {token}"}


@contextmanager
def migrated_database(admin_dsn: str, service: str) -> Iterator[str]:
    """Give the administrator's DSN of a database with this service's schema in it, dropped at the end."""
    with fresh_database(admin_dsn) as dsn:
        migrate_all(dsn, {service: ROLE_PASSWORD})
        yield dsn


@asynccontextmanager
async def unit_of_work(admin_dsn: str, service: str, publisher: Publisher) -> AsyncIterator[UnitOfWork]:
    """Give a unit of work as the service's own role, with nothing sweeping behind it."""
    dsn = dsn_of_role(admin_dsn, f"tallystick_{service}", ROLE_PASSWORD)
    engine = make_engine(dsn, f"test-{service}", SEALER)
    try:
        yield UnitOfWork(engine, Outbox(service, publisher, HotConnection(dsn, "test-outbox")))
    finally:
        await engine.dispose()


def application(
    service: str, routers: Sequence[APIRouter], keys: TokenKeys, *, body_bounds: Mapping[str, int] | None = None
) -> FastAPI:
    """Return the service's application with these routes; making it takes longer than most requests to it."""

    @asynccontextmanager
    async def nothing(_app: FastAPI) -> AsyncIterator[None]:
        yield

    return make_app(
        service=service,
        title=service,
        description=service,
        version="1",
        routers=routers,
        lifespan=nothing,
        health=Health(),
        proxies=TrustedProxies([ip_network("127.0.0.1")], "x-forwarded-for"),
        verifier=TokenVerifier(keys.jwks_file),
        body_bounds=body_bounds,
    )


def client_of(app: FastAPI) -> httpx2.AsyncClient:
    """Return a client that talks to the application without a socket."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")


@asynccontextmanager
async def http_client(
    service: str, routers: Sequence[APIRouter], keys: TokenKeys, *, body_bounds: Mapping[str, int] | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client that talks to the service's application, made for it alone."""
    async with client_of(application(service, routers, keys, body_bounds=body_bounds)) as client:
        yield client


@asynccontextmanager
async def admin_connection(admin_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection of the administrator, to look at tables and to try what even the owner may not."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        yield connection
    finally:
        await connection.close()
