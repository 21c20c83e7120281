"""How long a payee waits from the click that approves his KYC until he sees as posted what waited for him.

`python -m bench.unlock [--clicks 60] [--per-second 50]` starts a stack of its own and clicks, one after the other,
first with nothing else to do and then beside so many transfers a second. Each payee asks for his transfer again ten
milliseconds after he was answered. Prints a table, with the moments in between as the services stored them.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
import httpx2
from rich.console import Console
from rich.table import Table

from bench.documents import new_document, write_document
from bench.running_stack import bench_stack
from bench.world import Customer, log_in, make_world, post, register_applicant
from libs.common.clock import system_clock
from tallystick.stack.stack_file import Stack

_PAYERS: Final = 8
_ACCOUNTS_EACH: Final = 5
_LOOK_SECONDS: Final = 0.01
_PATIENCE_SECONDS: Final = 60.0
_BETWEEN_SECONDS: Final = 0.3
_AT_ONCE: Final = 4
_WIDTH: Final = 110
_MOMENTS: Final = """
    SELECT h.resolved_at, t.changed_at FROM fraud.holds h JOIN ledger.transfers t USING (transfer_id)
    WHERE transfer_id = $1::uuid
"""


class Newcomer(NamedTuple):
    """Somebody who has applied, and the transfer that waits for him."""

    user_id: str
    token: str
    transfer_id: str


class Wait(NamedTuple):
    """Milliseconds of one click: until it was answered, fraud had let go, the ledger had posted, the payee saw it."""

    answered: float
    released: float
    posted: float
    seen: float


async def measure(stack: Stack, clicks: int, per_second: int, console: Console) -> dict[str, object]:
    """Click without and with load; print the table and return its figures."""
    email, password = stack.admin.email, stack.admin.password
    payers = await make_world(
        stack.api, {"email": email, "password": password}, customers=_PAYERS, accounts_each=_ACCOUNTS_EACH
    )
    waits: dict[str, list[Wait]] = {}
    async with httpx2.AsyncClient(base_url=stack.api, timeout=60) as client:
        operator = await log_in(client, email, password)
        for name, rate in (("nothing else", 0), (f"{per_second} transfers/s", per_second)):
            newcomers = await _newcomers(client, payers, clicks)
            async with _load(stack.api, payers, rate) as took:
                waits[name] = [await _click(stack, client, operator, one) for one in newcomers]
            if took:
                console.print(f"{len(took)} were posted beside it, in {statistics.median(took):.0f} ms at the median")
    table = Table(title="From the click until …, ms", title_justify="left")
    for heading in ("beside", "answered p50", "let go p50", "posted p50", "seen p50", "p90", "p99", "most"):
        table.add_column(heading, justify="left" if heading == "beside" else "right")
    for name, found in waits.items():
        seen = [one.seen for one in found]
        cuts = statistics.quantiles(seen, n=100, method="inclusive")
        middles = [statistics.median(column) for column in zip(*found, strict=True)]
        table.add_row(name, *(f"{figure:.0f}" for figure in (*middles, cuts[89], cuts[98], max(seen))))
    console.print(table)
    return {name: [one._asdict() for one in found] for name, found in waits.items()}


async def _newcomers(client: httpx2.AsyncClient, payers: Sequence[Customer], count: int) -> list[Newcomer]:
    """Register people, each with a transfer that waits for him."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def arrive(number: int) -> Newcomer:
        async with gate:
            applicant = await register_applicant(client, number)
            account_id = (await post(client, "/accounts", {"asset": "USD"}, applicant.token))["account_id"]
            payer = payers[number % len(payers)]
            held = await post(client, "/transfers", _body(payer.account_ids[0], account_id), payer.token)
            if held["status"] != "held":
                message = f"a transfer to somebody unverified is {held['status']}"
                raise RuntimeError(message)
            return Newcomer(applicant.user_id, applicant.token, held["transfer_id"])

    return await asyncio.gather(*(arrive(number) for number in range(count)))


async def _click(stack: Stack, client: httpx2.AsyncClient, operator: str, newcomer: Newcomer) -> Wait:
    """Approve, look until it is posted, and return what it took. Raises: TimeoutError."""
    await asyncio.sleep(_BETWEEN_SECONDS)
    headers = {"Authorization": f"Bearer {newcomer.token}"}
    clicked_at, began = system_clock(), time.perf_counter()
    await post(client, f"/admin/kyc/{newcomer.user_id}/approve", {"version": 1, "reason": "benchmark"}, operator)
    answered = time.perf_counter() - began
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            answer = await client.get(f"/api/v1/transfers/{newcomer.transfer_id}", headers=headers)
            if answer.is_success and answer.json()["status"] == "posted":
                break
            await asyncio.sleep(_LOOK_SECONDS)
    seen = time.perf_counter() - began
    connection = await asyncpg.connect(stack.postgres)
    try:
        released_at, posted_at = await connection.fetchrow(_MOMENTS, newcomer.transfer_id)
    finally:
        await connection.close()
    return Wait(1e3 * answered, _ms_between(clicked_at, released_at), _ms_between(clicked_at, posted_at), 1e3 * seen)


@asynccontextmanager
async def _load(api: str, payers: Sequence[Customer], per_second: int) -> AsyncIterator[list[float]]:
    """Send at this rate for as long as the block; yields how many ms each took that was answered as posted."""
    took: list[float] = []
    if not per_second:
        yield took
        return
    accounts = [(payer.token, account_id) for payer in payers for account_id in payer.account_ids]
    chance = random.Random(7)
    async with httpx2.AsyncClient(base_url=api, timeout=60, limits=httpx2.Limits(max_connections=None)) as client:

        async def send() -> None:
            (token, source), (_, target) = chance.sample(accounts, 2)
            began = time.perf_counter()
            if (await post(client, "/transfers", _body(source, target), token))["status"] == "posted":
                took.append(1e3 * (time.perf_counter() - began))

        async def keep_pace() -> None:
            async with asyncio.TaskGroup() as group:
                while True:
                    group.create_task(send())
                    await asyncio.sleep(1 / per_second)

        pace = asyncio.create_task(keep_pace())
        try:
            yield took
        finally:
            pace.cancel()
            with suppress(asyncio.CancelledError):
                await pace


def _body(source: str, destination: str) -> dict[str, object]:
    return {"source_account_id": source, "destination_account_id": destination, "amount_minor": 100, "asset": "USD"}


def _ms_between(began: datetime, ended: datetime) -> float:
    return (ended - began) / timedelta(milliseconds=1)


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clicks", type=int, default=60)
    parser.add_argument("--per-second", type=int, default=50)
    arguments = parser.parse_args()
    console = Console(width=_WIDTH)
    with (
        tempfile.TemporaryDirectory(prefix="tallystick-bench-") as folder,
        bench_stack(Path(folder) / "stack") as stack,
    ):
        figures = asyncio.run(measure(stack, arguments.clicks, arguments.per_second, console))
    console.print(f"written to {write_document(new_document() | {'unlock_ms': figures})}")


if __name__ == "__main__":
    main()
