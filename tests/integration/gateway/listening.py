"""Customers who listen to what happens, and a gateway's application that serves streams without a socket."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import msgspec
from fastapi import FastAPI
from starlette.types import Message

from libs.common.clock import to_rfc3339
from libs.common.contracts.gateway import ReverseTransfer
from libs.common.contracts.ledger import TransferChanged
from libs.common.contracts.transfers import Leg, Party, TransferCommand
from libs.common.ids import new_id
from services.gateway.domain.events import KEPT_FOR
from services.gateway.store.commands import NewCommand, insert_command
from services.gateway.store.events import load_events, register_reader
from services.gateway.store.transfers import NewRequest, insert_requests
from services.gateway.use_cases.keep_events import KeepEvents
from tests.integration.gateway.counter import Counter, changed


class Listening:
    """A gateway's stream, and two customers of whom one has asked the other for nothing yet."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.keep = KeepEvents(counter.connections["projection"], counter.clock)
        self.payer, self.payee = counter.payer, counter.payee

    async def listens(self, user_id: str, connection: str = "lookup") -> int:
        now = self.counter.clock()
        async with self.counter.connections[connection].transaction() as database:
            return await register_reader(database, user_id, now, now + KEPT_FOR)

    async def sent(self) -> str:
        """Keep a transfer of 5 from payer to payee, as the intake does."""
        leg = Leg(self.payer.account_id, self.payee.account_id, 5, "USD", self.payee.owner_id)
        command = TransferCommand(
            transfer_id=new_id(),
            kind="transfer",
            actor_id=self.payer.owner_id,
            payer=Party(self.payer.owner_id, 1, 1),
            payees=(Party(self.payee.owner_id, 1, 1),),
            legs=(leg,),
            memo_commitment="",
            requested_at=self.now(),
        )
        request = NewRequest(
            command.transfer_id,
            command.actor_id,
            "transfers",
            new_id(),
            b"",
            None,
            None,
            msgspec.json.encode(command),
            None,
            None,
        )
        async with self.counter.connections["lookup"].transaction() as database:
            await insert_requests(database, [request], self.counter.clock())
        return command.transfer_id

    async def reversed(self, transfer_id: str) -> str:
        reversal_id = new_id()
        asked = ReverseTransfer(
            command_id=reversal_id,
            transfer_id=transfer_id,
            actor_id=self.payee.owner_id,
            amounts_minor=(),
            with_fees=False,
            reason_commitment="",
            requested_at=self.now(),
        )
        command = NewCommand(
            reversal_id,
            self.payee.owner_id,
            "reversals",
            new_id(),
            b"",
            transfer_id,
            msgspec.json.encode(asked),
            None,
            None,
        )
        async with self.counter.connections["lookup"].transaction() as database:
            await insert_command(database, command, self.counter.clock(), repeat_after_seconds=5.0)
        return reversal_id

    def now(self) -> str:
        return to_rfc3339(self.counter.clock())

    def said(self, transfer_id: str, status: Any, version: int = 1, **more: Any) -> TransferChanged:
        return msgspec.structs.replace(changed(transfer_id, status, version, **more), occurred_at=self.now())

    async def heard_by(self, user_id: str) -> list[dict[str, Any]]:
        async with self.counter.connections["lookup"].autocommit() as database:
            events = await load_events(database, user_id, beyond=0, up_to=2**62, limit=100)
        assert [event.position for event in events] == sorted({event.position for event in events})
        return [msgspec.json.decode(event.payload) for event in events]


class OpenStream:
    """What a reader of a stream has been sent so far."""

    def __init__(self) -> None:
        self.status = 0
        self.text = ""
        self.has_ended = False
        self.leaves = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()

    async def receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.takes.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.text += message["body"].decode()
            self.has_ended = not message.get("more_body", False)

    def events(self) -> list[dict[str, Any]]:
        """Each event's id, type and document, in order; pings and bare ids have none."""
        blocks = [dict(line.split(": ", 1) for line in block.split("\n") if line) for block in self.text.split("\n\n")]
        return [
            {"id": block.get("id"), "event": block["event"], **msgspec.json.decode(block["data"])}
            for block in blocks
            if "data" in block
        ]

    def last_id(self) -> str:
        return [line.removeprefix("id: ") for line in self.text.split("\n") if line.startswith("id: ")][-1]

    async def until(self, number: int) -> list[dict[str, Any]]:
        """Wait for so many events."""
        async with asyncio.timeout(20):
            while len(self.events()) < number:  # noqa: ASYNC110 -- what is waited for knows of no test
                await asyncio.sleep(0.01)
        return self.events()

    async def begun(self) -> None:
        async with asyncio.timeout(20):
            while "ready" not in self.text and not self.has_ended:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.01)

    async def ended(self) -> None:
        async with asyncio.timeout(20):
            while not self.has_ended:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(
    app: FastAPI, headers: Mapping[str, str], last_id: str = "", **filters: Any
) -> AsyncIterator[OpenStream]:
    """Follow `/api/v1/events` for as long as the block, over ASGI itself: the test client gathers a whole answer."""
    stream = OpenStream()
    sent = {**headers, **({"Last-Event-ID": last_id} if last_id else {})}
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/v1/events",
        "raw_path": b"/api/v1/events",
        "query_string": urlencode(filters, doseq=True).encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "client": ("192.0.2.1", 1),
        "server": ("test", 80),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
    }
    answering = asyncio.create_task(app(scope, stream.receive, stream.send))
    try:
        await stream.begun()
        yield stream
    finally:
        stream.leaves.set()
        stream.takes.set()
        async with asyncio.timeout(20):
            await answering
