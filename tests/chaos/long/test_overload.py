"""Three times as much is asked for as can be carried: answers stay honest, nothing is lost, and it drains."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx2
import pytest

from tests.support.api_world import admin_connection
from tests.support.chaos_books import wait_until_quiet
from tests.support.chaos_stack import ChaosStack, Circle, settle_and_check
from tests.support.load import Load
from tests.support.load_requests import BATCH, Request, body_of
from tests.support.saying import Say

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

TRANSFERS = 100
"""In a request: with single ones, whoever asks would be the first to be overloaded."""
IN_FLIGHT = 8
MEASURED_SECONDS = 8.0
TIMES_TOO_MUCH = 3
OVERLOADED_SECONDS = 10.0
DRAINED_SECONDS = 300.0
MESSAGES_A_TRANSFER_MAX = 2.0
HONEST = {"batch 200", "batch 201", "batch 202", "batch 207", "batch 429", "batch 503"}
PIPELINE = ("gateway.transfer-requests.v1", "fraud.screenings.v1", "ledger.transfers.v1")


async def test_three_times_the_capacity_is_answered_honestly_and_drains_without_a_storm(
    stack: ChaosStack, circle: tuple[Circle, Load], say: Say
) -> None:
    people, load = circle
    make = Maker(people, load)
    await people.renew_tokens()
    capacity = await _capacity(load, make, stack.dsn)
    tries, stored, sent = load.tries.copy(), await _stored(stack.dsn), await _sent(stack)
    answered_seconds = await _overload(load, make, requests_per_second=TIMES_TOO_MUCH * capacity / TRANSFERS)
    backlog = await _stored(stack.dsn) - await _posted(stack.dsn)
    drained_seconds, last = await wait_until_quiet(stack.dsn, seconds=DRAINED_SECONDS)
    told, accepted = load.tries - tries, await _stored(stack.dsn) - stored
    messages = {topic: count / accepted for topic, count in (await _sent(stack) - sent).items() if topic in PIPELINE}
    said = ", ".join(f"{topic} {ratio:.2f}" for topic, ratio in messages.items())
    say(
        f"  {capacity:.0f} transfers/s can be carried; of three times as many for {OVERLOADED_SECONDS:.0f} s {accepted}"
    )
    say(f"  were accepted, {dict(told)}; the slowest answer took {answered_seconds:.1f} s, at rest after further")
    say(f"  {drained_seconds:.1f} s ({last}); messages a transfer: {said}")
    assert backlog > 0 or told["batch 503"] > 0, "it was not too much"
    assert set(told) <= HONEST
    assert set(messages) == set(PIPELINE)
    assert max(messages.values()) <= MESSAGES_A_TRANSFER_MAX, "repeats made a storm"
    say(f"  what was refused was sent again: {await settle_and_check(stack.dsn, people, load)}")


class Maker:
    """Makes requests of many small transfers, each of which can be paid."""

    def __init__(self, people: Circle, load: Load) -> None:
        self._people = people
        self._load = load
        self._rng = random.Random("overload")
        self._accounts = [account_id for person in people.customers for account_id in person.account_ids]

    def __call__(self) -> Request:
        """Return one that nobody has sent."""
        person = self._rng.choice(self._people.customers)
        moves = []
        for _ in range(TRANSFERS):
            source = self._rng.choice(person.account_ids)
            destination = self._rng.choice([each for each in self._accounts if each != source])
            moves.append(self._load.move(person, BATCH, source, destination, 1))
        items = [{"idempotency_key": move.key, **body_of(move)} for move in moves]
        return Request(person, BATCH, {"mode": "independent", "transfers": items}, moves, prefer="wait=10")


async def _capacity(load: Load, make: Callable[[], Request], dsn: str) -> float:
    """Return how many transfers a second the ledger posts while a few callers send as soon as they are answered."""
    before, began = await _posted(dsn), time.monotonic()

    async def keep_sending() -> None:
        while time.monotonic() < began + MEASURED_SECONDS:
            await load.send_once(make())

    await asyncio.gather(*(keep_sending() for _ in range(IN_FLIGHT)))
    return (await _posted(dsn) - before) / (time.monotonic() - began)


async def _overload(load: Load, make: Callable[[], Request], *, requests_per_second: float) -> float:
    """Send so much, whatever is answered; return how long the slowest answer took."""
    began = time.monotonic()
    sending: list[asyncio.Task[float]] = []
    while (due := len(sending) / requests_per_second) < OVERLOADED_SECONDS:
        await asyncio.sleep(began + due - time.monotonic())
        sending.append(asyncio.create_task(_seconds_of(load.send_once(make()))))
    return max(await asyncio.gather(*sending))


async def _seconds_of(work: Awaitable[object]) -> float:
    began = time.monotonic()
    await work
    return time.monotonic() - began


async def _stored(dsn: str) -> int:
    async with admin_connection(dsn) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM gateway.transfers"))


async def _posted(dsn: str) -> int:
    async with admin_connection(dsn) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM ledger.transfers WHERE status = 'posted'"))


async def _sent(stack: ChaosStack) -> Counter[str]:
    """Return topic → messages handed to the broker so far, whoever sent them."""
    sent: Counter[str] = Counter()
    token = (stack.running.folder / "keys" / "metrics.token").read_text()
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client:
        for service in stack.running.stack["services"].values():
            for line in (await client.get(service["metrics"])).text.splitlines():
                if line.startswith("messaging_client_sent_messages_total{"):
                    sent[line.split('"')[1]] += int(float(line.split()[-1]))
    return sent
