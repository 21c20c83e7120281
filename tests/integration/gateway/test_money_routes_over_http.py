"""The money routes behind the server's own protocol, where no task runs a request: every way through them."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from libs.common.http.hot_protocol import HotHttpProtocol
from libs.common.ids import new_id
from tests.integration.gateway.counter import Counter, open_counter

TRACED = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}


class Served(uvicorn.Server):
    """Uvicorn without the process's signals, which are the test's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(counter: Counter) -> AsyncIterator[int]:
    """Serve the counter's application; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Uvicorn's wrapper for proxies' headers would hide which endpoints are hot.
        config = uvicorn.Config(
            counter.app(), lifespan="off", log_config=None, ws="none", http=HotHttpProtocol, proxy_headers=False
        )
        server = Served(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110 -- uvicorn tells nobody
            await asyncio.sleep(0.01)
        yield listening.getsockname()[1]
        server.should_exit = True
        await serving


@pytest.mark.parametrize("limits", [False, True], ids=["unlimited", "limited"])
@pytest.mark.parametrize("trace", [{}, TRACED], ids=["untraced", "traced"])
async def test_every_way_through_the_money_routes(
    gateway_dsn: str, tmp_path: Path, trace: dict[str, str], *, limits: bool
) -> None:
    async with (
        open_counter(gateway_dsn, tmp_path, rate_limits=limits) as counter,
        served(counter) as port,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1") as http,
    ):
        customer = counter.keys.bearer(counter.payer.owner_id)

        async def post(
            path: str, body: dict[str, Any], *, key: str = "", who: dict[str, str] = customer
        ) -> httpx2.Response:
            headers = {**who, **trace, "Idempotency-Key": key or new_id(), "Prefer": "respond-async"}
            return await http.post(path, json=body, headers=headers)

        key = new_id()
        first = await post("/transfers", counter.body(), key=key)
        copy = await post("/transfers", counter.body(), key=key)
        assert (first.status_code, copy.status_code) == (202, 202)
        assert (copy.content, copy.headers["idempotency-replayed"]) == (first.content, "true")
        assert (await post("/transfers", counter.body(amount_minor=2), key=key)).status_code == 422

        stranger = counter.body(destination_account_id=new_id())
        assert (await post("/transfers", stranger)).status_code == 202
        assert len(counter.neighbour.asked) == 1
        counter.neighbour.away = True
        assert (await post("/transfers", counter.body(destination_account_id=new_id()))).status_code == 503
        counter.neighbour.away = False
        counter.directory.customers.clear()
        assert (await post("/transfers", counter.body())).status_code == 202

        for mode in ("independent", "atomic"):
            transfers = [counter.body(idempotency_key=f"{mode}-{number}-{new_id()}") for number in range(2)]
            batch = await post("/transfers/batch", {"mode": mode, "transfers": transfers})
            assert (batch.status_code, [one["status"] for one in batch.json()["results"]]) == (200, ["accepted"] * 2)

        deposit = {"account_id": counter.payee.account_id, "amount_minor": 5, "asset": "USD", "reference": "r"}
        assert (await post("/deposits", deposit, who=counter.keys.bearer(new_id(), "operator"))).status_code == 202

        many = [(await post("/transfers", counter.body())).status_code for _ in range(21)]
        assert (429 in many) == limits
        assert (await post("/transfers", counter.body(), key=key)).status_code == 202
        assert len(counter.waiters) == 0


async def test_mixed_requests_of_one_connection_are_answered_in_order(counter: Counter) -> None:
    bearer = counter.keys.bearer(counter.payer.owner_id)["Authorization"]
    asked, expected = b"", []
    for amount_minor in range(1, 41):
        body = json.dumps(counter.body(amount_minor=amount_minor)).encode()
        known = amount_minor % 7 != 0
        head = [
            "POST /api/v1/transfers HTTP/1.1",
            "Host: x",
            *([f"Authorization: {bearer}"] if known else []),
            f"Idempotency-Key: {new_id()}",
            "Prefer: respond-async",
            f"Content-Length: {len(body)}",
        ]
        asked += "\r\n".join([*head, "", ""]).encode() + body
        expected.append(amount_minor if known else 401)
        if amount_minor % 10 == 3:
            asked += b"GET /api/v1/nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
            expected.append(404)
    got: list[int] = []
    async with served(counter) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(asked)
        async with asyncio.timeout(20):
            while len(got) < len(expected):
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
                status = int(lines[0].split()[1])
                length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
                document = json.loads(await reader.readexactly(length))
                got.append(document["legs"][0]["amount_minor"] if status == 202 else status)
        writer.close()
    assert got == expected
