"""The whole service between a real broker and a real database."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from libs.common.clock import monotonic_seconds
from libs.common.contracts.base import Message
from libs.common.contracts.fraud import OutcomeAsked
from libs.common.contracts.ledger import CheckpointPublished, LedgerAccountOpened, TransferChanged
from libs.common.contracts.topics import (
    ACCOUNTS,
    CHECKPOINTS,
    LEDGER_ACCOUNTS,
    OUTCOME_QUESTIONS,
    SCREENINGS,
    TRANSFERS,
    Topic,
)
from libs.common.messaging.outgoing_message import outgoing
from libs.common.messaging.publisher import Publisher
from libs.common.proof.receipts import verify_receipt
from services.ledger.app import build
from tests.integration.ledger.books import KEY, SIGNER, account_changed, check
from tests.support.api_world import TokenKeys
from tests.support.broker import BrokerAddress
from tests.support.bus_records import apart
from tests.support.ledger_builders import NOW, blocked, deposit, held, id_of, leg, resolved, screened

READERS: dict[bytes, Any] = {
    kind.TYPE.encode(): msgspec.json.Decoder(kind).decode
    for kind in (TransferChanged, LedgerAccountOpened, CheckpointPublished)
}


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path)


@pytest.fixture
def environment(
    broker: BrokerAddress, ledger_dsn: str, tmp_path: Path, keys: TokenKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing_key = tmp_path / "ledger-signing.pem"
    signing_key.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    settings = {
        "POSTGRES_DSN": ledger_dsn,
        "HTTP_PORT": "1",
        "KAFKA": broker.address,
        "KAFKA_IDEMPOTENCE": str(broker.idempotence),
        "KAFKA_FETCH_MAX_WAIT_MS": "5",
        "KAFKA_SESSION_TIMEOUT_MS": "6000",
        "JWKS_FILE": str(keys.jwks_file),
        "INTERNAL_TOKEN": "sister to sister",
        "ACCOUNTS_URL": "http://127.0.0.1:1",
        "SIGNING_KEY_FILE": str(signing_key),
        "ORIGIN": "ledger.example/test",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"LEDGER_{name}", value)


class Listener:
    """Collects what the ledger says."""

    def __init__(self, address: str) -> None:
        self.consumer = AIOKafkaConsumer(
            *(topic.name for topic in (TRANSFERS, LEDGER_ACCOUNTS, CHECKPOINTS)),
            bootstrap_servers=address,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=5,
        )
        self.heard: list[Message] = []

    async def until(self, enough: Callable[[list[Message]], bool]) -> None:
        async with asyncio.timeout(30):
            while not enough(self.heard):
                found = await self.consumer.getmany(timeout_ms=200)
                for record in [one for records in found.values() for shared in records for one in apart(shared)]:
                    self.heard.append(READERS[dict(record.headers)["ce_type"]](record.value))

    def times_told(self, name: str) -> int:
        return sum(isinstance(each, TransferChanged) and each.transfer_id == id_of(name) for each in self.heard)

    def status(self, name: str) -> str:
        told = [each for each in self.heard if isinstance(each, TransferChanged) and each.transfer_id == id_of(name)]
        return told[-1].status if told else "unknown"


async def until_ready(client: httpx2.AsyncClient) -> None:
    deadline = monotonic_seconds() + 60
    while (answer := await client.get("/health/ready")).status_code != 200:
        assert monotonic_seconds() < deadline, answer.text
        await asyncio.sleep(0.1)


async def test_from_an_account_asked_for_to_a_receipt(
    environment: None, broker: BrokerAddress, keys: TokenKeys, admin_dsn: str
) -> None:
    app = build("serve")
    app.state.verifier.revocations.are_known = True  # nobody is there to tell
    publisher = Publisher(broker.address, idempotence=broker.idempotence, client_id="test")
    listener = Listener(broker.address)

    async def say(topic: Topic, *messages: Message) -> None:
        await (await publisher.send([outgoing(topic, "x", message) for message in messages]))

    async with app.router.lifespan_context(app):
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")
        await until_ready(client)
        await publisher.start()
        await listener.consumer.start()
        try:
            await say(ACCOUNTS, account_changed("alice"), account_changed("bob"))
            await listener.until(lambda heard: sum(isinstance(each, LedgerAccountOpened) for each in heard) == 2)
            part = leg("alice", "bob", 100)
            endless = screened("endless", part, verdict="hold")
            await say(
                SCREENINGS,
                deposit("start", "alice", 1_000),
                screened("t", part),
                endless,  # poison: a hold without a reason
                held("h", part),
                resolved("h", part),
                blocked("b", part),
            )
            await listener.until(lambda _: listener.status("b") == "blocked" and listener.status("h") == "posted")
            assert listener.status("t") == "posted"
            assert listener.status("endless") == "unknown"
            asked = [OutcomeAsked(transfer_id=id_of(name), asked_at=NOW) for name in ("unheard of", "b")]
            await say(OUTCOME_QUESTIONS, *asked)
            await listener.until(lambda _: listener.times_told("b") == 2)
            assert listener.status("unheard of") == "unknown"
            await listener.until(lambda heard: any(isinstance(each, CheckpointPublished) for each in heard))
            header = keys.bearer(id_of("owner of alice"))
            receipt = await client.get(f"/api/v1/transfers/{id_of('t')}/receipt", headers=header)
            assert verify_receipt(receipt.content, SIGNER.vkey).record["transfer_id"] == id_of("t")
            balance = (await client.get(f"/api/v1/accounts/{id_of('alice')}", headers=header)).json()
            assert (balance["posted_minor"], balance["available_minor"]) == (800, 800)
        finally:
            await listener.consumer.stop()
            await publisher.stop()
            await client.aclose()
    await check(admin_dsn)
