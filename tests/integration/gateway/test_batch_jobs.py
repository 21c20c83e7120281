"""A file of transfers: taken whole or not at all, carried out in pieces, each line once however often it is tried."""

import asyncio
import csv
import io
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

import asyncpg
import httpx2
import pytest

from libs.common.crash_points import install
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from libs.common.origins import OriginKeys
from services.gateway.store.batches import drop_upload, hold_open_piece, note_piece
from services.gateway.store.money_callers import CallerOf, find_callers
from services.gateway.use_cases.accept_piece import PieceIntake
from services.gateway.use_cases.look_up_parties import Directory
from services.gateway.use_cases.run_batches import RunBatches
from services.gateway.use_cases.watch_ledger import LedgerHalt
from tests.integration.gateway.counter import Counter

HEADER = "source_account_id,destination_account_id,amount_minor,asset,idempotency_key\n"
ADDRESS = "/api/v1/batches"
LINES_KEPT = "SELECT count(*) FROM gateway.transfers WHERE idempotency_key LIKE $1"


def row(counter: Counter, amount_minor: int = 1, key: str = "", source: str = "") -> str:
    return f"{source or counter.payer.account_id},{counter.payee.account_id},{amount_minor},USD,{key}\n"


def worker(counter: Counter, connection: str = "batches", directory: Directory | None = None) -> RunBatches:
    own = counter.connections[connection]
    pieces = PieceIntake(own, counter.publisher, counter.waiters, counter.clock)
    origins = OriginKeys("secret")
    accounts = directory or counter.directory
    return RunBatches(own, pieces, counter.intake, accounts, LedgerHalt(), origins, counter.clock, 0.0)


async def send(
    counter: Counter, http: httpx2.AsyncClient, body: str, key: str = "", kind: str = "text/csv", who: str = ""
) -> httpx2.Response:
    headers = {**counter.keys.bearer(who or counter.payer.owner_id), "Idempotency-Key": key or new_id()}
    return await http.post(ADDRESS, content=body.encode(), headers={**headers, "Content-Type": kind})


async def get(counter: Counter, http: httpx2.AsyncClient, path: str = "", **headers: str) -> httpx2.Response:
    mine = counter.keys.bearer(counter.payer.owner_id)
    return await http.get(f"{ADDRESS}{path}", headers={**mine, **headers})


async def run_all(counter: Counter) -> None:
    running = worker(counter)
    while await running.work():
        pass


async def cancel(counter: Counter, http: httpx2.AsyncClient, batch_id: str, who: str = "") -> httpx2.Response:
    return await http.post(f"{ADDRESS}/{batch_id}/cancel", headers=counter.keys.bearer(who or counter.payer.owner_id))


class SlowDirectory(Directory):
    """Keeps a worker at a piece for as long as the test wants, as a process that gets no time does."""

    def __init__(self, counter: Counter) -> None:
        super().__init__(counter.connections["lookup"], counter.client, "sister to sister")
        self.accounts, self.customers = counter.directory.accounts, counter.directory.customers
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    def fetch(self, account_ids: Collection[str], user_id: str) -> asyncio.Task[None]:
        return asyncio.create_task(self._fetch_late(account_ids, user_id))

    async def _fetch_late(self, account_ids: Collection[str], user_id: str) -> None:
        self.asked.set()
        await self.go_on.wait()
        await super().fetch(account_ids, user_id)


class Killed(BaseException):
    """Ends whatever is under way, as the death of a process does."""


@contextmanager
def dying_at(point: str) -> Iterator[None]:
    def die(reached: str) -> None:
        if reached == point:
            raise Killed

    install(die)
    try:
        with pytest.raises(Killed):
            yield
    finally:
        install(lambda _: None)


async def pieces_of(counter: Counter, batch_id: str) -> int:
    rows = await counter.rows("SELECT FROM gateway.batch_pieces WHERE batch_id = $1", batch_id)
    return len(rows)


