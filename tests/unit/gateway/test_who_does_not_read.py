"""Whoever asks and does not take the answer holds nothing that others need."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from structlog.testing import capture_logs

from libs.common.audit.asker import Asker
from libs.common.errors import Unavailable
from services.gateway.api import timed_answers
from services.gateway.api.proxy import WholeAnswer, ask_for_whole, proxy_routes
from services.gateway.api.timed_answers import TimedAnswer

SMALL, LONG = 200_000, 3_000_000


class Body(httpx2.AsyncByteStream):
    """A service's answer, and whether its connection was given back."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.left:
            piece = min(self.left, 65536)
            self.left -= piece
            yield b"x" * piece

    async def aclose(self) -> None:
        self.is_closed = True


class World:
    """A gateway in front of a service that has much to say."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.bodies: list[Body] = []
        client = httpx2.AsyncClient(base_url="http://sister", transport=httpx2.MockTransport(self.answer))
        clients = dict.fromkeys(("accounts", "ledger", "kyc", "fraud"), client)
        self.app = Starlette(routes=proxy_routes(clients))

    def answer(self, _request: httpx2.Request) -> httpx2.Response:
        self.bodies.append(Body(self.size))
        return httpx2.Response(200, stream=self.bodies[-1])

    async def ask(self, send: Any, who: str = "ada") -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/accounts",
            "raw_path": b"/api/v1/accounts",
            "query_string": b"",
            "headers": [],
            "client": ("192.0.2.1", 1),
            "request_id": "r",
            "asker": Asker(who, address="192.0.2.1"),
        }
        asked = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            return asked.pop() if asked else await never()

        await self.app(scope, receive, send)


async def never() -> dict[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


async def not_taken(_message: Any) -> None:
    await asyncio.Event().wait()


async def dropped(_message: Any) -> None: ...


async def until_given_back(body: Body) -> None:
    async with asyncio.timeout(20):
        while not body.is_closed:  # noqa: ASYNC110 -- what is waited for knows of no test
            await asyncio.sleep(0.001)


async def test_of_an_answer_of_ordinary_size_he_holds_no_connection_to_the_service() -> None:
    world = World(SMALL)
    asking = asyncio.create_task(world.ask(not_taken))
    async with asyncio.timeout(20):
        while not world.bodies:  # noqa: ASYNC110 -- what is waited for knows of no test
            await asyncio.sleep(0.001)
    await until_given_back(world.bodies[0])
    asking.cancel()


async def test_a_long_one_is_given_up_and_few_are_held_by_one_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_answers, "_TAKEN_SECONDS", 0.2)
    world = World(LONG)
    held = [asyncio.create_task(world.ask(not_taken)) for _ in range(4)]
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        while len(world.bodies) < 4 or any(body.left > LONG - 500_000 for body in world.bodies):  # noqa: ASYNC110 -- what is waited for knows of no test
            await asyncio.sleep(0.001)
    with pytest.raises(Unavailable, match="overloaded"):
        await world.ask(dropped)
    another = asyncio.create_task(world.ask(not_taken, "bob"))
    await asyncio.gather(*held, another)
    assert all(body.is_closed for body in world.bodies)
    sent: list[int] = []

    async def taken(message: Any) -> None:
        sent.append(len(message.get("body", b"")))

    await world.ask(taken)
    assert sum(sent) == LONG


async def test_an_answer_that_breaks_off_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_body: Body) -> AsyncIterator[bytes]:
        yield b"x"
        raise httpx2.ReadError("gone")

    monkeypatch.setattr(Body, "__aiter__", broken)
    world = World(SMALL)
    with pytest.raises(Unavailable, match="service_unavailable"):
        await world.ask(dropped)
    assert world.bodies[0].is_closed


async def test_pieces_that_are_not_taken_are_made_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_answers, "_TAKEN_SECONDS", 0.1)
    ended = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            ended.set()

    taken = 0

    async def takes_three(_message: Any) -> None:
        nonlocal taken
        taken += 1
        if taken > 3:
            await asyncio.Event().wait()

    async with asyncio.timeout(20):
        await TimedAnswer(pieces())({"type": "http"}, never, takes_three)
    assert ended.is_set()


async def read_whole(body: Body) -> WholeAnswer:
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, stream=body))
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "headers": [],
        "client": None,
        "request_id": "r",
        "asker": Asker("ada"),
    }
    async with httpx2.AsyncClient(base_url="http://sister", transport=transport) as client:
        return await ask_for_whole(client, Request(scope), "/x")


@pytest.mark.parametrize("size", [SMALL, 33_000_000_000], ids=["ordinary", "without end"])
async def test_what_the_gateway_reads_itself_has_a_bound(size: int) -> None:
    body = Body(size)
    with capture_logs() as logged:
        if size == SMALL:
            assert len((await read_whole(body)).content) == SMALL
        else:
            with pytest.raises(Unavailable, match="service_unavailable"):
                await read_whole(body)
    assert [line["event"] for line in logged] == ([] if size == SMALL else ["service_answered_too_much"])
    assert (body.is_closed, size - body.left < 34_000_000) == (True, True)


class Breaking(Body):
    """Begins, and is cut off."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x"
        raise httpx2.ReadError("cut off")


async def test_an_answer_that_breaks_off_is_as_good_as_none() -> None:
    body = Breaking(2)
    with pytest.raises(Unavailable, match="service_unavailable"):
        await read_whole(body)
    assert body.is_closed
