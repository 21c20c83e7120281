"""What grew in a soak that should not have: rules over its samples, each with what it allows."""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import Final

from bench.soak.samples import Sample

SERVICES: Final = ("gateway", "fraud", "ledger", "kyc", "accounts")
SERVICES_RSS_BYTES_MAX: Final = 800 * 2**20
"""All five together, under load."""
_LIFE_SAMPLES_MIN: Final = 12
"""A life that was looked at fewer times is still warming up."""
_RSS_GROWTH: Final = 1.05
_RSS_SLACK_BYTES: Final = 8 * 2**20
_FILES_SLACK: Final = 8
_CONNECTIONS_SLACK: Final = 5
_TABLE_GROWTH: Final = 1.15
_TABLE_SLACK_BYTES: Final = 16 * 2**20
_DEAD_SHARE_MAX: Final = 0.3
_DEAD_ROWS_FREE: Final = 50_000
"""Below so many, autovacuum need not have come yet: its threshold is a fifth of a table."""


def what_grew(samples: Sequence[Sample], at_rest: Sample) -> list[str]:
    """Return a line for everything that grew without bound, or that should be gone once all is at rest."""
    return [
        *_memory(samples),
        *_files(samples),
        *_connections(samples),
        *_tables(samples),
        *_vacuum(at_rest),
        *_leftovers(at_rest),
    ]


def longest_life(samples: Sequence[Sample], name: str) -> list[Sample]:
    """Return the samples of the longest time that one process of this name lived through."""
    lives: dict[int, list[Sample]] = {}
    for sample in samples:
        if name in sample.processes:
            lives.setdefault(sample.processes[name].pid, []).append(sample)
    return max(lives.values(), key=len, default=[])


def _memory(samples: Sequence[Sample]) -> Iterator[str]:
    for name in SERVICES:
        before, after = _last_quarters(longest_life(samples, name), lambda one: one.processes[name].rss_bytes)  # noqa: B023 -- called at once
        if after > before * _RSS_GROWTH + _RSS_SLACK_BYTES:
            yield f"{name}: its memory grew from {before / 2**20:.0f} to {after / 2**20:.0f} MiB within one life"
    together = [
        sum(sample.processes[name].rss_bytes for name in SERVICES)
        for sample in samples
        if sample.processes.keys() >= set(SERVICES)
    ]
    if together and max(together) > SERVICES_RSS_BYTES_MAX:
        yield f"the five services took {max(together) / 2**20:.0f} MiB together"


def _files(samples: Sequence[Sample]) -> Iterator[str]:
    for name in SERVICES:
        before, after = _last_quarters(longest_life(samples, name), lambda one: one.processes[name].open_files)  # noqa: B023 -- called at once
        if after > before + _FILES_SLACK:
            yield f"{name}: its open files grew from {before:.0f} to {after:.0f} within one life"


def _connections(samples: Sequence[Sample]) -> Iterator[str]:
    before, after = _last_quarters(samples, lambda one: sum(one.connections.values()))
    if after > before + _CONNECTIONS_SLACK:
        yield f"connections to PostgreSQL grew from {before:.0f} to {after:.0f}"


def _tables(samples: Sequence[Sample]) -> Iterator[str]:
    """Compare bytes a transfer: what keeps history grows with what happened, and with nothing else."""
    if len(samples) < _LIFE_SAMPLES_MIN:
        return
    first, middle, last = samples[0], samples[len(samples) // 2], samples[-1]
    early, late = middle.transfers - first.transfers, last.transfers - middle.transfers
    if not early or not late:
        return
    for name in last.tables.keys() & middle.tables.keys() & first.tables.keys():
        at_first, at_middle, at_last = (
            sample.tables[name].table_bytes + sample.tables[name].index_bytes for sample in (first, middle, last)
        )
        allowed = (at_middle - at_first) / early * late * _TABLE_GROWTH + _TABLE_SLACK_BYTES
        if at_last - at_middle > allowed:
            yield (
                f"{name}: {(at_last - at_middle) / late:.0f} bytes a transfer in the second half,"
                f" {(at_middle - at_first) / early:.0f} in the first"
            )


def _vacuum(at_rest: Sample) -> Iterator[str]:
    for name, table in sorted(at_rest.tables.items()):
        rows = table.live_rows + table.dead_rows
        if table.dead_rows > max(_DEAD_ROWS_FREE, _DEAD_SHARE_MAX * rows):
            yield f"{name}: {table.dead_rows} of {rows} rows are dead after {table.vacuums} vacuums"


def _leftovers(at_rest: Sample) -> Iterator[str]:
    for name, rows in sorted(at_rest.waiting.items()):
        if rows:
            yield f"{name}: {rows} rows wait though all is at rest"
    for name, records in sorted(at_rest.lag_records.items()):
        if records:
            yield f"{name}: {records:.0f} records are not processed though all is at rest"


def _last_quarters(samples: Sequence[Sample], figure: Callable[[Sample], float]) -> tuple[float, float]:
    """Return the means of the third and of the last quarter; alike where there are too few to tell."""
    if len(samples) < _LIFE_SAMPLES_MIN:
        return 0.0, 0.0
    quarter = len(samples) // 4
    return fmean(map(figure, samples[-2 * quarter : -quarter])), fmean(map(figure, samples[-quarter:]))
