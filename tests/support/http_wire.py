"""A server's side of one connection without a socket: what is written is kept, what the endpoints heard too."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from uvicorn.server import ServerState

from libs.common.clock import monotonic_seconds
from libs.common.http.app import make_app
from libs.common.http.auth import Principal
from libs.common.http.bounded_protocol import sweep
from libs.common.http.client_address import TrustedProxies
from libs.common.http.gate import GuardedEndpoint, Verifier, permitted
from libs.common.http.health import Health
from libs.common.http.hot import HotAnswer, HotRequest
from libs.common.http.hot_protocol import HotHttpProtocol
from libs.common.http.large_bodies import MAX_BODY_BYTES
from libs.common.http.unreadable import ARRIVAL_SECONDS

LATE = ARRIVAL_SECONDS + 1
KEEP_ALIVE_SECONDS = 75


class Wire(asyncio.Transport):
    """The way back to the peer: keeps what is written."""

    def __init__(self, address: str = "192.0.2.1") -> None:
        super().__init__({"peername": (address, 1)})
        self.written = b""
        self.closed = False
        self.ended = False
        self.aborted = False
        self.reads = True

    def write(self, data: Any) -> None:
        assert not self.closed
        assert not self.ended
        self.written += data

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


class Known:
    """Takes everybody for the same principal, without a question."""

    def __init__(self, *roles: str) -> None:
        self.principal = Principal("somebody", frozenset(roles), "a token", float("inf"))

    def verify(self, authorization: str | None, address: str = "") -> Principal:
        return self.principal

    async def identify(self, authorization: str | None, address: str = "") -> Principal:
        return self.verify(authorization, address)

    def require_fresh(self, principal: Principal) -> None: ...


@dataclass
class Server:
    """A server that was never started, and what its endpoints heard."""

    state: ServerState = field(default_factory=ServerState)
    heard: list[HotRequest] = field(default_factory=list)
    sized: list[int] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    awaits: asyncio.Future[None] | None = None
    """What the hot endpoint waits for besides."""
    proxies: TrustedProxies | None = None
    max_body_bytes: int = MAX_BODY_BYTES
    who: Verifier = field(default_factory=lambda: Known("customer"))

    cors_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.may_answer.set()

    async def hot(self, request: HotRequest) -> HotAnswer:
        self.heard.append(request)
        await self.may_answer.wait()
        await asyncio.sleep(0)
        if self.awaits is not None:
            await self.awaits
        return HotAnswer(200, b"hot")

    def app(self) -> FastAPI:
        router = APIRouter(dependencies=[permitted("api.read")])

        @router.get("/headers")
        async def headers(request: Request) -> dict[str, str]:
            return dict(request.headers)

        @router.get("/both")
        async def read() -> dict[str, str]:
            return {}

        @router.put("/both")
        async def write() -> dict[str, str]:
            return {}

        @router.post("/size")
        async def size(request: Request) -> dict[str, int]:
            self.sized.append(len(await request.body()))
            return {"bytes": self.sized[-1]}

        return make_app(
            service="test",
            title="Test",
            description="",
            version="1",
            routers=[router],
            lifespan=nothing,
            health=Health(),
            hot={"/hot": GuardedEndpoint("transfer.create", self.who, self.hot, max_body_bytes=self.max_body_bytes)},
            proxies=self.proxies,
            cors_origins=self.cors_origins,
        )

    def connect(self, address: str = "192.0.2.1") -> tuple[HotHttpProtocol, Wire]:
        config = uvicorn.Config(
            self.app(),
            lifespan="off",
            log_config=None,
            ws="none",
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        protocol, wire = HotHttpProtocol(config=config, server_state=self.state, app_state={}), Wire(address)
        protocol.connection_made(wire)
        return protocol, wire

    def sweep_after(self, seconds: float) -> None:
        sweep(self.state, monotonic_seconds() + seconds)


@asynccontextmanager
async def nothing(_app: FastAPI) -> AsyncIterator[None]:
    yield


Answer = tuple[int, dict[str, str], bytes]


def read(wire: Wire) -> Answer:
    head, _, body = wire.written.partition(b"\r\n\r\n")
    line, *rest = head.decode().split("\r\n")
    return int(line.split()[1]), {name.lower(): value for name, value in (r.split(": ", 1) for r in rest)}, body


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 -- what is waited for knows of no test
            await asyncio.sleep(0.001)


async def answered(wire: Wire) -> Answer:
    await until(lambda: wire.written)
    return read(wire)


def head(path: str = "/headers", method: str = "GET", *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode("latin-1")
