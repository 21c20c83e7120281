"""What counts as growth in a soak."""

from dataclasses import replace
from typing import Any

import pytest

from bench.soak.growth import SERVICES, what_grew
from bench.soak.samples import ProcessSample, Sample, TableSample

COUNT = 40
MIB = 2**20


def sample(number: int, **changed: Any) -> Sample:
    """Return what a healthy stack holds: history that grows with its transfers, and nothing else that grows."""
    transfers = 1_000 * number
    steady = Sample(
        at_seconds=10.0 * number,
        transfers=transfers,
        processes={name: ProcessSample(10, 100 * MIB, 40) for name in SERVICES},
        connections={"ledger": 5, "fraud": 5},
        tables={
            "ledger.entries": TableSample(300 * transfers, 200 * transfers, transfers, 0, 1),
            "ledger.outbox": TableSample(MIB, MIB, 0, 0, 40),
        },
        waiting={"ledger.outbox": 3},
        lag_records={"ledger": 20.0},
    )
    return replace(steady, **changed)


SAMPLES = [sample(number) for number in range(COUNT)]
AT_REST = replace(SAMPLES[-1], waiting={"ledger.outbox": 0}, lag_records={"ledger": 0.0})


def with_process(one: Sample, name: str, process: ProcessSample) -> Sample:
    return replace(one, processes={**one.processes, name: process})


def with_table(one: Sample, name: str, table: TableSample) -> Sample:
    return replace(one, tables={**one.tables, name: table})


def test_history_may_grow_with_what_happened() -> None:
    assert what_grew(SAMPLES, AT_REST) == []


def test_memory_that_grows_within_a_life_is_told_though_the_process_was_killed_between() -> None:
    leaking = [
        with_process(one, "fraud", ProcessSample(10 + number // 30, (100 + 3 * (number % 30)) * MIB, 40))
        for number, one in enumerate(SAMPLES)
    ]
    assert what_grew(leaking, AT_REST) == ["fraud: its memory grew from 157 to 178 MiB within one life"]


def test_memory_of_a_process_that_was_killed_is_no_growth_of_the_next() -> None:
    killed = [
        with_process(one, "fraud", ProcessSample(10 + number // 20, (100 + 100 * (number // 20)) * MIB, 40))
        for number, one in enumerate(SAMPLES)
    ]
    assert what_grew(killed, AT_REST) == []


def test_five_services_that_take_too_much_together_are_told() -> None:
    large = [with_process(one, "fraud", ProcessSample(10, 450 * MIB, 40)) for one in SAMPLES]
    assert what_grew(large, AT_REST) == ["the five services took 850 MiB together"]


def test_open_files_and_connections_that_pile_up_are_told() -> None:
    piling = [
        replace(
            with_process(one, "gateway", ProcessSample(10, 100 * MIB, 40 + number)),
            connections={"ledger": 5, "fraud": 5 + number},
        )
        for number, one in enumerate(SAMPLES)
    ]
    assert what_grew(piling, AT_REST) == [
        "gateway: its open files grew from 64 to 74 within one life",
        "connections to PostgreSQL grew from 34 to 44",
    ]


def test_a_table_that_takes_more_and_more_for_a_transfer_is_told() -> None:
    swelling = [
        with_table(one, "ledger.outbox", TableSample(100_000 * number**2, 0, 0, 0, 0))
        for number, one in enumerate(SAMPLES)
    ]
    [line] = what_grew(swelling, AT_REST)
    assert line == "ledger.outbox: 5900 bytes a transfer in the second half, 2000 in the first"


@pytest.mark.parametrize(
    ("live", "dead", "told"), [(1_000_000, 250_000, False), (100_000, 60_000, True), (0, 40_000, False)]
)
def test_dead_rows_that_no_vacuum_came_for_are_told(*, live: int, dead: int, told: bool) -> None:
    at_rest = with_table(AT_REST, "fraud.users", TableSample(MIB, MIB, live, dead, 2))
    assert bool(what_grew(SAMPLES, at_rest)) is told


def test_what_still_waits_at_rest_is_told() -> None:
    assert what_grew(SAMPLES, SAMPLES[-1]) == [
        "ledger.outbox: 3 rows wait though all is at rest",
        "ledger: 20 records are not processed though all is at rest",
    ]