async def test_a_file_is_carried_out_in_pieces_and_its_results_are_downloaded(counter: Counter) -> None:
    stranger = new_id()
    lines = [row(counter, number) for number in range(1, 1101)]
    lines[3] = row(counter, source=stranger)
    async with counter.http() as http:
        accepted = await send(counter, http, HEADER + "".join(lines))
        assert accepted.status_code == 202, accepted.text
        shown = accepted.json()
        batch_id = shown["batch_id"]
        assert (shown["status"], shown["lines"], shown["accepted"]) == ("queued", 1100, 0)
        assert accepted.headers["location"] == f"{ADDRESS}/{batch_id}"
        assert await pieces_of(counter, batch_id) == 3

        await run_all(counter)
        done = (await get(counter, http, f"/{batch_id}")).json()
        assert {name: done[name] for name in ("status", "accepted", "posted", "failed")} == {
            "status": "done",
            "accepted": 1099,
            "posted": 0,
            "failed": 1,
        }
        found = await get(counter, http, f"/{batch_id}/results")
        results = [json.loads(line) for line in found.text.splitlines()]
        assert [one["line"] for one in results] == list(range(2, 1102))
        assert results[3] == {
            "line": 5,
            "idempotency_key": f"{batch_id}:5",
            "transfer_id": "",
            "status": "failed",
            "code": "source_account_not_yours",
        }
        await counter.hear(results[0]["transfer_id"], "posted")
        await counter.hear(results[1]["transfer_id"], "refused", code="insufficient_funds")
        progress = (await get(counter, http, f"/{batch_id}")).json()
        assert (progress["posted"], progress["refused"], progress["accepted"]) == (1, 1, 1097)
        as_csv = await get(counter, http, f"/{batch_id}/results", accept="text/csv")
        table = list(csv.DictReader(io.StringIO(as_csv.text)))
        assert (len(table), table[1]["status"], table[1]["code"]) == (1100, "refused", "insufficient_funds")


async def test_no_cell_of_results_is_a_formula(counter: Counter) -> None:
    key = f"=1+1-{new_id()}"
    async with counter.http() as http:
        batch_id = (await send(counter, http, HEADER + row(counter, key=key))).json()["batch_id"]
        as_csv = await get(counter, http, f"/{batch_id}/results", accept="text/csv")
        as_json = await get(counter, http, f"/{batch_id}/results")
    assert [line["idempotency_key"] for line in csv.DictReader(io.StringIO(as_csv.text))] == [f"'{key}"]
    assert as_json.json()["idempotency_key"] == key


async def test_a_piece_is_kept_with_its_note_or_not_at_all(counter: Counter) -> None:
    async with counter.http() as http:
        body = HEADER + "".join(row(counter) for _ in range(600))
        batch_id = (await send(counter, http, body)).json()["batch_id"]
        for point, kept in (("before", 0), ("after", 500)):
            with dying_at(f"gateway.batch_piece_{point}_commit"):
                await worker(counter).work()
            stored = await counter.rows(LINES_KEPT, f"{batch_id}:%")
            progress = (await get(counter, http, f"/{batch_id}")).json()
            assert (stored[0]["count"], progress["accepted"]) == (kept, kept)
            counter.clock.move(timedelta(seconds=30))
        await run_all(counter)
        assert (await get(counter, http, f"/{batch_id}")).json()["accepted"] == 600
    assert (await counter.rows(LINES_KEPT, f"{batch_id}:%"))[0]["count"] == 600


async def test_two_workers_at_one_piece_keep_it_once(counter: Counter) -> None:
    async with counter.http() as http:
        batch_id = (await send(counter, http, HEADER + row(counter) + row(counter))).json()["batch_id"]
        late = SlowDirectory(counter)
        first = asyncio.create_task(worker(counter, "uploads", late).work())
        await late.asked.wait()
        counter.clock.move(timedelta(seconds=30))
        await run_all(counter)
        late.go_on.set()
        await first
        assert (await get(counter, http, f"/{batch_id}")).json()["accepted"] == 2
    assert (await counter.rows(LINES_KEPT, f"{batch_id}:%"))[0]["count"] == 2
    assert len(counter.sent_ids()) == 2


