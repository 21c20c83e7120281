"""What may pass is repeated in order; a broken promise stops the line; nothing is skipped by either."""

from libs.common.errors import InvariantBroken, Unavailable
from tests.integration.messaging.conftest import SERVICE, Notebook, World, until


class Failing:
    """Raises a few times, whenever a batch holds this number, then lets it pass."""

    def __init__(self, number: int, error: Exception, times: int) -> None:
        self.number = number
        self.error = error
        self.left = times

    def __call__(self, found: list[int]) -> None:
        if self.number in found and self.left:
            self.left -= 1
            raise self.error


async def test_a_batch_that_meets_an_outage_is_repeated_whole_and_nothing_overtakes_it(world: World) -> None:
    outage = Failing(3, Unavailable("database_unavailable", "It is away."), times=4)
    notebook = Notebook(outage)
    await world.start()
    await world.send_numbers(*range(10))
    await world.start(notebook, max_messages=5)
    await until(lambda: notebook.noted[-1:] == [9])
    assert notebook.noted == list(range(10))
    failed = notebook.batches[:4]
    assert all(batch == notebook.batches[4] for batch in failed)
    assert await world.parked() == []


async def test_the_database_may_restart_while_a_message_is_being_parked(world: World) -> None:
    """Parking is repeated as well: the connection is cut under it, and the letter is written all the same."""
    notebook = Notebook()
    await world.start(notebook)
    await world.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE application_name = '{SERVICE}-outbox' AND datname = current_database()"
    )
    await world.send((b"no json", [("ce_id", b"x"), ("ce_type", b"y")]))
    await world.send_numbers(1)
    await until(lambda: notebook.noted == [1])
    assert len(await world.parked()) == 1


async def test_a_broken_promise_stops_the_consumer_which_acknowledges_nothing_and_leaves_all_to_its_successor(
    world: World,
) -> None:
    notebook = Notebook(Failing(1, InvariantBroken("entries must balance"), times=1))
    bus = await world.start()
    await world.send_numbers(0, 1, 2)
    stopped = await world.start(notebook, ready=False)
    await until(lambda: "entries must balance" in (stopped.what_is_wrong() or ""))
    assert notebook.noted == []
    assert await world.parked() == []
    assert bus.what_is_wrong() is None

    await world.stop(stopped)
    assert await world.committed() is None
    await world.start(notebook)
    await until(lambda: notebook.noted == [0, 1, 2])
