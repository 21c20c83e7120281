"""The whole service between a real broker and a real database."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from libs.common.clock import system_clock, to_rfc3339
from libs.common.contracts.accounts import CredentialsRevoked, CustomerErased
from libs.common.contracts.base import Message
from libs.common.contracts.fraud import HoldResolved, TransferScreened
from libs.common.contracts.gateway import TransferRequested
from libs.common.contracts.kyc import VerificationChanged
from libs.common.contracts.topics import CREDENTIALS, ERASURES, SCREENINGS, TRANSFER_REQUESTS, VERIFICATIONS, Topic
from libs.common.ids import new_id
from libs.common.messaging.bus import Bus
from libs.common.messaging.outgoing_message import outgoing
from libs.common.messaging.publisher import Publisher
from services.fraud.app import Worker, build, load_settings
from tallystick.stack.service_settings import dsn_of_role
from tests.integration.fraud.office import NOON, transfer
from tests.support.api_world import ROLE_PASSWORD, TokenKeys, migrated_database
from tests.support.broker import BrokerAddress
from tests.support.bus_records import apart
from tests.support.standing_still import standing, until_waiting

READERS: dict[bytes, Any] = {
    kind.TYPE.encode(): msgspec.json.Decoder(kind).decode for kind in (TransferScreened, HoldResolved)
}


@pytest.fixture
def own_dsn(postgres_dsn: str) -> Iterator[str]:
    """Give a database of this service's own: its sweeper would speak of what other tests left."""
    with migrated_database(postgres_dsn, "fraud") as admin_dsn:
        yield dsn_of_role(admin_dsn, "tallystick_fraud", ROLE_PASSWORD)


@pytest.fixture
def environment(broker: BrokerAddress, own_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "POSTGRES_DSN": own_dsn,
        "HTTP_PORT": "1",
        "KAFKA": broker.address,
        "KAFKA_IDEMPOTENCE": str(broker.idempotence),
        "KAFKA_FETCH_MAX_WAIT_MS": "5",
        "KAFKA_SESSION_TIMEOUT_MS": "6000",
        "JWKS_FILE": str(TokenKeys(tmp_path).jwks_file),
        "INTERNAL_TOKEN": "sister to sister",
        "ACCOUNTS_URL": "http://127.0.0.1:1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"FRAUD_{name}", value)


class Listener:
    """Collects what is said of these transfers; other tests may have used the topic before."""

    def __init__(self, consumer: AIOKafkaConsumer, *transfer_ids: str) -> None:
        self._consumer = consumer
        self._transfer_ids = transfer_ids
        self.heard: list[Any] = []

    async def until(self, enough: Callable[[list[Any]], bool]) -> list[Any]:
        async with asyncio.timeout(30):
            while not enough(self.heard):
                found = await self._consumer.getmany(timeout_ms=200)
                for record in [one for records in found.values() for shared in records for one in apart(shared)]:
                    key, kind = record.key.decode(), dict(record.headers)["ce_type"]
                    if key in self._transfer_ids:
                        self.heard.append((key, READERS[kind](record.value)))
        return self.heard


async def until_ready(client: httpx2.AsyncClient) -> None:
    deadline = time.monotonic() + 40
    while (answer := await client.get("/health/ready")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.1)


async def test_a_request_is_screened_and_its_hold_released_over_the_bus(
    environment: None, broker: BrokerAddress
) -> None:
    app = build("serve")
    app.state.verifier.revocations.are_known = True  # nobody is there to tell
    payee = new_id()
    approved, held = transfer(new_id()), transfer(new_id(), payee=payee, payee_tier=0)
    publisher = Publisher(broker.address, idempotence=broker.idempotence, client_id="test")
    consumer = AIOKafkaConsumer(
        SCREENINGS.name, bootstrap_servers=broker.address, auto_offset_reset="earliest", fetch_max_wait_ms=5
    )

    async def say(topic: Topic, key: str, *messages: Message) -> None:
        await (await publisher.send([outgoing(topic, key, message) for message in messages]))

    async with app.router.lifespan_context(app):
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")
        await until_ready(client)
        await publisher.start()
        await consumer.start()
        try:
            listener = Listener(consumer, approved.transfer_id, held.transfer_id)
            await say(TRANSFER_REQUESTS, "x", TransferRequested(command=approved), TransferRequested(command=held))
            heard = await listener.until(lambda heard: len(heard) >= 2)
            assert {(key, message.verdict) for key, message in heard} == {
                (approved.transfer_id, "approve"),
                (held.transfer_id, "hold"),
            }

            verified = VerificationChanged(
                user_id=payee, status="approved", tier=1, version=2, occurred_at=to_rfc3339(NOON)
            )
            await say(VERIFICATIONS, payee, verified)
            heard = await listener.until(lambda heard: isinstance(heard[-1][1], HoldResolved))
            assert heard[-1][0] == held.transfer_id
            assert heard[-1][1].resolution == "release"
        finally:
            await consumer.stop()
            await publisher.stop()
            await client.aclose()


async def test_accounts_is_asked_whom_it_erased_should_the_bus_not_tell(environment: None) -> None:
    """How that goes on is shown in tests/integration/kyc/test_fetching_erasures.py."""
    settings = load_settings()
    worker = Worker(settings, Bus(settings, service="fraud", clock=system_clock))
    assert "fraud-fetch-erasures" in {timer.name for timer in worker.timers._timers}
    await worker.stop()


async def test_who_was_erased_is_noted_as_soon_as_accounts_says_so(
    environment: None, broker: BrokerAddress, own_dsn: str
) -> None:
    app = build("worker")
    erased = new_id()
    publisher = Publisher(broker.address, idempotence=broker.idempotence, client_id="test")
    async with app.router.lifespan_context(app):
        await publisher.start()
        connection = await asyncpg.connect(own_dsn)
        try:
            message = CustomerErased(user_id=erased, occurred_at=to_rfc3339(NOON))
            await (await publisher.send([outgoing(ERASURES, erased, message)]))
            deadline, noted = time.monotonic() + 30, "SELECT FROM fraud.erased_customers WHERE user_id = $1"
            while await connection.fetchrow(noted, erased) is None:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
        finally:
            await connection.close()
            await publisher.stop()


async def test_what_voids_approvals_waits_on_no_connection_that_decides(
    environment: None, broker: BrokerAddress, own_dsn: str
) -> None:
    app = build("worker")
    publisher = Publisher(broker.address, idempotence=broker.idempotence, client_id="test")
    async with app.router.lifespan_context(app):
        await publisher.start()
        try:
            anna = new_id()
            revoked = CredentialsRevoked(user_id=anna, session_id="", key_id="", occurred_at=to_rfc3339(NOON))
            async with standing(own_dsn, "LOCK TABLE fraud.void_approvals IN SHARE MODE"):
                await (await publisher.send([outgoing(CREDENTIALS, anna, revoked)]))
                assert await until_waiting(own_dsn, 1) == ["fraud-watching"]
        finally:
            await publisher.stop()
