"""Measures how fast a large book is read: `python -m bench.reads`.

Fills a database of its own, then asks each question many times, one after the other, through the applications of ledger
and gateway in this process: what is measured is HTTP handling, authorisation, PostgreSQL and encoding, no socket.
"""

import argparse
import asyncio
import json
import random
import resource
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.cpu import cpu_seconds
from bench.reads.applications import Applications, Said, Tokens, applications
from bench.reads.fill import fill
from bench.reads.plans import read_plans
from bench.reads.questions import Book, Request, questions, trial_balance_of
from libs.common.clock import monotonic_seconds, system_clock
from libs.common.db.engine import make_engine
from libs.common.db.migrate import migrate_services
from tallystick.stack.postgres import LocalPostgres

_WARM_UPS: Final = 30
_SLOW_TIMES: Final = 20
_PLANS: Final = Path(__file__).parents[2] / "docs" / "plans"
_PAST: Final = "trial balance of the past"


async def measure(arguments: argparse.Namespace, server: LocalPostgres, folder: Path) -> None:
    """Fill, ask, show the figures, and write the plans if that is wanted."""
    await migrate_services(server.dsn, {"ledger": "bench", "gateway": "bench"})
    accounts = max(1_000, arguments.transfers // 100)
    began = monotonic_seconds()
    await fill(server.dsn, transfers=arguments.transfers, accounts=accounts)
    filled_seconds = monotonic_seconds() - began
    book = Book(accounts, arguments.transfers, random.Random(7))
    engine = make_engine(server.dsn, "bench-reads")
    tokens = Tokens(folder)
    try:
        async with applications(engine, tokens) as asked:
            rows = {
                name: await _times(asked, server, make, arguments.requests) for name, make in questions(book).items()
            }
            rows[_PAST] = await _times(asked, server, lambda: trial_balance_of(book), _SLOW_TIMES, warm_ups=1)
        show(
            {
                "date": system_clock().date().isoformat(),
                "transfers": arguments.transfers,
                "accounts": accounts,
                "filled_seconds": round(filled_seconds),
                "reads": rows,
            }
        )
        if arguments.plans:
            await _plans(server.dsn, book, tokens)
    finally:
        await engine.dispose()


async def _times(
    asked: Applications, server: LocalPostgres, make: Callable[[], Request], number: int, *, warm_ups: int = _WARM_UPS
) -> dict[str, float]:
    for _ in range(warm_ups):
        await asked.ask(make())
    times = []
    before = _cpu_seconds(server)
    for _ in range(number):
        request = make()
        began = monotonic_seconds()
        await asked.ask(request)
        times.append((monotonic_seconds() - began) * 1000)
    times.sort()
    cpu_ms = (_cpu_seconds(server) - before) * 1000 / number
    return {
        "requests": number,
        "p50_ms": round(times[number // 2], 2),
        "p99_ms": round(times[min(number - 1, number * 99 // 100)], 2),
        "max_ms": round(times[-1], 2),
        "cpu_ms": round(cpu_ms, 2),
    }


def _cpu_seconds(server: LocalPostgres) -> float:
    """Return the CPU used so far by this process and PostgreSQL: what others on the machine do does not change it."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime + cpu_seconds({"postgres": server.pids()[:1]})["postgres"]


async def _plans(dsn: str, book: Book, tokens: Tokens) -> None:
    said = Said()
    reads: dict[str, Sequence[tuple[str, Sequence[Any]]]] = {}
    asking: dict[str, Callable[[], Request]] = {**questions(book), _PAST: lambda: trial_balance_of(book)}
    listening = make_engine(dsn, "bench-plans")
    try:
        async with applications(listening, tokens, said) as asked:
            for name, make in asking.items():
                said.statements.clear()
                await asked.ask(make())
                await asyncio.sleep(0.01)  # a listener is told of a statement one round of the loop later
                reads[name] = list(said.statements)
    finally:
        await listening.dispose()
    _PLANS.mkdir(exist_ok=True)
    for name, text in (await read_plans(dsn, reads)).items():
        (_PLANS / name).write_text(text)


def show(figures: dict[str, Any]) -> None:
    """Print a table and one JSON line."""
    table = Table(title=f"{figures['transfers']:,} transfers", title_justify="left")
    for heading in ("read", "p50 ms", "p99 ms", "max ms", "CPU ms"):
        table.add_column(heading, justify="left" if heading == "read" else "right", no_wrap=True)
    for name, row in figures["reads"].items():
        table.add_row(name, *(f"{row[column]:.1f}" for column in ("p50_ms", "p99_ms", "max_ms", "cpu_ms")))
    Console(width=110).print(table)
    print(json.dumps(figures), flush=True)


def main() -> None:
    """Read the options and measure on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transfers", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=500, help="of each question")
    parser.add_argument("--plans", action="store_true", help="write the query plans to docs/plans")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tallystick-bench-"))
    server = LocalPostgres(folder)
    try:
        server.start()
        asyncio.run(measure(arguments, server, folder))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
