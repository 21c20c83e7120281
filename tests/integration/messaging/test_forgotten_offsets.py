"""A broker that forgot everything counts from zero again; nobody may go on waiting where he was."""

import asyncio

from libs.common.clock import system_clock
from libs.common.messaging.bus import Bus
from tallystick.stack.broker import LocalBroker
from tests.integration.messaging.conftest import SERVICE, SESSION_MS, Notebook, World, until
from tests.support.kafka import ApacheKafka

BEFORE = 300
SOON_SECONDS = 30.0


async def test_a_group_reads_a_forgetful_broker_from_its_new_beginning(
    shaky: World, own_broker: LocalBroker | ApacheKafka
) -> None:
    reached, opened = asyncio.Event(), asyncio.Event()

    async def wait_at_the_end(found: list[int]) -> None:
        if BEFORE in found:
            reached.set()
            await opened.wait()

    notebook = Notebook(wait_at_the_end)
    bus = await shaky.start(notebook)
    await shaky.send_numbers(*range(BEFORE + 1))
    await reached.wait()
    own_broker.kill()
    own_broker.start(timeout_seconds=90)
    await asyncio.sleep(SESSION_MS / 1000)
    opened.set()  # this batch's offset belongs to a log that is no more
    await until(lambda: BEFORE in notebook.noted)
    await until(lambda: bus.what_is_wrong() is None, seconds=60)
    await shaky.send_numbers(BEFORE + 1)
    await until(lambda: BEFORE + 1 in notebook.noted, seconds=SOON_SECONDS)


async def test_a_tip_reader_follows_a_forgetful_broker_to_its_new_tip(
    shaky: World, own_broker: LocalBroker | ApacheKafka
) -> None:
    seen: list[bytes] = []
    bus = Bus(shaky.settings(), service=SERVICE, clock=system_clock, topics=shaky.topics)
    bus.follow({shaky.topic: lambda glimpses: seen.extend(bytes(payload) for _, payload in glimpses)})
    shaky.running.append(bus)
    await bus.start()
    await shaky.send_numbers(*range(BEFORE))
    await until(lambda: len(seen) == BEFORE)
    own_broker.kill()
    own_broker.start(timeout_seconds=90)
    async with asyncio.timeout(SOON_SECONDS):
        while len(seen) == BEFORE:  # what is sent before it has found the new tip, it may not see
            await shaky.send_numbers(BEFORE)
            await asyncio.sleep(0.2)
