"""The ledger alone: transfers a second by load, with and without fees, empty and full; full verification besides.

`python -m bench.ledger [--seconds 4] [--full 2000000]` starts a PostgreSQL of its own, prints one table and the ratios
that matter, and writes JSON. `--quick` measures one row, batches of 1,000, and prints a JSON line.
"""

import argparse
import json
import logging
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
import uvloop
from rich.console import Console
from rich.table import Table

from bench.documents import new_document, write_document
from bench.ledger.stage import Load, Rate, Stage
from tallystick.stack.postgres import LocalPostgres

_PAIRS: Final = 5
_LOADS: Final = {
    "batch 1": Load(batch=1),
    "batch 100": Load(batch=100),
    "batch 1,000": Load(),
    "batch 1,000, hot account": Load(hot=True),
}
_LEGS: Final = {"1 leg": Load(batch=100), "2 legs": Load(batch=100, legs=2), "10 legs": Load(batch=100, legs=10)}


async def measure_all(server: LocalPostgres, seconds: float, full: int, console: Console) -> dict[str, Any]:
    """Measure every row once and every ratio as the median of interleaved pairs."""
    plain, charged, filled = Stage(server, "plain"), Stage(server, "charged"), Stage(server, "filled")
    for stage in (plain, charged, filled):
        await stage.open()
    await charged.charge()
    rows: dict[str, Rate] = {}
    for name, load in _LOADS.items():
        rows[name] = await plain.measure(load, seconds)
        rows[f"{name}, fees"] = await charged.measure(load, seconds)
    for name, load in _LEGS.items():
        rows[f"batch 100, {name}"] = await plain.measure(load, seconds)
    uniform, hot = Load(), Load(hot=True)
    ratios = {
        "hot / uniform": await _ratio((charged, hot), (charged, uniform), seconds),
        "with fees / without": await _ratio((charged, uniform), (plain, uniform), seconds),
    }
    console.print(f"filling a ledger with {full:,} transfers")
    await filled.charge()
    await filled.grow_to(full)
    ratios[f"at {full:,} transfers / young"] = await _ratio((filled, uniform), (charged, uniform), seconds)
    for stage in (plain, charged, filled):
        await stage.close()
    rows["verification, records"] = await plain.verify()
    rows["verification, records, fees"] = await charged.verify()
    show(console, rows, ratios)
    return {
        "rows": {name: rate._asdict() | {"per_second": round(rate.per_second)} for name, rate in rows.items()},
        "ratios": ratios,
    }


async def _ratio(one: tuple[Stage, Load], other: tuple[Stage, Load], seconds: float) -> float:
    """Return the median over interleaved pairs of how much faster `one` is: machines drift within minutes."""
    ratios = []
    for _ in range(_PAIRS):
        first = await one[0].measure(one[1], seconds)
        second = await other[0].measure(other[1], seconds)
        ratios.append(first.per_second / second.per_second)
    return round(statistics.median(ratios), 3)


def show(console: Console, rows: dict[str, Rate], ratios: dict[str, float]) -> None:
    """Print the table and the ratios."""
    table = Table(title="The ledger alone", title_justify="left")
    for heading in ("load", "a second", "Python µs", "PostgreSQL µs"):
        table.add_column(heading, justify="left" if heading == "load" else "right")
    for name, rate in rows.items():
        table.add_row(name, f"{rate.per_second:,.0f}", f"{rate.python_us:.1f}", f"{rate.postgres_us:.1f}")
    console.print(table)
    for name, ratio in ratios.items():
        console.print(f"{name}: {ratio:.3f} (median of {_PAIRS} pairs)")


async def measure_quickly(server: LocalPostgres, seconds: float) -> Rate:
    """Measure batches of 1,000 alone."""
    stage = Stage(server, "plain")
    await stage.open()
    rate = await stage.measure(Load(), seconds)
    await stage.close()
    return rate


@contextmanager
def postgres() -> Iterator[LocalPostgres]:
    """Run a PostgreSQL of our own."""
    folder = Path(tempfile.mkdtemp(prefix="tallystick-bench-"))
    server = LocalPostgres(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--full", type=int, default=2_000_000)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))  # not 10,000 overdrafts
    with postgres() as server:
        if arguments.quick:
            rate = uvloop.run(measure_quickly(server, arguments.seconds))
            print(json.dumps(rate._asdict() | {"transfers_per_second": round(rate.per_second)}))
            return
        console = Console()
        document = uvloop.run(measure_all(server, arguments.seconds, arguments.full, console))
    console.print(f"written to {write_document(new_document() | {'ledger': document})}")


if __name__ == "__main__":
    main()