async def test_a_cancelled_file_keeps_what_was_taken_and_takes_nothing_more(counter: Counter) -> None:
    async with counter.http() as http:
        body = HEADER + "".join(row(counter) for _ in range(700))
        batch_id = (await send(counter, http, body)).json()["batch_id"]
        await worker(counter).work()
        for _ in range(2):
            answer = await cancel(counter, http, batch_id)
            shown = answer.json()
            assert (answer.status_code, shown["status"]) == (200, "cancelled")
            assert (shown["accepted"], shown["cancelled"], shown["lines"]) == (500, 200, 700)
            assert shown["finished_at"] is not None
        sent = len(counter.sent_ids())
        counter.clock.move(timedelta(seconds=30))
        await run_all(counter)
        assert len(counter.sent_ids()) == sent == 500
        results = (await get(counter, http, f"/{batch_id}/results")).text.splitlines()
        statuses = [json.loads(line)["status"] for line in results]
        assert statuses == ["accepted"] * 500
        assert await pieces_of(counter, batch_id) == 1
    assert (await counter.rows(LINES_KEPT, f"{batch_id}:%"))[0]["count"] == 500


async def test_whoever_works_on_a_piece_while_its_file_is_cancelled_sends_none_of_it(counter: Counter) -> None:
    async with counter.http() as http:
        batch_id = (await send(counter, http, HEADER + row(counter))).json()["batch_id"]
        late = SlowDirectory(counter)
        working = asyncio.create_task(worker(counter, "uploads", late).work())
        await late.asked.wait()
        assert (await cancel(counter, http, batch_id)).json()["cancelled"] == 1
        late.go_on.set()
        await working
        assert (await get(counter, http, f"/{batch_id}")).json()["status"] == "cancelled"
    assert (await counter.rows(LINES_KEPT, f"{batch_id}:%"))[0]["count"] == 0
    assert counter.sent_ids() == []


async def test_cancelling_waits_for_the_piece_that_is_being_kept(counter: Counter) -> None:
    async with counter.http() as http:
        batch_id = (await send(counter, http, HEADER + row(counter))).json()["batch_id"]
        async with counter.connections["projection"].transaction() as connection:
            assert await hold_open_piece(connection, batch_id, 0)
            cancelling = asyncio.create_task(cancel(counter, http, batch_id))
            await asyncio.sleep(0.2)
            assert not cancelling.done()
            await note_piece(connection, batch_id, 0, [None], {"2": "source_account_not_yours"})
        shown = (await cancelling).json()
    assert (shown["status"], shown["failed"], shown["cancelled"]) == ("cancelled", 1, 0)


async def test_a_file_that_is_done_and_one_of_somebody_else_are_not_cancelled(counter: Counter) -> None:
    async with counter.http() as http:
        batch_id = (await send(counter, http, HEADER + row(counter))).json()["batch_id"]
        stranger = await cancel(counter, http, batch_id, who=new_id())
        assert (stranger.status_code, stranger.json()["code"]) == (404, "batch_not_found")
        await run_all(counter)
        done = await cancel(counter, http, batch_id)
        assert (done.status_code, done.json()["code"]) == (409, "batch_done")
        assert (await get(counter, http, f"/{batch_id}")).json()["status"] == "done"


