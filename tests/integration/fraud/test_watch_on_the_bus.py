"""The watch between a real broker and a real database: what comes twice, and what comes while nobody is there."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import httpx2
import msgspec
import pytest

from libs.common.clock import system_clock, to_rfc3339
from libs.common.contracts.ledger import TransferChanged
from libs.common.contracts.topics import TRANSFERS
from libs.common.ids import new_id
from libs.common.messaging.outgoing_message import outgoing
from libs.common.messaging.publisher import Publisher
from services.fraud.app import build
from tallystick.stack.service_settings import dsn_of_role
from tests.integration.fraud.test_service_on_the_bus import environment as environment  # noqa: PLC0414 -- a fixture
from tests.integration.fraud.test_service_on_the_bus import until_ready
from tests.integration.fraud.watch_desk import WatchDesk
from tests.support.api_world import ROLE_PASSWORD, migrated_database
from tests.support.broker import BrokerAddress


@pytest.fixture
def own_dsn(postgres_dsn: str) -> Iterator[str]:
    with migrated_database(postgres_dsn, "fraud") as admin_dsn:
        yield dsn_of_role(admin_dsn, "tallystick_fraud", ROLE_PASSWORD)


@asynccontextmanager
async def running_service() -> AsyncIterator[None]:
    app = build("serve")
    app.state.verifier.revocations.are_known = True  # nobody is there to tell
    async with app.router.lifespan_context(app):
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")
        await until_ready(client)
        yield
        await client.aclose()


async def until_alert(desk: WatchDesk, subject_id: str, *, transfers: int) -> list[asyncpg.Record]:
    deadline = time.monotonic() + 60
    while not (found := await desk.alerts(subject_id)) or found[0]["transfers"] < transfers:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)
    return found


async def test_what_is_posted_raises_one_alert_though_it_comes_twice_and_the_service_restarts(
    environment: None, broker: BrokerAddress, own_dsn: str
) -> None:
    payer = new_id()
    publisher = Publisher(broker.address, idempotence=broker.idempotence, client_id="test")
    await publisher.start()

    async def say(changes: list[TransferChanged]) -> None:
        await (await publisher.send([outgoing(TRANSFERS, change.transfer_id, change) for change in changes]))

    async with WatchDesk(own_dsn) as desk:
        decided = await desk.decided(*[(payer, new_id(), 9_000_00) for _ in range(4)])
        now = to_rfc3339(system_clock())
        changes = [msgspec.structs.replace(change, occurred_at=now, shard=7) for change in decided]
        try:
            async with running_service():
                await say([*changes[:3], *reversed(changes[:3])])
                await until_alert(desk, payer, transfers=3)
            await say([*changes, *changes])
            async with running_service():
                [alert] = await until_alert(desk, payer, transfers=4)
        finally:
            await publisher.stop()
        assert await desk.proof(alert["alert_id"]) == [change.transfer_id for change in decided]
        assert len(await desk.query("SELECT 1 FROM fraud.aml_edges WHERE payer_id = $1", payer)) == 4
        assert await desk.query("SELECT 1 FROM fraud.aml_progress WHERE judged_up_to = heard_up_to")
