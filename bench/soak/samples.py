"""What a running stack holds at a moment: memory, files, connections, tables, what waits."""

import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Final

import asyncpg
import psutil

from tallystick.stack.stack_file import Stack

_LAG: Final = re.compile(r"^tallystick_messaging_consumer_lag_records\{[^}]*\} (\S+)$", re.MULTILINE)
_METRICS_SECONDS: Final = 3
_TABLES: Final = """
SELECT schemaname || '.' || relname AS name, pg_table_size(relid) AS table_bytes, pg_indexes_size(relid) AS index_bytes,
    n_live_tup, n_dead_tup, vacuum_count + autovacuum_count AS vacuums
FROM pg_stat_user_tables
"""
_CONNECTIONS: Final = """
SELECT usename, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
GROUP BY usename
"""
_WAITING: Final = " UNION ALL ".join(
    f"SELECT '{schema}.outbox', count(*) FROM {schema}.outbox"  # noqa: S608 -- names written here
    for schema in ("gateway", "fraud", "ledger", "kyc", "accounts")
)
_POSTED: Final = "SELECT count(*) FROM ledger.transfers"


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """One process and those it started: resident bytes, open files."""

    pid: int
    rss_bytes: int
    open_files: int


@dataclass(frozen=True, slots=True)
class TableSample:
    """One table as PostgreSQL counts it: bytes, rows alive and dead, and how often it was vacuumed."""

    table_bytes: int
    index_bytes: int
    live_rows: int
    dead_rows: int
    vacuums: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything at one moment, in seconds since the load began."""

    at_seconds: float
    transfers: int
    processes: dict[str, ProcessSample]
    connections: dict[str, int]
    tables: dict[str, TableSample]
    waiting: dict[str, int]
    """Rows of each outbox."""
    lag_records: dict[str, float]
    """Records that a service's consumers have still to process; a service that does not answer is left out."""


async def take_sample(stack: Stack, at_seconds: float) -> Sample:
    """Look at everything. Raises: what asyncpg raises while PostgreSQL is away."""
    connection = await asyncpg.connect(stack.postgres, timeout=5)
    try:
        return Sample(
            at_seconds=at_seconds,
            transfers=int(await connection.fetchval(_POSTED)),
            processes=_processes(stack),
            connections=dict(await connection.fetch(_CONNECTIONS)),
            tables={name: TableSample(*figures) for name, *figures in await connection.fetch(_TABLES)},
            waiting=dict(await connection.fetch(_WAITING)),
            lag_records={name: lag for name in stack.services if (lag := _lag_of(stack, name)) is not None},
        )
    finally:
        await connection.close()


def _processes(stack: Stack) -> dict[str, ProcessSample]:
    groups = {name: service.pids for name, service in stack.services.items()}
    groups |= {name: part["pids"][:1] for name, part in stack.infrastructure.items()}
    found = {}
    for name, pids in groups.items():
        try:
            found[name] = _process(pids[0])
        except (IndexError, psutil.NoSuchProcess):
            continue  # it was killed and is on its way
    return found


def _process(pid: int) -> ProcessSample:
    process = psutil.Process(pid)
    rss_bytes, open_files = process.memory_info().rss, process.num_fds()
    for child in process.children(recursive=True):
        try:
            rss_bytes, open_files = rss_bytes + child.memory_info().rss, open_files + child.num_fds()
        except psutil.NoSuchProcess:
            continue
    return ProcessSample(pid, rss_bytes, open_files)


def _lag_of(stack: Stack, name: str) -> float | None:
    try:
        with urllib.request.urlopen(stack.services[name].metrics, timeout=_METRICS_SECONDS) as answer:  # noqa: S310 -- our own loopback
            text = answer.read().decode()
    except (urllib.error.URLError, OSError):
        return None
    return sum(float(lag) for lag in _LAG.findall(text))
