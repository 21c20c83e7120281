"""The journal is the outbox: what was committed is told, whoever died in between."""

from collections.abc import Callable

import pytest

from libs.common import crash_points
from services.ledger.store.batch import COPIED_FROM
from tests.integration.ledger.books import Books, check, until_confirmed
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import held, leg, resolved, screened


class Killed(BaseException):
    """Stands for SIGKILL: nobody may catch it."""


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def arm(point: str) -> None:
        def hook(name: str) -> None:
            if name == point:
                monkeypatch.setattr(crash_points, "_hook", lambda _name: None)
                raise Killed

        monkeypatch.setattr(crash_points, "_hook", hook)

    return arm


async def test_a_crash_between_commit_and_publish_is_made_good_by_the_successor(
    books: Books, ledger_dsn: str, admin_dsn: str, kill_at: Callable[[str], None]
) -> None:
    await books.fund(alice=1_000, bob=1)
    kill_at("ledger.after_commit_before_publish")
    part = leg("alice", "bob", 10)
    with pytest.raises(Killed):
        await books.do(
            screened("t", leg("alice", "bob", 300)),
            screened("no", leg("alice", "bob", 9_000)),
            held("h", part),
            resolved("h", part),
        )
    assert books.told("t") == []
    async with Books(ledger_dsn) as successor:
        await until_confirmed(6, successor)
        assert successor.last("t", "no", "h") == [("posted", ""), ("refused", "insufficient_funds"), ("posted", "")]
        assert successor.told("no")[0].facts == {"needed_minor": 9_000, "available_minor": 700}
        assert [told.version for told in successor.told("h")] == [1, 2]
        assert successor.told("h")[0].reasons == ("kyc_pending",)
    await check(admin_dsn)


async def test_what_is_told_from_the_tables_is_what_was_told_from_memory(
    books: Books, ledger_dsn: str, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", leg("alice", "bob", 300)), screened("no", leg("alice", "bob", 9_000)))
    await until_confirmed(4, books)
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("UPDATE ledger.heads SET published_size = 0")
    async with Books(ledger_dsn) as successor:
        await until_confirmed(4, successor)
        from_memory = {item.message_id: item for item in books.publisher.sent if item.topic == "ledger.transfers.v1"}
        from_tables = {item.message_id: item for item in successor.publisher.sent}
        assert from_tables == from_memory


@pytest.mark.parametrize("transfers", [1, COPIED_FROM])
async def test_a_crash_before_the_commit_leaves_nothing(
    books: Books, ledger_dsn: str, admin_dsn: str, kill_at: Callable[[str], None], transfers: int
) -> None:
    await books.fund(alice=1_000, bob=1)
    commands = [screened(f"t{number}", leg("alice", "bob", 3)) for number in range(transfers)]
    kill_at("ledger.before_commit")
    with pytest.raises(Killed):
        await books.do(*commands)
    async with admin_connection(admin_dsn) as connection:
        assert await connection.fetchval("SELECT size FROM ledger.heads") == 2
    async with Books(ledger_dsn) as successor:
        await successor.do(*commands)
        assert successor.last("t0") == [("posted", "")]
        await until_confirmed(2 + transfers, successor)
    await check(admin_dsn)


async def test_what_the_broker_did_not_confirm_is_told_again_in_order(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    books.publisher.fails = True
    for number in range(5):
        await books.do(screened(f"t{number}", leg("alice", "bob", 1)))
    assert books.told("t0") == []
    assert books.outcomes.confirmed_size == 2
    books.publisher.fails = False
    await until_confirmed(7, books)
    await books.do(screened("t5", leg("alice", "bob", 1)))
    await until_confirmed(8, books)
    indexes = [books.told(f"t{number}")[0].journal_index for number in range(6)]
    assert indexes == sorted(indexes)
    await check(admin_dsn)


async def test_the_mark_rides_on_the_next_commit(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    books.publisher.fails = True  # or the transfer would be confirmed, and its own mark stored within a second
    await books.do(screened("t", leg("alice", "bob", 1)))
    async with admin_connection(admin_dsn) as connection:
        assert await connection.fetchval("SELECT published_size FROM ledger.heads") == 2
