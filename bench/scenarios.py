"""Which loads are measured, and in which order: what is compared runs side by side."""

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Row, measure_row
from bench.world import Customer
from bench.wrk import Load, Measured, run_load
from tallystick.stack.ports import free_port
from tallystick.stack.stack_file import Stack

CONNECTIONS = (1, 16, 64, 256, 512)
PROMISED_CONNECTIONS = (1, 512)
BULKS = ((100, 8), (1000, 4))
PROMISED_BULKS = ((1000, 4),)
ROUNDS = 3
"""How often a load is measured that a goal is set on, in turn with the others; its median counts."""
PAIRS = 5
PAIR_CONNECTIONS = 256
PAIR_SECONDS = 4
ECHO_SECONDS = 3
KAFKA_CONNECTIONS = (1, 64, 512)
KAFKA_PROMISED = (1,)

Say = Callable[[str], None]
Renew = Callable[[], Stack]
"""Gives the broker an empty log and returns the stack as it is then."""


@contextmanager
def echo_server() -> Iterator[str]:
    """Run the bare echo; yields its address."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", "bench.echo", str(port)]) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def single_rows(renew: Renew, world: Path, seconds: int, say: Say) -> list[tuple[Row, Measured]]:
    """Measure single transfers at each number of connections, each beside the echo of the same bodies."""
    rows: dict[int, list[tuple[Row, Measured]]] = {connections: [] for connections in CONNECTIONS}
    with echo_server() as echo:
        for number in range(ROUNDS):
            for connections in PROMISED_CONNECTIONS if number else CONNECTIONS:
                say(f"single transfers, {connections} connections")
                row = measure_row("single", Load(connections), renew(), world, seconds)
                run_load(Load(connections, echo=True), echo, world, 1)
                rows[connections].append((row, run_load(Load(connections, echo=True), echo, world, ECHO_SECONDS)))
    return [sorted(found, key=lambda pair: pair[0].transfers_per_second)[len(found) // 2] for found in rows.values()]


def bulk_rows(renew: Renew, world: Path, seconds: int, say: Say) -> list[Row]:
    """Measure requests of 100 and of 1,000 independent transfers."""
    rows: dict[int, list[Row]] = {size: [] for size, _ in BULKS}
    for number in range(ROUNDS):
        for size, connections in PROMISED_BULKS if number else BULKS:
            say(f"bulk of {size}, {connections} connections")
            rows[size].append(measure_row(f"bulk of {size}", Load(connections, bulk=size), renew(), world, seconds))
    return [median_row(found) for found in rows.values()]


def kafka_rows(stack: Stack, world: Path, seconds: int, say: Say) -> list[Row]:
    """Measure single transfers on a broker that keeps its log."""
    rows: dict[int, list[Row]] = {connections: [] for connections in KAFKA_CONNECTIONS}
    for number in range(ROUNDS):
        for connections in KAFKA_PROMISED if number else KAFKA_CONNECTIONS:
            say(f"Apache Kafka, {connections} connections")
            rows[connections].append(measure_row("single, Kafka", Load(connections), stack, world, seconds))
    return [median_row(found) for found in rows.values()]


def median_row(rows: list[Row]) -> Row:
    """Return the row whose rate is the median."""
    return sorted(rows, key=lambda row: row.transfers_per_second)[len(rows) // 2]


def hot_destination(renew: Renew, world: Path, customers: list[Customer], say: Say) -> tuple[list[Row], float]:
    """Measure pairs of uniform and hot load, every other pair hot first. Returns (rows, median of hot / uniform)."""
    hot = Load(PAIR_CONNECTIONS, hot=customers[0].account_ids[0])
    rows: list[Row] = []
    ratios: list[float] = []
    for number in range(PAIRS):
        say(f"hot destination against uniform, pair {number + 1} of {PAIRS}")
        stack = renew()
        in_turn = [("uniform", Load(PAIR_CONNECTIONS)), ("hot destination", hot)]
        if number % 2:
            in_turn.reverse()
        pair = {name: measure_row(name, load, stack, world, PAIR_SECONDS) for name, load in in_turn}
        rows += [pair["uniform"], pair["hot destination"]]
        ratios.append(pair["hot destination"].transfers_per_second / pair["uniform"].transfers_per_second)
    return rows, statistics.median(ratios)
