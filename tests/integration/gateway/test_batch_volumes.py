"""How much one principal may send in files of transfers within a day, whichever process takes them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from libs.common.contracts.audit import AskedFrom
from libs.common.errors import TooManyRequests
from libs.common.ids import new_id
from services.gateway.store.batch_volumes import BYTES_MAX, LINES_MAX
from tests.integration.gateway.counter import Counter
from tests.integration.gateway.test_batch_jobs import HEADER, row, run_all, send

HOUR_SECONDS = 3600


async def has_sent(counter: Counter, lines: int, size: int) -> None:
    """Let the payer have sent so much an hour ago."""
    async with counter.connections["lookup"].autocommit() as connection:
        await connection.execute(
            "INSERT INTO gateway.batch_volumes (principal_id, since, lines, bytes) VALUES ($1::uuid, $2, $3, $4)",
            counter.payer.owner_id,
            counter.clock() - timedelta(hours=1),
            lines,
            size,
        )


async def pieces(counter: Counter) -> int:
    return int((await counter.rows("SELECT count(*) FROM gateway.batch_pieces"))[0]["count"])


async def test_beyond_a_million_lines_a_day_nothing_more_is_taken(counter: Counter) -> None:
    await has_sent(counter, LINES_MAX - 1, 0)
    async with counter.http() as http:
        before = await pieces(counter)
        refused = await send(counter, http, HEADER + row(counter) + row(counter))
        assert (refused.status_code, refused.json()["code"]) == (429, "batch_volume_exceeded")
        assert 22 * HOUR_SECONDS < int(refused.headers["retry-after"]) <= 23 * HOUR_SECONDS
        assert await pieces(counter) == before
        last = await send(counter, http, HEADER + row(counter), key="last")
        assert last.status_code == 202
        assert (await send(counter, http, HEADER + row(counter))).status_code == 429
        assert (await send(counter, http, HEADER + row(counter), key="last")).json() == last.json()
        assert (await send(counter, http, HEADER + row(counter), who=counter.payee.owner_id)).status_code == 202
        counter.clock.move(timedelta(hours=23, seconds=1))
        assert (await send(counter, http, HEADER + row(counter))).status_code == 202
    await run_all(counter)
    kept = await counter.rows("SELECT lines FROM gateway.batch_volumes WHERE principal_id = $1", counter.payer.owner_id)
    assert [one["lines"] for one in kept] == [1]


async def test_bytes_count_too_and_what_is_refused_counts_for_nothing(counter: Counter) -> None:
    line = HEADER + row(counter, key=new_id())
    await has_sent(counter, 0, BYTES_MAX - len(line))
    async with counter.http() as http:
        assert (await send(counter, http, HEADER + row(counter, 0))).status_code == 422
        assert (await send(counter, http, line + "\n")).json()["code"] == "batch_volume_exceeded"
        assert (await send(counter, http, line)).status_code == 202
    await run_all(counter)


async def test_a_file_beyond_the_bound_is_not_read_to_its_end(counter: Counter) -> None:
    await has_sent(counter, LINES_MAX, 0)

    async def body() -> AsyncIterator[bytes]:
        yield (HEADER + row(counter)).encode()
        raise AssertionError("it was read on")

    with pytest.raises(TooManyRequests):
        await counter.receive(counter.payer.owner_id, new_id(), "csv", body(), AskedFrom(address="192.0.2.1"))


async def test_of_two_files_at_once_one_gets_the_last_room(counter: Counter) -> None:
    await has_sent(counter, LINES_MAX - 700, 0)
    async with counter.http() as http:
        files = [HEADER + "".join(row(counter) for _ in range(600)) for _ in range(2)]
        answers = await asyncio.gather(*(send(counter, http, one) for one in files))
    assert sorted(one.status_code for one in answers) == [202, 429]
    await run_all(counter)


async def test_the_database_keeps_the_bound(counter: Counter) -> None:
    await has_sent(counter, LINES_MAX, BYTES_MAX)
    for column in ("lines", "bytes"):
        with pytest.raises(asyncpg.CheckViolationError, match=f"batch_volumes_{column}_bounded"):
            await counter.rows(
                f"UPDATE gateway.batch_volumes SET {column} = {column} + 1 WHERE principal_id = $1",
                counter.payer.owner_id,
            )
