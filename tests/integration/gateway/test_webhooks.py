"""Webhooks: signed, at least once, in the order of each resource, and nobody can have us call our own network."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI
from standardwebhooks import WebhookVerificationError

from libs.common.clock import to_rfc3339
from libs.common.contracts.accounts import CustomerChanged
from libs.common.http.app import make_app
from libs.common.http.auth import TokenVerifier
from libs.common.http.health import Health
from libs.common.ids import new_id
from services.gateway.api.webhooks import webhooks_router
from services.gateway.domain.webhooks import GIVEN_UP_AFTER, PER_USER_MAX, rest_after
from services.gateway.use_cases import send_webhooks
from services.gateway.use_cases.keep_webhooks import KeepWebhooks
from services.gateway.use_cases.project_directory import project_profiles
from services.gateway.use_cases.replay_events import ReplayEvents
from services.gateway.use_cases.send_webhooks import SendWebhooks
from services.gateway.webhook_secrets import WebhookSecrets
from services.gateway.webhook_sender import WebhookSender
from tests.integration.gateway.counter import Counter
from tests.integration.gateway.listening import Listening
from tests.support.webhook_receiver import Received, Receiver, webhook_receiver

LOCAL = ("127.0.0.1", "localhost")


class Hooked(Listening):
    """A gateway whose events go to webhooks, when a test says so."""

    def __init__(self, counter: Counter, folder: Path, receiver: Receiver) -> None:
        super().__init__(counter)
        self.receiver = receiver
        keys = folder / "webhooks.keys"
        keys.write_text(Fernet.generate_key().decode())
        self.secrets = WebhookSecrets(keys)
        self.connections = [counter.connect(f"webhooks-{number}") for number in range(3)]
        self.senders: list[WebhookSender] = []
        self.first, self.second = (self.process(number) for number in (1, 2))
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app()),
            base_url="http://test",
            headers=counter.keys.bearer(self.payer.owner_id),
        )

    def process(self, number: int, allowed_hosts: tuple[str, ...] = LOCAL) -> SendWebhooks:
        self.senders.append(WebhookSender(allowed_hosts))
        return SendWebhooks(self.connections[number], self.senders[-1], self.secrets, self.counter.clock)

    def app(self) -> FastAPI:
        @asynccontextmanager
        async def nothing(_app: FastAPI) -> AsyncIterator[None]:
            yield

        keep = KeepWebhooks(self.connections[0], self.counter.uow, self.secrets, self.counter.clock, LOCAL)
        return make_app(
            service="gateway",
            title="gateway",
            description="gateway",
            version="1",
            routers=[webhooks_router(keep, ReplayEvents(self.connections[0], self.counter.clock))],
            lifespan=nothing,
            health=Health(),
            verifier=TokenVerifier(self.counter.keys.jwks_file),
        )

    async def asked(self, key: str, url: str) -> httpx2.Response:
        return await self.http.post("/api/v1/webhooks", json={"url": url}, headers={"Idempotency-Key": key})

    async def created(self, *types: str, url: str = "") -> dict[str, Any]:
        body = {"url": url or self.receiver.url, "event_types": list(types)}
        answer = await self.http.post("/api/v1/webhooks", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        assert answer.headers["location"].endswith(made["webhook_id"])
        return made

    async def happens(self, status: str = "posted", version: int = 1, transfer_id: str = "") -> str:
        transfer_id = transfer_id or await self.sent()
        await self.keep.transfers([self.said(transfer_id, status, version)])
        return transfer_id

    async def send(self, process: SendWebhooks | None = None) -> None:
        """Let a process send all that is due now."""
        await asyncio.gather(*await (process or self.first).begin_turns())

    async def log(self, webhook_id: str, **query: Any) -> list[dict[str, Any]]:
        answer = await self.http.get(f"/api/v1/webhooks/{webhook_id}/deliveries", params=query)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        deliveries: list[dict[str, Any]] = page["deliveries"]
        if page["next"]:
            deliveries += await self.log(webhook_id, **{**query, "cursor": page["next"]})
        return deliveries

    async def shown(self, webhook_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = (await self.http.get(f"/api/v1/webhooks/{webhook_id}")).json()
        return shown

    async def noted(self, webhook_id: str) -> list[tuple[int, int]]:
        """Return attempts and the receiver's last status of each delivery, as the table has them, oldest first."""
        rows = await self.counter.rows(
            "SELECT attempts, response_status FROM gateway.webhook_deliveries WHERE webhook_id = $1 ORDER BY position",
            webhook_id,
        )
        return [(row["attempts"], row["response_status"]) for row in rows]

    async def rests(self, webhook_id: str) -> tuple[int, timedelta | None]:
        """Return how many rounds failed, and for how long after the last attempt it is left alone."""
        [row] = await self.counter.rows(
            "SELECT failed_rounds, nullif(paused_until, '-infinity') - (SELECT max(last_attempt_at)"
            " FROM gateway.webhook_deliveries d WHERE d.webhook_id = w.webhook_id) AS rest"
            " FROM gateway.webhooks w WHERE webhook_id = $1",
            webhook_id,
        )
        return row["failed_rounds"], row["rest"]

    def transfers_taken(self) -> list[tuple[str, str]]:
        events = [received.event for received in self.receiver.taken]
        return [(event["data"]["transfer_id"], event["type"]) for event in events if "transfer_id" in event["data"]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
async def hooked(counter: Counter, tmp_path: Path, receiver: Receiver) -> AsyncIterator[Hooked]:
    hooked = Hooked(counter, tmp_path, receiver)
    yield hooked
    await hooked.http.aclose()
    for sender in hooked.senders:
        await sender.close()
    for connection in hooked.connections:
        await connection.close()


async def test_an_event_arrives_signed_and_once(hooked: Hooked) -> None:
    made = await hooked.created()
    transfer_id = await hooked.happens()
    for process in (hooked.first, hooked.second, hooked.first):
        await hooked.send(process)
    [received] = hooked.receiver.taken
    event = received.verified(made["secret"])
    assert (event["type"], event["data"]["transfer_id"]) == ("transfer.posted", transfer_id)
    assert received.headers["webhook-id"] == event["id"]
    assert received.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Received(received.headers, received.body.replace(b'"posted"', b'"voided"')).verified(made["secret"])
    [delivery] = await hooked.log(made["webhook_id"])
    assert (delivery["status"], delivery["attempts"], delivery["response_status"]) == ("delivered", 1, 204)


async def test_nobody_sees_a_secret_again_and_no_table_has_it_plain(hooked: Hooked) -> None:
    made = await hooked.created()
    shown = (await hooked.http.get("/api/v1/webhooks")).text + str(await hooked.shown(made["webhook_id"]))
    assert made["secret"] not in shown
    rows = await hooked.counter.rows("SELECT * FROM gateway.webhooks")
    assert made["secret"].removeprefix("whsec_") not in str(rows)


async def test_sixty_four_copies_make_one_webhook_and_only_the_first_has_its_secret(hooked: Hooked) -> None:
    key = new_id()
    answers = await asyncio.gather(*(hooked.asked(key, hooked.receiver.url) for _ in range(64)))
    answers.append(await hooked.asked(key, hooked.receiver.url))
    [first] = [answer for answer in answers if "idempotency-replayed" not in answer.headers]
    secret = first.json()["secret"]
    assert secret.startswith("whsec_")
    for copy in answers:
        assert (copy.status_code, copy.headers["location"]) == (201, first.headers["location"])
        if copy is not first:
            assert copy.json() == {**first.json(), "secret": None}
    assert len((await hooked.http.get("/api/v1/webhooks")).json()["webhooks"]) == 1
    kept = await hooked.counter.rows("SELECT * FROM gateway.kept_answers")
    assert secret.removeprefix("whsec_") not in str(kept)
    assert len(kept) == 1


async def test_the_keys_of_who_closed_and_was_restored_still_make_nothing_twice(hooked: Hooked) -> None:
    key = new_id()
    first = await hooked.asked(key, hooked.receiver.url)
    states: tuple[tuple[int, Literal["closed", "active"]], ...] = ((2, "closed"), (3, "active"))
    for version, status in states:
        changed = CustomerChanged(
            user_id=hooked.payer.owner_id,
            profile="retail",
            status=status,
            version=version,
            occurred_at=to_rfc3339(hooked.counter.clock()),
        )
        await project_profiles([changed], hooked.connections[0])
    copy = await hooked.asked(key, hooked.receiver.url)
    assert (copy.status_code, copy.headers["idempotency-replayed"]) == (201, "true")
    assert copy.json() == {**first.json(), "secret": None}
    [webhook] = (await hooked.http.get("/api/v1/webhooks")).json()["webhooks"]
    assert webhook["disabled_because"] == "customer_closed"


async def test_a_key_is_one_webhook_s_and_what_was_refused_stays_so(hooked: Hooked) -> None:
    key, other = new_id(), new_id()
    assert (await hooked.asked(key, hooked.receiver.url)).status_code == 201
    reused = await hooked.asked(key, f"{hooked.receiver.url}?other")
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    for replayed in (None, "true"):
        refused = await hooked.asked(other, "https://127.0.0.2/")
        assert (refused.status_code, refused.json()["code"]) == (422, "webhook_url_refused")
        assert refused.headers.get("idempotency-replayed") == replayed


async def test_a_failing_event_holds_back_only_its_own_resource(hooked: Hooked) -> None:
    made = await hooked.created()
    bad = await hooked.happens("held")
    await hooked.happens("voided", 2, bad)
    good = await hooked.happens()
    hooked.receiver.answer = lambda received: 500 if received.event["data"]["transfer_id"] == bad else 200
    await hooked.send()
    assert sorted(hooked.transfers_taken()) == sorted([(bad, "transfer.held"), (good, "transfer.posted")])
    later = await hooked.happens()
    await hooked.send()
    assert hooked.transfers_taken()[2:] == [(later, "transfer.posted")], "neither too soon nor out of order"
    hooked.receiver.answer = lambda _received: 204
    hooked.counter.clock.move(timedelta(seconds=10))
    await hooked.send()
    assert hooked.transfers_taken()[3:] == [(bad, "transfer.held"), (bad, "transfer.voided")]
    attempts = {delivery["event_type"]: delivery["attempts"] for delivery in await hooked.log(made["webhook_id"])}
    assert attempts == {"transfer.held": 2, "transfer.voided": 1, "transfer.posted": 1}
    ids = [received.headers["webhook-id"] for received in hooked.receiver.taken]
    assert len(set(ids)) == len(ids) - 1, "what is sent again has the id it had"


async def test_what_a_killed_process_was_sending_is_sent_by_another_once_its_lease_ends(hooked: Hooked) -> None:
    await hooked.created()
    arrived, answers = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(_received: Received) -> int:
        loop.call_soon_threadsafe(arrived.set)
        asyncio.run_coroutine_threadsafe(answers.wait(), loop).result()
        return 204

    hooked.receiver.answer = hang
    transfer_id = await hooked.happens()
    [turn] = await hooked.first.begin_turns()
    await arrived.wait()
    turn.cancel()  # as if it had been killed: it notes nothing and gives nothing back
    answers.set()
    await asyncio.gather(turn, return_exceptions=True)
    hooked.receiver.answer = lambda _received: 204
    await hooked.send(hooked.second)
    assert len(hooked.receiver.taken) == 1, "as long as the lease lasts it may still be sending"
    hooked.counter.clock.move(send_webhooks._LEASE)
    await hooked.send(hooked.second)
    assert hooked.transfers_taken() == [(transfer_id, "transfer.posted")] * 2


async def test_after_three_days_a_webhook_is_disabled_its_owner_told_and_nothing_lost(hooked: Hooked) -> None:
    made = await hooked.created()
    hooked.receiver.answer = lambda _received: 503
    transfer_id = await hooked.happens()
    await hooked.send()
    hooked.counter.clock.move(GIVEN_UP_AFTER)
    await hooked.send()
    shown = await hooked.shown(made["webhook_id"])
    assert (shown["enabled"], shown["disabled_because"]) == (False, "failed_for_three_days")
    [delivery] = await hooked.log(made["webhook_id"], status="failed")
    assert (delivery["attempts"], delivery["next_attempt_at"]) == (2, None)
    told = (await hooked.heard_by(hooked.payer.owner_id))[-1]
    assert (told["type"], told["data"]["because"]) == ("webhook.disabled", "failed_for_three_days")
    missed = await hooked.happens()
    await hooked.send()
    assert len(hooked.receiver.taken) == 2
    hooked.receiver.answer = lambda _received: 204
    await hooked.http.patch(f"/api/v1/webhooks/{made['webhook_id']}", json={"enabled": True})
    await hooked.send()
    assert hooked.transfers_taken()[2:] == [(transfer_id, "transfer.posted")]
    since = to_rfc3339(hooked.counter.clock() - timedelta(minutes=5))
    await hooked.http.post(f"/api/v1/webhooks/{made['webhook_id']}/replay", json={"from": since})
    await hooked.send()
    assert (missed, "transfer.posted") in hooked.transfers_taken(), "what happened meanwhile is replayed when asked for"


@pytest.mark.parametrize("events", [1, 3])
async def test_a_receiver_that_says_it_is_gone_is_not_called_again(events: int, hooked: Hooked) -> None:
    webhook_id = (await hooked.created())["webhook_id"]
    hooked.receiver.answer = lambda _received: 410
    for _ in range(events):
        await hooked.happens()
    await hooked.send()
    assert (await hooked.shown(webhook_id))["disabled_because"] == "gone"
    hooked.counter.clock.move(timedelta(minutes=10))
    await hooked.send()
    assert len(hooked.receiver.taken) == events
    assert await hooked.noted(webhook_id) == [(1, 410)] * events


async def test_a_receiver_that_takes_nothing_rests_and_comes_back(hooked: Hooked) -> None:
    webhook_id = (await hooked.created())["webhook_id"]
    hooked.receiver.answer = lambda _received: 500
    for _ in range(3):
        await hooked.happens()
    await hooked.send()
    assert await hooked.noted(webhook_id) == [(1, 500)] * 3
    assert await hooked.rests(webhook_id) == (1, rest_after(1))
    await hooked.happens()
    await hooked.send()
    assert len(hooked.receiver.taken) == 3, "it rests, whatever else happens"
    hooked.counter.clock.move(rest_after(1))
    await hooked.send()
    assert await hooked.noted(webhook_id) == [(2, 500)] * 3 + [(1, 500)]
    assert await hooked.rests(webhook_id) == (2, rest_after(2))
    hooked.receiver.answer = lambda _received: 204
    hooked.counter.clock.move(timedelta(minutes=1))
    await hooked.send()
    assert await hooked.noted(webhook_id) == [(3, 204)] * 3 + [(2, 204)]
    assert await hooked.rests(webhook_id) == (0, None), "one that takes events again is left alone no more"


async def test_both_secrets_sign_while_they_overlap(hooked: Hooked) -> None:
    made = await hooked.created()
    path = f"/api/v1/webhooks/{made['webhook_id']}"
    rotated = (await hooked.http.post(f"{path}/secret", json={"overlap_seconds": 3600})).json()
    assert rotated["secret"] != made["secret"]
    await hooked.happens()
    await hooked.send()
    for secret in (made["secret"], rotated["secret"]):
        hooked.receiver.taken[0].verified(secret)
    at_once = (await hooked.http.post(f"{path}/secret", json={"overlap_seconds": 0})).json()
    await hooked.happens()
    await hooked.send()
    hooked.receiver.taken[1].verified(at_once["secret"])
    with pytest.raises(WebhookVerificationError):
        hooked.receiver.taken[1].verified(rotated["secret"])


async def test_events_are_replayed_by_id_and_by_time_in_order(hooked: Hooked) -> None:
    made = await hooked.created("transfer.posted")
    path = f"/api/v1/webhooks/{made['webhook_id']}/replay"
    begins = to_rfc3339(hooked.counter.clock() - timedelta(seconds=5))
    happened = [await hooked.happens() for _ in range(3)]
    await hooked.happens("held")
    await hooked.send()
    first = hooked.receiver.taken[0].event
    assert (await hooked.http.post(path, json={"event_id": first["id"]})).json() == {"replayed": 1}
    await hooked.send()
    assert hooked.receiver.taken[3].event == first
    assert (await hooked.http.post(path, json={"from": begins})).json() == {"replayed": 3}
    await hooked.send()
    assert sorted(hooked.transfers_taken()[4:]) == sorted((one, "transfer.posted") for one in happened)
    for body, code in (
        ({"event_id": new_id()}, "event_not_found"),
        ({}, "conflicting_parameters"),
        ({"event_id": first["id"], "from": begins}, "conflicting_parameters"),
        ({"from": begins, "to": "2026-01-01T00:00:00Z"}, "conflicting_parameters"),
    ):
        assert (await hooked.http.post(path, json=body)).json()["code"] == code


async def test_a_test_event_goes_to_the_one_webhook_whatever_it_asked_for(hooked: Hooked) -> None:
    made, other = await hooked.created("transfer.voided"), await hooked.created()
    event_id = (await hooked.http.post(f"/api/v1/webhooks/{made['webhook_id']}/test")).json()["event_id"]
    await hooked.send()
    [received] = hooked.receiver.taken
    assert received.verified(made["secret"])["type"] == "webhook.test"
    [delivery] = await hooked.log(made["webhook_id"])
    assert (delivery["event_id"], delivery["status"]) == (event_id, "delivered")
    assert await hooked.log(other["webhook_id"]) == []


async def test_the_log_is_paged_and_another_customer_sees_no_webhook_of_mine(hooked: Hooked) -> None:
    made = await hooked.created()
    for _ in range(5):
        await hooked.happens()
    assert len({delivery["event_id"] for delivery in await hooked.log(made["webhook_id"], limit=2)}) == 5
    stranger = hooked.counter.keys.bearer(hooked.payee.owner_id, "customer", "admin", "support")
    path = f"/api/v1/webhooks/{made['webhook_id']}"
    for method, route, body in (
        ("GET", path, None),
        ("GET", f"{path}/deliveries", None),
        ("PATCH", path, {"enabled": False}),
        ("POST", f"{path}/secret", {}),
        ("POST", f"{path}/test", None),
        ("POST", f"{path}/replay", {"from": "2026-01-01T00:00:00Z"}),
        ("DELETE", path, None),
    ):
        answer = await hooked.http.request(method, route, json=body, headers=stranger)
        assert (answer.status_code, answer.json()["code"]) == (404, "webhook_not_found"), route
    assert (await hooked.http.get("/api/v1/webhooks", headers=stranger)).json() == {"webhooks": []}
    assert (await hooked.http.delete(path)).status_code == 204
    await hooked.send()
    assert hooked.receiver.taken == []


async def test_webhooks_are_bounded_however_many_ask_at_once(hooked: Hooked) -> None:
    body = {"url": hooked.receiver.url}
    answers = await asyncio.gather(*(hooked.http.post("/api/v1/webhooks", json=body) for _ in range(PER_USER_MAX + 3)))
    assert sorted(answer.status_code for answer in answers) == [201] * PER_USER_MAX + [409] * 3


@pytest.mark.parametrize(
    ("answer", "failure"),
    [(lambda _received: (302, {"Location": "http://127.0.0.1:1/"}), ""), (lambda _received: 300, "")],
)
async def test_a_redirect_is_not_followed(answer: Any, failure: str, hooked: Hooked) -> None:
    made = await hooked.created()
    hooked.receiver.answer = answer
    await hooked.happens()
    await hooked.send()
    [delivery] = await hooked.log(made["webhook_id"])
    assert (delivery["status"], delivery["failure"]) == ("pending", failure)
    assert delivery["response_status"] in {300, 302}
    assert len(hooked.receiver.taken) == 1


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f000001", "127.1", "rebound.example"])
async def test_a_host_at_a_private_address_is_never_connected_to(
    host: str, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that was looked at is the one connected to; a name that is public at first is looked at each time."""
    port = hooked.receiver.url.split(":")[2].split("/")[0]
    made = await hooked.created()
    await hooked.counter.rows(
        "UPDATE gateway.webhooks SET url = $1 WHERE webhook_id = $2", f"http://{host}:{port}/", made["webhook_id"]
    )
    if host == "rebound.example":
        loop = asyncio.get_running_loop()

        async def resolve(*_arguments: Any, **_options: Any) -> list[Any]:
            return [(2, 1, 6, "", ("8.8.8.8", int(port))), (2, 1, 6, "", ("127.0.0.1", int(port)))]

        monkeypatch.setattr(loop, "getaddrinfo", resolve)
    process = hooked.process(1, allowed_hosts=())
    await hooked.happens()
    await hooked.send(process)
    [delivery] = await hooked.log(made["webhook_id"])
    assert (delivery["failure"], delivery["status"]) == ("address_refused", "pending")
    assert hooked.receiver.taken == []
