"""What a transaction says is said, whatever happens after its commit, and the outbox is empty in the end."""

import asyncio
from collections.abc import Sequence

import asyncpg
import msgspec
import pytest

from libs.common.db.hot import HotConnection
from libs.common.messaging import outbox
from libs.common.messaging.bus import Bus
from libs.common.messaging.outbox import Outbox, OutboxRow
from libs.common.messaging.outgoing_message import outgoing
from libs.common.messaging.publisher import Publisher
from tests.integration.messaging.conftest import SERVICE, Noted, World, until
from tests.support.api_world import RecordingPublisher


async def commit(world: World, outbox: Outbox, found: Sequence[int], then: str = "SELECT 1") -> OutboxRow:
    """Commit a row that says these numbers, and go no further: as a process that is killed right after."""
    connection = HotConnection(world.settings().postgres_dsn.get_secret_value(), "test")
    row = outbox.row([outgoing(world.topic, "key", Noted(number=number)) for number in found])
    try:
        async with connection.transaction() as database:
            await outbox.insert(database, row)
            await database.execute(then)
    finally:
        await connection.close()
    return row


async def said(world: World, enough: int) -> list[int]:
    records = await world.on_the_bus(world.topic.name, enough)
    return [msgspec.json.decode(record.value, type=Noted).number for record in records]


async def is_empty(world: World) -> bool:
    return await world.rows(f"SELECT FROM {SERVICE}.outbox") == []


def idle_outbox(world: World, bus: Bus) -> Outbox:
    """An outbox of another process, which does not sweep."""
    dsn = world.settings().postgres_dsn.get_secret_value()
    return Outbox(SERVICE, bus.publisher, HotConnection(dsn, "other"))


async def test_what_a_crash_left_between_commit_and_publishing_is_published_at_the_next_start(world: World) -> None:
    dead = Outbox(SERVICE, Publisher("nowhere:1", idempotence=False, client_id="dead"), HotConnection("", ""))
    await commit(world, dead, [1, 2])
    await commit(world, dead, [3])
    await world.start()
    assert await said(world, 3) == [1, 2, 3]
    await until(lambda: is_empty(world))


async def test_what_another_process_left_is_published_while_this_one_runs(world: World) -> None:
    bus = await world.start()
    await commit(world, idle_outbox(world, bus), [1])
    assert await said(world, 1) == [1]
    await until(lambda: is_empty(world))


async def test_a_row_is_deleted_once_the_broker_has_acknowledged_it_also_when_nothing_follows(world: World) -> None:
    bus = await world.start()
    await bus.outbox.publish(await commit(world, bus.outbox, [1]))
    assert set(await said(world, 1)) == {1}  # twice, when the first round of sweeping came between
    await until(lambda: is_empty(world))


async def test_the_next_insert_takes_the_acknowledged_row_away(world: World) -> None:
    bus = await world.start()
    other = idle_outbox(world, bus)
    first = await commit(world, other, [1])
    await other.publish(first)
    await until(lambda: bool(other._finished))
    second = await commit(world, other, [2])
    left = await world.rows(f"SELECT row_id::text FROM {SERVICE}.outbox WHERE row_id = ANY($1)", [first.row_id])
    assert left == []
    await other.publish(second)


async def test_a_rolled_back_transaction_says_nothing_and_gives_back_what_it_would_have_deleted(world: World) -> None:
    bus = await world.start()
    with pytest.raises(asyncpg.UndefinedTableError):
        await commit(world, bus.outbox, [1], then="INSERT INTO nowhere DEFAULT VALUES")
    await bus.outbox.publish(await commit(world, bus.outbox, [2]))
    assert set(await said(world, 1)) == {2}
    await until(lambda: is_empty(world))


async def test_the_sweeper_leaves_alone_what_is_being_deleted_and_what_could_not_be(world: World) -> None:
    connection = HotConnection(world.settings().postgres_dsn.get_secret_value(), "sweeper")
    publisher = RecordingPublisher()
    outbox = Outbox(SERVICE, publisher, connection)
    await outbox.publish(row := await commit(world, outbox, [1]))
    await until(lambda: bool(outbox._finished))

    async def fail_to_delete() -> None:
        with outbox.finished() as lent:
            assert lent == [row.row_id]
            with outbox.finished() as lent_to_another:
                assert lent_to_another == []
            await outbox._sweep(everything=True)
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await fail_to_delete()
    await outbox._sweep(everything=True)

    assert len(publisher.sent) == 1
    await outbox.stop()
    assert await is_empty(world)
    await connection.close()


async def test_a_process_whose_database_keeps_silent_is_not_ready_until_it_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_SILENT_SECONDS", 1.5)
    bus = await world.start()
    blocker = await asyncpg.connect(world.admin_dsn)
    try:
        async with blocker.transaction():
            await blocker.execute(f"LOCK TABLE {SERVICE}.outbox_lease")
            await until(lambda: "database has not answered" in (bus.what_is_wrong() or ""))
    finally:
        await blocker.close()
    await until(lambda: bus.what_is_wrong() is None)


async def test_only_the_holder_of_the_lease_sweeps(world: World) -> None:
    await world.rows(f"UPDATE {SERVICE}.outbox_lease SET holder = 'other', expires_at = 'infinity'")
    dead = Outbox(SERVICE, Publisher("nowhere:1", idempotence=False, client_id="dead"), HotConnection("", ""))
    await commit(world, dead, [1])
    await world.start()
    await asyncio.sleep(3)  # three rounds of the sweeper, which could have published and deleted the row
    assert not await is_empty(world)

    await world.rows(f"UPDATE {SERVICE}.outbox_lease SET expires_at = now()")
    assert await said(world, 1) == [1]
    await until(lambda: is_empty(world))
