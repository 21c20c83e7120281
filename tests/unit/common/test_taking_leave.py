"""A process that is told to stop says so first, and goes on until whoever sends it requests has noticed."""

import asyncio
import signal

import pytest
import uvicorn
from fastapi import FastAPI

from libs.common.http.health import Health
from libs.common.service import Server
from tests.support import http_wire
from tests.support.http_wire import answered, head


def server_of(app: FastAPI, drain_seconds: float) -> Server:
    app.state.health, app.state.is_stopping = Health(), False
    server = Server(uvicorn.Config(app), drain_seconds)
    server.started = True
    return server


async def test_it_goes_on_for_a_while_and_is_not_ready() -> None:
    app = FastAPI()
    server = server_of(app, 0.2)
    assert not await server.on_tick(1)
    assert app.state.health.problems() == {}

    server.handle_exit(signal.SIGTERM, None)
    assert list(app.state.health.problems()) == ["process"]
    assert not await server.on_tick(2)
    assert not app.state.is_stopping, "streams go on as well"
    await asyncio.sleep(0.2)
    assert await server.on_tick(3)
    assert app.state.is_stopping


async def test_a_second_signal_from_the_keyboard_ends_it_at_once() -> None:
    server = server_of(FastAPI(), 60.0)
    server.handle_exit(signal.SIGINT, None)
    assert not await server.on_tick(1)
    server.handle_exit(signal.SIGINT, None)
    assert await server.on_tick(2)


@pytest.mark.parametrize(
    "request_bytes", [head(), head("/hot", "POST", "Content-Length: 1") + b"x"], ids=["framework", "hot"]
)
async def test_a_connection_ends_with_the_answer_of_whoever_takes_leave(request_bytes: bytes) -> None:
    protocol, wire = http_wire.Server().connect()
    protocol.data_received(request_bytes)
    _, headers, _ = await answered(wire)
    assert "connection" not in headers

    wire.written = b""
    protocol.app.state.health.leave()
    protocol.data_received(request_bytes)
    status, headers, _ = await answered(wire)
    assert (status, headers["connection"], wire.closed) == (200, "close", True)
