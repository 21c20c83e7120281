"""The table for people and the document for programs."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.measure import Row
from bench.wrk import Measured


def show_rows(console: Console, title: str, rows: Sequence[Row], echoes: Sequence[Measured | None]) -> None:
    """Print rows; an echo beside a row says what a bare server does with the same bodies."""
    table = Table(title=title, title_justify="left")
    for heading in ("load", "conns", "transfers/s", "of echo", "p50 ms", "p95", "p99", "errors", "CPU µs"):
        table.add_column(heading, justify="left" if heading == "load" else "right", no_wrap=True)
    for row, echo in zip(rows, echoes, strict=True):
        seen = row.latency
        table.add_row(
            row.name,
            str(row.connections),
            f"{row.transfers_per_second:,.0f}",
            f"{row.transfers_per_second * echo.seconds / echo.requests:.2f}" if echo else "",
            f"{seen.p50_ms:.1f}",
            f"{seen.p95_ms:.1f}",
            f"{seen.p99_ms:.1f}",
            str(seen.not_2xx + seen.socket_errors + seen.timeouts),
            f"{row.cpu_us_sum:,.0f}",
        )
    console.print(table)
    for row in rows:
        parts = " · ".join(f"{part} {cpu:,.0f}" for part, cpu in row.cpu_us.items())
        console.print(f"  {row.name}, {row.connections} connections, CPU µs a transfer: {parts}", soft_wrap=True)


def row_document(row: Row, echo: Measured | None = None) -> dict[str, Any]:
    """Return a row as JSON."""
    seen = row.latency
    document: dict[str, Any] = {
        "load": row.name,
        "connections": row.connections,
        "transfers": row.transfers,
        "transfers_per_second": round(row.transfers_per_second, 1),
        "p50_ms": seen.p50_ms,
        "p95_ms": seen.p95_ms,
        "p99_ms": seen.p99_ms,
        "not_2xx": seen.not_2xx,
        "socket_errors": seen.socket_errors,
        "timeouts": seen.timeouts,
        "cpu_us_a_transfer": {part: round(cpu, 1) for part, cpu in row.cpu_us.items()},
    }
    if echo is not None:
        document["echo_requests_per_second"] = round(echo.requests / echo.seconds, 1)
    return document