async def test_the_database_lets_nothing_of_an_ended_batch_change(counter: Counter) -> None:
    async with counter.http() as http:
        batch_id = (await send(counter, http, HEADER + row(counter))).json()["batch_id"]
        await run_all(counter)
    for change in ("status = 'queued'", "final_counts = '{}'"):
        with pytest.raises(asyncpg.PostgresError, match="never changed"):
            await counter.rows(f"UPDATE gateway.batches SET {change} WHERE batch_id = $1", batch_id)
    with pytest.raises(asyncpg.PostgresError, match="the batch has ended"):
        await counter.rows("UPDATE gateway.batch_pieces SET transfer_ids = '{}' WHERE batch_id = $1", batch_id)


async def test_the_lines_of_a_batch_are_dropped_30_days_after_its_end_and_its_counts_stay(counter: Counter) -> None:
    counter.clock.move(timedelta(days=-31))
    async with counter.http() as http:
        lines = [row(counter) for _ in range(700)]
        lines[0] = row(counter, source=new_id())
        batch_id = (await send(counter, http, HEADER + "".join(lines))).json()["batch_id"]
        await worker(counter).work()
        before = (await cancel(counter, http, batch_id)).json()
        assert (before["accepted"], before["failed"], before["cancelled"]) == (499, 1, 200)
        counter.clock.move(timedelta(days=29))
        await counter.receive.sweep()
        assert (await get(counter, http, f"/{batch_id}/results")).status_code == 200
        counter.clock.move(timedelta(days=2))
        for _ in range(2):
            await counter.receive.sweep()
        assert await pieces_of(counter, batch_id) == 0
        assert (await get(counter, http, f"/{batch_id}")).json() == before
        gone = await get(counter, http, f"/{batch_id}/results")
        assert (gone.status_code, gone.json()["code"]) == (404, "batch_results_dropped")
    again = {"status": "'done'", "finished_at": "NULL", "final_counts": "'{}'", "lines": "1"}
    for column, value in again.items():
        with pytest.raises(asyncpg.PostgresError, match="never changed"):
            await counter.rows(f"UPDATE gateway.batches SET {column} = {value} WHERE batch_id = $1", batch_id)


async def test_the_database_lets_no_line_go_before_it_is_counted_at_last(counter: Counter) -> None:
    async with counter.http() as http:
        waiting = (await send(counter, http, HEADER + row(counter))).json()["batch_id"]
        done = (await send(counter, http, HEADER + row(counter))).json()["batch_id"]
        for batch_id in (waiting, done):
            with pytest.raises(asyncpg.PostgresError, match="stay until they are counted"):
                await counter.rows("DELETE FROM gateway.batch_pieces WHERE batch_id = $1", batch_id)
            await run_all(counter)
        async with counter.connections["projection"].autocommit() as connection:
            await drop_upload(connection, done)
        assert await pieces_of(counter, done) == 1


async def test_a_lease_keeps_others_away_and_ends_by_itself(counter: Counter) -> None:
    async with counter.http() as http:
        batch_id = (await send(counter, http, HEADER + row(counter))).json()["batch_id"]
        counter.neighbour.away = True
        counter.directory.accounts.clear()
        with pytest.raises(Unavailable):
            await worker(counter).work()
        assert not await worker(counter).work()
        counter.neighbour.away = False
        counter.clock.move(timedelta(seconds=30))
        await run_all(counter)
        assert (await get(counter, http, f"/{batch_id}")).json()["status"] == "done"


async def test_a_file_with_a_fault_is_refused_whole(counter: Counter) -> None:
    before = await counter.rows("SELECT FROM gateway.batch_pieces")
    async with counter.http() as http:
        body = HEADER + "".join(row(counter) for _ in range(700)) + row(counter, amount_minor=0)
        answer = await send(counter, http, body)
        assert (answer.status_code, answer.json()["code"]) == (422, "batch_file_unreadable")
        assert [fault["line"] for fault in answer.json()["lines"]] == [702]
        wrong = await send(counter, http, body, kind="application/json")
        assert (wrong.status_code, wrong.json()["code"]) == (415, "content_type_not_accepted")
    assert await counter.rows("SELECT FROM gateway.batch_pieces") == before


