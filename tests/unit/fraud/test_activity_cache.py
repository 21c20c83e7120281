"""Whose activity memory keeps, and when it is read again."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import pytest

from services.fraud.store.activity_cache import FRESH_US, ActivityCache

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Table:
    """Stands for the database: whoever is asked for has one event, and it remembers who was."""

    def __init__(self) -> None:
        self.read: list[str | int] = []

    async def fetch(self, _: str, *arguments: Any) -> list[tuple[object, ...]]:
        *asked, since = arguments
        self.read += [key for keys in asked for key in keys]
        return [
            (kind, place, since, 100, None, False)
            for kind, keys in enumerate(asked)
            for place, _ in enumerate(keys, start=1)
        ]


@pytest.fixture
def table() -> Table:
    return Table()


async def ask(cache: ActivityCache, table: Table, *payers: str, seconds: float = 0.0) -> list[str | int]:
    """Ask for these payers; return whom the table was asked for."""
    table.read.clear()
    moment = NOON + timedelta(seconds=seconds)
    known = await cache.around(cast("asyncpg.Connection", table), (payers, ["payee"], [7], [8]), moment)
    assert [set(some) for some in known] == [set(payers), {"payee"}, {7}, {8}]
    return table.read


async def test_who_is_remembered_is_not_read_again_until_he_is_stale(table: Table) -> None:
    cache = ActivityCache()
    assert await ask(cache, table, "ann", "bob") == ["ann", "bob", "payee", 7, 8]
    fresh_seconds = FRESH_US / 1_000_000
    assert await ask(cache, table, "ann", "cid", seconds=fresh_seconds) == ["cid"]
    assert await ask(cache, table, "ann", "cid", seconds=fresh_seconds + 1) == ["ann", "payee", 7, 8]


async def test_who_is_forgotten_is_read_again_and_nobody_else(table: Table) -> None:
    cache = ActivityCache()
    await ask(cache, table, "ann", "bob")
    cache.forget((["ann"], [], [7], [9]))
    assert await ask(cache, table, "ann", "bob") == ["ann", 7]


async def test_the_longest_unused_go_when_subjects_are_too_many_and_whoever_is_used_stays(table: Table) -> None:
    cache = ActivityCache(subjects_max=20)
    for number in range(100):
        await ask(cache, table, "ann", f"user-{number}")
        cache.shrink(events_added=0)
        assert len(cache) <= 22
    assert await ask(cache, table, "ann") == []
    assert await ask(cache, table, "user-99", "user-0") == ["user-0"]


async def test_events_are_bounded_as_well_as_subjects(table: Table) -> None:
    cache = ActivityCache(events_max=100)
    await ask(cache, table, "ann")
    cache.shrink(events_added=50)
    await ask(cache, table, "bob")
    assert len(cache) == 5
    cache.shrink(events_added=50)
    assert len(cache) == 4, "all but ann were used since"
    assert await ask(cache, table, "bob", "ann") == ["ann"]


async def test_events_of_who_comes_from_the_older_generation_count_in_the_younger(table: Table) -> None:
    cache = ActivityCache(events_max=8)
    await ask(cache, table, "ann")
    cache.shrink(events_added=5)
    await ask(cache, table, "ann")
    cache.shrink(events_added=0)
    assert len(cache) == 4, "four events are no more than half"
    cache.shrink(events_added=1)
    cache.shrink(events_added=9)
    assert len(cache) == 0