async def test_a_copy_of_a_file_is_answered_alike_and_another_file_is_refused(counter: Counter) -> None:
    async with counter.http() as http:
        first = await send(counter, http, HEADER + row(counter), key="file")
        await run_all(counter)
        again = await send(counter, http, HEADER + row(counter), key="file")
        assert (again.status_code, again.json()) == (202, first.json())
        assert again.headers["idempotency-replayed"] == "true"
        other = await send(counter, http, HEADER + row(counter, 2), key="file")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_five_files_at_once_and_nobody_sees_those_of_others(counter: Counter) -> None:
    async with counter.http() as http:
        ids = [(await send(counter, http, HEADER + row(counter))).json()["batch_id"] for _ in range(5)]
        sixth = await send(counter, http, HEADER + row(counter))
        assert (sixth.status_code, sixth.json()["code"]) == (409, "too_many_batches")
        stranger = counter.keys.bearer(new_id())
        for path in (f"/{ids[0]}", f"/{ids[0]}/results", "/nothing"):
            assert (await http.get(f"{ADDRESS}{path}", headers=stranger)).json()["code"] == "batch_not_found"
        assert (await http.get(ADDRESS, headers=stranger)).json() == {"batches": [], "next": None}
        page = (await get(counter, http, "?limit=3")).json()
        older = (await get(counter, http, f"?limit=3&cursor={page['next']}")).json()
        listed = [one["batch_id"] for one in (*page["batches"], *older["batches"])]
        assert (listed, older["next"]) == (ids[::-1], None)
        await run_all(counter)
        assert (await send(counter, http, HEADER + row(counter))).status_code == 202
        await run_all(counter)


async def test_what_never_came_whole_is_forgotten_after_an_hour(counter: Counter) -> None:
    async with counter.connections["projection"].autocommit() as connection:
        await connection.execute(
            "INSERT INTO gateway.batch_pieces (batch_id, number, lines) VALUES ($1::uuid, 0, '[]')", new_id()
        )
    await counter.receive.sweep()
    left_over = "SELECT FROM gateway.batch_pieces WHERE lines = '[]'"
    assert len(await counter.rows(left_over)) == 1
    counter.clock.move(timedelta(hours=2))
    await counter.receive.sweep()
    assert await counter.rows(left_over) == []


async def test_a_line_never_changes(counter: Counter) -> None:
    async with counter.http() as http:
        batch_id = (await send(counter, http, HEADER + row(counter))).json()["batch_id"]
    with pytest.raises(asyncpg.PostgresError, match="never changed"):
        await counter.rows("UPDATE gateway.batch_pieces SET lines = '[]' WHERE batch_id = $1", batch_id)
    await run_all(counter)


async def test_each_transfer_of_a_file_is_kept_with_who_sent_the_file(counter: Counter) -> None:
    lines = [row(counter, 1, key="a"), row(counter, 1, key="b"), row(counter, 1, source=new_id())]
    async with counter.http() as http:
        sent = await send(counter, http, HEADER + "".join(lines))
        await run_all(counter)
    transfers = [
        one["transfer_id"]
        for one in await counter.rows(
            "SELECT transfer_id::text FROM gateway.transfers WHERE principal_id = $1::uuid", counter.payer.owner_id
        )
    ]
    async with counter.connections["lookup"].autocommit() as connection:
        found = await find_callers(connection, transfers)
        proofs = await connection.fetch(
            "SELECT a.facts FROM gateway.audit_log a JOIN gateway.money_callers c ON c.lump_id::text = a.resource_id"
            " WHERE c.first_id = $1",
            min(transfers),
        )
    caller = CallerOf(sent.headers["x-request-id"], "192.0.2.1", http.headers["user-agent"], "")
    assert found == dict.fromkeys(transfers, caller)
    assert len(transfers) == 2
    assert [json.loads(proof[0])["requests"] for proof in proofs] == [2]
